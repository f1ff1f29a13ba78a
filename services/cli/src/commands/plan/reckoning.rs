//! The arithmetic of a plan, from the pace to the machines: each step adds its lines.
//!
//! [`processors`] and [`storage`] reckon the parts, [`warnings`] says where the plan leaves what was measured.

use super::asked::PlanArguments;
use super::costs::INDEX_DOCUMENTS_MAX;
use super::lines::{Line, Lines};
use super::number::number;
use super::units::DAY_SECONDS;
use super::{processors, storage, warnings};

pub struct Reckoning {
    pub lines: Vec<Line>,
    /// Each says where this plan leaves what was measured, or what it runs into.
    pub warnings: Vec<String>,
}

/// Everything that the machines must have together.
struct Needs {
    cores: f64,
    gib: f64,
    disk_gib: f64,
}

impl Reckoning {
    pub fn of(asked: &PlanArguments) -> Self {
        let mut lines = Lines::default();
        let rate = pace(&mut lines, asked);
        let workers = processors::workers(&mut lines, asked, rate);
        let cores = processors::processors(&mut lines, asked, rate);
        let gib = storage::memory(&mut lines, asked, rate, workers);
        let disk_gib = storage::disk(&mut lines, asked, rate);
        let day_documents = index(&mut lines, rate);
        machines(&mut lines, asked, &Needs { cores, gib, disk_gib });
        let warnings = warnings::of(asked, rate, INDEX_DOCUMENTS_MAX.value / day_documents);
        Self { lines: lines.into_vec(), warnings }
    }
}

/// Jobs a second.
fn pace(lines: &mut Lines, asked: &PlanArguments) -> f64 {
    let how = format!("{} jobs / ({} min × 60 s)", asked.jobs, asked.per_minutes);
    lines.add("pace", how, asked.jobs as f64 / (asked.per_minutes * 60.0), "jobs/s")
}

/// Documents of an index. An index has the documents of all runs that were started on one day, however long they go on.
fn index(lines: &mut Lines, rate: f64) -> f64 {
    let how = format!("{} jobs/s × 86,400 s; at most {INDEX_DOCUMENTS_MAX}", number(rate));
    let what = "documents of an index, of a day's runs that last a day";
    lines.add(what, how, rate * DAY_SECONDS, "documents")
}

/// The number of machines that the scarcest of processors, memory and disk asks for.
fn machines(lines: &mut Lines, asked: &PlanArguments, needs: &Needs) {
    let (node_cores, node_gib, node_disk_gib) = (f64::from(asked.node_cores), asked.node_gib, asked.node_disk_gib);
    let each = [needs.cores / node_cores, needs.gib / node_gib, needs.disk_gib / node_disk_gib];
    let machines = each.into_iter().map(f64::ceil).fold(1.0, f64::max);
    let how = format!(
        "the most of {} cores / {node_cores}, {} GiB of memory / {node_gib}, {} GiB of disk / {node_disk_gib}",
        number(needs.cores),
        number(needs.gib),
        number(needs.disk_gib)
    );
    lines.add("machines; three for a cluster", how, machines, "machines");
}

#[cfg(test)]
mod tests {
    use super::super::asked::tests::asked;
    use super::*;

    fn value(reckoning: &Reckoning, what: &str) -> f64 {
        reckoning.lines.iter().find(|line| line.what == what).unwrap_or_else(|| panic!("no {what}")).value
    }

    #[test]
    fn a_small_pace_takes_the_least_of_everything() {
        let reckoning = Reckoning::of(&asked(1_000, 1.0));
        assert!((value(&reckoning, "pace") - 16.667).abs() < 0.001);
        assert_eq!((value(&reckoning, "workers"), value(&reckoning, "machines; three for a cluster")), (2.0, 1.0));
        assert!(value(&reckoning, "processors") < 1.0);
    }

    /// 1,000 jobs a second of two seconds are 2,000 at once, which need 2,858 places, so three workers of 1,280.
    #[test]
    fn handlers_that_wait_need_places_and_those_that_compute_need_processors() {
        let waiting = Reckoning::of(&PlanArguments { service_ms: 2_000.0, ..asked(60_000, 1.0) });
        assert_eq!(value(&waiting, "jobs at work at once"), 2_000.0);
        assert_eq!((value(&waiting, "places for them"), value(&waiting, "workers")), (2_858.0, 3.0));
        let computing = Reckoning::of(&PlanArguments { service_ms: 10.0, cpu_ms: 7.0, ..asked(60_000, 1.0) });
        assert_eq!(value(&computing, "workers"), 11.0, "7 cores and a bit, at seven tenths");
        let said_once = Reckoning::of(&PlanArguments { cpu_ms: 7.0, ..asked(60_000, 1.0) });
        assert_eq!(value(&said_once, "jobs at work at once"), 7.0, "who computes is at work");
    }

    #[test]
    fn machines_have_room_for_the_disk_too() {
        let kept = PlanArguments { retention_days: 365.0, ..asked(60_000, 1.0) };
        let (reckoning, larger) =
            (Reckoning::of(&kept), Reckoning::of(&PlanArguments { node_disk_gib: 100_000.0, ..kept.clone() }));
        assert_eq!(value(&reckoning, "machines; three for a cluster"), (value(&reckoning, "disk") / 500.0).ceil());
        assert!(value(&larger, "machines; three for a cluster") < 5.0);
    }

    #[test]
    fn disk_follows_payload_and_retention_and_no_number_is_odd() {
        let (short, long) = (Reckoning::of(&asked(60_000, 1.0)), {
            let asked = PlanArguments { retention_days: 60.0, payload_bytes: 1_000, ..asked(60_000, 1.0) };
            Reckoning::of(&asked)
        });
        assert!(value(&long, "disk of Elasticsearch") > 2.0 * value(&short, "disk of Elasticsearch"));
        let extreme = PlanArguments {
            service_ms: 86_400_000.0,
            cpu_ms: 86_400_000.0,
            payload_bytes: 262_144,
            ..asked(60_000_000, 1.0)
        };
        for reckoning in [short, long, Reckoning::of(&extreme)] {
            assert!(reckoning.lines.iter().all(|line| line.value.is_finite() && line.value >= 0.0));
        }
    }
}
