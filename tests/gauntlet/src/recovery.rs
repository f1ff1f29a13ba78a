//! Recovery: the time for which jobs stood still after a fault was over. Pure: moments of progress and faults in, recovery times out.
//!
//! When faults overlap, one standstill has one cause that counts: the fault that ended last before jobs flowed again. The
//! others are `Masked`: their own time cannot be told apart. A fault that is struck when jobs should long have flowed again
//! is no excuse for those before it.

use std::time::Duration;

use crate::laws::Reading;

/// Jobs that moved this long before the end of a fault flowed in spite of it.
const FLOWING_GAP: Duration = Duration::from_millis(500);

/// The time after the end of a fault within which the next fault still hides its recovery.
const EXCUSED: Duration = Duration::from_secs(3);

/// The time of a fault, on the gauntlet's own clock.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub began: Duration,
    /// The service answered again, the role was started or woken, the network carried again.
    pub over: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Recovery {
    /// Jobs flowed all the while.
    Flowing,
    /// From the end of the fault until jobs flowed.
    After(Duration),
    /// Jobs did not flow for so long, and then the next fault was struck.
    Beyond(Duration),
    /// Another fault ended later, before jobs flowed.
    Masked,
    /// Jobs have not flowed since.
    Never,
}

/// The moments at which a counter was seen to grow.
pub fn progress(readings: &[Reading], counter: impl Fn(&Reading) -> u64) -> Vec<Duration> {
    let mut highest = 0;
    let mut moments = Vec::new();
    for reading in readings {
        let now = counter(reading);
        if now > highest {
            highest = now;
            moments.push(reading.received);
        }
    }
    moments
}

/// The recovery of each fault, given the moments at which jobs moved (ascending).
pub fn recoveries(spans: &[Span], moved: &[Duration]) -> Vec<Recovery> {
    let one = |(position, span): (usize, &Span)| {
        let next = moved.partition_point(|moment| *moment <= span.over);
        let flowed = next.checked_sub(1).is_some_and(|last| moved[last] + FLOWING_GAP >= span.over);
        let Some(resumed) = moved.get(next) else {
            return if flowed { Recovery::Flowing } else { Recovery::Never };
        };
        if flowed && *resumed <= span.over + FLOWING_GAP {
            return Recovery::Flowing;
        }
        let others = spans.iter().enumerate().filter(|(other, _)| *other != position).map(|(_, other)| other);
        let hides = |other: &&Span| other.over <= *resumed && other.over > span.over;
        let hiding: Vec<&Span> = others.filter(hides).collect();
        if hiding.iter().any(|other| other.began < span.over + EXCUSED) {
            return Recovery::Masked;
        }
        match hiding.iter().map(|other| other.began).min() {
            Some(next) => Recovery::Beyond(next - span.over),
            None => Recovery::After(*resumed - span.over),
        }
    };
    spans.iter().enumerate().map(one).collect()
}

/// The longest standstill that began in `from..until`, with when it began.
pub fn standstill(moved: &[Duration], from: Duration, until: Duration) -> Option<(Duration, Duration)> {
    let gaps = moved.windows(2).map(|pair| (pair[0], pair[1] - pair[0]));
    gaps.filter(|(began, gap)| *began + *gap > from && *began < until).max_by_key(|(_, gap)| *gap)
}

/// The value below which `percent` of the sorted values lie.
pub fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn span(began: f64, over: f64) -> Span {
        Span { began: s(began), over: s(over) }
    }

    fn moved(ranges: &[(f64, f64)]) -> Vec<Duration> {
        let steps = |(from, to): &(f64, f64)| {
            let (from, to) = (*from, *to);
            (0..).map(move |step| from + f64::from(step) * 0.05).take_while(move |at| *at < to).map(s)
        };
        ranges.iter().flat_map(steps).collect()
    }

    #[test]
    fn a_standstill_counts_from_the_end_of_its_fault() {
        let moved = moved(&[(0.0, 10.0), (17.5, 30.0)]);
        let found = recoveries(&[span(10.0, 15.0), span(20.0, 25.0)], &moved);
        assert_eq!(found, [Recovery::After(s(2.5)), Recovery::Flowing]);
    }

    #[test]
    fn of_faults_that_overlap_the_last_to_end_counts() {
        let moved = moved(&[(0.0, 10.0), (17.5, 30.0)]);
        let found = recoveries(&[span(10.0, 15.0), span(11.0, 16.5), span(12.0, 29.0)], &moved);
        assert_eq!(found, [Recovery::Masked, Recovery::After(s(1.0)), Recovery::Flowing]);
    }

    #[test]
    fn what_stops_right_at_the_end_of_a_fault_is_its_recovery_too() {
        let found = recoveries(&[span(5.0, 10.0)], &moved(&[(0.0, 10.0), (13.0, 20.0)]));
        assert_eq!(found, [Recovery::After(s(3.0))]);
        assert_eq!(recoveries(&[span(5.0, 10.0)], &moved(&[(0.0, 6.0)])), [Recovery::Never]);
    }

    #[test]
    fn a_fault_that_is_struck_long_after_is_no_excuse() {
        let moved = moved(&[(0.0, 10.0), (40.0, 50.0)]);
        let found = recoveries(&[span(10.0, 15.0), span(20.0, 39.0)], &moved);
        assert_eq!(found, [Recovery::Beyond(s(5.0)), Recovery::After(s(1.0))]);
    }

    #[test]
    fn the_longest_standstill_is_found_and_percentiles_are_of_what_is_there() {
        let moved = moved(&[(0.0, 10.0), (12.0, 20.0)]);
        let (began, gap) = standstill(&moved, s(9.0), s(11.0)).unwrap();
        assert!((began.as_secs_f64() - 9.95).abs() < 0.06 && (gap.as_secs_f64() - 2.05).abs() < 0.1);
        assert_eq!(percentile(&[], 95), None);
        assert_eq!(percentile(&[s(1.0), s(2.0), s(3.0)], 50), Some(s(2.0)));
        assert_eq!(percentile(&[s(1.0), s(2.0), s(3.0)], 95), Some(s(3.0)));
    }
}
