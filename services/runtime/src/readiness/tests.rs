//! Conditions that fail, hiccup and hang, and who is told.

use super::*;
use paceline_core::Error;

fn why(readiness: &Readiness, name: &str) -> Option<String> {
    readiness.report().checks.into_iter().find(|check| check.name == name).and_then(|check| check.why)
}

#[tokio::test(start_paused = true)]
async fn red_until_every_condition_is_well_and_again_with_the_reason() {
    let readiness = Readiness::new("worker", "w");
    let (broker, sink) = (readiness.condition("broker"), readiness.condition("sink"));
    broker.set_ok();
    assert!(!readiness.is_ready(), "the sink was not looked at yet");
    sink.set_ok();
    assert!(readiness.is_ready());
    broker.set_failed("connection refused");
    tokio::time::advance(Duration::from_millis(70)).await;
    broker.set_failed("still refused");
    let report = readiness.report();
    let check = &report.checks[0];
    assert_eq!((report.ready, check.ok, check.since_ms, check.failures), (false, false, 70, 1));
    assert_eq!(why(&readiness, "broker").as_deref(), Some("still refused"));
    readiness.condition("broker").set_ok();
    assert!(readiness.is_ready(), "the same name is the same condition");
}

#[tokio::test(start_paused = true)]
async fn a_hiccup_is_tolerated_but_not_a_first_failure() {
    let readiness = Readiness::new("worker", "w");
    let sink = readiness.tolerant("sink", HICCUP);
    sink.set_failed("away");
    assert!(!readiness.is_ready());
    sink.set_ok();
    sink.set_failed("away");
    assert!(readiness.is_ready() && why(&readiness, "sink").is_some());
    tokio::time::advance(HICCUP).await;
    assert!(!readiness.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_is_red_before_it_ends() {
    let readiness = Readiness::new("worker", "w");
    let ledger = readiness.tolerant("ledger", HICCUP);
    ledger.set_ok();
    let hanging = async {
        tokio::time::sleep(LATE * 2).await;
        Err::<(), _>(Error::unavailable("no answer within 3 s"))
    };
    let (calling, look) = (ledger.observe(hanging), async {
        tokio::time::sleep(LATE + Duration::from_millis(1)).await;
        assert!(!readiness.is_ready(), "late for longer than a hiccup");
    });
    tokio::join!(calling, look).0.unwrap_err();
    assert_eq!(why(&readiness, "ledger").as_deref(), Some("no answer within 3 s"));
}

#[tokio::test(start_paused = true)]
async fn what_is_only_shown_is_red_and_not_told() {
    let (readiness, shutdown) = (Readiness::new("producer", "p"), Shutdown::new());
    let publishes = readiness.shown("publishes");
    let told = Mutex::new(Vec::new());
    let following = readiness.follow(&shutdown, async |is_serving| told.lock().unwrap().push(is_serving));
    let story = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        publishes.set_ok();
        assert!(readiness.is_ready());
        publishes.set_failed("not allowed");
        assert!(!readiness.is_ready());
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    tokio::select! { biased; () = following => (), () = story => () }
    assert_eq!(why(&readiness, "publishes").as_deref(), Some("not allowed"));
    assert_eq!(*told.lock().unwrap(), [true]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_red_and_told_and_so_is_a_part() {
    let (whole, shutdown) = (Readiness::new("dev", "d"), Shutdown::new());
    let part = whole.part("worker", "w");
    part.condition("sink").set_failed("away");
    assert!(!whole.is_ready());
    part.condition("sink").set_ok();
    let told = Mutex::new(Vec::new());
    let following = part.follow(&shutdown, async |is_ready| told.lock().unwrap().push(is_ready));
    let stopping = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(whole.is_ready());
        shutdown.trigger();
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    tokio::select! { biased; () = following => (), () = stopping => () }
    assert_eq!(*told.lock().unwrap(), [true, false]);
    assert!(why(&part, RUNNING).unwrap().contains("stopping"));
}
