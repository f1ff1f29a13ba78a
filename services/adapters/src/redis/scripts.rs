//! The Lua scripts, each in a file of its own under `scripts/`. The server keeps them by their hash; it is sent the text again
//! when it does not know one, as after a restart.

use redis::Script;

macro_rules! script {
    ($name:literal) => {
        Script::new(concat!(include_str!("scripts/common.lua"), include_str!(concat!("scripts/", $name, ".lua"))))
    };
}

pub(super) struct Scripts {
    pub(super) adopt_protocol: Script,
    pub(super) claim_request: Script,
    pub(super) confirm: Script,
    pub(super) create_run: Script,
    pub(super) drained: Script,
    pub(super) forget: Script,
    pub(super) heartbeat: Script,
    pub(super) renew: Script,
    pub(super) acquire: Script,
    pub(super) read_protocol: Script,
    pub(super) record: Script,
    pub(super) release: Script,
    pub(super) reserve: Script,
    pub(super) restore_run: Script,
    pub(super) snapshot: Script,
    pub(super) transition: Script,
    pub(super) workers: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            adopt_protocol: script!("adopt_protocol"),
            claim_request: script!("claim_request"),
            confirm: script!("confirm"),
            create_run: script!("create_run"),
            drained: script!("drained"),
            forget: script!("forget"),
            heartbeat: script!("heartbeat"),
            renew: script!("renew"),
            acquire: script!("acquire"),
            read_protocol: script!("read_protocol"),
            record: script!("record"),
            release: script!("release"),
            reserve: script!("reserve"),
            restore_run: script!("restore_run"),
            snapshot: script!("snapshot"),
            transition: script!("transition"),
            workers: script!("workers"),
        }
    }
}
