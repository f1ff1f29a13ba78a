//! The strike at one node of a cluster, and its undoing.

use std::time::Duration;

use anyhow::Context as _;

use super::victim::{Harm, Victim};
use crate::world::World;
use crate::world::gate::Flow;
use crate::world::place::say;

/// Strikes a node and undoes it. Returns when the node is back: it answers again, or can be reached again. Its service may still be healing.
pub async fn strike_node(world: &World, harm: Harm, victim: &Victim, lasts: Duration) -> anyhow::Result<()> {
    let nodes = world.nodes.as_ref().context("there is no cluster")?;
    let node = match victim {
        Victim::Node(node) => node.clone(),
        Victim::Leader(service) => nodes.leader(*service).await?,
    };
    say(&format!("{:7.2} s  {}: {node}", world.now().as_secs_f64(), harm.name()));
    match harm {
        Harm::Kill => {
            world.stack.node("kill", &node).await?;
            tokio::time::sleep(lasts).await;
            world.stack.node("start", &node).await?;
        }
        Harm::Freeze => {
            world.stack.node("freeze", &node).await?;
            tokio::time::sleep(lasts).await;
            world.stack.node("wake", &node).await?;
        }
        Harm::Cut => {
            let gate = nodes.gate(&node)?;
            gate.set(Flow::Refused);
            gate.cut();
            tokio::time::sleep(lasts).await;
            gate.set(Flow::Open);
        }
    }
    Ok(())
}
