//! Cases: a job is counted once, whatever is repeated, mixed up or sent at the same time (L1, L2).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use tokio::task::JoinSet;

use crate::ports::counts::{EndedJob, Recorded};
use crate::seqset::SeqSet;
use crate::testkit::ledger::harness::LedgerHarness;
use crate::testkit::ledger::support::{GROUP, dead, numbers, owned_with, processed, reserve_all, spec};

fn recorded(counted: u64, duplicates: u64, foreign: u64) -> Recorded {
    Recorded { counted, duplicates, foreign }
}

pub async fn recording_twice_counts_once(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned_with(&ledger, 100).await;
    assert_eq!(ledger.counts.record(GROUP, "one", &[]).await.unwrap(), recorded(0, 0, 0));
    assert_eq!(ledger.counts.record(GROUP, "one", &processed(&owned.run, 10..30)).await.unwrap(), recorded(20, 0, 0));
    assert_eq!(ledger.counts.record(GROUP, "two", &processed(&owned.run, 10..30)).await.unwrap(), recorded(0, 20, 0));
    assert_eq!(ledger.counts.record(GROUP, "two", &processed(&owned.run, 25..40)).await.unwrap(), recorded(10, 5, 0));
    let twice_in_a_call = processed(&owned.run, [99, 50, 99, 50, 50]);
    assert_eq!(ledger.counts.record(GROUP, "two", &twice_in_a_call).await.unwrap(), recorded(2, 3, 0));

    let numbers = numbers(&ledger, &owned.run).await;
    assert_eq!((numbers.processed, numbers.dead, numbers.duplicates, numbers.in_flight()), (32, 0, 28, 68));
    assert_eq!(numbers.workers, [("one".into(), 20), ("two".into(), 12)].into());
    let expected: SeqSet = (10..40).chain([50, 99]).collect();
    assert_eq!(ledger.counts.counted(&owned.run, GROUP).await.unwrap(), expected);
}

pub async fn a_job_stays_what_it_was_first(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned_with(&ledger, 100).await;
    ledger.counts.record(GROUP, "w", &dead(&owned.run, 0..10)).await.unwrap();
    assert_eq!(ledger.counts.record(GROUP, "w", &processed(&owned.run, 0..20)).await.unwrap(), recorded(10, 10, 0));
    assert_eq!(ledger.counts.record(GROUP, "w", &dead(&owned.run, 5..25)).await.unwrap(), recorded(5, 15, 0));
    let both = [dead(&owned.run, [30]), processed(&owned.run, [30, 31]), dead(&owned.run, [31])].concat();
    assert_eq!(ledger.counts.record(GROUP, "w", &both).await.unwrap(), recorded(2, 2, 0));

    let numbers = numbers(&ledger, &owned.run).await;
    assert_eq!((numbers.processed, numbers.dead), (11, 16));
    assert_eq!(numbers.workers, [("w".into(), 11)].into(), "a worker's number is what it processed");
    assert_eq!(ledger.counts.dead(&owned.run, GROUP).await.unwrap(), (0..10).chain(20..25).chain([30]).collect());
    assert_eq!(ledger.counts.counted(&owned.run, GROUP).await.unwrap(), (0..25).chain([30, 31]).collect());
}

pub async fn what_the_run_does_not_have_is_foreign(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let owned = owned_with(&ledger, 13).await;
    let beyond = [13, 14, 20, 20, 5_000, 1 << 40, u64::MAX];
    assert_eq!(ledger.counts.record(GROUP, "w", &processed(&owned.run, beyond)).await.unwrap(), recorded(0, 0, 7));
    assert_eq!(ledger.counts.record(GROUP, "w", &dead(&owned.run, beyond)).await.unwrap(), recorded(0, 0, 7));
    assert_eq!(ledger.counts.record(GROUP, "w", &processed(&owned.run, 10..16)).await.unwrap(), recorded(3, 0, 3));
    let unknown = spec(None).run_id;
    assert_eq!(ledger.counts.record(GROUP, "w", &processed(&unknown, 0..4)).await.unwrap(), recorded(0, 0, 4));
    assert_eq!(ledger.runs.find(&unknown).await.unwrap(), None);

    let before = numbers(&ledger, &owned.run).await;
    assert_eq!((before.processed, before.dead, before.duplicates), (3, 0, 0));
    assert_eq!(ledger.counts.counted(&owned.run, GROUP).await.unwrap(), (10..13).collect());
    // Once they exist, they count.
    reserve_all(&ledger, &owned, 2).await;
    assert_eq!(ledger.counts.record(GROUP, "w", &processed(&owned.run, 10..16)).await.unwrap(), recorded(2, 3, 1));
}

