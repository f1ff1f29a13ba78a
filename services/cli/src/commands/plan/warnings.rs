//! The warnings of a plan: where it leaves what was measured, and what its pace runs into. [`super::reckoning`] asks for them.

use super::asked::PlanArguments;
use super::curves::RATE_MEASURED_MAX;
use super::number::number;

/// The warnings, in words. `rate` is in jobs a second, `days_of_an_index` the time after which an index is full.
pub fn of(asked: &PlanArguments, rate: f64, days_of_an_index: f64) -> Vec<String> {
    let mut warnings = Vec::new();
    if rate > RATE_MEASURED_MAX {
        warnings.push(format!(
            "{} jobs/s are more than the {RATE_MEASURED_MAX}/s that were measured: processors are reckoned at the cost of that rate, and \
             it is not known that one queue and one shard take this pace",
            number(rate)
        ));
    }
    if days_of_an_index < 1.0 {
        warnings.push(format!(
            "an index of one shard is full after {} days at this pace, and takes no more documents: Paceline cannot spread a day's runs \
             over more shards; divide the runs between meshes with namespaces of their own",
            number(days_of_an_index)
        ));
    } else if days_of_an_index < asked.retention_days {
        warnings.push(format!(
            "a run that goes on fills the index of its first day after {} days: end it earlier, and start another",
            number(days_of_an_index)
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::super::asked::tests::asked;
    use super::super::reckoning::Reckoning;
    use super::*;

    #[test]
    fn a_plan_beyond_what_was_measured_or_fits_says_so() {
        let warnings = |asked: &PlanArguments| Reckoning::of(asked).warnings.join("\n");
        assert_eq!(warnings(&asked(1_000, 1.0)), "");
        assert!(warnings(&asked(60_000, 1.0)).contains("first day after 24.9 days"));
        assert_eq!(warnings(&PlanArguments { retention_days: 20.0, ..asked(60_000, 1.0) }), "");
        let absurd = warnings(&asked(60_000_000, 1.0));
        assert!(
            absurd.contains("1000000 jobs/s are more than the 6600/s") && absurd.contains("full after 0.025 days"),
            "{absurd}"
        );
    }
}
