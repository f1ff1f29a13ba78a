//! The runs port: runs are started once, read, listed, changed and restored.

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::pacing::Pacing;
use paceline_core::ports::Runs;
use paceline_core::ports::runs::Created;
use paceline_core::run::{KeptRun, RunChange, RunRecord, RunSpec, RunState};
use rusqlite::{Connection, params};

use super::rows::{self, known, run_id};
use super::schema::{signed, to_json};
use super::{EmbeddedLedger, restore, steps, unkept};
use crate::embedded::database::WriteError;

#[async_trait]
impl Runs for EmbeddedLedger {
    async fn create(&self, spec: &RunSpec, request_id: &str) -> Result<Created> {
        let (spec, request_id) = (spec.clone(), request_id.to_owned());
        self.database.write(move |c| create(c, &spec, &request_id)).await
    }

    async fn find(&self, run: &RunId) -> Result<Option<RunRecord>> {
        let run = run.clone();
        self.database.read(move |c| rows::find(c, &run)).await
    }

    async fn list(&self, before: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        let before = before.cloned();
        self.database.read(move |c| list(c, before.as_ref(), limit)).await
    }

    async fn active(&self) -> Result<Vec<RunId>> {
        self.database.read(list_active).await
    }

    async fn change(&self, run: &RunId, change: &RunChange) -> Result<RunRecord> {
        let (run, change, clock) = (run.clone(), change.clone(), self.clock.clone());
        self.database.write(move |c| change_run(c, &run, &change, clock.wall_ms())).await
    }

    async fn unkept(&self, after: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        let after = after.cloned();
        self.database.read(move |c| unkept::list(c, after.as_ref(), limit)).await
    }

    async fn note_kept(&self, run: &RunId, revision: u64) -> Result<()> {
        let run = run.clone();
        self.database.write(move |c| Ok(unkept::note_kept(c, &run, revision)?)).await
    }

    async fn restore(&self, kept: &KeptRun) -> Result<RunRecord> {
        let kept = kept.clone();
        self.database.write(move |c| restore::restore_run(c, &kept)).await
    }
}

fn create(c: &Connection, spec: &RunSpec, request_id: &str) -> Result<Created, WriteError> {
    let run = spec.run_id.as_str();
    if !request_id.is_empty() {
        let claimed = c.prepare_cached("INSERT OR IGNORE INTO requests VALUES (?1, ?2)")?.execute([request_id, run])?;
        if claimed == 0 {
            let bound = c
                .prepare_cached("SELECT run_id FROM requests WHERE request_id = ?1")?
                .query_row([request_id], run_id)?;
            return Ok(Created::Existing(bound));
        }
    }
    let insert = "INSERT OR IGNORE INTO runs VALUES (?1, ?2, 0, ?3, 0, 0, ?4, '', 0, 0, NULL, NULL)";
    let values = params![run, RunState::Running.name(), spec.total.map(signed), to_json(&Pacing::default())?];
    c.prepare_cached(insert)?.execute(values)?;
    c.prepare_cached("INSERT OR IGNORE INTO specs VALUES (?1, ?2)")?.execute([run, &to_json(spec)?])?;
    Ok(Created::New)
}

fn list(c: &Connection, before: Option<&RunId>, limit: usize) -> rusqlite::Result<Vec<RunId>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let query = "SELECT run_id FROM runs WHERE ?1 IS NULL OR run_id < ?1 ORDER BY run_id DESC LIMIT ?2";
    c.prepare_cached(query)?.query_map(params![before.map(RunId::as_str), limit], run_id)?.collect()
}

fn list_active(c: &Connection) -> rusqlite::Result<Vec<RunId>> {
    let query = "SELECT run_id FROM runs WHERE ended_at_ms IS NULL ORDER BY run_id";
    c.prepare_cached(query)?.query_map([], run_id)?.collect()
}

fn change_run(c: &Connection, run: &RunId, change: &RunChange, now_ms: i64) -> Result<RunRecord, WriteError> {
    let current = known(c, run)?;
    if !change.check(&current)? {
        return Ok(current);
    }
    c.prepare_cached("UPDATE specs SET spec = ?2 WHERE run_id = ?1")?
        .execute([run.as_str(), &to_json(&change.spec)?])?;
    c.prepare_cached("UPDATE runs SET total = ?2 WHERE run_id = ?1")?
        .execute(params![run.as_str(), change.spec.total.map(signed)])?;
    steps::step(c, &current, change.state, None, now_ms)
}
