//! Checks of the workers that the ledger knows: each with the age of its heartbeat and the jobs that it holds. [`super::ledger`] asks for
//! them.

use paceline_core::Error;
use paceline_core::error::codes;
use paceline_core::ports::Ledger;
use paceline_core::ports::workers::WorkerInfo;

use super::checkup::DoctorCheck;
use super::reach::within;

/// A heartbeat comes each second; a worker that missed three is stopped, hung, cut off, or has just died.
const HEARTBEAT_AGE_MS_MAX: u64 = 3_000;

/// A check for each worker that the ledger knows, or one that says why there is none.
pub async fn workers(ledger: &Ledger) -> Vec<DoctorCheck> {
    match within(ledger.workers.alive()).await {
        Ok(known) if known.is_empty() => {
            vec![DoctorCheck::skipped("workers", "none is running").with_remedy("start one with `paceline worker`")]
        }
        Ok(known) => known.iter().map(check).collect(),
        Err(error) => vec![DoctorCheck::failed("workers", &error, "look at the ledger")],
    }
}

fn check(worker: &WorkerInfo) -> DoctorCheck {
    let name = format!("worker {}", worker.worker_id);
    let WorkerInfo { age_ms, processed, held, stalled, host, pid, .. } = worker;
    let version = if worker.version.is_empty() { "unknown" } else { &worker.version };
    let what = format!(
        "heartbeat {age_ms} ms ago, {processed} processed, {held} held, stalled {stalled} times, version {version}"
    );
    if *age_ms <= HEARTBEAT_AGE_MS_MAX {
        return DoctorCheck::ok(name, what);
    }
    let error = Error::unavailable(format!("stalled: {what}")).coded(codes::WORKER_STALLED);
    DoctorCheck::failed(name, &error, format!("look at process {pid} on {host}; its jobs go to others meanwhile"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::checkup::CheckVerdict;

    #[test]
    fn a_worker_whose_heart_missed_three_beats_is_stalled() {
        let worker = WorkerInfo {
            worker_id: "w".into(),
            version: "1.2.3".into(),
            queue: "default".into(),
            group: "main".into(),
            host: "h".into(),
            pid: 7,
            started_at_ms: 0,
            heartbeat_at_ms: 10_000,
            age_ms: 1_000,
            processed: 5,
            dead: 0,
            retried: 0,
            held: 40,
            stalled: 1,
            loads: Default::default(),
            busy: None,
            is_stopping: false,
            batches: 0,
            batched_documents: 0,
            stored_latency: String::new(),
        };
        let fresh = check(&worker);
        assert_eq!((fresh.verdict, fresh.name.as_str()), (CheckVerdict::Ok, "worker w"));
        assert_eq!(fresh.what, "heartbeat 1000 ms ago, 5 processed, 40 held, stalled 1 times, version 1.2.3");
        let old = check(&WorkerInfo { age_ms: 3_001, ..worker });
        assert!(old.verdict == CheckVerdict::Failed && old.what.starts_with("stalled: heartbeat 3001 ms ago"));
        assert!(old.remedy.unwrap().contains("process 7 on h"));
    }
}
