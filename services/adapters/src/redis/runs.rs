//! Runs: how they are started once, read, listed and changed.
//!
//! A step that touches more than the run's own keys is ordered so that a crash in between leaves nothing wrong: the request id
//! is claimed first, then the run is written, then it is listed; a repeat of the request completes what is missing.

use std::collections::HashMap;

use paceline_core::ids::RunId;
use paceline_core::ports::ledger::{Created, Fence, RunChange, check_advance};
use paceline_core::run::{RunRecord, RunSpec, RunState};
use paceline_core::{Error, ErrorKind, Result};
use redis::{ScriptInvocation, cmd};
use serde::de::DeserializeOwned;

use super::ledger::RedisLedger;

/// How often the owner's step is judged again when the run changes under its eyes.
const ADVANCE_TRIES_MAX: usize = 5;

/// A hash as Redis answers it.
pub(super) type Fields = HashMap<String, String>;

impl RedisLedger {
    pub(super) async fn create_run_once(&self, spec: &RunSpec, request_id: &str) -> Result<Created> {
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
                let run_id = RunId::parse(&bound).map_err(|e| Error::internal(e.message))?;
                // Whoever claimed it may have died before the run was written: then this call writes it.
                self.write_run(&RunSpec { run_id: run_id.clone(), ..spec.clone() }).await?;
                Ok(Created::Existing(run_id))
            }
        }
    }

    /// Idempotent. An ended run is not listed as active again.
    async fn write_run(&self, spec: &RunSpec) -> Result<()> {
        let id = spec.run_id.as_str();
        let (spec_json, total) = (to_json(spec)?, total_field(spec.total));
        let mut create = self.scripts.create_run.prepare_invoke();
        create.key(self.keys.run(&spec.run_id));
        create.arg("spec").arg(spec_json).arg("total").arg(total).arg("state").arg(RunState::Running.name());
        create.arg("pacing").arg(to_json(&paceline_core::pacing::Pacing::default())?);
        create.arg("owner").arg("");
        for counter in ["revision", "cursor", "epoch", "lease_until_ms", "published"] {
            create.arg(counter).arg(0);
        }
        let state: String = self.connection.script(&format!("run {id}"), &create).await?;
        let state = RunState::parse(&state).ok_or_else(|| unreadable("state", &state))?;
        self.list(&spec.run_id, state).await
    }

    /// Idempotent: among all runs, and among those that have not ended if it is one of them.
    pub(super) async fn list(&self, run: &RunId, state: RunState) -> Result<()> {
        self.connection.command::<()>(cmd("ZADD").arg(self.keys.runs()).arg(0).arg(run.as_str())).await?;
        if state.is_terminal() {
            return Ok(());
        }
        self.list_active(run).await
    }

    pub(super) async fn read_run(&self, run: &RunId) -> Result<Option<RunRecord>> {
        let fields = self.read_fields(run).await?;
        if fields.is_empty() { Ok(None) } else { parse_record(&fields).map(Some) }
    }

    /// Empty for an unknown run.
    async fn read_fields(&self, run: &RunId) -> Result<Fields> {
        self.connection.command(cmd("HGETALL").arg(self.keys.run(run))).await
    }

    /// For each of the run's groups. It stays so while the revision does: then nothing more is reserved.
    async fn is_drained(&self, record: &RunRecord) -> Result<bool> {
        let run = &record.spec.run_id;
        let mut drained = self.scripts.drained.prepare_invoke();
        drained.key(self.keys.run(run)).key(self.keys.outstanding(run));
        for group in record.spec.groups.iter() {
            drained.key(self.keys.group(run, group));
        }
        self.connection.script(&format!("run {run}"), &drained).await
    }

    pub(super) async fn list_runs(&self, before: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        let newest = before.map_or("+".to_owned(), |run| format!("({run}"));
        let mut list = cmd("ZREVRANGEBYLEX");
        list.arg(self.keys.runs()).arg(newest).arg("-").arg("LIMIT").arg(0).arg(limit);
        parse_ids(self.connection.command(&list).await?)
    }

    pub(super) async fn list_active_runs(&self) -> Result<Vec<RunId>> {
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

    pub(super) async fn list_active(&self, run: &RunId) -> Result<()> {
        self.connection.command(cmd("SADD").arg(self.keys.active()).arg(run.as_str())).await
    }

    pub(super) async fn apply_change(&self, run: &RunId, change: &RunChange) -> Result<RunRecord> {
        let current = self.known_run(run).await?;
        if !change.check(&current)? {
            // Whoever made the change may have died before the run was listed: then this call lists it.
            self.list(run, current.state).await?;
            return Ok(current);
        }
        let total = total_field(change.spec.total);
        let mut transition = self.transition(None, &current, &total, change.state)?;
        transition.arg("spec").arg(to_json(&change.spec)?).arg("total").arg(&total);
        self.take_step(&transition, &current, change.state).await
    }

    pub(super) async fn apply_advance(
        &self,
        run: &RunId,
        fence: Fence,
        next: RunState,
        failure: Option<&str>,
    ) -> Result<RunRecord> {
        for _ in 0..ADVANCE_TRIES_MAX {
            let fields = self.read_fields(run).await?;
            check_fence(&fields, run, fence)?;
            let record = parse_record(&fields)?;
            if !check_advance(&record, next, self.is_drained(&record).await?)? {
                return Ok(record);
            }
            let mut transition = self.transition(Some(fence), &record, "", next)?;
            failure.into_iter().for_each(|reason| {
                transition.arg("failure").arg(reason);
            });
            match self.take_step(&transition, &record, next).await {
                // A caller changed the run meanwhile, or the fence is lost: the next round sees which.
                Err(error) if error.kind == ErrorKind::Aborted => {}
                result => return result,
            }
        }
        Err(Error::aborted(format!("run {run} keeps changing; try again")))
    }

    fn transition(
        &self,
        fence: Option<Fence>,
        current: &RunRecord,
        total: &str,
        next: RunState,
    ) -> Result<ScriptInvocation<'_>> {
        let mut transition = self.scripts.transition.prepare_invoke();
        let run = self.keys.run(&current.spec.run_id);
        transition.key(run).arg(fence.map_or(String::new(), |fence| fence.epoch.to_string()));
        transition.arg(current.revision).arg(total).arg(u8::from(next.is_terminal()));
        transition.arg("state").arg(next.name());
        if let Some(pacing) = current.pacing_on_step(next) {
            transition.arg("pacing").arg(to_json(&pacing)?);
        }
        Ok(transition)
    }

    /// Makes the transition, and brings the lists of runs up to date with it.
    async fn take_step(
        &self,
        transition: &ScriptInvocation<'_>,
        before: &RunRecord,
        next: RunState,
    ) -> Result<RunRecord> {
        let run = &before.spec.run_id;
        let goes_on = before.state.is_terminal() && !next.is_terminal();
        if goes_on {
            // Whoever looks after ends lists it as active again, should this process die after the transition.
            self.note_end(run, before.revision).await?;
        }
        let fields: Fields = self.connection.script(&format!("run {run}"), transition).await?;
        let record = parse_record(&fields)?;
        if next.is_terminal() {
            self.retire(run, record.revision).await?;
        } else if goes_on {
            self.list_active(run).await?;
            // Once more: whoever still kept that end may have taken the entry away meanwhile.
            self.note_end(run, before.revision).await?;
        }
        Ok(record)
    }

    async fn known_run(&self, run: &RunId) -> Result<RunRecord> {
        self.read_run(run).await?.ok_or_else(|| unknown(run))
    }
}

