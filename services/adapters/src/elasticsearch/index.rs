//! Which index a document lives in: one a day, by the creation of its run, so that the index of a job never changes and
//! retention can remove a day whole.

use jiff::Timestamp;
use jiff::tz::Offset;
use paceline_core::ids::RunId;
use ulid::Ulid;

/// Stands for the date of a run whose id tells none: a standing run, or one that somebody else named.
const UNDATED: &str = "0000.00.00";

/// The names of a namespace's template and indices.
#[derive(Debug, Clone)]
pub struct Names {
    namespace: String,
}

impl Names {
    pub fn new(namespace: &str) -> Self {
        Self { namespace: namespace.into() }
    }

    pub fn template(&self) -> &str {
        &self.namespace
    }

    /// Matches every index of the namespace.
    pub fn pattern(&self) -> String {
        format!("{}-jobs-*", self.namespace)
    }

    /// A pure function of the run's id, which holds the moment of its creation.
    pub fn index(&self, run: &RunId) -> String {
        format!("{}-jobs-{}", self.namespace, date(run).unwrap_or_else(|| UNDATED.into()))
    }
}

/// `yyyy.mm.dd` in UTC.
fn date(run: &RunId) -> Option<String> {
    let created_ms = Ulid::from_string(run.as_str()).ok()?.timestamp_ms();
    let created = Timestamp::from_millisecond(i64::try_from(created_ms).ok()?).ok()?;
    let date = Offset::UTC.to_datetime(created).date();
    Some(format!("{:04}.{:02}.{:02}", date.year(), date.month(), date.day()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_follows_the_runs_creation_and_nothing_else() {
        let names = Names::new("paceline");
        let run = |text: &str| RunId::parse(text).unwrap();
        assert_eq!(names.index(&RunId::generate(1_750_000_000_000)), "paceline-jobs-2025.06.15");
        assert_eq!(names.index(&RunId::generate(0)), "paceline-jobs-1970.01.01");
        assert_eq!(names.index(&run("standing-invoices")), "paceline-jobs-0000.00.00");
        let beyond_the_calendar = format!("7{}", "z".repeat(25));
        assert_eq!(names.index(&run(&beyond_the_calendar)), "paceline-jobs-0000.00.00");
        let no_ulid = "z".repeat(26);
        assert_eq!(names.index(&run(&no_ulid)), "paceline-jobs-0000.00.00");
    }
}
