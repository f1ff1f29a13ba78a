//! A decision in words, a step a line: each number, where it is from, how old it is, and what follows from it.

use super::decide::{Decision, SCALE_IN_MARGIN, UTILISATION};
use super::readings::WorkerReading;

impl Decision {
    pub fn steps(&self) -> Vec<String> {
        let mut steps = vec![self.arrivals(), self.waiting(), self.hands(), self.one_worker()];
        if self.unseen > 0 {
            steps.push(format!(
                "not seen: {} unfinished jobs that neither the broker nor the workers have; {} may have moved between the readings",
                self.unseen, self.moved_meanwhile
            ));
        }
        let planned = self.capacity_per_second * UTILISATION;
        let share = UTILISATION * 100.0;
        steps.push(format!("planned at {share:.0} %, one worker does {planned:.1} a second"));
        steps.push(format!("to keep up: {:.1} / {planned:.1} = {:.2} workers", self.arrival_per_second, self.keep_up));
        let seconds = self.aim.drain_seconds;
        steps.push(format!(
            "to drain within {seconds:.0} s: {} / ({planned:.1} x {seconds:.0}) = {:.2} workers",
            self.backlog, self.drain
        ));
        steps.push(match self.in_hand {
            Some(in_hand) => format!("to hold what is in hand: {in_hand} workers"),
            None => "to hold what is in hand: not known".into(),
        });
        steps.push(format!("needed: {} workers, {} are there", self.needed, self.current));
        if self.needed < self.current && self.holds.is_empty() {
            let sum = self.keep_up + self.drain;
            steps.push(format!(
                "fewer only with room for {:.0} % more: {sum:.2} x {SCALE_IN_MARGIN} = {:.2} workers",
                (SCALE_IN_MARGIN - 1.0) * 100.0,
                sum * SCALE_IN_MARGIN
            ));
        }
        steps.extend(self.holds.iter().map(|hold| format!("not fewer than are there: {hold}")));
        steps.push(format!("wanted: {}, within {} to {}", self.wanted, self.aim.min_workers, self.aim.max_workers));
        steps
    }

    fn arrivals(&self) -> String {
        let running = self.readings.feeds.iter().filter(|feed| feed.arrival_per_second() > 0.0).count();
        let oldest_ms = self.readings.feeds.iter().map(|feed| feed.age_ms).max().unwrap_or(0);
        let plural = if running == 1 { "" } else { "s" };
        format!(
            "arrivals: {:.1} jobs a second, of {running} run{plural}, read {oldest_ms} ms ago",
            self.arrival_per_second
        )
    }

    fn waiting(&self) -> String {
        let (ready, age_ms) = (self.readings.depth.ready, self.readings.depth_age_ms);
        let outstanding = self.backlog - ready;
        format!("backlog: {ready} ready, read {age_ms} ms ago, and {outstanding} on their way = {}", self.backlog)
    }

    fn hands(&self) -> String {
        match (self.readings.depth.unacked, self.unacked) {
            (Some(unacked), _) => format!("in hand: {unacked}, by the broker"),
            (None, Some(held)) => format!("in hand: {held}, by the workers, because the broker does not say it"),
            (None, None) => "in hand: not known".into(),
        }
    }

    fn one_worker(&self) -> String {
        let capacity = self.capacity_per_second;
        if self.measured_by == 0 {
            let why = match self.readings.workers.iter().any(|worker| worker.load.is_some()) {
                true => "no worker has done a job of this queue yet",
                false if self.current > 0 => "the workers are of a version that does not say it",
                false => "there is no worker",
            };
            return format!("one worker: {capacity:.1} jobs a second, the default, because {why}");
        }
        let oldest = self.readings.workers.iter().filter_map(WorkerReading::measured_ago_ms).max().unwrap_or(0);
        format!(
            "one worker: {capacity:.1} jobs a second, the mean of {} that measured it, up to {oldest} ms ago",
            self.measured_by
        )
    }
}

impl WorkerReading {
    /// `None` where it is not among the measurements.
    fn measured_ago_ms(&self) -> Option<u64> {
        (!self.is_stopping && !self.is_stale()).then(|| self.capacity_per_second())??;
        self.measured_age_ms
    }
}
