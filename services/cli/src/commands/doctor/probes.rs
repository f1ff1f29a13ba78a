//! Reaches one thing each, within [`PROBE_TIMEOUT`], and says what it found. A connection is made once and asked everything,
//! because the embedded files refuse a second one.

use std::future::Future;
use std::time::Duration;

use futures::future::join_all;
use paceline_adapters::resolve;
use paceline_core::clock::SystemClock;
use paceline_core::ports::{Broker, Ledger};
use paceline_core::{Error, ErrorKind, Result};
use paceline_proto::PROTOCOL;
use paceline_runtime::resolver::SystemResolver;
use paceline_runtime::settings::Settings;
use paceline_runtime::status;
use paceline_scheduler::{Place, places_now};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::checkup::Check;
use super::{connections, workers};
use crate::client;

const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// Ends beyond this are not counted one by one.
const ENDS_COUNTED_MAX: usize = 1_000;
/// Clocks further apart than this make latencies and estimates wrong.
const CLOCK_SKEW_MS_MAX: i64 = 1_000;

pub async fn within<T>(probe: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Error::unavailable(format!("no answer within {} s", PROBE_TIMEOUT.as_secs()));
    tokio::time::timeout(PROBE_TIMEOUT, probe).await.map_err(late)?
}

/// The broker, then its queues.
pub async fn broker(settings: &Settings) -> Vec<Check> {
    let reached = within(async {
        connections::must_exist(&settings.broker_url)?;
        let broker = resolve::broker(&connections::connections(settings), SystemClock::shared()).await?;
        let what = broker.check().await?;
        Ok((broker, what))
    });
    match reached.await {
        Ok((broker, what)) => {
            let queues = settings.queues.keys().map(|queue| depth(&*broker, queue, &settings.group));
            let queues = join_all(queues).await;
            std::iter::once(Check::ok("broker", what).required()).chain(queues).collect()
        }
        Err(error) => {
            let queues = settings
                .queues
                .keys()
                .map(|queue| Check::skipped(format!("queue {queue}"), "the broker was not reached"));
            std::iter::once(service("broker", &settings.broker_url, &error)).chain(queues).collect()
        }
    }
}

async fn depth(broker: &dyn Broker, queue: &str, group: &str) -> Check {
    let name = format!("queue {queue}");
    match within(broker.depth(queue, group)).await {
        Ok(depth) => {
            let unacked = depth.unacked.map_or("unknown".to_owned(), |count| count.to_string());
            Check::ok(
                name,
                format!("{} ready, {unacked} unacked, {} delayed, {} dead", depth.ready, depth.delayed, depth.dead),
            )
        }
        Err(error) if error.kind == ErrorKind::NotFound => {
            Check::skipped(name, "not there yet").with_remedy("the first worker or producer makes it")
        }
        Err(error) => Check::failed(name, &error, "if it is not there yet, the first worker or producer makes it"),
    }
}

pub async fn sink(settings: &Settings) -> Check {
    let reached = within(async {
        connections::must_exist(&settings.sink_url)?;
        resolve::sink(&connections::connections(settings), SystemClock::shared()).await?.check().await
    });
    match reached.await {
        Ok(what) => Check::ok("sink", what).required(),
        Err(error) => service("sink", &settings.sink_url, &error),
    }
}

/// Each node of a service that has several: what a service as a whole does not show while another answers.
pub async fn nodes(settings: &Settings) -> Vec<Check> {
    let nodes = resolve::nodes(&connections::connections(settings), SystemClock::shared()).await;
    let one = |node: resolve::Node| {
        let name = format!("{} node {}", node.service, node.address);
        match node.answer {
            Ok(what) => Check::ok(name, what),
            Err(error) if error.kind == ErrorKind::Unavailable => {
                Check::failed(name, &error, "start it again; until then the others do its work")
            }
            Err(error) => Check::failed(name, &error, "see docs/clusters.md for what has to stand behind a URL"),
        }
    };
    nodes.into_iter().map(one).collect()
}

/// The ledger, its clock, the ends of runs that are not kept, then the workers that it knows.
pub async fn ledger(settings: &Settings) -> Vec<Check> {
    let reached = within(async {
        connections::must_exist(&settings.ledger_url)?;
        let ledger = resolve::ledger(&connections::connections(settings), SystemClock::shared()).await?;
        let what = ledger.check().await?;
        Ok((ledger, what))
    });
    match reached.await {
        Ok((ledger, what)) => {
            let mut checks = vec![Check::ok("ledger", what).required(), clock(&*ledger, settings).await];
            checks.push(protocol(&*ledger).await);
            checks.push(ends(&*ledger).await);
            checks.extend(workers::workers(&*ledger, SystemClock::shared().wall_ms()).await);
            checks
        }
        Err(error) => {
            let clock = Check::skipped("clock", "not measurable: the ledger was not reached");
            vec![service("ledger", &settings.ledger_url, &error), clock]
        }
    }
}

