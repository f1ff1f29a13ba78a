//! The runs port: runs are started once, read, listed, changed and restored.
//!
//! A step that touches more than the run's own keys is ordered so that a crash in between leaves nothing wrong: the request id
//! is claimed first, then the run is written, then it is listed; a repeat of the request completes what is missing.

use async_trait::async_trait;
use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::pacing::Pacing;
use paceline_core::ports::Runs;
use paceline_core::ports::runs::{Created, unknown};
use paceline_core::run::{KeptRun, RunChange, RunRecord, RunSpec, RunState};
use paceline_core::{Error, Result};
use redis::cmd;

use super::fields::{parse_ids, parse_record, to_json, total_field, unreadable};
use super::ledger::RedisLedger;

#[async_trait]
impl Runs for RedisLedger {
    async fn create(&self, spec: &RunSpec, request_id: &str) -> Result<Created> {
        if request_id.is_empty() {
            self.write_run(spec).await?;
            return Ok(Created::New);
        }
        let mut claim = self.scripts.claim_request.prepare_invoke();
        claim.key(self.keys.request(request_id)).arg(spec.run_id.as_str());
        match self.connection.script::<Option<String>>("request", &claim).await? {
            None => {
                self.write_run(spec).await?;
                Ok(Created::New)
            }
            Some(bound) => {
                let run_id = RunId::parse(&bound)
                    .map_err(|e| Error::internal(e.message).coded(codes::LEDGER_DATA_UNREADABLE))?;
                // Whoever claimed it may have died before the run was written: then this call writes it.
                self.write_run(&RunSpec { run_id: run_id.clone(), ..spec.clone() }).await?;
                Ok(Created::Existing(run_id))
            }
        }
    }

    async fn find(&self, run: &RunId) -> Result<Option<RunRecord>> {
        let fields = self.read_fields(run).await?;
        if fields.is_empty() { Ok(None) } else { parse_record(&fields).map(Some) }
    }

    async fn list(&self, before: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        let newest = before.map_or("+".to_owned(), |run| format!("({run}"));
        let mut list = cmd("ZREVRANGEBYLEX");
        list.arg(self.keys.runs()).arg(newest).arg("-").arg("LIMIT").arg(0).arg(limit);
        parse_ids(self.connection.command(&list).await?)
    }

    async fn active(&self) -> Result<Vec<RunId>> {
        let mut ids = parse_ids(self.connection.command(cmd("SMEMBERS").arg(self.keys.active())).await?)?;
        ids.sort();
        let states = futures::future::try_join_all(ids.iter().map(|run| self.read_state(run))).await?;
        let mut active = Vec::new();
        for (run, state) in ids.into_iter().zip(states) {
            match state {
                // Its last change was not followed by this step.
                Some((state, revision)) if state.is_terminal() => self.retire(&run, revision).await?,
                _ => active.push(run),
            }
        }
        Ok(active)
    }

    async fn change(&self, run: &RunId, change: &RunChange) -> Result<RunRecord> {
        let current = self.find(run).await?.ok_or_else(|| unknown(run))?;
        if !change.check(&current)? {
            // Whoever made the change may have died before the run was listed: then this call lists it.
            self.enlist(run, current.state).await?;
            return Ok(current);
        }
        let total = total_field(change.spec.total);
        let mut transition = self.transition(None, &current, &total, change.state)?;
        transition.arg("spec").arg(to_json(&change.spec)?).arg("total").arg(&total);
        self.take_step(&transition, &current, change.state).await
    }

    async fn unkept(&self, after: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        self.list_unkept(after, limit).await
    }

    async fn note_kept(&self, run: &RunId, revision: u64) -> Result<()> {
        self.note_end_kept(run, revision).await
    }

    async fn restore(&self, kept: &KeptRun) -> Result<RunRecord> {
        self.restore_run(kept).await
    }
}

impl RedisLedger {
    /// Idempotent. An ended run is not listed as active again.
    async fn write_run(&self, spec: &RunSpec) -> Result<()> {
        let id = spec.run_id.as_str();
        let (spec_json, total) = (to_json(spec)?, total_field(spec.total));
        let mut create = self.scripts.create_run.prepare_invoke();
        create.key(self.keys.run(&spec.run_id));
        create.arg("spec").arg(spec_json).arg("total").arg(total).arg("state").arg(RunState::Running.name());
        create.arg("pacing").arg(to_json(&Pacing::default())?);
        create.arg("owner").arg("");
        for counter in ["revision", "cursor", "epoch", "lease_until_ms", "published"] {
            create.arg(counter).arg(0);
        }
        let state: String = self.connection.script(&format!("run {id}"), &create).await?;
        let state = RunState::parse(&state).ok_or_else(|| unreadable("state", &state))?;
        self.enlist(&spec.run_id, state).await
    }
}
