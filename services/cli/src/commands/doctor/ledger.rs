//! Checks of the ledger: its clock, its protocol and the ends of runs, then the workers that it knows.

use paceline_adapters::resolve;
use paceline_core::Error;
use paceline_core::clock::SystemClock;
use paceline_core::connections::is_embedded;
use paceline_core::error::codes;
use paceline_core::ports::Ledger;
use paceline_proto::PROTOCOL;
use paceline_runtime::settings::Settings;

use super::checkup::DoctorCheck;
use super::reach::{unreached, within};
use super::workers::workers;
use crate::connections::must_exist;

/// Ends of runs that are counted one by one; beyond this it is "or more".
const ENDS_COUNTED_MAX: usize = 1_000;
/// Clocks further apart than this make latencies and estimates wrong.
const CLOCK_SKEW_MS_MAX: i64 = 1_000;
/// The remedy where the ledger was reached and then failed.
const LOOK_AT_LEDGER: &str = "look at the ledger";

/// The ledger and everything that it tells. It is connected once, because embedded files refuse a second opener.
pub async fn ledger(settings: &Settings) -> Vec<DoctorCheck> {
    let reached = within(async {
        must_exist(&settings.ledger_url)?;
        let ledger = resolve::ledger(&settings.connections(), SystemClock::shared()).await?;
        let what = ledger.mesh.check().await?;
        Ok((ledger, what))
    });
    match reached.await {
        Ok((ledger, what)) => {
            let mut checks = vec![DoctorCheck::ok("ledger", what).required(), clock(&ledger, settings).await];
            checks.push(protocol(&ledger).await);
            checks.push(ends(&ledger).await);
            checks.extend(workers(&ledger).await);
            checks
        }
        Err(error) => {
            let clock = DoctorCheck::skipped("clock", "not measurable: the ledger was not reached");
            vec![unreached("ledger", &settings.ledger_url, &error), clock]
        }
    }
}

/// The time at which the ledger says that it was read, between the times at which the question began and ended.
async fn clock(ledger: &Ledger, settings: &Settings) -> DoctorCheck {
    if is_embedded(&settings.ledger_url) {
        return DoctorCheck::skipped("clock", "the ledger has this machine's clock");
    }
    let clock = SystemClock::shared();
    let measured = within(async {
        let Some(newest) = ledger.runs.list(None, 1).await?.into_iter().next() else { return Ok(None) };
        let begun_ms = clock.wall_ms();
        let snapshot = ledger.counts.snapshot(&newest, &settings.group).await?;
        Ok(snapshot.map(|snapshot| skew_ms(begun_ms, snapshot.read_at_ms, clock.wall_ms())))
    });
    match measured.await {
        Ok(None) => DoctorCheck::skipped("clock", "not measurable before the first run"),
        Ok(Some(skew_ms)) if skew_ms.abs() <= CLOCK_SKEW_MS_MAX => {
            DoctorCheck::ok("clock", "agrees with the ledger's within a second")
        }
        Ok(Some(skew_ms)) => {
            let apart =
                Error::failed_precondition(format!("the ledger's clock is {skew_ms} ms ahead of this machine's"))
                    .coded(codes::CLOCKS_DIFFER);
            DoctorCheck::failed("clock", &apart, "let both take their time from NTP")
        }
        Err(error) => DoctorCheck::failed("clock", &error, LOOK_AT_LEDGER),
    }
}

/// Milliseconds by which `theirs` lies outside of the span from `begun` to `ended`; positive: theirs is ahead.
fn skew_ms(begun: i64, theirs: i64, ended: i64) -> i64 {
    if theirs > ended { theirs - ended } else { theirs.min(begun) - begun }
}

/// The protocol of the mesh: roles of this build start only on a mesh of their own.
async fn protocol(ledger: &Ledger) -> DoctorCheck {
    const NAME: &str = "protocol";
    match within(ledger.mesh.protocol()).await {
        Ok(None) => DoctorCheck::ok(NAME, format!("{PROTOCOL}; the mesh gets it with its first role")),
        Ok(Some(noted)) if noted == PROTOCOL.number() => DoctorCheck::ok(NAME, format!("{PROTOCOL}, as the mesh has")),
        Ok(Some(noted)) => {
            let words = format!("the mesh has protocol {noted}, and this paceline has protocol {PROTOCOL}");
            DoctorCheck::failed(
                NAME,
                &Error::failed_precondition(words).coded(codes::PROTOCOL_DIFFERS),
                "see docs/operations/upgrade.md",
            )
            .required()
        }
        Err(error) => DoctorCheck::failed(NAME, &error, LOOK_AT_LEDGER),
    }
}

/// The number of ended runs whose end the sink does not keep yet: a ledger that is rebuilt from the sink would go on with those runs.
async fn ends(ledger: &Ledger) -> DoctorCheck {
    const NAME: &str = "ends of runs";
    match within(ledger.runs.unkept(None, ENDS_COUNTED_MAX)).await {
        Ok(unkept) => match unkept.first() {
            None => DoctorCheck::ok(NAME, "all are kept in the sink"),
            Some(first) => {
                let more = if unkept.len() < ENDS_COUNTED_MAX { "" } else { " or more" };
                let words = format!("{}{more} not kept in the sink yet, such as that of run {first}", unkept.len());
                let remedy =
                    "is a scheduler running, and the sink well? Schedulers keep trying until the sink has them";
                DoctorCheck::failed(NAME, &Error::unavailable(words).coded(codes::ENDS_NOT_KEPT), remedy)
            }
        },
        Err(error) => DoctorCheck::failed(NAME, &error, LOOK_AT_LEDGER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::checkup::CheckVerdict;

    #[test]
    fn a_clock_is_off_only_by_what_the_time_of_the_call_does_not_explain() {
        assert_eq!(skew_ms(100, 105, 110), 0);
        assert_eq!(skew_ms(100, 5_110, 110), 5_000);
        assert_eq!(skew_ms(5_100, 100, 5_110), -5_000);
    }

    #[tokio::test]
    async fn an_end_that_the_sink_does_not_keep_is_shown_until_it_does() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("embedded:{}", folder.path().display());
        let at = Settings { ledger_url: url, ..Settings::default() };
        let ledger = resolve::ledger(&at.connections(), SystemClock::shared()).await.unwrap();
        assert_eq!(ends(&ledger).await.verdict, CheckVerdict::Ok);
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
        ledger.runs.restore(&kept).await.unwrap();
        let check = ends(&ledger).await;
        assert_eq!((check.verdict, check.required), (CheckVerdict::Failed, false));
        assert!(check.what.starts_with("1 not kept") && check.what.contains("run r"), "{}", check.what);
        ledger.runs.note_kept(&kept.spec.run_id, 3).await.unwrap();
        assert_eq!(ends(&ledger).await.verdict, CheckVerdict::Ok);
    }
}
