//! The conformance suite of the publisher port: what `Ok` promises, what may be published again, and what a depth says. A producer in
//! the same process and one behind gRPC pass the same cases, so a scheduler cannot tell them apart.
//!
//! Here: cases by what they are about, their steps in `support`, and the harness. They may use the publisher port and the ports of the
//! harness.

mod depths;
mod fickle;
mod harness;
mod publishing;
mod refusing;
mod support;

pub use depths::*;
pub use harness::PublisherHarness;
pub use publishing::*;
pub use refusing::*;

/// Makes one `#[tokio::test]` of each case. `$open` is an async function that answers a [`PublisherHarness`].
#[macro_export]
macro_rules! publisher_conformance {
    ($open:path) => {
        $crate::publisher_conformance! { $open =>
            every_job_is_confirmed_and_the_producer_named
            a_range_of_many_chunks_arrives_whole
            a_range_may_be_published_again_by_anybody
            every_group_of_the_run_gets_each_job
            an_unknown_run_is_not_found
            a_range_without_jobs_or_with_too_many_is_refused
            a_run_that_no_message_can_carry_is_unpublishable
            a_broker_that_takes_nothing_is_an_error_in_time_and_no_end
            the_depth_of_a_queue_that_is_not_there_is_empty
            depth_counts_the_jobs_of_the_run
            depth_is_that_of_the_deepest_group
            depth_of_asks_by_queue_and_group
            a_depth_that_cannot_be_read_is_an_error
        }
    };
    ($open:path => $($case:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let harness = $open().await;
                $crate::testkit::publisher::$case(&harness).await;
                $crate::testkit::publisher::PublisherHarness::close(harness).await;
            }
        )+
    };
}
