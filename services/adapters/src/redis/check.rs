//! Whether this Redis can keep the ledger's promises: it must not evict keys and must be the primary; it should write to disk
//! before it answers.

use std::collections::HashMap;

use paceline_core::{Error, Result};
use redis::cmd;

use super::ledger::RedisLedger;

impl RedisLedger {
    pub(super) async fn check_server(&self) -> Result<String> {
        let info: String = self.connection.command(&cmd("INFO")).await?;
        // Managed services forbid CONFIG; then what INFO says must do.
        let fsync: Result<HashMap<String, String>> =
            self.connection.command(cmd("CONFIG").arg("GET").arg("appendfsync")).await;
        let fsync = fsync.ok().and_then(|settings| settings.get("appendfsync").cloned());
        judge(self.connection.server(), &info, fsync.as_deref())
    }
}

fn judge(server: &str, info: &str, appendfsync: Option<&str>) -> Result<String> {
    let value =
        |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or("").trim();
    let policy = value("maxmemory_policy");
    if policy != "noeviction" && !policy.is_empty() {
        return Err(Error::failed_precondition(format!(
            "redis at {server} may evict keys, and with them counts (maxmemory-policy is {policy}); \
             run `redis-cli config set maxmemory-policy noeviction`, and set it in redis.conf"
        )));
    }
    if value("role") == "slave" {
        return Err(Error::failed_precondition(format!(
            "redis at {server} is a replica and takes no writes; use the address of its primary"
        )));
    }
    let mut words = format!("redis {} at {server}", value("redis_version"));
    if value("aof_enabled") != "1" {
        words +=
            "; warning: a crash of redis loses what it has not saved, set `appendonly yes` and `appendfsync always`";
    } else if appendfsync.is_some_and(|setting| setting != "always") {
        words += "; warning: a crash of redis may lose its last second, set `appendfsync always`";
    }
    Ok(words)
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
    }
}