/// The time at which the ledger says it was read, between the times at which we began and ended to ask.
async fn clock(ledger: &dyn Ledger, settings: &Settings) -> Check {
    if connections::is_embedded(&settings.ledger_url) {
        return Check::skipped("clock", "the ledger has this machine's clock");
    }
    let clock = SystemClock::shared();
    let measured = within(async {
        let Some(newest) = ledger.run_ids(None, 1).await?.into_iter().next() else { return Ok(None) };
        let begun_ms = clock.wall_ms();
        let snapshot = ledger.snapshot(&newest, &settings.group).await?;
        Ok(snapshot.map(|snapshot| skew_ms(begun_ms, snapshot.read_at_ms, clock.wall_ms())))
    });
    match measured.await {
        Ok(None) => Check::skipped("clock", "not measurable before the first run"),
        Ok(Some(skew_ms)) if skew_ms.abs() <= CLOCK_SKEW_MS_MAX => {
            Check::ok("clock", "agrees with the ledger's within a second")
        }
        Ok(Some(skew_ms)) => {
            let apart =
                Error::failed_precondition(format!("the ledger's clock is {skew_ms} ms ahead of this machine's"));
            Check::failed("clock", &apart, "let both take their time from NTP")
        }
        Err(error) => Check::failed("clock", &error, "look at the ledger"),
    }
}

/// Roles of this build start only on a mesh of their own protocol.
async fn protocol(ledger: &dyn Ledger) -> Check {
    const NAME: &str = "protocol";
    match within(ledger.protocol()).await {
        Ok(None) => Check::ok(NAME, format!("{PROTOCOL}; the mesh gets it with its first role")),
        Ok(Some(noted)) if noted == PROTOCOL.number() => Check::ok(NAME, format!("{PROTOCOL}, as the mesh has")),
        Ok(Some(noted)) => {
            let words = format!("the mesh has protocol {noted}, and this paceline has protocol {PROTOCOL}");
            Check::failed(NAME, &Error::failed_precondition(words), "see docs/operations/upgrade.md").required()
        }
        Err(error) => Check::failed(NAME, &error, "look at the ledger"),
    }
}

/// How many ends of runs the sink does not keep yet: a ledger that is rebuilt from it would go on with those runs.
async fn ends(ledger: &dyn Ledger) -> Check {
    const NAME: &str = "ends of runs";
    match within(ledger.unkept_run_ids(None, ENDS_COUNTED_MAX)).await {
        Ok(unkept) => match unkept.first() {
            None => Check::ok(NAME, "all are kept in the sink"),
            Some(first) => {
                let more = if unkept.len() < ENDS_COUNTED_MAX { "" } else { " or more" };
                let words = format!("{}{more} not kept in the sink yet, such as that of run {first}", unkept.len());
                let remedy =
                    "is a scheduler running, and the sink well? Schedulers keep trying until the sink has them";
                Check::failed(NAME, &Error::unavailable(words), remedy)
            }
        },
        Err(error) => Check::failed(NAME, &error, "look at the ledger"),
    }
}

/// How far `theirs` lies outside of what ours saw begin and end; positive: theirs is ahead.
fn skew_ms(begun: i64, theirs: i64, ended: i64) -> i64 {
    if theirs > ended { theirs - ended } else { theirs.min(begun) - begun }
}

/// Each producer at each address; a name stands for all of its own.
pub async fn producers(settings: &Settings) -> Vec<Check> {
    let addresses = settings.producer_addresses();
    join_all(addresses.iter().map(|address| producers_at(address, settings))).await.concat()
}

async fn producers_at(address: &str, settings: &Settings) -> Vec<Check> {
    match within(places_now(address, &SystemResolver)).await {
        Ok(places) => join_all(places.iter().map(|place| role_at("producer", place, settings))).await,
        Err(error) => {
            let remedy = "is it the name that DNS has here, and is a producer started? PACELINE_PRODUCERS says it";
            vec![Check::skipped("producer", format!("{address}: {}", error.message)).with_remedy(remedy)]
        }
    }
}

/// A role's gRPC health. Not running is no failure: a machine need not run everything.
pub async fn role(name: &str, address: &str, settings: &Settings) -> Check {
    role_at(name, &Place { address: address.to_owned(), origin: None }, settings).await
}

async fn role_at(name: &str, place: &Place, settings: &Settings) -> Check {
    let address = &place.address;
    match within(serving_status(place, settings)).await {
        Ok(ServingStatus::Serving) => Check::ok(name, format!("serves at {address}")),
        Ok(status) => {
            let status = status.as_str_name().to_ascii_lowercase();
            let error = Error::unavailable(format!("answers at {address}, but says {status}"));
            Check::failed(name, &error, "its log says what it waits for")
        }
        Err(error) if error.kind == ErrorKind::Unavailable => {
            let remedy = format!("start it with `paceline {name}`, or `paceline dev` for everything");
            Check::skipped(name, format!("not running at {address}")).with_remedy(remedy)
        }
        Err(error) => Check::failed(name, &error, "is it a Paceline of this version, and PACELINE_TOKEN its token?"),
    }
}

