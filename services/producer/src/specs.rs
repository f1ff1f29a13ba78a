//! Encoders by run: a run's queue, handler and payload never change, so they are read from the ledger once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use paceline_core::Result;
use paceline_core::groups::Groups;
use paceline_core::ids::RunId;
use paceline_core::job::Encoder;
use paceline_core::ports::Runs;
use paceline_core::ports::runs::unknown;

/// The most runs that are remembered; one more forgets them all, and they are read anew.
const RUNS_MAX: usize = 256;

/// The part of a run's spec that a producer needs.
pub struct KnownSpec {
    pub queue: String,
    /// Each has a queue of its own, and gets every job.
    pub groups: Groups,
    pub encoder: Encoder,
}

pub struct Specs {
    runs: Arc<dyn Runs>,
    known: Mutex<HashMap<RunId, Arc<KnownSpec>>>,
}

impl Specs {
    pub fn new(runs: Arc<dyn Runs>) -> Self {
        Self { runs, known: Mutex::default() }
    }

    /// `Unpublishable`: nobody can ever write the messages of this run.
    pub async fn get(&self, run: &RunId) -> Result<Arc<KnownSpec>> {
        if let Some(known) = self.lock().get(run) {
            return Ok(known.clone());
        }
        let record = self.runs.find(run).await?;
        let spec = record.ok_or_else(|| unknown(run))?.spec;
        let encoder = Encoder::new(&spec);
        encoder.check()?;
        let known = Arc::new(KnownSpec { encoder, queue: spec.queue, groups: spec.groups });
        let mut all = self.lock();
        if all.len() >= RUNS_MAX {
            all.clear();
        }
        all.insert(run.clone(), known.clone());
        Ok(known)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Arc<KnownSpec>>> {
        self.known.lock().expect("no code panics while it holds the specs")
    }
}
