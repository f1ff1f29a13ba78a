//! For `doctor`: each sentinel and each server by itself, by what the sentinels see. A server that is dead shows nowhere else while the others
//! do its work.

use std::cmp::Ordering;

use paceline_core::error::codes;
use paceline_core::{Error, Result};

use super::barrier::REPLICAS_MAX;
use super::sentinels::{Sentinels, View};

/// Every sentinel and server by its address, each with its role or with its fault.
pub(super) async fn look(sentinels: &Sentinels) -> Vec<(String, Result<String>)> {
    let views = sentinels.views().await;
    let seeing: Vec<&View> = views.iter().filter_map(|(_, view)| view.as_ref().ok()).collect();
    let Some(latest) = seeing.iter().max_by_key(|view| view.belief.epoch) else {
        return views.into_iter().map(|(address, view)| (address, view.map(|_| String::new()))).collect();
    };
    let primary = latest.belief.address();
    let mut nodes: Vec<_> =
        views.iter().map(|(address, view)| (address.clone(), believes(view.as_ref(), &primary))).collect();
    // A sentinel that knows of an earlier election sees other servers in these places.
    let seeing: Vec<&View> = seeing.iter().copied().filter(|view| view.belief.address() == primary).collect();
    let flags = seeing.iter().map(|view| view.flags.as_str());
    let is_primary = reached(&format!("primary of {}", sentinels.name()), flags);
    nodes.push((primary, is_primary.and_then(|words| enough_replicas(words, latest.replicas.len()))));
    for (address, _) in &latest.replicas {
        let flags = seeing.iter().map(|view| {
            let seen = view.replicas.iter().find(|(other, _)| other == address);
            seen.map_or("not known", |(_, flags)| flags.as_str())
        });
        nodes.push((address.clone(), reached("replica", flags)));
    }
    nodes
}

fn believes(view: std::result::Result<&View, &Error>, primary: &str) -> Result<String> {
    match view.map_err(Clone::clone)?.belief.address() {
        same if same == primary => Ok(format!("sentinel, knows {primary}")),
        other => Err(Error::unavailable(format!(
            "sentinel, knows {other} as the primary; the latest election made it {primary}"
        ))
        .coded(codes::LEDGER_NODE_AWAY)),
    }
}

/// `seen`: the flags of one server, as each sentinel has them.
fn reached<'a>(what: &str, seen: impl Iterator<Item = &'a str>) -> Result<String> {
    const AWAY: [&str; 4] = ["s_down", "o_down", "disconnected", "not known"];
    let seen: Vec<&str> = seen.collect();
    let is_away = |flags: &&&str| flags.split(',').any(|flag| AWAY.contains(&flag));
    let away: Vec<&&str> = seen.iter().filter(is_away).collect();
    match away.first() {
        None => Ok(format!("{what}, reached by {} sentinels", seen.len())),
        Some(flags) => Err(Error::unavailable(format!(
            "{what}, and {} of {} sentinels do not reach it ({flags})",
            away.len(),
            seen.len()
        ))
        .coded(codes::LEDGER_NODE_AWAY)),
    }
}

fn enough_replicas(words: String, count: usize) -> Result<String> {
    let code = match count.cmp(&REPLICAS_MAX) {
        Ordering::Equal => return Ok(words),
        Ordering::Less => codes::LEDGER_REPLICAS_MISSING,
        Ordering::Greater => codes::LEDGER_REPLICAS_TOO_MANY,
    };
    Err(Error::new(code.kind, format!("{words}, with {count} replicas; it takes {REPLICAS_MAX}")).coded(code))
}
