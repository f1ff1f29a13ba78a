//! Cases: jobs whose documents are lost are taken back, so that they can be done again.

use tokio::task::JoinSet;

use crate::error::ErrorKind;
use crate::ports::counts::{EndedJob, Recorded};
use crate::run::RunState;
use crate::seqset::SeqSet;
use crate::testkit::ledger::harness::LedgerHarness;
use crate::testkit::ledger::support::{GROUP, assert_refused, dead, numbers, owned_with, processed, spec};

pub async fn forgotten_jobs_can_be_done_again(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned_with(&ledger, 100).await;
    let run = &owned.run;
    let jobs = [processed(run, 0..40), dead(run, 40..50)].concat();
    ledger.counts.record(GROUP, "w", &jobs).await.unwrap();
    ledger.counts.record("elsewhere", "w", &jobs).await.unwrap();

    // Processed, dead, twice, not counted, and what no run has.
    let seqs = [45, 5, 39, 5, 70, 100, 1 << 40, u64::MAX];
    assert_eq!(ledger.counts.forget(run, GROUP, &seqs).await.unwrap(), 3);
    assert_eq!(ledger.counts.forget(run, GROUP, &seqs).await.unwrap(), 0, "what is not counted changes nothing");
    let found = numbers(&ledger, run).await;
    assert_eq!((found.processed, found.dead, found.in_flight()), (38, 9, 53));
    let gone: SeqSet = [5, 39, 45].into_iter().collect();
    assert_eq!(ledger.counts.counted(run, GROUP).await.unwrap(), SeqSet::up_to(50).minus(&gone));
    assert_eq!(ledger.counts.dead(run, GROUP).await.unwrap(), (40..50).collect::<SeqSet>().minus(&gone));
    assert_eq!(ledger.counts.counted(run, "elsewhere").await.unwrap(), SeqSet::up_to(50), "another group is apart");

    // Only a processed one, only a dead one: the other counter stays.
    assert_eq!(ledger.counts.forget(run, GROUP, &[7]).await.unwrap(), 1);
    assert_eq!(ledger.counts.forget(run, GROUP, &[46]).await.unwrap(), 1);
    ledger.counts.record(GROUP, "w", &[processed(run, [7]), dead(run, [46])].concat()).await.unwrap();

    // Each is what it is recorded as now.
    let again = [processed(run, [45]), dead(run, [5, 39])].concat();
    let counted = ledger.counts.record(GROUP, "w", &again).await.unwrap();
    assert_eq!(counted, Recorded { counted: 3, duplicates: 0, foreign: 0 });
    let found = numbers(&ledger, run).await;
    assert_eq!((found.processed, found.dead), (39, 11));
    let died: SeqSet = (40..50).filter(|seq| *seq != 45).chain([5, 39]).collect();
    assert_eq!(ledger.counts.dead(run, GROUP).await.unwrap(), died);
}

pub async fn forgetting_reaches_every_chunk_of_any_run(harness: &impl LedgerHarness) {
    const CURSOR: u64 = (1 << 20) + 20_000;
    let ledger = harness.open().await;
    let owned = owned_with(&ledger, CURSOR).await;
    let run = &owned.run;
    let far = [0, 16_383, 16_384, (1 << 20) - 1, 1 << 20, CURSOR - 1];
    let many = 100_000..110_000;
    let jobs = [processed(run, far), dead(run, many.clone())].concat();
    ledger.counts.record(GROUP, "w", &jobs).await.unwrap();
    ledger.leases.advance(run, owned.fence, RunState::Failed, Some("ended")).await.unwrap();

    let seqs: Vec<u64> = far.into_iter().chain(many).filter(|seq| *seq != 104_999).rev().collect();
    assert_eq!(ledger.counts.forget(run, GROUP, &seqs).await.unwrap(), seqs.len() as u64);
    let found = numbers(&ledger, run).await;
    assert_eq!((found.processed, found.dead), (0, 1));
    let left: SeqSet = [104_999].into_iter().collect();
    assert_eq!(ledger.counts.counted(run, GROUP).await.unwrap(), left);
    assert_eq!(ledger.counts.dead(run, GROUP).await.unwrap(), left);
}

pub async fn nothing_is_forgotten_of_what_was_never_there(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned_with(&ledger, 10).await;
    assert_eq!(ledger.counts.forget(&owned.run, GROUP, &[1, 2, 3]).await.unwrap(), 0);
    assert_eq!(ledger.counts.forget(&owned.run, GROUP, &[]).await.unwrap(), 0);
    let found = numbers(&ledger, &owned.run).await;
    assert_eq!((found.processed, found.dead), (0, 0));
    assert_refused(ledger.counts.forget(&spec(None).run_id, GROUP, &[1]).await, ErrorKind::NotFound);
}

/// Whoever is first and whatever is repeated: the counters are the bits, and never above what is enqueued (L1).
pub async fn forgetting_and_recording_at_once_keep_counters_and_bits_equal(harness: &impl LedgerHarness) {
    const JOBS: u64 = 3_000;
    let ledger = harness.open().await;
    let owned = owned_with(&ledger, JOBS).await;
    let mut callers = JoinSet::new();
    for caller in 0..4_u64 {
        let (handle, run) = (harness.open().await, owned.run.clone());
        callers.spawn(async move {
            for round in 0..6 {
                let seqs = (0..JOBS).filter(|seq| (seq + caller + round) % 3 != 0);
                if (caller + round) % 2 == 0 {
                    handle.counts.forget(&run, GROUP, &seqs.collect::<Vec<_>>()).await.unwrap();
                } else {
                    let jobs: Vec<EndedJob> =
                        seqs.map(|seq| EndedJob { run: run.clone(), seq, dead: (seq + caller) % 5 == 0 }).collect();
                    handle.counts.record(GROUP, "w", &jobs).await.unwrap();
                }
                let now = handle.counts.snapshot(&run, GROUP).await.unwrap().unwrap();
                assert!(now.processed + now.dead <= now.enqueued, "L1: {now:?}");
            }
        });
    }
    callers.join_all().await;
    let found = numbers(&ledger, &owned.run).await;
    assert_eq!(ledger.counts.counted(&owned.run, GROUP).await.unwrap().len(), found.processed + found.dead);
    assert_eq!(ledger.counts.dead(&owned.run, GROUP).await.unwrap().len(), found.dead);
}
