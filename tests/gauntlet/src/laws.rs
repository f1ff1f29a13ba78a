//! The laws that every snapshot must obey, whatever is broken at the moment: L1, no step back, no zero for "unknown" (L8), the
//! ceiling of the pace (L6), and no run that FAILED. Pure: readings in, violations out.

use std::time::Duration;

use paceline_proto::v1::{Run, RunState};

/// The work that L6 allows above the schedule, besides one job.
const WORK_ALLOWED: Duration = Duration::from_millis(20);
/// The time after which a rate that was in force no longer explains a job: a change takes effect within 1 s, and an owner that
/// takes over earns the time since the last write, up to a lease and a scan, at the rate that it finds.
const RATE_MEMORY: Duration = Duration::from_secs(4);

/// One answer of GetRun, and when it was asked for and given, since the beginning of the gauntlet.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    pub sent: Duration,
    pub received: Duration,
    pub enqueued: u64,
    pub published: u64,
    pub processed: u64,
    pub dead: u64,
    pub duplicates: u64,
    pub asked_per_second: f64,
    pub state: i32,
}

impl Reading {
    pub fn of(run: &Run, sent: Duration, received: Duration) -> Option<Self> {
        let snapshot = run.snapshot.as_ref()?;
        Some(Self {
            sent,
            received,
            enqueued: snapshot.enqueued,
            published: snapshot.published,
            processed: snapshot.processed,
            dead: snapshot.dead,
            duplicates: snapshot.duplicates,
            asked_per_second: snapshot.asked_per_second,
            state: run.state,
        })
    }

    pub fn has_ended(&self) -> bool {
        [RunState::Completed, RunState::Stopped, RunState::Failed].iter().any(|end| *end as i32 == self.state)
    }

    fn counters(&self) -> [(&'static str, u64); 4] {
        [("enqueued", self.enqueued), ("published", self.published), ("processed", self.processed), ("dead", self.dead)]
    }
}

/// All readings of one run, and what they have told so far.
pub struct Watch {
    pub readings: Vec<Reading>,
    /// The highest counters of everything received up to a moment; the moments only grow.
    floors: Vec<(Duration, [u64; 4])>,
    /// The most jobs that the schedule can have earned by the last reading.
    ceiling: f64,
    /// Rates that may be in force, each with when it was last seen or asked for.
    rates: Vec<(Duration, f64)>,
    /// The highest enqueued − schedule, in jobs.
    pub overshoot_max: f64,
    may_step_back: bool,
}

impl Watch {
    /// Of a run whose start was asked for at `began` and that earns `per_second` from then on.
    pub fn new(began: Duration, per_second: f64) -> Self {
        Self {
            readings: vec![Reading { sent: began, received: began, ..Reading::default() }],
            floors: vec![(began, [0; 4])],
            ceiling: 0.0,
            rates: vec![(began, per_second)],
            overshoot_max: f64::NEG_INFINITY,
            may_step_back: false,
        }
    }

    pub fn last(&self) -> &Reading {
        self.readings.last().expect("a watch begins with a reading")
    }

    /// A rate that was asked for: it may be in force from now on.
    pub fn note_rate(&mut self, at: Duration, per_second: f64) {
        self.rates.push((at, per_second));
    }

    /// While a ledger is put back on purpose, the counters may go back too.
    pub fn let_step_back(&mut self, may_step_back: bool) {
        self.may_step_back = may_step_back;
    }

    /// Keeps a reading and answers everything that is wrong with it.
    pub fn take(&mut self, reading: Reading) -> Vec<String> {
        let mut wrong = counts_close(&reading);
        wrong.extend(has_failed(&reading));
        wrong.extend(self.steps_back(&reading));
        wrong.extend(self.overshoots(&reading));
        let last = self.floors.last().filter(|_| !self.may_step_back).map_or([0; 4], |(_, floor)| *floor);
        let mut floor = last;
        for (highest, (_, now)) in floor.iter_mut().zip(reading.counters()) {
            *highest = (*highest).max(now);
        }
        self.floors.push((reading.received, floor));
        self.readings.push(reading);
        wrong
    }

    /// Only a reading that was asked for after another had been answered must be as high: two in flight may cross.
    fn steps_back(&self, reading: &Reading) -> Vec<String> {
        if self.may_step_back {
            return Vec::new();
        }
        let before = self.floors.partition_point(|(received, _)| *received <= reading.sent);
        let Some((_, floor)) = before.checked_sub(1).map(|position| self.floors[position]) else { return Vec::new() };
        let fell = |((name, now), floor): ((&str, u64), u64)| match now {
            _ if now >= floor => None,
            0 => Some(format!("L8: {name} is 0 after it was {floor}")),
            _ => Some(format!("{name} fell from {floor} to {now}")),
        };
        reading.counters().into_iter().zip(floor).filter_map(fell).collect()
    }

