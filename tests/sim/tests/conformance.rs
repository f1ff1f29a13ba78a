//! The models without faults pass the same suites as the adapters: what the simulation stands on keeps the ports' promises.

use paceline_sim::clock::SimClock;
use paceline_sim::net::Link;
use paceline_sim::process::{Place, Process, Role};
use paceline_sim::storm::Service;
use paceline_sim::world::World;

/// A world without faults and laws, for one case.
fn world() -> World {
    World::new(0, false, false)
}

/// A process of its own for every connection.
fn link(world: &World, service: Service) -> Link {
    let mut state = world.state();
    state.processes += 1;
    let number = state.processes;
    drop(state);
    let place = Place { role: Role::Worker, index: number };
    Link::new(world, &Process::new(place, number, 1, SimClock::new(world.start())), service)
}

mod ledger {
    use async_trait::async_trait;
    use paceline_core::ports::Ledger;
    use paceline_core::testkit::ledger::LedgerHarness;
    use paceline_sim::ports::SimLedger;

    use super::*;

    struct Case(World);

    fn harness(_case: &str) -> Case {
        Case(world())
    }

    #[async_trait]
    impl LedgerHarness for Case {
        async fn open(&self) -> Ledger {
            SimLedger::ports(link(&self.0, Service::Ledger))
        }
    }

    paceline_core::ledger_conformance!(harness);
}

mod sink {

    use async_trait::async_trait;
    use paceline_core::ports::Sink;
    use paceline_core::testkit::sink::SinkHarness;
    use paceline_sim::ports::SimSink;

    use super::*;

    struct Case(World);

    async fn open() -> Case {
        Case(world())
    }

    #[async_trait]
    impl SinkHarness for Case {
        fn sink(&self) -> Sink {
            SimSink::ports(link(&self.0, Service::Sink))
        }

        async fn reopen(&mut self) {}

        async fn close(self) {}
    }

    paceline_core::sink_conformance!(open);
}

mod broker {
    use std::sync::Arc;

    use async_trait::async_trait;
    use paceline_core::ports::Broker;
    use paceline_core::testkit::broker::BrokerHarness;
    use paceline_sim::ports::SimBroker;

    use super::*;

    struct Case(World);

    paceline_core::broker_conformance!(async { Case(world()) });

    #[async_trait]
    impl BrokerHarness for Case {
        async fn connect(&self) -> Arc<dyn Broker> {
            Arc::new(SimBroker(link(&self.0, Service::Broker)))
        }

        async fn reopen(&self, broker: Arc<dyn Broker>) -> Arc<dyn Broker> {
            drop(broker);
            self.connect().await
        }
    }
}
