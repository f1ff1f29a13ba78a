//! `paceline verify`: the proof of a run, over the ports or, where the ports belong to another process, by the scheduler.

mod repair;
mod report;

use std::time::Duration;

use clap::Args;
use paceline_adapters::resolve;
use paceline_core::clock::SystemClock;
use paceline_core::connections::is_embedded;
use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::ports::Backends;
use paceline_core::repair::Repaired;
use paceline_core::verify::{self, Verification, VerifyOptions};
use paceline_core::{Error, Result};
use paceline_proto::v1;
use paceline_proto::v1::verify_service_client::VerifyServiceClient;
use paceline_runtime::protocol::{self, Build};
use paceline_runtime::settings::Settings;
use serde::Serialize;

use crate::client::{self, LAST, SchedulerClient};
use crate::connections;
use crate::context::CommandContext;
use crate::exit::Exit;
use crate::views;

/// The largest answer: both lists full, of foreign ids as long as a sink allows.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Prove that a run stored every job exactly once
///
/// Compares, seq by seq: the jobs that were enqueued, those that the ledger counted, and the documents in the sink. The
/// exit code is 0 if nothing is missing, counted twice or foreign, and 1 otherwise, also while jobs are in flight.
///
/// Reads ledger and sink directly, so it needs no scheduler. The scheduler is asked instead if --server is given; and, if
/// one answers, when ledger or sink are embedded (their files belong to one process) or when no broker, sink and ledger
/// are configured at all (then it is `paceline dev` that runs).
///
/// With --repair it first closes what a service has lost: stored jobs that are not counted are counted, counted jobs whose
/// document is gone are done again, and jobs that neither queue nor sink has are published again. Then it waits for the
/// workers, and proves. The scheduler does this by itself, except for documents that somebody deleted.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct VerifyArguments {
    /// A run's id, or `last`
    #[arg(value_name = "RUN")]
    run: String,
    /// Also: the run has ended, nothing is outstanding, and the counters equal the bitmaps
    #[arg(long)]
    strict: bool,
    /// Consumer group whose work is proved [default: the configured one]
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Count what is stored, do again what has no document, publish again what is lost; then prove
    #[arg(long)]
    repair: bool,
    /// Seconds that --repair waits for the workers to do what it published
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "repair", value_parser = clap::value_parser!(u64).range(0..=86_400))]
    wait: u64,
}

/// The proof, and what was repaired before it, if that was asked for.
#[derive(Debug, Serialize)]
struct Proof {
    #[serde(flatten)]
    verification: Verification,
    #[serde(skip_serializing_if = "Option::is_none")]
    repaired: Option<Repaired>,
}

pub async fn execute(arguments: VerifyArguments, context: &CommandContext) -> anyhow::Result<Exit> {
    let settings = &context.settings;
    let group = arguments.group.unwrap_or_else(|| settings.group.clone());
    let options = VerifyOptions { group, strict: arguments.strict };
    let scheduler = SchedulerClient::new(settings)?;
    let prefers_scheduler = prefers_scheduler(settings);
    let wait = arguments.repair.then_some(Duration::from_secs(arguments.wait));
    let proof = if context.server_is_explicit || (prefers_scheduler && scheduler.answers().await) {
        by_scheduler(&scheduler, &arguments.run, options, wait).await?
    } else {
        let proved = over_ports(settings, &arguments.run, &options, wait).await;
        proved.map_err(|error| if prefers_scheduler { no_scheduler_either(error, &scheduler) } else { error.into() })?
    };
    context.output.data(&proof, |proof| {
        let repaired = proof.repaired.map(report::repaired).unwrap_or_default();
        format!("{repaired}{}", report::text(&proof.verification))
    })?;
    Ok(if proof.verification.ok { Exit::Done } else { Exit::No })
}

/// True if a scheduler, where there is one, knows better than our own connections would.
fn prefers_scheduler(settings: &Settings) -> bool {
    let has_embedded = [&settings.ledger_url, &settings.sink_url].into_iter().any(|url| is_embedded(url));
    has_embedded || connections::are_default(settings)
}

/// An error that says first that no scheduler runs: a person who relies on `paceline dev` must not hear only that there is no service.
fn no_scheduler_either(error: Error, scheduler: &SchedulerClient) -> anyhow::Error {
    let context = format!("no scheduler answers at {}, and without it", scheduler.address);
    anyhow::Error::from(error).context(context)
}

async fn over_ports(settings: &Settings, run: &str, options: &VerifyOptions, wait: Option<Duration>) -> Result<Proof> {
    [&settings.ledger_url, &settings.sink_url].into_iter().try_for_each(|url| connections::must_exist(url))?;
    let (connections, clock) = (settings.connections(), SystemClock::shared());
    let mut ledger = resolve::ledger(&connections, clock.clone()).await?;
    if wait.is_some() {
        ledger = protocol::visit(ledger, &settings.namespace, Build::THIS).await?;
    }
    let sink = resolve::sink(&connections, clock.clone()).await?;
    let run = match run {
        LAST => ledger.runs.list(None, 1).await?.into_iter().next().ok_or_else(client::no_runs)?,
        id => RunId::parse(id)?,
    };
    let repaired = match wait {
        Some(wait) => {
            let broker = resolve::broker(&connections, clock).await?;
            let ports = Backends { broker, sink: sink.clone(), ledger: ledger.clone() };
            let repaired = repair::over_ports(settings, ports, &run, &options.group).await?;
            repair::done_over_ports(&ledger, &run, &options.group, wait).await?;
            Some(repaired)
        }
        None => None,
    };
    Ok(Proof { verification: verify::verify(&*ledger.counts, &*sink.reader, &run, options).await?, repaired })
}

