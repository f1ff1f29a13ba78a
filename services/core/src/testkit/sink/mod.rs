//! The conformance suites of the sink's three ports: plain cases over a small harness, and one macro that makes a test of each.
//!
//! Every adapter runs the same cases; what they may rely on is the port's doc comments and nothing else.
//!
//! Here: cases by what they are about, their steps in `support`, and the harness. They may use the sink's ports and nothing that stands
//! behind them.

mod harness;
mod keeping_runs;
mod listing;
mod refusing;
mod storing;
mod support;

pub use harness::SinkHarness;
pub use keeping_runs::*;
pub use listing::*;
pub use refusing::*;
pub use storing::*;
pub use support::{WALL_MS, attempt, dead, document, documents, kept_run, new_run};

/// Makes one `#[tokio::test]` of each case. `$open` is an async function that answers a [`SinkHarness`].
#[macro_export]
macro_rules! sink_conformance {
    ($open:path) => {
        $crate::sink_conformance! { $open =>
            every_field_comes_back, upserting_twice_equals_once, an_older_attempt_never_overwrites_a_newer_one,
            the_same_attempt_again_is_stored, a_newer_attempt_overwrites, attempts_within_one_call_end_with_the_newest,
            counts_are_by_status, runs_do_not_mix, an_unknown_run_is_empty, an_empty_batch_is_nothing,
            a_deleted_document_is_gone_and_may_come_back, a_large_batch_is_stored_whole,
            concurrent_upserts_of_one_document_leave_the_newest, documents_survive_reopening,
            what_is_stored_is_visible_at_once, prepare_may_run_at_any_time, check_says_what_it_reached,
            runs_of_many_days_share_a_call, ids_come_in_order_and_pages, ids_list_a_run_whole, ids_tell_foreign_job_ids,
            a_refused_document_touches_no_other, contradictions_are_refused, unusual_payloads_are_stored,
            every_field_of_a_kept_run_comes_back, a_lower_revision_or_cursor_never_overwrites_a_kept_run,
            concurrent_keepers_leave_the_newest, kept_runs_come_in_order_and_pages,
            kept_runs_survive_reopening_and_are_no_documents
        }
    };
    ($open:path => $($case:ident),+) => {
        $(
            #[tokio::test]
            async fn $case() {
                let mut harness = $open().await;
                $crate::testkit::sink::$case(&mut harness).await;
                $crate::testkit::sink::SinkHarness::close(harness).await;
            }
        )+
    };
}
