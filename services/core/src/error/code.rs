//! A code: one line of the table in [`super::codes`], and how it is written.

use std::fmt;

use super::kind::ErrorKind;

/// The letters before each number.
pub(super) const PREFIX: &str = "PL-";

/// One line of the table. Its `Display` is `PL-1040`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Code {
    pub number: u16,
    /// The kind of each error with this code, except where a service turns a refusal into "try again".
    pub kind: ErrorKind,
    /// The name of the constant: what the error is, in one word.
    pub name: &'static str,
    /// The error in a few words, without a full stop.
    pub title: &'static str,
    pub happened: &'static str,
    pub causes: &'static str,
    pub remedy: &'static str,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{:04}", self.number)
    }
}

/// The same short text as `Display`: the log of an error need not repeat the page.
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
