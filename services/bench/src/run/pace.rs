//! The rate of a run, read from its snapshots.

use paceline_core::run::Snapshot;

/// The rate at which jobs were enqueued: the slope of the straight line that fits every snapshot in which some were and some were
/// still to come. One snapshot that came late moves it little.
#[derive(Debug, Default)]
pub struct Pace {
    /// Seconds since the first, jobs since the first.
    seen: Vec<(f64, f64)>,
    first: Option<(i64, u64)>,
}

impl Pace {
    pub fn see(&mut self, snapshot: &Snapshot, total: u64) {
        if (1..total).contains(&snapshot.enqueued) {
            self.note(snapshot.read_at_ms, snapshot.enqueued);
        }
    }

    fn note(&mut self, at_ms: i64, enqueued: u64) {
        let (first_ms, first) = *self.first.get_or_insert((at_ms, enqueued));
        self.seen.push(((at_ms - first_ms) as f64 / 1000.0, enqueued.saturating_sub(first) as f64));
    }

    pub fn per_second(&self) -> Option<f64> {
        let count = self.seen.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| self.seen.iter().map(of).sum::<f64>() / count;
        let (mean_s, mean_jobs) = (mean(|seen| seen.0), mean(|seen| seen.1));
        let spread: f64 = self.seen.iter().map(|(s, _)| (s - mean_s).powi(2)).sum();
        let together: f64 = self.seen.iter().map(|(s, jobs)| (s - mean_s) * (jobs - mean_jobs)).sum();
        (spread > 0.0).then(|| together / spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_the_slope_and_one_look_has_none() {
        let mut pace = Pace::default();
        assert_eq!(pace.per_second(), None);
        pace.note(1_000, 10);
        assert_eq!(pace.per_second(), None);
        (1..=100).for_each(|step| pace.note(1_000 + step * 50, 10 + step as u64 * 50));
        assert!((pace.per_second().unwrap() - 1_000.0).abs() < 1e-6);
        // A look that came 20 ms late at the end.
        pace.note(6_070, 10 + 101 * 50);
        assert!((pace.per_second().unwrap() - 1_000.0).abs() < 1.0);
    }
}
