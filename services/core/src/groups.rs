//! The consumer groups of a run: each of them gets every job of the run, counts apart, and has to end before the run has ended.
//!
//! A run carries its groups from its start on, in its spec, so the ledger and whoever owns, publishes or heals the run need
//! nobody's settings to know them.

use serde::{Deserialize, Serialize};

use crate::error::codes;
use crate::error::{Error, Result};
use crate::ids::{DEFAULT_GROUP, check_group};

/// The most groups of a run: bounds what a look at all of them costs.
pub const GROUPS_MAX: usize = 16;

/// At least one group, each once, in the order of their names. A run from before groups were kept has [`DEFAULT_GROUP`] alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Groups(Vec<String>);

impl Groups {
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Result<Self> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        names.iter().try_for_each(|name| check_group("groups", name))?;
        Self::of(names)
    }

    fn of(mut names: Vec<String>) -> Result<Self> {
        names.sort();
        names.dedup();
        if names.is_empty() || names.len() > GROUPS_MAX {
            return Err(Error::invalid_field("groups", format!("must be 1 to {GROUPS_MAX}, not {}", names.len()))
                .coded(codes::GROUP_UNKNOWN));
        }
        Ok(Self(names))
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    pub fn contains(&self, group: &str) -> bool {
        self.iter().any(|name| name == group)
    }

    pub fn first(&self) -> &str {
        &self.0[0]
    }

    /// Refuses a group that the run was not made for.
    pub fn check(&self, group: &str) -> Result<()> {
        if self.contains(group) {
            return Ok(());
        }
        Err(Error::invalid_field("group", format!("the run has no group {group:?}; it was made for: {self}"))
            .coded(codes::GROUP_UNKNOWN))
    }
}

impl Default for Groups {
    fn default() -> Self {
        Self(vec![DEFAULT_GROUP.into()])
    }
}

impl std::fmt::Display for Groups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

impl TryFrom<Vec<String>> for Groups {
    type Error = Error;

    /// Takes the names as they are kept: a run from before today's rules for names must still be read.
    fn try_from(names: Vec<String>) -> Result<Self> {
        Self::of(names)
    }
}

impl From<Groups> for Vec<String> {
    fn from(groups: Groups) -> Self {
        groups.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_at_least_one_group_and_each_is_there_once() {
        let groups = Groups::new(["main", "audit", "main"]).unwrap();
        assert_eq!(groups.iter().collect::<Vec<_>>(), ["audit", "main"]);
        assert_eq!((groups.first(), groups.to_string().as_str()), ("audit", "audit, main"));
        assert!(groups.check("main").is_ok());
        assert!(groups.check("billing").unwrap_err().message.contains("audit, main"));
        assert!(Groups::new([""; 0]).is_err());
        assert!(Groups::new(["No Name"]).is_err());
        assert!(Groups::new(["main", "dead"]).is_err());
        assert!(Groups::new((0..=GROUPS_MAX).map(|n| format!("g{n}"))).is_err());
    }

    #[test]
    fn groups_are_a_list_of_names_in_json_and_an_empty_list_is_refused() {
        let groups = Groups::new(["billing", "audit"]).unwrap();
        let json = serde_json::to_string(&groups).unwrap();
        assert_eq!(json, r#"["audit","billing"]"#);
        assert_eq!(serde_json::from_str::<Groups>(&json).unwrap(), groups);
        assert!(serde_json::from_str::<Groups>("[]").is_err());
    }
}
