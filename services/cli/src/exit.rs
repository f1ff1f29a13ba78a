//! The end of the process: the documented exit codes, and the text of an error on stderr.

use std::io::{ErrorKind as IoErrorKind, IsTerminal as _, Write as _};
use std::process::ExitCode;

use paceline_core::error::{Code, codes};
use paceline_core::{Error, ErrorKind};

/// Shown below `paceline --help`.
pub const HELP: &str = "\
Exit codes:
  0    done
  1    the answer is no: not proved, a check failed, the run failed, a benchmark warned or left something
  2    a bad option or argument
  3    there is no such thing
  4    not in this state, or it changed meanwhile
  5    a service does not answer, or is at its limit; try again later
  6    anything else
  130  interrupted";

/// The exit codes; [`HELP`] documents them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    No = 1,
    Usage = 2,
    NotFound = 3,
    Precondition = 4,
    Unavailable = 5,
    Other = 6,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidArgument => Self::Usage,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::FailedPrecondition | ErrorKind::Aborted => Self::Precondition,
            ErrorKind::Unavailable | ErrorKind::ResourceExhausted => Self::Unavailable,
            ErrorKind::Internal | ErrorKind::Unpublishable => Self::Other,
        }
    }
}

/// Prints the error on stderr and answers the exit code. A reader that closed the pipe of our output is told nothing.
pub fn report(error: &anyhow::Error) -> Exit {
    if is_broken_pipe(error) {
        return Exit::Done;
    }
    let mut stderr = std::io::stderr().lock();
    let (before, after) = if stderr.is_terminal() { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    let code = code(error);
    // Without stderr there is nobody left to tell.
    _ = writeln!(stderr, "{before}error[{code}]:{after} {}\nhint: paceline explain {code}", describe(error));
    find(error).map_or(Exit::Other, |error| error.kind.into())
}

/// The code of our error; one code stands for everything that the operating system or a library says.
fn code(error: &anyhow::Error) -> &'static Code {
    find(error).map_or(codes::COMMAND_FAILED, |ours| ours.code)
}

/// The text of an error: its message, a line for each bad field, and the time after which to try again.
pub fn describe(error: &anyhow::Error) -> String {
    let Some(ours) = find(error) else { return format!("{error:#}") };
    let mut lines = match ours.fields.as_slice() {
        [] | [_] => vec![format!("{error:#}")],
        fields => {
            let field = |v: &paceline_core::error::FieldViolation| format!("  {}: {}", v.field, v.description);
            let heading = format!("{} arguments are not valid", fields.len());
            std::iter::once(heading).chain(fields.iter().map(field)).collect()
        }
    };
    if let Some(after) = ours.retry_after {
        lines.push(format!("hint: try again in {after:.0?}"));
    }
    lines.join("\n")
}

fn find(error: &anyhow::Error) -> Option<&Error> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_pipe = |e: &std::io::Error| e.kind() == IoErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref().is_some_and(is_pipe))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;
    use paceline_core::error::Violations;
    use std::time::Duration;

    #[test]
    fn every_kind_has_its_documented_code() {
        let documented = [
            (ErrorKind::InvalidArgument, 2),
            (ErrorKind::NotFound, 3),
            (ErrorKind::FailedPrecondition, 4),
            (ErrorKind::Aborted, 4),
            (ErrorKind::Unavailable, 5),
            (ErrorKind::ResourceExhausted, 5),
            (ErrorKind::Internal, 6),
            (ErrorKind::Unpublishable, 6),
        ];
        for (kind, code) in documented {
            assert_eq!(Exit::from(kind) as u8, code, "{kind:?}");
            assert!(HELP.contains(&format!("\n  {code} ")));
        }
    }

    #[test]
    fn the_kind_survives_context_and_other_errors_are_6() {
        let wrapped = anyhow::Error::from(Error::not_found("no run x")).context("while looking");
        assert_eq!(find(&wrapped).map(|e| e.kind), Some(ErrorKind::NotFound));
        assert_eq!((report(&wrapped), code(&wrapped)), (Exit::NotFound, codes::NOT_FOUND));
        assert_eq!(code(&anyhow::anyhow!("odd")), codes::COMMAND_FAILED);
        assert_eq!(report(&anyhow::anyhow!("odd")), Exit::Other);
    }

    #[test]
    fn a_broken_pipe_is_no_failure() {
        let pipe = Err::<(), _>(std::io::Error::from(IoErrorKind::BrokenPipe)).context("printing").unwrap_err();
        assert_eq!(report(&pipe), Exit::Done);
    }

    #[test]
    fn each_bad_field_has_its_line() {
        let mut violations = Violations::default();
        violations.add("jobs", "must be at least 1");
        let one = anyhow::Error::from(violations.check().unwrap_err());
        assert_eq!(describe(&one), "jobs: must be at least 1");

        let mut violations = Violations::default();
        violations.add("jobs", "must be at least 1");
        violations.add("total", "must be at most 5");
        let two = anyhow::Error::from(violations.check().unwrap_err());
        assert_eq!(describe(&two), "2 arguments are not valid\n  jobs: must be at least 1\n  total: must be at most 5");
        let later = anyhow::Error::from(Error::unavailable("redis is away").with_retry_after(Duration::from_secs(2)));
        assert_eq!(describe(&later), "redis is away\nhint: try again in 2s");
    }
}
