//! The look at a Redis that says if it can keep the ledger's promises: it must not evict keys and must be the primary; it should
//! write to disk before it answers, and have a limit of memory that is not nearly reached.

use std::collections::HashMap;

use paceline_core::error::codes;
use paceline_core::{Error, Result};
use redis::cmd;

use super::barrier::few_enough;
use super::errors::in_cluster_mode;
use super::ledger::RedisLedger;

/// A Redis that uses more of its `maxmemory`, in percent, is nearly full. The alert PacelineRedisMemory begins there too.
const MEMORY_WARN_PERCENT: u128 = 85;

impl RedisLedger {
    pub(super) async fn check_server(&self) -> Result<String> {
        let info: String = self.connection.command(&cmd("INFO")).await?;
        // Managed services forbid CONFIG; then what INFO says must do.
        let fsync: Result<HashMap<String, String>> =
            self.connection.command(cmd("CONFIG").arg("GET").arg("appendfsync")).await;
        let fsync = fsync.ok().and_then(|settings| settings.get("appendfsync").cloned());
        let words = judge(&self.connection.server(), &info, fsync.as_deref())?;
        match self.connection.sentinels() {
            None => Ok(words),
            Some(sentinels) => {
                Ok(format!("{words}{}", replication(&self.connection.server(), sentinels.name(), &info)?))
            }
        }
    }
}

/// The replicas that have what the primary has.
fn replication(server: &str, name: &str, info: &str) -> Result<String> {
    let lines = info.lines().filter(|line| line.starts_with("slave") && line.contains("state="));
    let (addresses, replicas): (Vec<String>, Vec<String>) = lines.filter_map(replica).unzip();
    few_enough(server, addresses.iter().map(String::as_str))?;
    let mut words = format!(", primary of {name}; replicas: {}", replicas.join(", "));
    if replicas.is_empty() {
        words += "none; warning: nothing counts before one has it";
    }
    Ok(words)
}

/// Address and words, of `slave0:ip=10.0.0.1,port=6379,state=online,offset=14,lag=0`.
fn replica(line: &str) -> Option<(String, String)> {
    let (_, fields) = line.trim().split_once(':')?;
    let field = |name: &str| fields.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    let address = format!("{}:{}", field("ip")?, field("port")?);
    let words = format!("{address} ({}, silent for {} s)", field("state")?, field("lag")?);
    Some((address, words))
}

/// The value that INFO has for `name`, and nothing where it has none.
fn field<'a>(info: &'a str, name: &str) -> &'a str {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or("").trim()
}

fn judge(server: &str, info: &str, appendfsync: Option<&str>) -> Result<String> {
    let value = |name| field(info, name);
    let policy = value("maxmemory_policy");
    if policy != "noeviction" && !policy.is_empty() {
        return Err(Error::failed_precondition(format!(
            "redis at {server} may evict keys, and with them counts (maxmemory-policy is {policy}); \
             run `redis-cli config set maxmemory-policy noeviction`, and set it in redis.conf"
        ))
        .coded(codes::LEDGER_MAY_EVICT));
    }
    if value("redis_mode") == "cluster" {
        return Err(in_cluster_mode(server));
    }
    if value("role") == "slave" {
        return Err(Error::failed_precondition(format!(
            "redis at {server} is a replica and takes no writes; use the address of its primary"
        ))
        .coded(codes::LEDGER_IS_REPLICA));
    }
    let mut words = format!("redis {} at {server}", value("redis_version"));
    if value("aof_enabled") != "1" {
        words +=
            "; warning: a crash of redis loses what it has not saved, set `appendonly yes` and `appendfsync always`";
    } else if appendfsync.is_some_and(|setting| setting != "always") {
        words += "; warning: a crash of redis may lose its last second, set `appendfsync always`";
    }
    words += &memory(info);
    Ok(words)
}

