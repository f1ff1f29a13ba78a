//! Judges the nodes that one URL names, for `doctor`: they must be one cluster, or a document that is written by way of one node is
//! not there by way of another.

use paceline_core::error::codes;
use paceline_core::{Error, Result};

/// A node's product and version, and the cluster that it says it is of, if it does.
pub struct Found {
    pub words: String,
    pub cluster: Option<String>,
}

/// Sorts the nodes by address. A node that is of another cluster than the first that answers is wrong, however well it is.
pub fn of_one_cluster(mut nodes: Vec<(String, Result<Found>)>) -> Vec<(String, Result<String>)> {
    nodes.sort_by(|(one, _), (other, _)| one.cmp(other));
    let named =
        |(address, found): &(String, Result<Found>)| Some((address.clone(), found.as_ref().ok()?.cluster.clone()?));
    let first = nodes.iter().find_map(named);
    let judged = |address: &str, found: Found| {
        match (&first, found.cluster) {
        (Some((first, cluster)), Some(other)) if other != *cluster => Err(Error::failed_precondition(format!(
            "{address} is of the cluster {other}, and {first} is of the cluster {cluster}: a URL names nodes of one cluster"
        ))
        .coded(codes::NODES_OF_TWO_CLUSTERS)),
        _ => Ok(found.words),
    }
    };
    nodes
        .into_iter()
        .map(|(address, found)| (address.clone(), found.and_then(|found| judged(&address, found))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_of_another_cluster_is_named_and_one_that_says_nothing_is_not() {
        let node = |address: &str, cluster: Option<&str>| {
            let found = Found { words: format!("node {address}"), cluster: cluster.map(str::to_owned) };
            (address.to_owned(), Ok(found))
        };
        let away = ("d".to_owned(), Err(Error::unavailable("away")));
        let judged = of_one_cluster(vec![node("c", Some("y")), node("a", None), away, node("b", Some("x"))]);
        let is_ok: Vec<bool> = judged.iter().map(|(_, node)| node.is_ok()).collect();
        assert_eq!(is_ok, [true, true, false, false]);
        let wrong = judged[2].1.clone().unwrap_err();
        assert!(
            wrong.message.contains("c is of the cluster y") && wrong.message.contains("b is of the cluster x"),
            "{wrong}"
        );
    }
}