pub async fn runs_and_groups_count_apart(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    let (a, b) = (owned_with(&ledger, 50).await, owned_with(&ledger, 20).await);
    let unknown = spec(None).run_id;
    let mixed: Vec<EndedJob> = (0..30)
        .flat_map(|seq| [processed(&a.run, [seq]), dead(&b.run, [seq]), processed(&unknown, [seq])].concat())
        .collect();
    assert_eq!(ledger.counts.record(GROUP, "w", &mixed).await.unwrap(), recorded(50, 0, 40));
    assert_eq!(ledger.counts.record("audit", "w", &processed(&a.run, 10..50)).await.unwrap(), recorded(40, 0, 0));

    let (of_a, of_b) = (numbers(&ledger, &a.run).await, numbers(&ledger, &b.run).await);
    assert_eq!((of_a.processed, of_a.dead, of_b.processed, of_b.dead), (30, 0, 0, 20));
    let audit = ledger.counts.snapshot(&a.run, "audit").await.unwrap().unwrap();
    assert_eq!((audit.enqueued, audit.processed, audit.workers), (50, 40, [("w".into(), 40)].into()));
    let idle = ledger.counts.snapshot(&a.run, "idle").await.unwrap().unwrap();
    assert_eq!((idle.enqueued, idle.processed, idle.duplicates, idle.workers.len()), (50, 0, 0, 0));
    assert_eq!(ledger.counts.counted(&a.run, "audit").await.unwrap(), (10..50).collect());
    assert_eq!(ledger.counts.dead(&b.run, GROUP).await.unwrap(), SeqSet::up_to(20));
    assert!(ledger.counts.counted(&a.run, "idle").await.unwrap().is_empty());
}

pub async fn concurrent_recorders_count_exactly_the_union(harness: &impl LedgerHarness) {
    const JOBS: u64 = 4_000;
    let ledger = harness.open().await;
    let owned = owned_with(&ledger, JOBS).await;
    let mut recorders = JoinSet::new();
    for recorder in 0..16u64 {
        // Each takes two thirds of the jobs, each in another order, and kills others of them.
        let (handle, run) = (harness.open().await, owned.run.clone());
        recorders.spawn(async move {
            let mut random = fastrand::Rng::with_seed(recorder);
            let mut mine: Vec<EndedJob> = (0..JOBS)
                .filter(|seq| seq % 3 != recorder % 3)
                .map(|seq| EndedJob { run: run.clone(), seq, dead: (seq + recorder) % 7 == 0 })
                .collect();
            random.shuffle(&mut mine);
            let mut sum = Recorded::default();
            for batch in mine.chunks(137) {
                let one = handle.counts.record(GROUP, &format!("w{recorder}"), batch).await.unwrap();
                sum = recorded(sum.counted + one.counted, sum.duplicates + one.duplicates, sum.foreign + one.foreign);
            }
            (sum, mine.len() as u64)
        });
    }
    let sums = recorders.join_all().await;
    let attempts: u64 = sums.iter().map(|(_, attempts)| attempts).sum();
    assert_eq!(sums.iter().map(|(sum, _)| sum.counted).sum::<u64>(), JOBS);
    assert_eq!(sums.iter().map(|(sum, _)| sum.duplicates).sum::<u64>(), attempts - JOBS);

    let numbers = numbers(&ledger, &owned.run).await;
    assert_eq!((numbers.processed + numbers.dead, numbers.duplicates), (JOBS, attempts - JOBS));
    assert_eq!(numbers.workers.values().sum::<u64>(), numbers.processed);
    assert_eq!(ledger.counts.counted(&owned.run, GROUP).await.unwrap(), SeqSet::up_to(JOBS));
    assert_eq!(ledger.counts.dead(&owned.run, GROUP).await.unwrap().len(), numbers.dead);
}

