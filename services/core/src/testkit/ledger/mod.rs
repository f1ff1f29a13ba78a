//! The conformance suites of the ledger: one a port, as its traits are. An adapter passes all with one line in its tests:
//!
//! ```ignore
//! paceline_core::ledger_conformance!(harness); // fn harness(case: &str) -> impl LedgerHarness
//! ```
//! Every case has a store of its own, so all of them run in parallel; nothing waits by sleeping for a fixed time.
//!
//! Cases may use the ports, the language of the house and the steps of `support`.

pub mod counts;
mod harness;
pub mod leases;
pub mod mesh;
pub mod ranges;
pub mod runs;
pub(super) mod support;
pub mod workers;

pub use harness::LedgerHarness;

/// One test a case, in a module a port. `$harness` is a function from the case's name to its [`LedgerHarness`], in the module of the call.
#[macro_export]
macro_rules! ledger_conformance {
    ($harness:ident) => {
        $crate::ledger_conformance! { $harness =>
            runs {
                a_run_reads_back_as_it_was_asked_for
                a_request_starts_one_run
                concurrent_requests_start_one_run
                runs_are_listed_newest_first_in_pages
                ended_runs_are_no_longer_active
                an_unknown_run_is_named_as_such
                what_is_answered_survives_reopening
                a_change_applies_to_the_revision_it_was_made_for
                one_of_concurrent_changes_applies
                callers_follow_the_state_diagram
                a_failed_run_goes_on_where_it_was
                a_run_earns_nothing_while_it_is_failed
                a_run_that_fails_and_goes_on_at_once_stays_active
                a_total_below_the_cursor_is_refused
                an_unknown_run_is_restored_whole
                a_restored_run_goes_on_where_it_was
                a_restored_run_that_has_ended_is_not_active
                an_ended_run_with_a_lower_cursor_drains_once_more
                a_lower_revision_takes_over_what_is_kept
                a_run_that_went_on_after_it_failed_takes_the_kept_pacing
                a_lower_cursor_rises_up_to_the_total
                nothing_to_restore_changes_nothing
                a_kept_total_below_the_cursor_reserves_no_more
                concurrent_restores_equal_one
                no_epoch_comes_twice_after_a_restore
                large_numbers_are_restored_exactly
                every_end_is_unkept_until_it_is_noted
                an_end_that_is_noted_late_leaves_a_later_end_unkept
                unkept_runs_come_in_order_and_pages
                unkept_runs_survive_reopening
            }
            leases {
                a_run_has_one_owner
                one_of_concurrent_takers_becomes_the_owner
                an_expired_lease_goes_on_with_a_new_epoch
                a_released_lease_is_free_at_once
                renewing_prolongs_the_lease_and_stores_the_pacing
                a_stale_fence_changes_nothing
                owners_follow_the_state_diagram
                a_run_ends_only_when_it_is_drained
                a_run_ends_only_when_each_of_its_groups_is_drained
                a_group_that_the_run_does_not_have_neither_ends_it_nor_holds_it
                a_restored_run_keeps_its_groups
            }
            ranges {
                ranges_follow_each_other_and_are_outstanding_in_order
                a_total_is_reserved_exactly
                a_stale_revision_or_a_run_that_is_not_running_reserves_nothing
                concurrent_reservations_share_no_job
                a_range_is_confirmed_once
            }
            counts {
                recording_twice_counts_once
                a_job_stays_what_it_was_first
                what_the_run_does_not_have_is_foreign
                runs_and_groups_count_apart
                concurrent_recorders_count_exactly_the_union
                any_sequence_of_calls_counts_like_a_set
                bitmaps_go_on_beyond_one_chunk
                forgotten_jobs_can_be_done_again
                forgetting_reaches_every_chunk_of_any_run
                nothing_is_forgotten_of_what_was_never_there
                forgetting_and_recording_at_once_keep_counters_and_bits_equal
                a_snapshot_is_of_one_moment
                rates_cover_the_last_whole_seconds
            }
            workers {
                how_long_ago_a_worker_was_heard_is_by_the_ledgers_clock
                workers_are_listed_until_they_leave
                a_worker_that_falls_silent_is_forgotten
            }
            mesh {
                a_protocol_is_noted_once_and_read_by_all
                a_mesh_from_before_protocols_were_noted_has_the_first
                a_protocol_is_taken_over_only_from_the_one_that_was_read
                a_worker_alive_without_a_note_has_the_first
                whoever_comes_back_first_to_a_lost_ledger_notes_its_protocol
                check_says_what_the_ledger_is
            }
        }
    };
    ($harness:ident => $($port:ident { $($case:ident)+ })+) => {
        $(
            mod $port {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $case() {
                        $crate::testkit::ledger::$port::$case(&super::$harness(stringify!($case))).await;
                    }
                )+
            }
        )+
    };
}
