//! The conformance suite of the ledger port. An adapter passes it with one line in its tests:
//!
//! ```ignore
//! paceline_core::ledger_conformance!(harness); // fn harness(case: &str) -> impl Harness
//! ```
//! Every case has a store of its own, so all of them run in parallel; nothing waits by sleeping for a fixed time.

pub mod forget;
pub mod groups;
pub mod leases;
pub mod protocol;
pub mod ranges;
pub mod record;
pub mod restore;
pub mod runs;
pub mod snapshot;
pub mod steps;
pub mod unkept;
pub mod workers;

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::error::{ErrorKind, Result};
use crate::groups::Groups;
use crate::ids::{DEFAULT_GROUP, DEFAULT_HANDLER, DEFAULT_QUEUE, RunId};
use crate::job::Range;
use crate::pacing::{CatchUp, Pacing, Rate};
use crate::ports::Ledger;
use crate::ports::counts::Settled;
use crate::ports::leases::Fence;
use crate::ports::mesh::PROTOCOL_FIRST;
use crate::ports::ranges::Reservation;
use crate::ports::runs::Created;
use crate::run::RunChange;
use crate::run::{RunRecord, RunSpec, RunState, Snapshot};

/// How an adapter lends a case its store.
#[async_trait]
pub trait Harness: Send + Sync {
    /// One more handle to the store of this case. Once all handles are dropped, it opens the store anew.
    async fn open(&self) -> Ledger;
}

/// One test per case. `$harness` is a function from the case's name to its [`Harness`].
#[macro_export]
macro_rules! ledger_conformance {
    ($harness:path) => {
        $crate::ledger_conformance! { $harness =>
            runs::a_run_reads_back_as_it_was_asked_for,
            runs::a_request_starts_one_run,
            runs::concurrent_requests_start_one_run,
            runs::runs_are_listed_newest_first_in_pages,
            runs::ended_runs_are_no_longer_active,
            runs::an_unknown_run_is_named_as_such,
            runs::what_is_answered_survives_reopening,
            steps::a_change_applies_to_the_revision_it_was_made_for,
            steps::one_of_concurrent_changes_applies,
            steps::callers_follow_the_state_diagram,
            steps::owners_follow_the_state_diagram,
            steps::a_failed_run_goes_on_where_it_was,
            steps::a_run_earns_nothing_while_it_is_failed,
            steps::a_run_that_fails_and_goes_on_at_once_stays_active,
            steps::a_total_below_the_cursor_is_refused,
            steps::a_run_ends_only_when_it_is_drained,
            groups::a_run_ends_only_when_each_of_its_groups_is_drained,
            groups::a_group_that_the_run_does_not_have_neither_ends_it_nor_holds_it,
            groups::a_restored_run_keeps_its_groups,
            leases::a_run_has_one_owner,
            leases::one_of_concurrent_takers_becomes_the_owner,
            leases::an_expired_lease_goes_on_with_a_new_epoch,
            leases::a_released_lease_is_free_at_once,
            leases::keeping_renews_the_lease_and_stores_the_pacing,
            leases::a_stale_fence_changes_nothing,
            ranges::ranges_follow_each_other_and_are_outstanding_in_order,
            ranges::a_total_is_reserved_exactly,
            ranges::a_stale_revision_or_a_run_that_is_not_running_reserves_nothing,
            ranges::concurrent_reservations_share_no_job,
            ranges::a_range_is_confirmed_once,
            record::recording_twice_counts_once,
            record::a_job_stays_what_it_was_first,
            record::what_the_run_does_not_have_is_foreign,
            record::runs_and_groups_count_apart,
            record::concurrent_recorders_count_exactly_the_union,
            record::any_sequence_of_calls_counts_like_a_set,
            record::bitmaps_go_on_beyond_one_chunk,
            forget::forgotten_jobs_can_be_done_again,
            forget::forgetting_reaches_every_chunk_of_any_run,
            forget::nothing_is_forgotten_of_what_was_never_there,
            forget::forgetting_and_recording_at_once_keep_counters_and_bits_equal,
            restore::an_unknown_run_is_restored_whole,
            restore::a_restored_run_goes_on_where_it_was,
            restore::a_restored_run_that_has_ended_is_not_active,
            restore::an_ended_run_with_a_lower_cursor_drains_once_more,
            restore::a_lower_revision_takes_over_what_is_kept,
            restore::a_run_that_went_on_after_it_failed_takes_the_kept_pacing,
            restore::a_lower_cursor_rises_up_to_the_total,
            restore::nothing_to_restore_changes_nothing,
            restore::a_kept_total_below_the_cursor_reserves_no_more,
            restore::concurrent_restores_equal_one,
            restore::no_epoch_comes_twice_after_a_restore,
            restore::large_numbers_are_restored_exactly,
            unkept::every_end_is_unkept_until_it_is_noted,
            unkept::an_end_that_is_noted_late_leaves_a_later_end_unkept,
            unkept::unkept_runs_come_in_order_and_pages,
            unkept::unkept_runs_survive_reopening,
            snapshot::a_snapshot_is_of_one_moment,
            snapshot::rates_cover_the_last_whole_seconds,
            protocol::a_protocol_is_noted_once_and_read_by_all,
            protocol::a_mesh_from_before_protocols_were_noted_has_the_first,
            protocol::a_worker_alive_without_a_note_has_the_first,
            protocol::a_protocol_is_taken_over_only_from_the_one_that_was_read,
            protocol::whoever_comes_back_first_to_a_lost_ledger_notes_its_protocol,
            workers::workers_are_listed_until_they_leave,
            workers::how_long_ago_a_worker_was_heard_is_by_the_ledgers_clock,
            workers::a_worker_that_falls_silent_is_forgotten,
            workers::check_says_what_the_ledger_is,
        }
    };
    ($harness:path => $($module:ident :: $case:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::testkit::ledger::$module::$case(&$harness(stringify!($case))).await;
            }
        )+
    };
}

