//! Property tests of the pacer: never off by more than L6 allows, over any history.

use super::*;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

fn rate() -> impl Strategy<Value = Rate> {
    (1u64..2_000_000, 1u64..200_000_000)
        .prop_map(|(jobs, per_us)| {
            let per_ns = per_us * 1_000;
            Rate { jobs: jobs.min(per_ns / 1_000), per_ns }
        })
        .prop_filter("at least one job", |rate| rate.jobs > 0)
}

fn pacer(rate: Rate, total: Option<u64>, catch_up: CatchUp) -> Pacer {
    Pacer::resume(rate, total, catch_up, 0, Pacing::default(), 0)
}

proptest! {
    /// Within one rate, however the ticks fall, the count is the exact floor.
    #[test]
    fn one_rate_is_exact(rate in rate(), ticks in prop::collection::vec(0u64..SECOND, 1..200)) {
        let mut pacer = pacer(rate, None, CatchUp::All);
        let mut now = 0u64;
        for tick in ticks {
            now += tick;
            pacer.advance(now);
            pacer.take(pacer.due());
            let exact = u128::from(now) * u128::from(rate.jobs) / u128::from(rate.per_ns);
            prop_assert_eq!(u128::from(pacer.cursor()), exact);
        }
    }

    /// Over any changes of rate, pauses and steps back of the clock: within one job of the exact rational schedule.
    #[test]
    fn changes_lose_no_fraction(steps in prop::collection::vec((rate(), 0u64..SECOND, 0u8..5), 1..100)) {
        let mut pacer = pacer(steps[0].0, None, CatchUp::All);
        let (mut now, mut exact, mut current, mut paused) = (0u64, 0f64, steps[0].0, false);
        for (rate, elapsed, what) in steps {
            now += elapsed;
            exact += if paused { 0.0 } else { elapsed as f64 * current.jobs as f64 / current.per_ns as f64 };
            match what {
                0 => { pacer.set_rate(rate, now); current = rate; }
                1 if !paused => { pacer.pause(now); paused = true; }
                1 => { pacer.unpause(now); paused = false; }
                2 => { pacer.advance(now); pacer.advance(now.saturating_sub(SECOND)); }
                _ => pacer.advance(now),
            }
            pacer.take(pacer.due());
            let earned = pacer.cursor() + pacer.unreserved;
            prop_assert!((earned as f64 - exact).abs() <= 1.0 + exact * 1e-9, "earned {} exact {}", earned, exact);
        }
    }

    /// A restart at any moment goes on exactly where it was.
    #[test]
    fn a_restart_changes_nothing(rate in rate(), ticks in prop::collection::vec((0u64..SECOND, any::<bool>()), 1..60)) {
        let mut steady = pacer(rate, None, CatchUp::Skip);
        let mut restarted = steady.clone();
        let mut now = 0;
        for (tick, restart) in ticks {
            now += tick;
            for pacer in [&mut steady, &mut restarted] {
                pacer.advance(now);
                pacer.take(pacer.due() / 2);
            }
            if restart {
                restarted = Pacer::resume(rate, None, CatchUp::Skip, restarted.cursor(), restarted.pacing(0), now);
            }
            prop_assert_eq!(steady.cursor(), restarted.cursor());
            prop_assert_eq!(steady.wait_ns(), restarted.wait_ns());
        }
    }

    /// A total is never passed, and always reached.
    #[test]
    fn a_total_is_exact(rate in rate(), total in 0u64..5_000, ticks in prop::collection::vec(1u64..SECOND, 1..50)) {
        let mut pacer = pacer(rate, Some(total), CatchUp::All);
        let mut now = 0;
        for tick in ticks {
            now += tick;
            pacer.advance(now);
            pacer.take(pacer.due());
            prop_assert!(pacer.cursor() <= total);
        }
        while let Some(wait) = pacer.wait_ns() {
            now += wait.clamp(1, SECOND);
            pacer.advance(now);
            pacer.take(pacer.due());
        }
        prop_assert_eq!(pacer.cursor(), total);
    }

    /// `wait_ns` is the first moment at which something is due: not a nanosecond early or late.
    #[test]
    fn waits_exactly_until_the_next_job(rate in rate(), before in 0u64..SECOND) {
        let mut pacer = pacer(rate, None, CatchUp::All);
        pacer.advance(before);
        pacer.take(pacer.due());
        let wait = pacer.wait_ns().unwrap();
        if wait <= OUTAGE_NS && wait > 1 {
            let mut early = pacer.clone();
            early.advance(before + wait - 1);
            prop_assert_eq!(early.due(), 0);
            pacer.advance(before + wait);
            prop_assert_eq!(pacer.due(), 1);
        }
    }

    /// After an outage: ALL makes every job good at no more than twice the rate, SKIP leaves them out.
    #[test]
    fn outages_follow_the_policy(rate in rate(), outage in OUTAGE_NS + 1..100 * SECOND, tick in SECOND / 200..SECOND / 2) {
        for catch_up in [CatchUp::All, CatchUp::Skip] {
            let mut pacer = pacer(rate, None, catch_up);
            pacer.advance(outage);
            prop_assert_eq!(pacer.due(), 0, "nothing bursts");
            let (mut now, mut last) = (outage, 0);
            while now < 3 * outage {
                now += tick;
                pacer.advance(now);
                let due = pacer.due();
                pacer.take(due);
                let twice = u128::from(tick) * 2 * u128::from(rate.jobs) / u128::from(rate.per_ns) + 1;
                prop_assert!(u128::from(due) <= twice);
                last = now;
            }
            let worked_ns = if catch_up == CatchUp::All { last } else { last - outage };
            let exact = u128::from(worked_ns) * u128::from(rate.jobs) / u128::from(rate.per_ns);
            prop_assert_eq!(u128::from(pacer.cursor()), exact);
        }
    }
}

