//! The output of a command: data on stdout, as text or as JSON; talk on stderr, where no pipe trips over it.

use std::fmt::Display;
use std::io::{self, Write};

use anyhow::Context as _;
use serde::Serialize;

/// The form in which a command answers.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    pub json: bool,
}

impl Output {
    /// Prints data: `value` as one line of JSON, or what `text` makes of it.
    pub fn data<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
        let line = if self.json { serde_json::to_string(value)? } else { text(value) };
        print(&mut io::stdout().lock(), &line)
    }

    /// Says something to the person, on stderr; nothing is lost when nobody reads it.
    pub fn talk(self, text: impl Display) {
        _ = writeln!(io::stderr().lock(), "{text}");
    }
}

/// Prints at once, so that a reader of the pipe sees a line when it is written.
fn print(out: &mut impl Write, line: &str) -> anyhow::Result<()> {
    writeln!(out, "{}", line.trim_end_matches('\n')).and_then(|()| out.flush()).context("cannot write the output")
}

/// Columns of text under their headings; the last one is not padded.
pub fn table<const COLUMNS: usize>(headings: [&str; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let mut widths = headings.map(|heading| heading.chars().count());
    for row in rows {
        widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
    }
    let line = |cells: [&str; COLUMNS]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let lines = rows.iter().map(|row| line(row.each_ref().map(String::as_str)));
    std::iter::once(line(headings)).chain(lines).collect::<Vec<_>>().join("\n")
}

/// "1 job", "2 jobs".
pub fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a".to_owned(), "1".to_owned()], ["longer".to_owned(), "22".to_owned()]];
        assert_eq!(table(["RUN", "N"], &rows), "RUN     N\na       1\nlonger  22");
    }

    #[test]
    fn a_line_ends_once() {
        let mut out = Vec::new();
        print(&mut out, "text\n").unwrap();
        assert_eq!(out, b"text\n");
    }
}
