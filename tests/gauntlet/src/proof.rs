//! The end of a gauntlet: runs drain, `paceline verify --strict` proves each, and Elasticsearch is asked by ourselves too,
//! because a proof by the software on trial is only half a proof.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::Instant;

use crate::laws::Reading;
use crate::world::place::{NAMESPACE, say};
use crate::world::services::Service;
use crate::world::{Watched, World, http};

/// The longest that runs may take to drain when everything is well again; jobs that are still missing then are lost.
const DRAIN_MAX: Duration = Duration::from_secs(120);
const VERIFY_MAX: Duration = Duration::from_secs(300);
const READ_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(200);

/// One run at the end: its numbers, and all that is wrong with them.
#[derive(Debug, Clone, Default)]
pub struct Proof {
    pub name: String,
    pub run: String,
    pub enqueued: u64,
    pub processed: u64,
    pub dead: u64,
    /// Executions beyond the first of a job, without effect.
    pub duplicates: u64,
    /// Jobs that exist and are not counted, or have no document.
    pub lost: u64,
    /// Counted or stored more often than they exist.
    pub double: u64,
    /// Everything that is wrong, in words; empty exactly if it is proved.
    pub problems: Vec<String>,
}

/// The documents of a run, by Elasticsearch's own count.
#[derive(Debug, Default)]
struct Stored {
    completed: u64,
    dead: u64,
    seq_max: Option<u64>,
    reason: String,
}

