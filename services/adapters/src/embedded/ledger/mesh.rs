//! The mesh port: the file answers, and the protocol of the mesh is one number, noted by whoever comes first.

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ports::Mesh;
use paceline_core::ports::mesh::PROTOCOL_FIRST;
use rusqlite::{Connection, OptionalExtension as _};

use super::EmbeddedLedger;
use crate::embedded::database::WriteError;

#[async_trait]
impl Mesh for EmbeddedLedger {
    async fn check(&self) -> Result<String> {
        let version =
            self.database.read(|c| c.query_row("SELECT sqlite_version()", [], |row| row.get::<_, String>(0))).await?;
        Ok(format!("sqlite {version} at {}", self.database.path().display()))
    }

    async fn protocol(&self) -> Result<Option<u32>> {
        let clock = self.clock.clone();
        self.database.read(move |c| read(c, clock.wall_ms())).await
    }

    async fn adopt_protocol(&self, found: Option<u32>, mine: u32) -> Result<u32> {
        let clock = self.clock.clone();
        self.database.write(move |c| adopt(c, found, mine, clock.wall_ms())).await
    }
}

fn read(c: &Connection, now_ms: i64) -> rusqlite::Result<Option<u32>> {
    if let Some(noted) = noted(c)? {
        return Ok(Some(noted));
    }
    let query = "SELECT EXISTS (SELECT 1 FROM runs) OR EXISTS (SELECT 1 FROM workers WHERE until_ms > ?1)";
    let is_in_use: bool = c.query_row(query, [now_ms], |row| row.get(0))?;
    Ok(is_in_use.then_some(PROTOCOL_FIRST))
}

fn adopt(c: &Connection, found: Option<u32>, mine: u32, now_ms: i64) -> Result<u32, WriteError> {
    if noted(c)? == Some(mine) {
        return Ok(mine);
    }
    if let Some(has) = read(c, now_ms)?.filter(|has| Some(*has) != found && *has != mine) {
        return Ok(has);
    }
    c.execute("INSERT OR REPLACE INTO protocol VALUES (1, ?1)", [mine])?;
    Ok(mine)
}

fn noted(c: &Connection) -> rusqlite::Result<Option<u32>> {
    c.query_row("SELECT number FROM protocol", [], |row| row.get(0)).optional()
}
