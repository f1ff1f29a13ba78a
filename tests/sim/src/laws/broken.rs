//! The verdict on a broken law, inside a check and in the report of a seed.

/// The law, and what was seen.
pub type Broken = (&'static str, String);

/// The law that was broken, and what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub law: &'static str,
    pub words: String,
}