/// `None` where Redis does not say both numbers, as some managed ones do not: unknown is not full.
fn memory(info: &str) -> String {
    let bytes = |name| field(info, name).parse::<u64>().ok();
    let (Some(used), Some(limit)) = (bytes("used_memory"), bytes("maxmemory")) else {
        return String::new();
    };
    if limit == 0 {
        return "; warning: redis has no limit of memory, so the system may kill it; set `maxmemory` to half of the machine's"
            .to_owned();
    }
    let (used, limit) = (u128::from(used), u128::from(limit));
    if used * 100 <= limit * MEMORY_WARN_PERCENT {
        return String::new();
    }
    let percent = used * 100 / limit;
    format!(
        "; warning: redis uses {percent} % of its maxmemory ({used} of {limit} bytes), and a full one refuses writes, so all runs \
         wait; raise `maxmemory`, or delete runs that have ended"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_core::ErrorKind;

    const GOOD: &str = "redis_version:7.0.15\r\nrole:master\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n";

    #[test]
    fn refuses_what_loses_counts_and_warns_of_what_may_lose_seconds() {
        assert_eq!(judge("r:1", GOOD, Some("always")).unwrap(), "redis 7.0.15 at r:1");
        assert!(judge("r:1", GOOD, Some("everysec")).unwrap().contains("appendfsync always"));
        assert!(
            judge("r:1", &GOOD.replace("aof_enabled:1", "aof_enabled:0"), None).unwrap().contains("appendonly yes")
        );

        let evicting = judge("r:1", &GOOD.replace("noeviction", "allkeys-lru"), None).unwrap_err();
        assert_eq!(evicting.kind, ErrorKind::FailedPrecondition);
        assert!(
            evicting.message.contains("allkeys-lru")
                && evicting.message.contains("config set maxmemory-policy noeviction")
        );
        assert!(judge("r:1", &GOOD.replace("master", "slave"), None).is_err());
        let clustered = judge("r:1", &format!("redis_mode:cluster\r\n{GOOD}"), None).unwrap_err();
        assert!(clustered.kind == ErrorKind::FailedPrecondition && clustered.message.contains("sentinels"));
    }

    #[test]
    fn a_redis_without_a_limit_or_nearly_at_it_is_a_warning_and_one_that_does_not_say_is_none() {
        let words = |memory: &str| judge("r:1", &format!("{GOOD}{memory}"), Some("always")).unwrap();
        assert_eq!(words("used_memory:850\r\nmaxmemory:1000\r\n"), "redis 7.0.15 at r:1");
        let full = words("used_memory:861\r\nused_memory_human:861B\r\nmaxmemory:1000\r\nmaxmemory_human:1000B\r\n");
        assert!(full.contains("86 % of its maxmemory (861 of 1000 bytes)"), "{full}");
        assert!(words("used_memory:851\r\nmaxmemory:1000\r\n").contains("warning"));
        assert!(words("used_memory:1200\r\nmaxmemory:1000\r\n").contains("120 %"));
        let unlimited = words("used_memory:850\r\nmaxmemory:0\r\n");
        assert!(unlimited.contains("no limit of memory") && unlimited.contains("set `maxmemory`"), "{unlimited}");
        for unsaid in ["used_memory:850\r\n", "maxmemory:0\r\n", "used_memory:?\r\nmaxmemory:0\r\n"] {
            assert_eq!(words(unsaid), "redis 7.0.15 at r:1");
        }
    }

    #[test]
    fn replicas_are_named_and_none_is_a_warning() {
        let info = "connected_slaves:1\r\nslave0:ip=10.0.0.2,port=6379,state=online,offset=14,lag=1\r\n";
        let words = replication("r:1", "p", info).unwrap();
        assert_eq!(words, ", primary of p; replicas: 10.0.0.2:6379 (online, silent for 1 s)");
        assert!(replication("r:1", "p", "connected_slaves:0\r\n").unwrap().contains("none; warning"));
    }

    #[test]
    fn more_replicas_than_the_proof_holds_for_are_refused() {
        let line =
            |number: u8, port: u16| format!("slave{number}:ip=10.0.0.2,port={port},state=online,offset=14,lag=1\r\n");
        let three = line(0, 1) + &line(1, 2) + &line(2, 3);
        let refused = replication("r:1", "p", &three).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::FailedPrecondition);
        assert!(refused.message.contains("r:1 has 3 replicas") && refused.message.contains("10.0.0.2:3"), "{refused}");
        let came_back = line(0, 1) + &line(1, 2) + &line(2, 2);
        assert!(replication("r:1", "p", &came_back).is_ok(), "one replica may be listed twice for a while");
    }
}
