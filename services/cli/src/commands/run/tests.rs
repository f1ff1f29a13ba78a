//! Parsing of `paceline run …`.

use super::*;
use clap::Parser;
use paceline_core::run::RunState;

use crate::exit;
use crate::fake_scheduler::{Fake, run};

#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    command: RunCommand,
}

fn parse(line: &str) -> Result<RunCommand, clap::Error> {
    Line::try_parse_from(std::iter::once("run").chain(line.split_whitespace())).map(|line| line.command)
}

fn request(line: &str) -> v1::StartRunRequest {
    match parse(line).unwrap() {
        RunCommand::Start(arguments) => start_request(arguments).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn start_fills_the_request_and_leaves_defaults_to_the_scheduler() {
    let plain = request("start --jobs 100 --per-minutes 0.5");
    assert_eq!((plain.jobs, plain.per_minutes, plain.total), (100, 0.5, None));
    assert_eq!((plain.queue.as_str(), plain.handler.as_str(), plain.payload.clone()), ("", "", None));
    assert_eq!(plain.catch_up(), v1::CatchUp::All);

    let full = request(
        r#"start --jobs 1 --per-minutes 1 --total 5 --queue q --handler h --payload {"a":1} --catch-up skip --request-id x"#,
    );
    assert_eq!((full.total, full.queue.as_str(), full.handler.as_str()), (Some(5), "q", "h"));
    assert_eq!((full.catch_up(), full.request_id.as_str()), (v1::CatchUp::Skip, "x"));
    assert_eq!(full.payload.unwrap().fields.len(), 1);
}

#[test]
fn what_can_never_work_is_refused_before_any_call() {
    for bad in [
        "start --jobs 0 --per-minutes 1",
        "start --jobs 1 --per-minutes 0",
        "start --jobs 1 --per-minutes NaN",
        "start --jobs 1",
        "start --jobs 1 --per-minutes 1 --total 0",
        "start --jobs 1 --per-minutes 1 --payload {} --payload-file x",
        "update last",
        "update last --jobs 5",
        "update last --per-minutes 5",
        "update last --total 0",
        "list --limit 0",
        "list --state GONE",
        "get",
    ] {
        assert_eq!(parse(bad).map_err(|e| e.exit_code()).unwrap_err(), 2, "{bad}");
    }
}

#[test]
fn update_takes_rate_total_or_both() {
    let update = |line| match parse(line).unwrap() {
        RunCommand::Update(arguments) => (arguments.jobs, arguments.per_minutes, arguments.total),
        other => panic!("{other:?}"),
    };
    assert_eq!(update("update last --jobs 5 --per-minutes 2"), (Some(5), Some(2.0), None));
    assert_eq!(update("update last --total none"), (None, None, Some(Total(None))));
    assert_eq!(update("update last --total 9 --jobs 1 --per-minutes 1").2, Some(Total(Some(9))));
}

#[test]
fn states_may_be_written_in_lower_case() {
    let RunCommand::List(arguments) = parse("list --state running --limit 5").unwrap() else { panic!() };
    assert_eq!((arguments.state, arguments.limit), (Some(RunState::Running), 5));
}

async fn listed(line: &str, fake: Fake) -> Vec<String> {
    let (context, _guard) = fake.serve().await;
    let RunCommand::List(arguments) = parse(line).unwrap() else { panic!() };
    let runs = list(&arguments, &SchedulerClient::new(&context.settings).unwrap()).await.unwrap();
    runs.into_iter().map(|run| run.run_id).collect()
}

fn five_runs() -> Fake {
    let state = |number| if number % 2 == 0 { v1::RunState::Completed } else { v1::RunState::Running };
    Fake { runs: (1..=5).rev().map(|number| run(&format!("r{number}"), state(number))).collect(), ..Fake::default() }
}

#[tokio::test]
async fn a_list_goes_over_pages_filters_and_stops_at_its_limit() {
    assert_eq!(listed("list", five_runs()).await, ["r5", "r4", "r3", "r2", "r1"]);
    assert_eq!(listed("list --limit 3", five_runs()).await, ["r5", "r4", "r3"]);
    assert_eq!(listed("list --state completed", five_runs()).await, ["r4", "r2"]);
    assert_eq!(listed("list --state RUNNING --limit 2", five_runs()).await, ["r5", "r3"]);
    assert_eq!(listed("list", Fake::default()).await, Vec::<String>::new());
}

#[tokio::test]
async fn last_is_the_newest_run_and_an_unknown_one_is_exit_code_3() {
    let (context, _guard) = five_runs().serve().await;
    let scheduler = SchedulerClient::new(&context.settings).unwrap();
    assert_eq!(scheduler.resolve("last").await.unwrap(), "r5");
    for line in
        ["get last", "pause last", "resume r1", "stop r2", "update r3 --total none", "start --jobs 1 --per-minutes 1"]
    {
        assert_eq!(execute(parse(line).unwrap(), &context).await.unwrap(), Exit::Done, "{line}");
    }
    let error = execute(parse("get nobody").unwrap(), &context).await.unwrap_err();
    assert_eq!((exit::report(&error), exit::describe(&error).as_str()), (Exit::NotFound, "no run nobody"));

    let (empty, _guard) = Fake::default().serve().await;
    let error = execute(parse("get last").unwrap(), &empty).await.unwrap_err();
    assert!(exit::describe(&error).contains("no runs yet"));
}