/// Longer than any case takes.
const LONG: Duration = Duration::from_secs(600);
/// How long a case waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(10);

const GROUP: &str = DEFAULT_GROUP;

/// A run with its owner.
struct Owned {
    run: RunId,
    fence: Fence,
}

fn spec(total: Option<u64>) -> RunSpec {
    spec_of(RunId::generate(1_700_000_000_000), total)
}

fn spec_of(run_id: RunId, total: Option<u64>) -> RunSpec {
    RunSpec {
        run_id,
        rate: Rate { jobs: 1000, per_ns: 60_000_000_000 },
        total,
        queue: DEFAULT_QUEUE.into(),
        groups: Groups::default(),
        handler: DEFAULT_HANDLER.into(),
        payload: Map::from_iter([("text".to_owned(), Value::from("grüße ✓ \"quoted\" \n 日本"))]),
        catch_up: CatchUp::All,
        created_at_ms: 1_700_000_000_000,
        traceparent: None,
    }
}

/// A pacer's state with numbers that a double cannot hold.
fn pacing(unreserved: u64) -> Pacing {
    Pacing {
        remainder: 9_007_199_254_740_993,
        unreserved,
        owed_ns: 31_557_599_999_999_999,
        as_of_ms: 1_700_000_000_123,
        rate: Some(Rate { jobs: 7, per_ns: 9_007_199_254_740_993 }),
    }
}

/// Starts a run and takes its lease.
async fn owned(ledger: &Ledger, total: Option<u64>) -> Owned {
    let spec = spec(total);
    assert_eq!(ledger.runs.create(&spec, "").await.unwrap(), Created::New);
    let fence = ledger.leases.take(&spec.run_id, "owner", LONG).await.unwrap().expect("nobody else knows the run");
    Owned { run: spec.run_id, fence }
}

/// Starts a run with `count` jobs reserved.
async fn owned_with(ledger: &Ledger, count: u64) -> Owned {
    let owned = owned(ledger, None).await;
    reserve_all(ledger, &owned, count).await;
    owned
}

async fn reserve_all(ledger: &Ledger, owned: &Owned, count: u64) {
    let end = read(ledger, &owned.run).await.cursor + count;
    let mut cursor = end - count;
    while cursor < end {
        cursor = reserve(ledger, owned, (end - cursor).min(crate::job::RANGE_JOBS_MAX)).await.unwrap().end();
    }
}

/// Reserves at the run's present revision.
async fn reserve(ledger: &Ledger, owned: &Owned, count: u64) -> Result<Range> {
    let revision = read(ledger, &owned.run).await.revision;
    ledger.ranges.reserve(&owned.run, owned.fence, &reservation(count, revision)).await
}

fn reservation(count: u64, revision: u64) -> Reservation {
    Reservation { count, scheduled_at_ms: 1_700_000_001_000, pacing: pacing(count), revision }
}

async fn read(ledger: &Ledger, run: &RunId) -> RunRecord {
    ledger.runs.find(run).await.unwrap().expect("the run is there")
}

async fn numbers(ledger: &Ledger, run: &RunId) -> Snapshot {
    ledger.counts.snapshot(run, GROUP).await.unwrap().expect("the run is there")
}

/// A caller's change of the state alone.
async fn become_state(ledger: &Ledger, run: &RunId, state: RunState) -> Result<RunRecord> {
    let current = read(ledger, run).await;
    ledger.runs.change(run, &RunChange { expected_revision: current.revision, spec: current.spec, state }).await
}

fn processed(run: &RunId, seqs: impl IntoIterator<Item = u64>) -> Vec<Settled> {
    seqs.into_iter().map(|seq| Settled { run: run.clone(), seq, dead: false }).collect()
}

fn dead(run: &RunId, seqs: impl IntoIterator<Item = u64>) -> Vec<Settled> {
    seqs.into_iter().map(|seq| Settled { run: run.clone(), seq, dead: true }).collect()
}

fn assert_refused<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind) {
    match result {
        Err(error) if error.kind == kind => {}
        other => panic!("expected {kind:?}, found {other:?}"),
    }
}

/// Polls until `ready` answers something; fails after [`PATIENCE`].
async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ready: impl FnMut() -> F) -> T {
    let polled = async {
        loop {
            if let Some(answer) = ready().await {
                return answer;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(PATIENCE, polled).await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what}"))
}
