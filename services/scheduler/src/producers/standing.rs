//! The state of the producers, in words and numbers: for readiness, for metrics, and for the error of a range that no producer takes.

use std::sync::Arc;

use paceline_core::error::codes;
use paceline_core::{Error, Result};
use serde_json::{Value, json};

use super::pool::Producers;
use super::pooled::{PooledProducer, ProducerCondition};

/// An error says for so many producers why they do not work, each in so many characters.
const REASONS_MAX: usize = 3;
pub(super) const REASON_CHARS_MAX: usize = 400;

impl Producers {
    /// `Ok` if ranges can be published now. The error says for the first producers why not.
    pub fn check(&self) -> Result<()> {
        if self.members().iter().any(|member| member.condition().is_usable) { Ok(()) } else { Err(self.none_usable()) }
    }

    /// (producers that ranges go to, all producers). A name whose addresses nobody knows yet counts as one that no range goes to.
    pub fn counts(&self) -> (usize, usize) {
        let members = self.members();
        let unknown = self.names().filter(|name| name.why_unknown().is_some()).count();
        (members.iter().filter(|member| member.condition().is_usable).count(), members.len() + unknown)
    }

    /// For readiness: each producer, and why it is left out if it is.
    pub fn states(&self) -> Vec<Value> {
        let state = |member: &Arc<PooledProducer>| {
            let ProducerCondition { is_usable, why } = member.condition();
            json!({ "producer": member.name, "ok": is_usable, "why": why })
        };
        self.members().iter().map(state).collect()
    }

    /// For readiness: each name, its addresses, and what is wrong with its lookups.
    pub fn name_states(&self) -> Vec<Value> {
        self.names().map(|name| name.state()).collect()
    }

    /// The error of a range that no producer takes. It is logged for each range and travels in a header of gRPC, so it is short however
    /// many producers there are.
    pub(super) fn none_usable(&self) -> Error {
        let unknown = self.names().filter_map(|name| Some(format!("{}: {}", name.address(), name.why_unknown()?)));
        let why = |member: &Arc<PooledProducer>| match member.condition().why {
            why if why.is_empty() => format!("{}: it was not reached yet", member.name),
            why => format!("{}: {why}", member.name),
        };
        let members = self.members();
        let mut all = members.iter().map(why).chain(unknown);
        let mut said: Vec<_> = all.by_ref().take(REASONS_MAX).map(shortened).collect();
        match all.count() {
            0 => (),
            more => said.push(format!("and {more} more")),
        }
        Error::unavailable(format!("no producer works now ({})", said.join("; "))).coded(codes::NO_PRODUCER_WORKS)
    }
}

pub(super) fn shortened(reason: String) -> String {
    match reason.char_indices().nth(REASON_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason,
    }
}