async fn serving_status(place: &Place, settings: &Settings) -> Result<ServingStatus> {
    let channel = client::authorized_as(&place.address, place.origin.as_deref(), settings, Some(PROBE_TIMEOUT))?;
    let mut health = HealthClient::new(channel);
    let answer = health.check(HealthCheckRequest { service: String::new() }).await;
    answer.map(|answer| answer.into_inner().status()).map_err(|status| status::from_status(&status))
}

fn service(name: &str, url: &str, error: &Error) -> Check {
    let variable = format!("PACELINE_{}_URL", name.to_ascii_uppercase());
    let remedy =
        format!("is it running at {}? {variable} or `{name}_url` in the settings file says where it is", redacted(url));
    Check::failed(name, error, remedy).required()
}

/// A URL without what may be a secret in it. The last `@` counts, so a password with odd characters does not leak.
fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    if query.contains('@') && !query.starts_with("sentinel_") {
        // It may be the second half of a password, and what stands before it the first.
        return format!("{scheme}://…");
    }
    let host = place.rsplit_once('@').map_or(place, |(_, host)| host);
    format!("{scheme}://{}", host.split(['/', '?', '#']).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::checkup::Verdict;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("amqp://user:secret@host:5672/vhost", "amqp://host:5672"),
            ("redis://:se/cr@et@host", "redis://host"),
            ("redis://:se?cr@et@host", "redis://…"),
            ("redis+sentinel://u:p@h1:1,h2:2/p?sentinel_password=ab@cd", "redis+sentinel://h1:1,h2:2"),
            ("redis+sentinel://h1:1,h2:2/p?sentinel_user=x&sentinel_password=ab@cd", "redis+sentinel://h1:1,h2:2"),
            ("http://127.0.0.1:9200", "http://127.0.0.1:9200"),
            ("embedded:data", "embedded:data"),
        ] {
            assert_eq!(redacted(url), shown);
        }
    }

    #[test]
    fn a_clock_is_off_only_by_what_the_time_of_the_call_does_not_explain() {
        assert_eq!(skew_ms(100, 105, 110), 0);
        assert_eq!(skew_ms(100, 5_110, 110), 5_000);
        assert_eq!(skew_ms(5_100, 100, 5_110), -5_000);
    }

    #[tokio::test]
    async fn a_role_that_is_not_running_is_skipped_with_a_remedy() {
        let check = role("producer", "http://127.0.0.1:1", &Settings::default()).await;
        assert_eq!((check.verdict, check.is_ok()), (Verdict::Skipped, false));
        assert!(check.remedy.unwrap().contains("paceline producer"));
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_is_named_with_a_remedy() {
        let settings = Settings { producers: "http://producer.invalid:50052".into(), ..Settings::default() };
        let checks = producers(&settings).await;
        assert_eq!((checks.len(), checks[0].verdict), (1, Verdict::Skipped));
        assert!(checks[0].what.contains("producer.invalid does not resolve"), "{}", checks[0].what);
    }

    #[tokio::test]
    async fn a_data_folder_that_is_not_there_fails_and_is_not_made() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        let settings = Settings { sink_url: format!("embedded:{}", folder.display()), ..Settings::default() };
        let check = sink(&settings).await;
        assert_eq!((check.verdict, check.required, folder.exists()), (Verdict::Failed, true, false));
    }

    #[tokio::test]
    async fn an_end_that_the_sink_does_not_keep_is_shown_until_it_does() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("embedded:{}", folder.path().display());
        let at = Settings { ledger_url: url, ..Settings::default() };
        let ledger = resolve::ledger(&connections::connections(&at), SystemClock::shared()).await.unwrap();
        assert_eq!(ends(&*ledger).await.verdict, Verdict::Ok);
        let kept = paceline_core::run::KeptRun {
            spec: serde_json::from_str(
                r#"{"run_id":"r","rate":{"jobs":1,"per_ns":60},"total":null,"queue":"default","handler":"record",
                    "payload":{},"catch_up":"ALL","created_at_ms":0}"#,
            )
            .unwrap(),
            state: paceline_core::run::RunState::Failed,
            revision: 3,
            cursor: 0,
            pacing: paceline_core::pacing::Pacing::default(),
            ended_at_ms: Some(1),
            failure: None,
        };
        ledger.restore_run(&kept).await.unwrap();
        let check = ends(&*ledger).await;
        assert_eq!((check.verdict, check.required), (Verdict::Failed, false));
        assert!(check.what.starts_with("1 not kept") && check.what.contains("run r"), "{}", check.what);
        ledger.note_kept(&kept.spec.run_id, 3).await.unwrap();
        assert_eq!(ends(&*ledger).await.verdict, Verdict::Ok);
    }

    #[tokio::test]
    async fn a_role_that_serves_is_fine() {
        let (context, _guard) = crate::fake_scheduler::Fake::default().serve().await;
        let check = role("scheduler", &context.settings.server, &context.settings).await;
        assert_eq!((check.verdict, check.remedy), (Verdict::Ok, None));
    }
}
