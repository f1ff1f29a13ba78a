//! The nodes' own word when all is over: a service that answers well may have one copy left of what it answers.

use std::time::Duration;

use anyhow::Context as _;
use redis::cmd;
use serde_json::Value;
use tokio::time::Instant;

use crate::proof::Proof;
use crate::world::nodes::redis_at;
use crate::world::place::NAMESPACE;
use crate::world::{World, http};

const COPIES: usize = 3;
/// RabbitMQ tells of its queues what it last noted, every few seconds.
const NOTED_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_secs(1);
/// Of queues that are kept for people.
const DEAD: &str = ".dead";

/// Everything that is wrong, in words.
pub async fn every_node(world: &World, proofs: &[Proof]) -> anyhow::Result<Vec<String>> {
    let mut wrong = rabbitmq(world).await?;
    wrong.extend(redis(world, proofs).await?);
    wrong.extend(elasticsearch(world, proofs).await?);
    Ok(wrong)
}

/// Every queue is on all nodes, and none of ours holds anything, but for those of dead letters.
async fn rabbitmq(world: &World) -> anyhow::Result<Vec<String>> {
    let deadline = Instant::now() + NOTED_MAX;
    loop {
        let wrong = rabbitmq_now(world).await?;
        if wrong.is_empty() || Instant::now() > deadline {
            return Ok(wrong);
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn rabbitmq_now(world: &World) -> anyhow::Result<Vec<String>> {
    let nodes = world.nodes.as_ref().context("there is no cluster")?;
    let mut wrong = Vec::new();
    for (node, address) in nodes.addresses("rabbitmq", "management") {
        let queues = http::get(address, "/api/queues?columns=name,type,members,online,messages").await?;
        let queues = queues.as_array().context("a list of queues")?;
        if queues.is_empty() {
            wrong.push(format!("{node} knows no queue"));
        }
        wrong.extend(queues.iter().filter_map(|queue| Some(format!("{node}: {}", queue_is_wrong(queue)?))));
    }
    Ok(wrong)
}

fn queue_is_wrong(queue: &Value) -> Option<String> {
    let count = |key: &str| queue[key].as_array().map_or(0, Vec::len);
    if queue["type"] != "quorum" || count("members") != COPIES || count("online") != COPIES {
        return Some(format!("a queue is not on all nodes: {queue}"));
    }
    let is_ours = queue["name"].as_str().is_some_and(|name| name.starts_with(&format!("{NAMESPACE}.")));
    let is_for_people = queue["name"].as_str().is_some_and(|name| name.ends_with(DEAD));
    // No number is none that is known, and so wrong too.
    let holds_something = queue["messages"].as_u64() != Some(0);
    (is_ours && !is_for_people && holds_something)
        .then(|| format!("a queue holds messages after the end of all runs: {queue}"))
}

/// One primary; and every server has the same counts of every run.
async fn redis(world: &World, proofs: &[Proof]) -> anyhow::Result<Vec<String>> {
    let nodes = world.nodes.as_ref().context("there is no cluster")?;
    let (mut wrong, mut primaries) = (Vec::new(), 0);
    for (node, address) in nodes.addresses("redis", "redis") {
        let mut connection = redis_at(address).await?;
        let role: Vec<redis::Value> = cmd("ROLE").query_async(&mut connection).await?;
        let role: String = redis::from_redis_value(role.into_iter().next().context("a role")?)?;
        primaries += usize::from(role == "master");
        for proof in proofs {
            let run = format!("{NAMESPACE}:{{{}}}", proof.run);
            let mut ask = redis::pipe();
            ask.cmd("HGET").arg(format!("{run}:run")).arg("cursor");
            ask.cmd("HMGET").arg(format!("{run}:group:main")).arg("processed").arg("dead");
            let (cursor, counts): (Option<u64>, (Option<u64>, Option<u64>)) = ask.query_async(&mut connection).await?;
            let found = (cursor.unwrap_or(0), counts.0.unwrap_or(0), counts.1.unwrap_or(0));
            if found != (proof.enqueued, proof.processed, proof.dead) {
                wrong.push(format!("{node} ({role}) has enqueued, processed, dead {found:?} of run {}", proof.name));
            }
        }
    }
    if primaries != 1 {
        wrong.push(format!("redis has {primaries} primaries"));
    }
    Ok(wrong)
}

/// Every node counts the same documents, and both copies of every index hold as many.
async fn elasticsearch(world: &World, proofs: &[Proof]) -> anyhow::Result<Vec<String>> {
    let nodes = world.nodes.as_ref().context("there is no cluster")?;
    let mut wrong = Vec::new();
    for (node, address) in nodes.addresses("elasticsearch", "http") {
        for proof in proofs {
            let query = serde_json::json!({ "query": { "term": { "runId": proof.run } } });
            let answer = http::post(address, &format!("/{NAMESPACE}-jobs-*/_count"), &query).await?;
            if answer["count"].as_u64() != Some(proof.enqueued) {
                wrong.push(format!(
                    "{node} counts {} documents of run {}, of {}",
                    answer["count"], proof.name, proof.enqueued
                ));
            }
        }
        let shards = format!("/_cat/shards/{NAMESPACE}-*?format=json&h=index,prirep,state,docs");
        let shards = http::get(address, &shards).await?;
        let shards = shards.as_array().context("a list of shards")?;
        for primary in shards.iter().filter(|shard| shard["prirep"] == "p") {
            let is_copy = |shard: &&serde_json::Value| shard["index"] == primary["index"] && shard["prirep"] == "r";
            let copies: Vec<_> = shards.iter().filter(is_copy).collect();
            let is_same = |copy: &&serde_json::Value| copy["state"] == "STARTED" && copy["docs"] == primary["docs"];
            if primary["state"] != "STARTED" || copies.len() != 1 || !copies.iter().all(is_same) {
                wrong.push(format!("{node}: the copies of {} differ: {primary} {copies:?}", primary["index"]));
            }
        }
    }
    Ok(wrong)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_queue_must_be_on_all_nodes_and_empty_unless_it_is_for_people() {
        let queue = |name: &str, messages: Value, online: usize| json!({ "name": name, "type": "quorum", "members": ["a", "b", "c"], "online": vec!["a"; online], "messages": messages });
        let name = |rest: &str| format!("{NAMESPACE}.default.main{rest}");
        for rest in ["", ".given-up", ".retry.15"] {
            assert_eq!(queue_is_wrong(&queue(&name(rest), json!(0), 3)), None);
            assert!(queue_is_wrong(&queue(&name(rest), json!(2), 3)).unwrap().contains("holds messages"));
            assert!(queue_is_wrong(&queue(&name(rest), Value::Null, 3)).is_some(), "unknown is not zero");
        }
        assert_eq!(queue_is_wrong(&queue(&name(".dead"), json!(2), 3)), None);
        assert!(queue_is_wrong(&queue(&name(""), json!(0), 2)).unwrap().contains("not on all nodes"));
    }
}
