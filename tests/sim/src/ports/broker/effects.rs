//! The effects of calls on the broker's model: publishes, as the weather takes them, and settlements, with the look of L4 at each.

use paceline_core::ids::{JobId, RunId};
use paceline_core::ports::broker::{Confirm, Message};
use paceline_core::{Error, Result};

use crate::laws::Laws;
use crate::models::broker::{How, Name};
use crate::world::State;

impl State {
    /// One publish: all of it, or a part and an error.
    pub(super) fn publish(&mut self, queue: &str, batch: &[Message]) -> Result<Vec<Confirm>> {
        let (refuse_percent, error_percent) = self.storm.broker_overload();
        let fails_at = (self.random.u32(0..100) < error_percent).then(|| self.random.usize(0..=batch.len()));
        let mut confirms = Vec::with_capacity(batch.len());
        for (index, message) in batch.iter().enumerate() {
            if fails_at == Some(index) {
                return Err(Error::unavailable("broker: connection closed"));
            }
            if self.random.u32(0..100) < refuse_percent {
                confirms.push(Confirm::Refused("full".into()));
                continue;
            }
            let place = if self.storm.is_reordering() { self.random.usize(0..8) } else { 0 };
            let confirm = self.broker.publish(queue, message, place);
            if confirm == Confirm::Confirmed
                && let (Ok(run), Some(seq)) = (RunId::parse(&message.run), message.seq)
                && self.laws.are_on
            {
                self.laws.of(&run).in_broker.insert(seq);
            }
            confirms.push(confirm);
        }
        match fails_at {
            Some(_) => Err(Error::unavailable("broker: connection closed")),
            None => Ok(confirms),
        }
    }

    /// L4 and the settlement itself; whether its consumer still lives.
    pub(super) fn settle(&mut self, (name, consumer, entry): (&Name, u64, u64), how: How) -> bool {
        let held = self.broker.held(name, consumer, entry).map(|entry| entry.message.clone());
        if let Some(message) = held.filter(|_| self.laws.are_on && matches!(how, How::Ack | How::Dead { .. })) {
            self.check_acknowledged(&name.1, &message);
        }
        self.broker.settle(name, consumer, entry, how)
    }

    fn check_acknowledged(&mut self, group: &str, message: &Message) {
        let (Ok(run), Some(seq)) = (RunId::parse(&message.run), message.seq) else { return };
        let is_stored = self.sink.get(&run, &JobId::new(run.clone(), seq).to_string()).is_some();
        let counted = self.ledger.entry(&run).and_then(|entry| entry.groups.get(group));
        let is_counted = counted.is_some_and(|group| group.bits.contains(seq)) || self.laws.was_recorded(&run, seq);
        let verdict = Laws::acknowledged(seq, is_stored, is_counted);
        self.judge(&run, verdict);
    }
}