pub(super) fn unknown(run: &RunId) -> Error {
    Error::not_found(format!("run {run} is not in the ledger"))
}

/// The same rule as in common.lua.
fn check_fence(fields: &Fields, run: &RunId, fence: Fence) -> Result<()> {
    if fields.is_empty() {
        return Err(unknown(run));
    }
    let epoch = number(fields, "epoch")?;
    let is_owned = fields.get("owner").is_some_and(|owner| !owner.is_empty());
    if epoch == fence.epoch && is_owned {
        return Ok(());
    }
    Err(Error::aborted(format!("run {run}: the lease of epoch {} is lost, it is at epoch {epoch}", fence.epoch)))
}

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
    serde_json::to_string(value).map_err(|e| Error::internal(format!("cannot write to the ledger: {e}")))
}

pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| Error::internal(format!("cannot read what is in the ledger: {e}")))
}

pub(super) fn unreadable(name: &str, text: &str) -> Error {
    Error::internal(format!("{name} in the ledger is {text:?}; was it changed by hand?"))
}

fn field<'a>(fields: &'a Fields, name: &str) -> Result<&'a str> {
    fields.get(name).map(String::as_str).ok_or_else(|| unreadable(name, ""))
}

pub(super) fn total_field(total: Option<u64>) -> String {
    total.map_or(String::new(), |total| total.to_string())
}

fn parse_ids(texts: Vec<String>) -> Result<Vec<RunId>> {
    texts.iter().map(|text| RunId::parse(text).map_err(|_| unreadable("run id", text))).collect()
}