async fn by_scheduler(
    scheduler: &SchedulerClient,
    run: &str,
    options: VerifyOptions,
    wait: Option<Duration>,
) -> Result<Proof> {
    let run_id = scheduler.resolve(run).await?;
    let repaired = match wait {
        Some(wait) => Some(repair::by_scheduler(scheduler, &run_id, &options.group, wait).await?),
        None => None,
    };
    let request = v1::VerifyRunRequest { run_id, strict: options.strict, group: options.group };
    let mut client = VerifyServiceClient::new(scheduler.patient.clone()).max_decoding_message_size(ANSWER_BYTES_MAX);
    Ok(Proof { verification: from_wire(scheduler.answer(client.verify_run(request).await)?)?, repaired })
}

fn from_wire(answer: v1::VerifyRunResponse) -> Result<Verification> {
    let unknown = || {
        Error::internal(format!("the scheduler's state {} is unknown here; is it newer?", answer.state))
            .coded(codes::SCHEDULER_NEWER)
    };
    Ok(Verification {
        run_id: RunId::parse(&answer.run_id)?,
        state: views::state(answer.state).ok_or_else(unknown)?,
        enqueued: answer.enqueued,
        counted: answer.counted,
        stored: answer.stored,
        dead: answer.dead,
        missing: answer.missing,
        missing_count: answer.missing_count,
        foreign: answer.foreign,
        foreign_count: answer.foreign_count,
        duplicates: answer.duplicates,
        in_flight: answer.in_flight,
        problems: answer.problems,
        ok: answer.ok,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit;
    use crate::fake_scheduler::{self, Fake};
    use paceline_core::ErrorKind;
    use paceline_core::run::RunState;

    fn settings(ledger_url: &str) -> Settings {
        Settings { ledger_url: ledger_url.into(), ..Settings::default() }
    }

    #[test]
    fn a_scheduler_is_asked_where_the_ports_are_its_own() {
        assert!(prefers_scheduler(&Settings::default()));
        assert!(prefers_scheduler(&settings("embedded:data")));
        assert!(!prefers_scheduler(&settings("redis://elsewhere:6379")));
        let only_broker = Settings { broker_url: "embedded:data".into(), ..settings("redis://elsewhere:6379") };
        assert!(!prefers_scheduler(&only_broker));
    }

    #[test]
    fn the_answer_of_a_scheduler_is_the_same_value() {
        let answer = v1::VerifyRunResponse {
            run_id: "r".into(),
            state: v1::RunState::Stopped.into(),
            enqueued: 3,
            missing: vec!["r-1".into()],
            missing_count: 1,
            problems: vec!["1 job neither counted nor stored".into()],
            ..v1::VerifyRunResponse::default()
        };
        let verification = from_wire(answer.clone()).unwrap();
        assert_eq!((verification.state, verification.enqueued, verification.ok), (RunState::Stopped, 3, false));
        assert_eq!((verification.missing, verification.problems.len()), (vec!["r-1".to_owned()], 1));
        assert_eq!(from_wire(v1::VerifyRunResponse { state: 99, ..answer }).unwrap_err().kind, ErrorKind::Internal);
    }

    #[tokio::test]
    async fn a_data_folder_that_is_not_there_is_an_answer() {
        let settings = settings("embedded:/nowhere/at/all");
        let options = VerifyOptions { group: "main".into(), strict: false };
        let error = over_ports(&settings, "last", &options, None).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn who_relies_on_a_scheduler_hears_that_there_is_none() {
        let scheduler = SchedulerClient::new(&Settings::default());
        let error = no_scheduler_either(Error::unavailable("redis is away"), &scheduler.unwrap());
        assert_eq!(exit::report(&error), Exit::Unavailable);
        let text = exit::describe(&error);
        assert_eq!(text, "no scheduler answers at http://127.0.0.1:50051, and without it: redis is away");
    }

    #[tokio::test]
    async fn a_scheduler_proves_or_not() {
        for (ok, exit) in [(true, Exit::Done), (false, Exit::No)] {
            let verification = v1::VerifyRunResponse {
                run_id: "r".into(),
                state: v1::RunState::Completed.into(),
                ok,
                ..Default::default()
            };
            let runs = vec![fake_scheduler::run("r", v1::RunState::Completed)];
            let (context, _guard) = Fake { runs, verification, ..Fake::default() }.serve().await;
            let arguments = VerifyArguments { run: "last".into(), strict: true, group: None, repair: false, wait: 0 };
            assert_eq!(execute(arguments, &context).await.unwrap(), exit);
            assert!(SchedulerClient::new(&context.settings).unwrap().answers().await);
        }
    }
}
