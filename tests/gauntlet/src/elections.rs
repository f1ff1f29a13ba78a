//! The time for which jobs stood still after a node was struck, and how long they may: no longer than its service needs to find that the node
//! is gone, to elect another and to be found by the roles. Pure.

use std::time::Duration;

use crate::faults::Struck;
use crate::faults::blow::Blow;
use crate::faults::victim::Victim;
use crate::recovery::standstill;
use crate::world::services::Service;

/// Shorter gaps are between two looks.
const STANDSTILL_MIN: Duration = Duration::from_millis(300);

/// The longest time from one strike to the next: 18 s of harm, the pause, and until the service is whole and jobs keep pace.
const STRIKE_MAX: Duration = Duration::from_secs(60);
/// Three services, three harms.
const LEADERS_TIMES_HARMS: u64 = 9;

/// One strike, and what it cost.
#[derive(Debug, Clone)]
pub struct Election {
    pub number: usize,
    pub service: Service,
    pub harm: &'static str,
    pub victim: String,
    /// The longest time in which no job of the big run was counted, until the next strike.
    pub stood_still: Duration,
}

/// The sum of the settings of infra/, and what the roles need to notice.
pub fn standstill_max(service: Service) -> Duration {
    Duration::from_secs(match service {
        // `net_ticktime` gives a frozen node up after 6 to 10 s, until which the other nodes wait for it too; 5 s to elect and to hand
        // out again what its clients held, 5 s to connect, declare and consume.
        Service::RabbitMq => 20,
        // 3 s down, some 2 s to vote and to promote, 3 s for the answer that never comes, 2 s to connect.
        Service::Redis => 10,
        // 6 s until a frozen master is missed, and 5 s until the new one goes on without its answer; or 10 s until a request is given up
        // that the frozen node has taken. Then it is sent again within 2 s.
        Service::Elasticsearch => 15,
    })
}

impl Election {
    pub fn violation(&self) -> Option<String> {
        let Self { number, harm, victim, stood_still, service } = self;
        let max = standstill_max(*service);
        let (stood, allowed) = (stood_still.as_secs_f64(), max.as_secs());
        (*stood_still > max)
            .then(|| format!("#{number} {harm}, {victim}: jobs stood still for {stood:.2} s, {allowed} s are allowed"))
    }
}

/// The election of each strike at a node. `moved` are the moments at which jobs were counted; `until` ends the time of the last strike.
pub fn elections(struck: &[Struck], moved: &[Duration], until: Duration) -> Vec<Election> {
    let nexts = struck.iter().skip(1).map(|next| next.span.began).chain([until]);
    let one = |(struck, next): (&Struck, Duration)| {
        let Blow::Node(harm, victim) = &struck.planned.blow else { return None };
        let gap = standstill(moved, struck.span.began, next).map_or(Duration::MAX, |(_, gap)| gap);
        let stood_still = if gap < STANDSTILL_MIN { Duration::ZERO } else { gap };
        let (number, service) = (struck.number, victim.service());
        Some(Election { number, service, harm: harm.name(), victim: victim.name(), stood_still })
    };
    struck.iter().zip(nexts).filter_map(one).collect()
}

/// The strikes that a run of this length should have had and had not. Leaders come first in every plan, each with every harm.
pub fn not_struck(struck: &[Struck], length: Duration) -> Vec<String> {
    let mut pairs = Vec::new();
    for struck in struck {
        if let Blow::Node(harm, Victim::Leader(service)) = &struck.planned.blow
            && !pairs.contains(&(harm.name(), *service))
        {
            pairs.push((harm.name(), *service));
        }
    }
    let services = Service::ALL.into_iter().filter(|service| !pairs.iter().any(|(_, struck)| struck == service));
    let mut missing: Vec<_> = services.map(|service| format!("no leader of {} was struck", service.name())).collect();
    let room = (length.as_secs() / STRIKE_MAX.as_secs()).min(LEADERS_TIMES_HARMS);
    if (pairs.len() as u64) < room {
        missing.push(format!("leaders were struck in {} ways, and the time had room for {room}", pairs.len()));
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::blow::Planned;
    use crate::faults::victim::Harm;
    use crate::recovery::Span;

    fn s(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn struck(number: usize, began: f64, service: Service) -> Struck {
        let blow = Blow::Node(Harm::Kill, Victim::Leader(service));
        let planned = Planned { at: s(0.0), lasts: s(1.0), blow };
        Struck { number, planned, span: Span { began: s(began), over: s(began + 1.0) } }
    }

    #[test]
    fn each_strike_has_its_own_standstill_and_one_too_long_is_a_violation() {
        let moved: Vec<Duration> =
            (0..1000).map(|step| s(f64::from(step) * 0.05)).filter(|at| !(s(10.0)..s(21.0)).contains(at)).collect();
        let both = [struck(1, 10.0, Service::Redis), struck(2, 30.0, Service::RabbitMq)];
        let found = elections(&both, &moved, s(45.0));
        assert!((found[0].stood_still.as_secs_f64() - 11.05).abs() < 0.1, "{found:?}");
        assert!(found[0].violation().unwrap().contains("10 s are allowed"));
        assert_eq!((found[1].stood_still, found[1].violation()), (Duration::ZERO, None));
    }

    #[test]
    fn a_run_without_strikes_or_with_too_few_has_shown_nothing() {
        let minute = |minutes: u64| Duration::from_secs(60 * minutes);
        assert_eq!(not_struck(&[], minute(2)).len(), 4);
        let each: Vec<Struck> =
            Service::ALL.into_iter().zip(1..).map(|(service, number)| struck(number, 1.0, service)).collect();
        assert!(not_struck(&each, minute(2)).is_empty());
        assert!(not_struck(&each[1..], minute(2))[0].contains(Service::ALL[0].name()));
        let too_few = not_struck(&each, minute(10));
        assert!(too_few[0].contains("in 3 ways") && too_few[0].contains("room for 9"), "{too_few:?}");
    }

    #[test]
    fn jobs_that_never_flow_again_are_a_violation() {
        let found = elections(&[struck(1, 10.0, Service::Redis)], &[s(1.0)], s(45.0));
        assert!(found[0].violation().is_some());
    }
}
