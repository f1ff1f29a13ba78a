//! The conformance suite of the broker port. Every adapter runs the same cases: see [`broker_conformance!`].
//!
//! Nothing sleeps to let something happen: a case waits for deliveries, or asks for the depth until it is right. That something
//! does *not* happen is shown by where every message is instead.
//!
//! Here: cases by what they are about, their steps in `support`, and the harness. They may use the broker port and nothing that stands
//! behind it.

mod consuming;
mod harness;
mod keeping;
mod publishing;
mod settling;
mod support;

pub use consuming::*;
pub use harness::{BrokerHarness, GROUP, GROUP_SECOND, QUEUE};
pub use keeping::*;
pub use publishing::*;
pub use settling::*;

/// One `#[tokio::test]` for each case, with the harness that `$harness` (an async expression) makes for it.
#[macro_export]
macro_rules! broker_conformance {
    ($harness:expr) => {
        $crate::broker_conformance! { @cases $harness;
            a_confirmed_message_arrives_with_every_field
            a_foreign_message_without_any_field_arrives
            an_empty_batch_is_confirmed
            an_undeclared_queue_is_unroutable
            concurrent_publishes_get_their_own_confirms
            every_group_sees_each_message
            a_large_batch_arrives_exactly_once
            prefetch_bounds_what_a_consumer_holds
            messages_arrive_in_the_order_of_their_confirms
            two_consumers_share_a_queue
            a_waiting_consumer_wakes_for_a_message
            what_a_dropped_consumer_held_comes_back
            a_dropped_delivery_stays_with_its_consumer
            a_closed_consumer_has_sent_its_acks_and_gives_back_the_rest
            a_slow_job_does_not_hold_back_its_neighbours
            only_what_was_acked_is_settled
            a_retry_waits_and_counts_the_attempt
            a_dead_message_keeps_its_reason
            what_is_given_back_comes_again_at_once
            a_lost_consumers_delivery_settles_nothing
            depth_says_where_messages_are
            the_depth_of_an_undeclared_queue_is_not_found
            purge_removes_the_ready_messages_only
            declaring_again_keeps_what_is_there
            messages_survive_reopening
            check_names_the_service
        }
    };
    (@cases $harness:expr; $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let harness = $harness.await;
                $crate::testkit::broker::$case(&harness).await;
                $crate::testkit::broker::BrokerHarness::clean_up(&harness).await;
            }
        )*
    };
}