/// Random calls against a map that remembers what each job was first.
pub async fn any_sequence_of_calls_counts_like_a_set(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let cursor = random.u64(1..40_000);
        let owned = owned_with(&ledger, cursor).await;
        let mut model: BTreeMap<u64, bool> = BTreeMap::new();
        for _ in 0..12 {
            let (start, spread) = (random.u64(0..cursor), random.choice([10, 300, 9_000, 60_000]).unwrap_or(1));
            let jobs: Vec<EndedJob> = (0..random.usize(1..if spread > 8_000 { 8_000 } else { 600 }))
                .map(|_| EndedJob {
                    run: owned.run.clone(),
                    seq: start + random.u64(0..spread),
                    dead: random.u8(0..5) == 0,
                })
                .collect();
            let mut expected = Recorded::default();
            for job in &jobs {
                if job.seq >= cursor {
                    expected.foreign += 1;
                } else if let Entry::Vacant(unseen) = model.entry(job.seq) {
                    unseen.insert(job.dead);
                    expected.counted += 1;
                } else {
                    expected.duplicates += 1;
                }
            }
            assert_eq!(ledger.counts.record(GROUP, "w", &jobs).await.unwrap(), expected, "seed {seed}");
        }
        let died = model.iter().filter(|(_, dead)| **dead).map(|(seq, _)| *seq);
        assert_eq!(ledger.counts.dead(&owned.run, GROUP).await.unwrap(), died.collect(), "seed {seed}");
        assert_eq!(
            ledger.counts.counted(&owned.run, GROUP).await.unwrap(),
            model.keys().copied().collect(),
            "seed {seed}"
        );
        let numbers = numbers(&ledger, &owned.run).await;
        let counted_dead = model.values().filter(|dead| **dead).count() as u64;
        assert_eq!((numbers.processed, numbers.dead), (model.len() as u64 - counted_dead, counted_dead), "seed {seed}");
    }
}

pub async fn bitmaps_go_on_beyond_one_chunk(harness: &impl LedgerHarness) {
    const CURSOR: u64 = (1 << 20) + 20_000;
    let ledger = harness.open().await;
    let owned = owned_with(&ledger, CURSOR).await;
    // Both sides of every power of two, so of every border that a chunk may have.
    let borders: SeqSet =
        (3..=20).flat_map(|power| (1 << power) - 2..=(1 << power) + 1).chain([0, CURSOR - 1]).collect();
    let jobs: Vec<EndedJob> =
        processed(&owned.run, borders.iter()).into_iter().chain(dead(&owned.run, [CURSOR - 2])).collect();
    assert_eq!(ledger.counts.record(GROUP, "w", &jobs).await.unwrap(), recorded(borders.len() + 1, 0, 0));
    assert_eq!(ledger.counts.record(GROUP, "w", &jobs).await.unwrap(), recorded(0, borders.len() + 1, 0));
    let last_dead: SeqSet = [CURSOR - 2].into_iter().collect();
    assert_eq!(ledger.counts.dead(&owned.run, GROUP).await.unwrap(), last_dead);
    assert_eq!(ledger.counts.counted(&owned.run, GROUP).await.unwrap(), borders.union(&last_dead));

    // A call of any size, across all chunks.
    let all = ledger.counts.record(GROUP, "w", &processed(&owned.run, 1_000_000..CURSOR + 5)).await.unwrap();
    assert_eq!(all.counted + all.duplicates, CURSOR - 1_000_000);
    assert_eq!(all.foreign, 5);
}
