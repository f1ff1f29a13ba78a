//! The index that a document lives in: for jobs one a day, by the creation of the run, so that it never changes and retention can
//! remove a day whole; of runs one for all of them.

use jiff::Timestamp;
use jiff::tz::Offset;
use paceline_core::ids::RunId;
use ulid::Ulid;

/// Stands for the date of a run whose id tells none: a standing run, or one that somebody else named.
const UNDATED: &str = "0000.00.00";

/// The names of a namespace's templates and indices.
#[derive(Debug, Clone)]
pub struct IndexNames {
    namespace: String,
}

impl IndexNames {
    pub fn new(namespace: &str) -> Self {
        Self { namespace: namespace.into() }
    }

    pub fn template(&self) -> &str {
        &self.namespace
    }

    /// The name of the runs' template. The `:` occurs in no namespace, so no namespace's template of jobs has this name.
    pub fn runs_template(&self) -> String {
        format!("{}:runs", self.namespace)
    }

    /// Matches every index of the namespace's jobs, and not the one of its runs.
    pub fn pattern(&self) -> String {
        format!("{}-jobs-*", self.namespace)
    }

    pub fn runs_index(&self) -> String {
        format!("{}-runs", self.namespace)
    }

    /// Matches every index of the namespace; unlike a plain name, also when there is none yet.
    pub fn pattern_of_all(&self) -> String {
        format!("{},{}*", self.pattern(), self.runs_index())
    }

    /// True if an index that the pattern matched is this namespace's: one may begin with the whole pattern of another.
    pub fn is_ours(&self, index: &str) -> bool {
        let date = index.strip_prefix(&self.namespace).and_then(|rest| rest.strip_prefix("-jobs-"));
        let is_date = |date: &str| {
            date.len() == UNDATED.len()
                && date
                    .chars()
                    .zip(UNDATED.chars())
                    .all(|(c, of)| if of == '.' { c == '.' } else { c.is_ascii_digit() })
        };
        index == self.runs_index() || date.is_some_and(is_date)
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
        let names = IndexNames::new("paceline");
        let run = |text: &str| RunId::parse(text).unwrap();
        assert_eq!(names.index(&RunId::generate(1_750_000_000_000)), "paceline-jobs-2025.06.15");
        assert_eq!(names.index(&RunId::generate(0)), "paceline-jobs-1970.01.01");
        assert_eq!(names.index(&run("standing-invoices")), "paceline-jobs-0000.00.00");
        let beyond_the_calendar = format!("7{}", "z".repeat(25));
        assert_eq!(names.index(&run(&beyond_the_calendar)), "paceline-jobs-0000.00.00");
        let no_ulid = "z".repeat(26);
        assert_eq!(names.index(&run(&no_ulid)), "paceline-jobs-0000.00.00");
    }

    #[test]
    fn an_index_of_another_namespace_is_not_ours() {
        let names = IndexNames::new("a");
        for ours in ["a-runs", "a-jobs-2025.06.15", "a-jobs-0000.00.00"] {
            assert!(names.is_ours(ours), "{ours}");
        }
        for other in ["b-runs", "a-runs-runs", "a-jobs-b-jobs-2025.06.15", "a-jobs-2025-06-15", "a-jobs-", "a"] {
            assert!(!names.is_ours(other), "{other}");
        }
    }

    #[test]
    fn the_index_of_runs_is_none_of_jobs() {
        let names = IndexNames::new("paceline");
        assert_eq!(names.runs_index(), "paceline-runs");
        let jobs = names.pattern();
        assert!(!names.runs_index().starts_with(jobs.trim_end_matches('*')), "{jobs}");
        assert!(paceline_core::ids::check_name("namespace", &names.runs_template()).is_err());
    }
}
