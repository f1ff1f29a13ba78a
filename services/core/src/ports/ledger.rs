//! The ledger: one store, seen through six small ports. A role takes the ports that it needs, and a decorator wraps one of them.

use std::sync::Arc;

use super::counts::Counts;
use super::leases::Leases;
use super::mesh::Mesh;
use super::ranges::Ranges;
use super::runs::Runs;
use super::workers::Workers;

/// The ports of one ledger. Every call is one atomic step, and everything that answers `Ok` is durable.
#[derive(Clone)]
pub struct Ledger {
    pub runs: Arc<dyn Runs>,
    pub leases: Arc<dyn Leases>,
    pub ranges: Arc<dyn Ranges>,
    pub counts: Arc<dyn Counts>,
    pub workers: Arc<dyn Workers>,
    pub mesh: Arc<dyn Mesh>,
}

impl Ledger {
    /// All ports of `store`.
    pub fn of(store: impl Runs + Leases + Ranges + Counts + Workers + Mesh) -> Self {
        Self::shared(Arc::new(store))
    }

    /// All ports of a store that others hold too.
    pub fn shared(store: Arc<impl Runs + Leases + Ranges + Counts + Workers + Mesh>) -> Self {
        Self {
            runs: store.clone(),
            leases: store.clone(),
            ranges: store.clone(),
            counts: store.clone(),
            workers: store.clone(),
            mesh: store,
        }
    }
}
