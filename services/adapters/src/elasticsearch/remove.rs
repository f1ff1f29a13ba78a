//! Removes a namespace: its indices, one by one and by name, because a cluster may refuse to delete by a pattern, then its
//! templates. An index that is written to after its template has gone would be made anew, and wrongly: so the indices go
//! first, and a caller who may have been too early calls again.

use std::collections::BTreeMap;

use paceline_core::Result;
use serde::de::IgnoredAny;

use super::client::Client;
use super::index::IndexNames;

/// Answers how many indices and templates there were.
pub async fn namespace(client: &Client, names: &IndexNames) -> Result<u64> {
    let mut removed = 0;
    for index in indices(client, names).await? {
        removed += u64::from(remove(client, &index).await?);
    }
    for template in [names.template(), &names.runs_template()] {
        removed += u64::from(remove(client, &format!("_index_template/{template}")).await?);
    }
    Ok(removed)
}

async fn indices(client: &Client, names: &IndexNames) -> Result<Vec<String>> {
    // A pattern that matches nothing is no error, a plain name would be one.
    let path = format!("{}?expand_wildcards=all&filter_path=*.aliases", names.pattern_of_all());
    let found: BTreeMap<String, IgnoredAny> = client.ask(&path).await?;
    Ok(found.into_keys().filter(|index| names.is_ours(index)).collect())
}

/// True if it was there.
async fn remove(client: &Client, path: &str) -> Result<bool> {
    let reply = client.delete(path).await?;
    if reply.status == 404 {
        return Ok(false);
    }
    client.expect_ok(reply).map(|_| true)
}
