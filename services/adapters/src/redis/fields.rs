//! Reads the values of a run out of Redis' answers.

use std::collections::HashMap;
use std::time::Duration;

use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::run::{RunRecord, RunState};
use paceline_core::{Error, Result};
use serde::de::DeserializeOwned;

/// A hash as Redis answers it.
pub(super) type Fields = HashMap<String, String>;

pub(super) fn parse_record(fields: &Fields) -> Result<RunRecord> {
    let state = field(fields, "state")?;
    Ok(RunRecord {
        spec: from_json(field(fields, "spec")?)?,
        state: RunState::parse(state).ok_or_else(|| unreadable("state", state))?,
        revision: number(fields, "revision")?,
        cursor: number(fields, "cursor")?,
        pacing: from_json(field(fields, "pacing")?)?,
        ended_at_ms: fields
            .get("ended_at_ms")
            .map(|text| text.parse().map_err(|_| unreadable("ended_at_ms", text)))
            .transpose()?,
        failure: fields.get("failure").cloned(),
    })
}

/// A counter; one that was never counted is 0.
pub(super) fn number(fields: &Fields, name: &str) -> Result<u64> {
    fields.get(name).map_or(Ok(0), |text| text.parse().map_err(|_| unreadable(name, text)))
}

pub(super) fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| Error::internal(format!("cannot write to the ledger: {e}")).coded(codes::LEDGER_DATA_UNREADABLE))
}

pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| {
        Error::internal(format!("cannot read what is in the ledger: {e}")).coded(codes::LEDGER_DATA_UNREADABLE)
    })
}

pub(super) fn unreadable(name: &str, text: &str) -> Error {
    Error::internal(format!("{name} in the ledger is {text:?}; was it changed by hand?"))
        .coded(codes::LEDGER_DATA_UNREADABLE)
}

fn field<'a>(fields: &'a Fields, name: &str) -> Result<&'a str> {
    fields.get(name).map(String::as_str).ok_or_else(|| unreadable(name, ""))
}

pub(super) fn total_field(total: Option<u64>) -> String {
    total.map_or(String::new(), |total| total.to_string())
}

pub(super) fn parse_ids(texts: Vec<String>) -> Result<Vec<RunId>> {
    texts.iter().map(|text| RunId::parse(text).map_err(|_| unreadable("run id", text))).collect()
}

/// Longer than any lease that makes sense, and small enough for the scripts' numbers.
const TTL_MS_MAX: u128 = 1 << 40;

/// `ttl` in milliseconds, at least one.
pub(super) fn ttl_ms(ttl: Duration) -> u64 {
    ttl.as_millis().clamp(1, TTL_MS_MAX) as u64
}
