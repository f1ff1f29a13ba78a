//! The ledger in one SQLite file. Every step is one change of [`Database`], so it is atomic, it answers after its commit, and
//! steps that come together share an fsync.
//!
//! A file that has the name of a port is its implementation; the others are what several of them need. Every function takes a
//! connection and the time, so a step is one closure over a transaction.
//!
//! A file may use core and the database beside this folder; nothing here knows broker or sink.

mod bitmaps;
mod counts;
mod forget;
mod leases;
mod mesh;
mod ranges;
mod record;
mod restore;
mod rows;
mod runs;
mod schema;
mod snapshot;
mod steps;
mod unkept;
mod windows;
mod workers;

use std::path::Path;

use paceline_core::Result;
use paceline_core::clock::SharedClock;

use super::database::Database;

pub struct EmbeddedLedger {
    database: Database,
    clock: SharedClock,
}

impl EmbeddedLedger {
    /// Opens or makes `folder/ledger.db`. Leases left by an earlier process are void: it is gone, or the folder would be locked.
    pub fn open(folder: &Path, clock: SharedClock) -> Result<Self> {
        let schema = [schema::TABLES, schema::UNKEPT, schema::PROTOCOL, schema::VOID_LEASES].concat();
        Ok(Self { database: Database::open(folder, "ledger.db", &schema)?, clock })
    }
}