#[test]
fn three_months_of_ticks_lose_nothing() {
    let rate = Rate::new(1000, 7.0).unwrap();
    let mut pacer = pacer(rate, None, CatchUp::All);
    let end = 90 * 24 * 3600 * SECOND;
    let mut now = 0;
    while now < end {
        now = (now + 997_000_003).min(end);
        pacer.advance(now);
        pacer.take(pacer.due());
    }
    assert_eq!(pacer.cursor(), 90 * 24 * 60 * 1000 / 7);
}

#[test]
fn a_paused_run_earns_nothing_and_keeps_its_fraction() {
    let mut pacer = pacer(Rate::new(1, 1.0).unwrap(), None, CatchUp::All);
    for second in 1..=45 {
        pacer.advance(second * SECOND);
    }
    pacer.pause(45 * SECOND);
    pacer.unpause(4_000 * SECOND);
    assert_eq!(pacer.wait_ns(), Some(15 * SECOND));
}

/// An owner stored its state, the rate changed, and another owner goes on: ten seconds at one a second are ten jobs, not a thousand.
#[test]
fn what_an_outage_owes_is_not_repriced_by_a_take_over_after_a_change_of_rate() {
    let (slow, fast) = (Rate::new(60, 1.0).unwrap(), Rate::new(6_000, 1.0).unwrap());
    let mut before = pacer(slow, None, CatchUp::All);
    before.advance(10 * SECOND);
    let mut after = Pacer::resume(fast, None, CatchUp::All, 0, before.pacing(1), 0);
    after.advance(SECOND);
    assert_eq!(after.due(), 100 + 10);
}

#[test]
fn bad_rates_name_the_field() {
    let bad = [
        (0, 1.0, "jobs"),
        (1, 0.0, "per_minutes"),
        (1, -1.0, "per_minutes"),
        (1, f64::NAN, "per_minutes"),
        (1, f64::INFINITY, "per_minutes"),
        (u64::MAX, 1.0, "jobs"),
        (1, 1e12, "per_minutes"),
        (1, 1e-12, "per_minutes"),
    ];
    for (jobs, per_minutes, field) in bad {
        assert_eq!(Rate::new(jobs, per_minutes).unwrap_err()[0].0, field, "{jobs} per {per_minutes}");
    }
}

/// A takeover from a ledger that went back in time, which another owner then brings forward again: the time between is not earned
/// twice.
#[test]
fn jobs_that_were_reserved_meanwhile_are_not_owed() {
    let rate = Rate::new(10, 1.0 / 60.0).unwrap();
    let mut pacer = Pacer::resume(rate, None, CatchUp::All, 100, Pacing::default(), 0);
    pacer.absorb_downtime(2_000_000_000);
    pacer.skip_to(120);
    pacer.skip_to(110);
    for second in 1..=5 {
        pacer.advance(second * 1_000_000_000);
    }
    assert_eq!((pacer.cursor(), pacer.due()), (120, 50), "no more than those five seconds bring");
}
