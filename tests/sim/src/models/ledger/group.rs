//! The numbers of one group of a run, and jobs by second for the rates.

use std::collections::BTreeMap;

use paceline_core::run::RATE_WINDOW_S;
use paceline_core::seqset::SeqSet;

/// The jobs of a run that a group has counted.
#[derive(Default, Clone)]
pub struct Group {
    pub bits: SeqSet,
    pub dead: SeqSet,
    pub processed: u64,
    pub dead_count: u64,
    pub duplicates: u64,
    pub workers: BTreeMap<String, u64>,
    pub(super) window: Window,
}

/// Jobs by second.
#[derive(Default, Clone)]
pub struct Window(BTreeMap<i64, u64>);

impl Window {
    pub fn add(&mut self, now_ms: i64, jobs: u64) {
        *self.0.entry(now_ms.div_euclid(1000)).or_default() += jobs;
    }
}

/// The running second is not part of it.
pub fn in_window(window: &Window, now_ms: i64) -> u64 {
    let second = now_ms.div_euclid(1000);
    window.0.range(second - RATE_WINDOW_S..second).map(|(_, jobs)| jobs).sum()
}