/// Waits until all runs have ended; answers the names of those that have not in time.
pub async fn drain(world: &World) -> Vec<String> {
    let deadline = Instant::now() + DRAIN_MAX;
    loop {
        let left: Vec<_> = world.runs().into_iter().filter(|run| !run.watch().last().has_ended()).collect();
        if left.is_empty() {
            return Vec::new();
        }
        if Instant::now() > deadline {
            say(&world.stack.rabbitmq_queues().await.unwrap_or_else(|error| format!("{error:#}")));
            return left.iter().map(|run| run.name.clone()).collect();
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Proves one run after the other, because each proof is work for the services.
pub async fn prove_all(world: &World) -> anyhow::Result<Vec<Proof>> {
    let mut proofs = Vec::new();
    for run in world.runs() {
        proofs.push(prove(world, &run).await.with_context(|| format!("run {} ({})", run.name, run.id))?);
    }
    Ok(proofs)
}

async fn prove(world: &World, run: &Arc<Watched>) -> anyhow::Result<Proof> {
    let last = final_reading(world, run).await?;
    let mut proof = Proof {
        name: run.name.clone(),
        run: run.id.clone(),
        enqueued: last.enqueued,
        processed: last.processed,
        dead: last.dead,
        duplicates: last.duplicates,
        ..Proof::default()
    };
    if !last.has_ended() {
        proof.problems.push(format!("has not drained within {} s: {last:?}", DRAIN_MAX.as_secs()));
    }
    let missing = verify(world, &mut proof).await?;
    let stored = stored(world, &run.id).await?;
    compare(&mut proof, &stored, missing, run.is_refused);
    say(&format!("{}: {}", proof.name, if proof.problems.is_empty() { "proved" } else { "NOT PROVED" }));
    Ok(proof)
}

/// Samples may cross on the wire; this one is asked for after all of them.
async fn final_reading(world: &World, run: &Watched) -> anyhow::Result<Reading> {
    let deadline = Instant::now() + READ_MAX;
    loop {
        let sent = world.now();
        match world.api.read(&run.id).await {
            Ok(answer) => return Reading::of(&answer, sent, world.now()).context("GetRun answers no snapshot"),
            Err(status) if Instant::now() > deadline => bail!("no scheduler answers: {status}"),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// Our own view of it: counters against documents. A job id is a document's id, so documents cannot be double.
fn compare(proof: &mut Proof, stored: &Stored, missing: u64, is_refused: bool) {
    let (enqueued, counted, documents) = (proof.enqueued, proof.processed + proof.dead, stored.completed + stored.dead);
    proof.lost = missing.max(enqueued.saturating_sub(documents)).max(enqueued.saturating_sub(counted));
    proof.double = counted.saturating_sub(documents) + documents.saturating_sub(enqueued);
    let mut differ = |what: &str, left: u64, right: u64| {
        if left != right {
            proof.problems.push(format!("{what}: {left} against {right}"));
        }
    };
    differ("enqueued against documents", enqueued, documents);
    differ("processed against completed documents", proof.processed, stored.completed);
    differ("dead against dead documents", proof.dead, stored.dead);
    differ("highest seq of a document, and enqueued", stored.seq_max.map_or(0, |seq| seq + 1), enqueued);
    if is_refused {
        differ("jobs that Elasticsearch refuses, and dead jobs", enqueued, proof.dead);
        // The words must be Elasticsearch's own.
        if !stored.reason.contains("flattened") {
            proof.problems.push(format!("the dead have another reason than Elasticsearch's: {:?}", stored.reason));
        }
    }
}

/// Runs `paceline verify --strict` on the services themselves; answers the number of missing jobs.
async fn verify(world: &World, proof: &mut Proof) -> anyhow::Result<u64> {
    let mut command = Command::new(&world.place.binary);
    command.args(["verify", &proof.run, "--strict", "--json", "--namespace", NAMESPACE]);
    command.current_dir(world.place.logs()).stdin(Stdio::null()).kill_on_drop(true);
    for service in Service::ALL {
        command.env(service.variable(), world.stack.url(service));
    }
    let output = tokio::time::timeout(VERIFY_MAX, command.output()).await.context("verify takes too long")??;
    let said = String::from_utf8_lossy(&output.stdout);
    let Ok(answer) = serde_json::from_str::<Value>(said.trim()) else {
        let words = String::from_utf8_lossy(&output.stderr);
        proof.problems.push(format!("verify answers no proof ({}): {said} {words}", output.status));
        return Ok(0);
    };
    let number = |name: &str| answer[name].as_u64().with_context(|| format!("verify answers no {name}: {answer}"));
    proof.duplicates = number("duplicates")?;
    let problems = answer["problems"].as_array().into_iter().flatten().filter_map(Value::as_str);
    proof.problems.extend(problems.map(|problem| format!("verify: {problem}")));
    if !output.status.success() && proof.problems.is_empty() {
        proof.problems.push(format!("verify ends with {}: {answer}", output.status));
    }
    number("missing_count")
}

async fn stored(world: &World, run: &str) -> anyhow::Result<Stored> {
    ask(world, &format!("{NAMESPACE}-jobs-*/_refresh"), &Value::Null).await?;
    let query = json!({
        "size": 0,
        "track_total_hits": true,
        "query": { "term": { "runId": run } },
        "aggs": { "status": { "terms": { "field": "status" } }, "seq": { "max": { "field": "seq" } } },
    });
    let answer = ask(world, &format!("{NAMESPACE}-jobs-*/_search"), &query).await?;
    let mut stored =
        Stored { seq_max: answer["aggregations"]["seq"]["value"].as_f64().map(|seq| seq as u64), ..Stored::default() };
    for bucket in answer["aggregations"]["status"]["buckets"].as_array().into_iter().flatten() {
        let count = bucket["doc_count"].as_u64().unwrap_or_default();
        match bucket["key"].as_str() {
            Some("completed") => stored.completed = count,
            _ => stored.dead += count,
        }
    }
    ensure!(
        answer["hits"]["total"]["value"].as_u64() == Some(stored.completed + stored.dead),
        "elasticsearch's counts do not close: {answer}"
    );
    if stored.dead > 0 {
        let terms = json!([{ "term": { "runId": run } }, { "term": { "status": "dead" } }]);
        let query = json!({ "size": 1, "query": { "bool": { "filter": terms } } });
        let answer = ask(world, &format!("{NAMESPACE}-jobs-*/_search"), &query).await?;
        stored.reason = answer["hits"]["hits"][0]["_source"]["error"].as_str().unwrap_or_default().to_owned();
    }
    Ok(stored)
}

/// One request to Elasticsearch, past every gate.
async fn ask(world: &World, path: &str, body: &Value) -> anyhow::Result<Value> {
    http::post(world.stack.address(Service::Elasticsearch)?, &format!("/{path}"), body).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(enqueued: u64, processed: u64, dead: u64, stored: Stored) -> Proof {
        let mut proof = Proof { enqueued, processed, dead, ..Proof::default() };
        compare(&mut proof, &stored, 0, false);
        proof
    }

    #[test]
    fn what_closes_is_proved_and_what_does_not_is_named() {
        let stored = |completed, dead, seq_max| Stored { completed, dead, seq_max: Some(seq_max), ..Stored::default() };
        let good = compared(100, 98, 2, stored(98, 2, 99));
        assert!(good.problems.is_empty() && good.lost == 0 && good.double == 0, "{good:?}");
        let lost = compared(100, 98, 1, stored(98, 1, 99));
        assert!(lost.lost == 1 && lost.double == 0 && !lost.problems.is_empty(), "{lost:?}");
        let double = compared(100, 101, 0, stored(100, 0, 99));
        assert!(double.lost == 0 && double.double == 1 && !double.problems.is_empty(), "{double:?}");
    }
}
