//! The weather: which faults of network and services are on now, and what they make of one call.

use fastrand::Rng;

use crate::process::{Place, Role};

/// Somebody who can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Ledger,
    Broker,
    Sink,
    /// A producer, called by a scheduler.
    Producer(usize),
}

impl Service {
    pub fn name(self) -> String {
        match self {
            Self::Ledger => "ledger".into(),
            Self::Broker => "broker".into(),
            Self::Sink => "sink".into(),
            Self::Producer(index) => format!("producer-{}", index + 1),
        }
    }

    /// The longest time that a caller waits for an answer.
    pub fn timeout_ms(self) -> u64 {
        match self {
            Self::Ledger => 1_000,
            Self::Broker | Self::Sink => 2_000,
            Self::Producer(_) => 4_000,
        }
    }
}

/// A fault that lasts.
#[derive(Debug, Clone, PartialEq)]
pub enum Trouble {
    /// Nothing passes between them.
    Partition { place: Place, service: Service },
    /// The service answers nobody.
    Down { service: Service },
    /// The service lets nobody in, and says so: a password or a permission was taken away.
    Unwelcome { service: Service },
    /// Requests or answers are lost, or come twice, each with this chance in a hundred.
    Flaky { role: Option<Role>, service: Service, percent: u32 },
    /// Calls take up to this long, and so overtake each other.
    Slow { service: Service, max_ms: u64 },
    /// Documents are put off one by one; whole requests fail after some or all of it was stored.
    SinkOverloaded { retry_percent: u32, error_percent: u32 },
    /// Messages are refused one by one; whole publishes fail half way.
    BrokerOverloaded { refuse_percent: u32, error_percent: u32 },
    /// Messages overtake each other in the queue.
    Reordering,
}

#[derive(Default)]
pub struct Storm {
    on: Vec<(u32, Trouble)>,
    /// Documents that the sink will never take: seqs whose remainder by 97 is below this.
    pub rejected_of_97: u64,
    /// True if a call may have its effect after the caller gave up.
    pub has_late_effects: bool,
    /// True if the broker tells the number of unacknowledged deliveries; AMQP does not.
    pub tells_unacked: bool,
    /// Network latency: at least one millisecond, at most this.
    pub latency_max_us: u64,
}

/// The fate of one call. Times in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Normal {
        there: u64,
        back: u64,
    },
    /// The caller is told at once that nobody is there.
    Refused {
        after: u64,
    },
    /// The caller is told at once that it is not let in.
    Unwelcome {
        after: u64,
    },
    /// The call never arrives.
    RequestLost,
    /// The call has its effect, but the answer never comes.
    AnswerLost {
        there: u64,
    },
    /// The call has its effect twice; the first answer counts.
    Twice {
        there: u64,
        again: u64,
        back: u64,
    },
    /// The call has its effect when nobody waits any more.
    Late {
        there: u64,
    },
}

impl Storm {
    pub fn begin(&mut self, id: u32, trouble: Trouble) {
        self.on.push((id, trouble));
    }

    pub fn end(&mut self, id: u32) {
        self.on.retain(|(other, _)| *other != id);
    }

    pub fn clear(&mut self) {
        self.on.clear();
    }

    pub fn is_cut(&self, from: Place, service: Service) -> bool {
        self.on.iter().any(|(_, trouble)| match trouble {
            Trouble::Partition { place, service: cut } => *place == from && *cut == service,
            Trouble::Down { service: down } => *down == service,
            _ => false,
        })
    }

    pub fn is_down(&self, service: Service) -> bool {
        self.on.iter().any(|(_, trouble)| *trouble == Trouble::Down { service })
    }

    pub fn is_reordering(&self) -> bool {
        self.on.iter().any(|(_, trouble)| *trouble == Trouble::Reordering)
    }

    /// (retry, error) in percent.
    pub fn sink_overload(&self) -> (u32, u32) {
        let found = self.on.iter().find_map(|(_, trouble)| match trouble {
            Trouble::SinkOverloaded { retry_percent, error_percent } => Some((*retry_percent, *error_percent)),
            _ => None,
        });
        found.unwrap_or_default()
    }

    /// (refuse, error) in percent.
    pub fn broker_overload(&self) -> (u32, u32) {
        let found = self.on.iter().find_map(|(_, trouble)| match trouble {
            Trouble::BrokerOverloaded { refuse_percent, error_percent } => Some((*refuse_percent, *error_percent)),
            _ => None,
        });
        found.unwrap_or_default()
    }

    /// `may_repeat`: the call is idempotent, so a network or a client may well repeat it.
    pub fn fate(&self, random: &mut Rng, from: Place, service: Service, may_repeat: bool) -> Fate {
        let timeout_us = service.timeout_ms() * 1000;
        if self.is_cut(from, service) {
            return match random.bool() {
                true => Fate::Refused { after: random.u64(500..5_000) },
                false => Fate::RequestLost,
            };
        }
        if self.on.iter().any(|(_, trouble)| *trouble == Trouble::Unwelcome { service }) {
            return Fate::Unwelcome { after: random.u64(500..5_000) };
        }
        let mut max_us = self.latency_max_us.max(1_001);
        let mut percent = 0;
        for (_, trouble) in &self.on {
            match trouble {
                Trouble::Slow { service: slow, max_ms } if *slow == service => max_us = max_us.max(max_ms * 1000),
                Trouble::Flaky { role, service: flaky, percent: chance }
                    if *flaky == service && role.is_none_or(|role| role == from.role) =>
                {
                    percent = percent.max(*chance);
                }
                _ => (),
            }
        }
        let (there, back) = (random.u64(1_000..max_us), random.u64(0..max_us));
        if random.u32(0..100) >= percent {
            return Fate::Normal { there, back };
        }
        match random.u8(0..8) {
            0 | 1 => Fate::RequestLost,
            2..=4 => Fate::AnswerLost { there },
            5 if self.has_late_effects => Fate::Late { there: timeout_us + random.u64(0..2_000_000) },
            6 | 7 if may_repeat => Fate::Twice { there, again: random.u64(0..3_000_000), back },
            _ => Fate::Refused { after: random.u64(500..5_000) },
        }
    }
}