    fn overshoots(&mut self, reading: &Reading) -> Option<String> {
        let is_earning = reading.state == RunState::Running as i32;
        self.rates.push((reading.received, if is_earning { reading.asked_per_second } else { 0.0 }));
        let remembered_from = self.last().received.saturating_sub(RATE_MEMORY);
        self.rates.retain(|(at, _)| *at >= remembered_from);
        let fastest = self.rates.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
        let elapsed = reading.received.saturating_sub(self.last().received);
        self.ceiling += fastest * elapsed.as_secs_f64();
        let over = reading.enqueued as f64 - self.ceiling.floor();
        self.overshoot_max = self.overshoot_max.max(over);
        // The ledger's snapshot and our clock are read one after the other, but a job earned is never earned before its time.
        let allowed = (fastest * WORK_ALLOWED.as_secs_f64()).max(1.0);
        (over > allowed).then(|| format!("L6: enqueued is {over:.0} jobs above the schedule; {allowed:.0} are allowed"))
    }
}

fn counts_close(reading: &Reading) -> Vec<String> {
    let Reading { enqueued, published, processed, dead, .. } = *reading;
    let mut wrong = Vec::new();
    if processed + dead > enqueued {
        wrong.push(format!("L1: processed {processed} + dead {dead} > enqueued {enqueued}"));
    }
    if published > enqueued {
        wrong.push(format!("published {published} > enqueued {enqueued}"));
    }
    wrong
}

fn has_failed(reading: &Reading) -> Option<String> {
    let has_failed = reading.state == RunState::Failed as i32;
    has_failed.then(|| "the run FAILED, and no fault of a service may do that".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64, enqueued: u64, processed: u64) -> Reading {
        let (sent, received) = (Duration::from_millis(ms), Duration::from_millis(ms + 5));
        let (published, asked_per_second, state) = (enqueued, 100.0, RunState::Running as i32);
        Reading { sent, received, enqueued, published, processed, asked_per_second, state, ..Reading::default() }
    }

    #[test]
    fn a_run_that_keeps_the_laws_is_left_alone() {
        let mut watch = Watch::new(Duration::ZERO, 100.0);
        for step in 1..200 {
            assert_eq!(watch.take(at(step * 50, step * 5, step * 4)), Vec::<String>::new());
        }
        assert!(watch.overshoot_max <= 1.0, "{}", watch.overshoot_max);
    }

    #[test]
    fn each_law_can_be_broken() {
        let mut watch = Watch::new(Duration::ZERO, 100.0);
        assert_eq!(watch.take(at(1000, 100, 90)).len(), 0);
        assert!(watch.take(at(2000, 100, 101))[0].starts_with("L1"));
        assert!(watch.take(at(3000, 99, 101)).iter().any(|wrong| wrong == "enqueued fell from 100 to 99"));
        assert!(watch.take(at(4000, 0, 0)).iter().any(|wrong| wrong.starts_with("L8: processed")));
        assert!(watch.take(at(5000, 504, 101))[0].starts_with("L6"));
        assert!(watch.take(Reading { published: 600, ..at(6000, 550, 101) })[0].starts_with("published"));
        let failed = Reading { state: RunState::Failed as i32, ..at(7000, 550, 101) };
        assert!(watch.take(failed)[0].starts_with("the run FAILED"));
    }

    #[test]
    fn readings_that_cross_on_the_wire_may_differ_either_way() {
        let mut watch = Watch::new(Duration::ZERO, 100.0);
        watch.take(at(1000, 100, 50));
        let early = Reading { sent: Duration::from_millis(999), ..at(1002, 99, 49) };
        assert_eq!(watch.take(early), Vec::<String>::new());
    }

    #[test]
    fn a_pause_earns_nothing_and_a_ledger_that_is_put_back_is_forgiven() {
        let mut watch = Watch::new(Duration::ZERO, 100.0);
        watch.take(at(1000, 100, 50));
        for step in 1..200 {
            watch.take(Reading { state: RunState::Paused as i32, ..at(1000 + step * 50, 100, 50) });
        }
        assert!(watch.take(at(11_050, 1000, 60))[0].starts_with("L6"));
        let falls =
            |watch: &mut Watch, reading| watch.take(reading).iter().filter(|wrong| wrong.contains("fell")).count();
        watch.let_step_back(true);
        assert_eq!(falls(&mut watch, at(11_100, 400, 20)), 0);
        watch.let_step_back(false);
        assert_eq!(falls(&mut watch, at(11_200, 401, 20)), 0);
        assert_eq!(falls(&mut watch, at(11_300, 300, 19)), 3);
    }
}
