//! `paceline explain`: what a code of an error means, and what to do. It asks nobody, so it works where nothing else does.

#[cfg(test)]
mod page_tests;

use clap::Args;
use paceline_core::error::{Code, codes};
use paceline_core::{Error, Result};
use paceline_runtime::status;
use serde::Serialize;

use crate::exit::Exit;
use crate::output::{Output, table};

/// The number of codes that are offered instead of an unknown one.
const NEAR_CODES: usize = 3;

#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// The code of an error, such as PL-1040, pl1040 or 1040 [default: a list of all codes]
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

/// A code as it is shown.
#[derive(Debug, Serialize)]
struct Explained {
    code: String,
    title: &'static str,
    kind: &'static str,
    grpc_code: String,
    exit_code: u8,
    happened: &'static str,
    causes: &'static str,
    remedy: &'static str,
}

impl From<&'static Code> for Explained {
    fn from(code: &'static Code) -> Self {
        Self {
            code: code.to_string(),
            title: code.title,
            kind: code.kind.name(),
            grpc_code: upper_case(&format!("{:?}", status::code_of(code))),
            exit_code: Exit::from(code.kind) as u8,
            happened: code.happened,
            causes: code.causes,
            remedy: code.remedy,
        }
    }
}

impl Explained {
    fn text(&self) -> String {
        let Self { code, title, kind, grpc_code, exit_code, happened, causes, remedy } = self;
        format!(
            "{code}: {title}\n\n\
             What happened: {happened}\n\
             Possible causes: {causes}\n\
             What to do: {remedy}\n\n\
             Kind {kind}, gRPC code {grpc_code}, exit code {exit_code}."
        )
    }
}

pub fn execute(arguments: &ExplainArguments, output: Output) -> anyhow::Result<Exit> {
    match &arguments.code {
        Some(text) => output.data(&Explained::from(find(text)?), Explained::text)?,
        None => output.data(&codes::all().map(Explained::from).collect::<Vec<_>>(), |all| list(all))?,
    }
    Ok(Exit::Done)
}

fn list(all: &[Explained]) -> String {
    let rows: Vec<_> = all.iter().map(|code| [code.code.clone(), code.title.to_owned()]).collect();
    table(["CODE", "ERROR"], &rows)
}

fn find(text: &str) -> Result<&'static Code> {
    number(text).and_then(Code::of_number).ok_or_else(|| {
        let near: Vec<_> = near(text).map(|code| format!("\n  {code}  {}", code.title)).collect();
        let message =
            format!("there is no code {text:?}; `paceline explain` lists all, and near it are:{}", near.concat());
        Error::not_found(message).coded(codes::CODE_UNKNOWN)
    })
}

/// `PL-1040`, `pl1040` or `1040`.
fn number(text: &str) -> Option<u16> {
    let text = text.trim().to_ascii_uppercase();
    let digits = text.strip_prefix("PL").map_or(text.as_str(), |rest| rest.trim_start_matches('-'));
    digits.parse().ok()
}

/// Codes with similar numbers, nearest first. A text without a number gets the general codes.
fn near(text: &str) -> impl Iterator<Item = &'static Code> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let wanted: u16 = digits.parse().unwrap_or_default();
    let mut all: Vec<_> = codes::all().collect();
    all.sort_by_key(|code| code.number.abs_diff(wanted));
    all.into_iter().take(NEAR_CODES)
}

/// `FailedPrecondition` as gRPC writes it: `FAILED_PRECONDITION`.
fn upper_case(name: &str) -> String {
    let letter = |(at, letter): (usize, char)| {
        let gap = if at > 0 && letter.is_uppercase() { "_" } else { "" };
        format!("{gap}{}", letter.to_ascii_uppercase())
    };
    name.char_indices().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_may_be_written_in_three_ways() {
        for text in ["PL-1040", "pl1040", "1040", " pl-1040 "] {
            assert_eq!(find(text).unwrap(), codes::RUN_TOTAL_BELOW_ENQUEUED, "{text}");
        }
    }

    #[test]
    fn an_unknown_code_is_answered_with_those_near_it() {
        let error = find("PL-1043").unwrap_err();
        assert_eq!(error.code, codes::CODE_UNKNOWN);
        assert!(error.message.contains("PL-1042") && error.message.contains("PL-1041"), "{error}");
        assert!(find("rate").unwrap_err().message.contains("PL-1000"));
    }

    #[test]
    fn a_code_is_shown_with_remedy_and_what_programs_see() {
        let text = Explained::from(codes::RUN_TOTAL_BELOW_ENQUEUED).text();
        assert!(text.starts_with("PL-1040: the new total is below"), "{text}");
        assert!(text.contains("What to do: Ask for a total"), "{text}");
        assert!(text.ends_with("Kind failed_precondition, gRPC code FAILED_PRECONDITION, exit code 4."), "{text}");
        assert_eq!(Explained::from(codes::TOKEN_REFUSED).grpc_code, "UNAUTHENTICATED");
    }

    #[test]
    fn the_list_has_a_line_for_each_code() {
        let all: Vec<_> = codes::all().map(Explained::from).collect();
        assert_eq!(list(&all).lines().count(), all.len() + 1);
    }
}
