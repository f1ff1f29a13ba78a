//! Keeps who acts on the signal from flapping in time: more workers at once, fewer only after the signal has asked for no more than that
//! all through a window. An unknown signal keeps what there is, and the window begins anew.

use std::collections::VecDeque;

/// The time for which the signal must ask for less, unless told otherwise.
pub const WINDOW_MS_DEFAULT: u64 = 60_000;

#[derive(Debug, Clone)]
pub struct Stabiliser {
    window_ms: u64,
    /// The time since which the signal is known without a gap.
    known_since_ms: Option<u64>,
    /// (when, wanted), falling: of two the later one is lower, because a higher one makes those before it void.
    highest: VecDeque<(u64, u32)>,
}

impl Stabiliser {
    pub fn new(window_ms: u64) -> Self {
        Self { window_ms, known_since_ms: None, highest: VecDeque::new() }
    }

    /// The number of workers that there shall be now, where there are `current` and the signal says `wanted`; `None`: it is not known.
    pub fn target(&mut self, now_ms: u64, current: u32, wanted: Option<u32>) -> u32 {
        let Some(wanted) = wanted else {
            self.known_since_ms = None;
            self.highest.clear();
            return current;
        };
        let known_since_ms = *self.known_since_ms.get_or_insert(now_ms);
        while self.highest.back().is_some_and(|(_, before)| *before <= wanted) {
            self.highest.pop_back();
        }
        self.highest.push_back((now_ms, wanted));
        let begin_ms = now_ms.saturating_sub(self.window_ms);
        while self.highest.front().is_some_and(|(at_ms, _)| *at_ms < begin_ms) {
            self.highest.pop_front();
        }
        if wanted >= current {
            return wanted;
        }
        if now_ms.saturating_sub(known_since_ms) < self.window_ms {
            return current;
        }
        let highest = self.highest.front().map_or(wanted, |(_, wanted)| *wanted);
        highest.min(current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_wanted_at_once_and_less_only_after_the_window() {
        let mut stabiliser = Stabiliser::new(10_000);
        assert_eq!(stabiliser.target(0, 1, Some(6)), 6);
        for second in 1..=10 {
            assert_eq!(stabiliser.target(second * 1_000, 6, Some(2)), 6, "the six of second 0 are within the window");
        }
        assert_eq!(stabiliser.target(11_000, 6, Some(2)), 2);
    }

    #[test]
    fn a_peak_within_the_window_holds_up_to_its_height() {
        let mut stabiliser = Stabiliser::new(10_000);
        let wanted = |second| if second == 12 { 4 } else { 2 };
        let mut current = 6;
        for second in 0..=30 {
            current = stabiliser.target(second * 1_000, current, Some(wanted(second)));
            let expected = match second {
                0..=9 => 6,
                10..=11 => 2,
                12..=22 => 4,
                _ => 2,
            };
            assert_eq!(current, expected, "second {second}");
        }
    }

    #[test]
    fn what_is_unknown_keeps_what_there_is_and_begins_the_window_anew() {
        let mut stabiliser = Stabiliser::new(10_000);
        assert_eq!(stabiliser.target(0, 5, Some(1)), 5);
        assert_eq!(stabiliser.target(9_000, 5, None), 5);
        for second in 10..20 {
            assert_eq!(stabiliser.target(second * 1_000, 5, Some(1)), 5, "second {second}");
        }
        assert_eq!(stabiliser.target(20_000, 5, Some(1)), 1);
        assert_eq!(stabiliser.target(21_000, 5, None), 5);
    }
}
