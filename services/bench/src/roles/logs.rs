//! The log of a role that is a process of its own: passed on to our stderr, and listened to for warnings.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::ChildStderr;
use std::thread::JoinHandle;

use paceline_runtime::telemetry::{LogFormat, Warnings};
use serde::Deserialize;

/// The longest line that is looked at whole.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// Reads until the role has ended, in a thread of its own: a role whose log nobody reads would stand still.
pub fn relay(log: ChildStderr, role: &str, format: LogFormat, warnings: Warnings) -> JoinHandle<()> {
    let role = role.to_owned();
    std::thread::spawn(move || {
        let (mut log, mut line) = (BufReader::new(log), Vec::new());
        while (&mut log).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
            // Nobody reads ours: then the role's is not read either, but still counted.
            _ = std::io::stderr().write_all(&line);
            let text = String::from_utf8_lossy(&line);
            if warns(&text, format) {
                warnings.note(&format!("{role}: {}", text.trim_end()));
            }
            line.clear();
        }
    })
}

/// True if a line of the log is a warning or an error, or the first line of a panic, which no log formats.
fn warns(line: &str, format: LogFormat) -> bool {
    #[derive(Deserialize)]
    struct Line {
        level: String,
    }
    let is_panic = line.starts_with("thread '") && line.contains("panicked at");
    let is_warning = |level: &str| ["WARN", "ERROR"].contains(&level);
    is_panic
        || match format {
            LogFormat::Text | LogFormat::Auto => line.split_ascii_whitespace().nth(1).is_some_and(is_warning),
            LogFormat::Json => serde_json::from_str(line).is_ok_and(|line: Line| is_warning(&line.level)),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_told_by_its_level() {
        for (line, expected) in [
            ("2026-01-01T00:00:00.000000Z  WARN slow\n", true),
            ("2026-01-01T00:00:00.000000Z ERROR gone\n", true),
            ("2026-01-01T00:00:00.000000Z  INFO WARN is only a word here\n", false),
            ("thread 'main' (7) panicked at src/main.rs:1:1:\n", true),
            ("\n", false),
        ] {
            assert_eq!(warns(line, LogFormat::Text), expected, "{line}");
        }
        assert!(warns(r#"{"timestamp":"…","level":"WARN","fields":{"message":"slow"}}"#, LogFormat::Json));
        assert!(!warns(r#"{"timestamp":"…","level":"INFO","fields":{"message":"WARN"}}"#, LogFormat::Json));
    }
}
