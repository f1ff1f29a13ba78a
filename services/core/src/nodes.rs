//! The URL of a cluster, `scheme://user:password@h1:p1,h2:p2,h3:p3/path`: one that names all nodes, so that a service is one URL
//! everywhere. No parser of URLs takes several hosts, so it is split here into one URL a node, which each adapter reads as its own.

/// Nodes that a URL may name: each costs a bounded time when all are away.
pub const NODES_MAX: usize = 16;

/// One URL a node, in their order; a URL that names one node is itself.
pub fn node_urls(url: &str) -> Vec<String> {
    let (begin, end) = hosts(url);
    url[begin..end].split(',').map(|host| format!("{}{host}{}", &url[..begin], &url[end..])).collect()
}

/// The mistake in a list of hosts, in words; `None` if there is none.
pub fn wrong_nodes(url: &str) -> Option<String> {
    let (begin, end) = hosts(url);
    let hosts: Vec<&str> = url[begin..end].split(',').collect();
    if hosts.len() > NODES_MAX {
        return Some(format!("names {} nodes; {NODES_MAX} is the most", hosts.len()));
    }
    let is_empty = hosts.len() > 1 && hosts.iter().any(|host| host.trim().is_empty());
    is_empty.then(|| "has a comma without an address beside it; write host:port,host:port".to_owned())
}

/// Where the hosts of a URL begin and end. The last `@` counts, so that a password with odd characters is none of them.
fn hosts(url: &str) -> (usize, usize) {
    let Some(authority) = url.find("://").map(|at| at + 3) else { return (url.len(), url.len()) };
    let end = url[authority..].find(['/', '?', '#']).map_or(url.len(), |at| authority + at);
    let begin = url[authority..end].rfind('@').map_or(authority, |at| authority + at + 1);
    (begin, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_a_cluster_is_one_url_a_node() {
        assert_eq!(
            node_urls("amqp://u:a,b@h1:1,h2,[::1]:3/%2f?x=1,2"),
            ["amqp://u:a,b@h1:1/%2f?x=1,2", "amqp://u:a,b@h2/%2f?x=1,2", "amqp://u:a,b@[::1]:3/%2f?x=1,2"]
        );
        for one in ["http://h:9200", "embedded:a,b", "nonsense", "redis://:pw@h/0", ""] {
            assert_eq!(node_urls(one), [one], "{one}");
        }
    }

    #[test]
    fn a_list_that_cannot_be_meant_is_named() {
        assert_eq!(wrong_nodes("http://a:1,b:2"), None);
        for wrong in ["http://a:1,,b:2", "http://a:1,/x", "http://u:p@,a"] {
            assert!(wrong_nodes(wrong).unwrap().contains("comma"), "{wrong}");
        }
        let many = format!("http://{}", vec!["h"; NODES_MAX + 1].join(","));
        assert!(wrong_nodes(&many).unwrap().contains("17 nodes"));
    }
}
