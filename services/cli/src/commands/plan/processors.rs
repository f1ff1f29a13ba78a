//! Workers, consumers and processors that a rate takes.

use super::asked::PlanArguments;
use super::costs::{ROLES_MIN, SHARE, WORKER_PLACES};
use super::curves::{self, Curve};
use super::lines::Lines;
use super::number::number;

/// Consumers of a worker, and jobs that each holds: the defaults.
const WORKER_CONSUMERS: f64 = 128.0;
const PREFETCH: f64 = 10.0;

/// The number of worker processes, from the jobs at work at once and the processors that they take. `rate` is in jobs a second.
pub fn workers(lines: &mut Lines, asked: &PlanArguments, rate: f64) -> f64 {
    let places = places(lines, asked, rate);
    let cores = lines.add(
        "processors of workers",
        format!("({} + {} jobs/s × {} ms) / {SHARE}", curves::WORKER.how(rate), number(rate), asked.cpu_ms),
        worker_cores(asked, rate),
        "cores",
    );
    let workers = (places / WORKER_PLACES.value).ceil().max(cores.ceil()).max(ROLES_MIN.value);
    let how = format!(
        "the most of {} places / {WORKER_PLACES}, {} cores on one thread each, {ROLES_MIN}",
        number(places),
        number(cores)
    );
    lines.add("workers", how, workers, "processes");
    consumers(lines, places, workers);
    workers
}

/// Jobs that workers hold at once, with room.
fn places(lines: &mut Lines, asked: &PlanArguments, rate: f64) -> f64 {
    // A job that computes is at work for that long, whatever was said of waiting.
    let work_ms = asked.service_ms.max(asked.cpu_ms);
    let how = format!("{} jobs/s × {work_ms} ms", number(rate));
    let at_work = lines.add("jobs at work at once", how, rate * work_ms / 1_000.0, "jobs");
    let how = format!("{} / {SHARE}", number(at_work));
    lines.add("places for them", how, (at_work / SHARE.value).ceil(), "places")
}

fn consumers(lines: &mut Lines, places: f64, workers: f64) {
    let how = format!("{} places / a prefetch of {PREFETCH}", number(places));
    lines.add("consumers that the places need", how, (places / PREFETCH).ceil(), "consumers");
    let how = format!("{workers} workers × {WORKER_CONSUMERS}");
    lines.add("consumers that there are", how, workers * WORKER_CONSUMERS, "consumers");
}

/// Processors of all roles and services together, in cores.
pub fn processors(lines: &mut Lines, asked: &PlanArguments, rate: f64) -> f64 {
    let others = [
        ("processors of schedulers", curves::SCHEDULER),
        ("processors of producers", curves::PRODUCER),
        ("processors of RabbitMQ", curves::BROKER),
        ("processors of Elasticsearch", curves::SINK),
        ("processors of Redis", curves::LEDGER),
    ];
    let [schedulers, producers, broker, sink, ledger] = others.map(|(what, curve)| {
        let how = format!("({}) / {SHARE}", curve.how(rate));
        lines.add(what, how, planned(curve, rate), "cores")
    });
    let parts = [worker_cores(asked, rate), schedulers, producers, broker, sink, ledger];
    lines.sum("processors", parts, "cores")
}

fn planned(curve: Curve, rate: f64) -> f64 {
    curve.cores(rate) / SHARE.value
}

fn worker_cores(asked: &PlanArguments, rate: f64) -> f64 {
    planned(curves::WORKER, rate) + rate * asked.cpu_ms / 1_000.0 / SHARE.value
}
