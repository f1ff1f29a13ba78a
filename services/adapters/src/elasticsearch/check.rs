//! Describes the Elasticsearch at the other end, for `doctor` and readiness: version, cluster, health, disks that are filling up.

use std::collections::BTreeMap;

use paceline_core::Result;
use paceline_core::ports::sink::Payloads;
use serde::Deserialize;

use super::client::Client;
use super::index::IndexNames;
use super::payloads;
use crate::one_cluster::{Found, of_one_cluster};

/// Elasticsearch's own first watermark as it ships, of which both conditions must hold: a fuller disk, and one with less room.
const DISK_USED_PERCENT_MAX: u64 = 85;
const DISK_FREE_BYTES_MIN: u64 = 200 << 30;

#[derive(Deserialize)]
struct ClusterHealth {
    cluster_name: String,
    status: String,
}

#[derive(Deserialize)]
struct ByNode<T> {
    nodes: BTreeMap<String, T>,
}

#[derive(Deserialize)]
struct Version {
    version: String,
}

#[derive(Deserialize)]
struct Disk {
    name: String,
    fs: FileSystem,
}

#[derive(Deserialize)]
struct FileSystem {
    total: Space,
}

#[derive(Deserialize)]
struct Space {
    total_in_bytes: u64,
    available_in_bytes: u64,
}

/// Version, cluster, health and warnings, in words. An error only if Elasticsearch does not answer; `GET /` is not asked, because it
/// may be missing.
pub async fn check(client: &Client, names: &IndexNames, payloads: Payloads) -> Result<String> {
    let client = client.probing();
    let health: ClusterHealth =
        client.ask(&format!("_cluster/health/{}?master_timeout=4s", names.pattern_of_all())).await?;
    let local: ByNode<Version> = client.ask("_nodes/_local?filter_path=nodes.*.version").await?;
    // Not every user may read the disks' state; then there is no warning.
    let disks: Option<ByNode<Disk>> =
        client.ask("_nodes/stats/fs?filter_path=nodes.*.name,nodes.*.fs.total").await.ok();

    let version = local.nodes.into_values().next().map_or_else(|| "of unknown version".into(), |node| node.version);
    let (address, ClusterHealth { cluster_name, status }) = (client.address(), health);
    let mut words = format!("elasticsearch {version} at {address}, cluster {cluster_name}, our indices are {status}");
    for warning in disks.iter().flat_map(|disks| disks.nodes.values()).filter_map(Disk::warning) {
        words += &format!("; {warning}");
    }
    // Not every user may read the mappings either.
    for warning in payloads::warnings(&client, names, payloads).await.unwrap_or_default() {
        words += &format!("; {warning}");
    }
    Ok(words)
}

#[derive(Deserialize)]
struct Cluster {
    cluster_uuid: String,
}

/// Each node alone: its version, or why it does not answer, or is none of these nodes' cluster.
pub async fn look(client: &Client) -> Vec<(String, Result<String>)> {
    let looks = client.each_node().into_iter().map(async |(address, client)| {
        let client = client.probing();
        let local: Result<ByNode<Version>> = client.ask("_nodes/_local?filter_path=nodes.*.version").await;
        let version = |local: ByNode<Version>| local.nodes.into_values().next().map(|node| node.version);
        // Asked of the node's own state, which it has though it may have no master. Not every user may read it.
        let cluster = "_cluster/state/version?local=true&filter_path=cluster_uuid";
        let cluster: Option<Cluster> = client.ask(cluster).await.ok();
        let found = |local: ByNode<Version>| Found {
            words: format!("elasticsearch {}", version(local).unwrap_or_default()),
            cluster: cluster.map(|cluster| cluster.cluster_uuid),
        };
        (address, local.map(found))
    });
    of_one_cluster(futures::future::join_all(looks).await)
}

impl Disk {
    fn warning(&self) -> Option<String> {
        let Space { total_in_bytes, available_in_bytes } = self.fs.total;
        let used_percent = 100 - available_in_bytes.min(total_in_bytes) * 100 / total_in_bytes.max(1);
        let filling = used_percent >= DISK_USED_PERCENT_MAX && available_in_bytes < DISK_FREE_BYTES_MIN;
        filling.then(|| {
            let name = &self.name;
            format!("the disk of node {name} is {used_percent} % full: at 95 % elasticsearch makes indices read-only, so make room")
        })
    }
}
