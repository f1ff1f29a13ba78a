//! The two ways to index payloads: searchable, or only stored. An index keeps the way that it was made with, because Elasticsearch
//! cannot change it; each way takes documents whatever a worker's setting says, so a change of the setting loses nothing and
//! holds for the indices that are made from then on. The template belongs to the worker that started last: whoever finds
//! another way in the template says so, and so does `doctor`.

use std::collections::BTreeMap;

use paceline_core::Result;
use paceline_core::ports::sink::Payloads;
use serde_json::{Value, json};

use super::client::Client;
use super::index::IndexNames;

/// Longer strings inside `payload` and `error` are kept but cannot be searched for: a term may have 32,766 bytes, and one
/// longer would make Elasticsearch refuse the document.
pub const SEARCHABLE_CHARS_MAX: u32 = 1_024;
/// The deepest nesting of a payload; JSON that serde_json can parse ends at 128.
const PAYLOAD_DEPTH_MAX: u32 = 128;
/// Indices that are named in a warning; the rest is a number.
const NAMED_MAX: usize = 3;
const REMEDY: &str = "give every worker and doctor the same PACELINE_SINK_PAYLOAD (`payload` below `[sink]`)";

pub fn mapping(payloads: Payloads) -> Value {
    match payloads {
        Payloads::Searchable => {
            json!({ "type": "flattened", "ignore_above": SEARCHABLE_CHARS_MAX, "depth_limit": PAYLOAD_DEPTH_MAX })
        }
        // Not even looked into, so nothing in it can be refused.
        Payloads::Stored => json!({ "type": "object", "enabled": false }),
    }
}

/// `None` for a mapping that is neither of the two.
fn of_mapping(mapping: &Value) -> Option<Payloads> {
    match mapping["type"].as_str() {
        Some("flattened") => Some(Payloads::Searchable),
        // Elasticsearch leaves its default type out.
        Some("object") | None if mapping["enabled"] == json!(false) => Some(Payloads::Stored),
        _ => None,
    }
}

/// Logs it if the template there is was put with another setting.
pub async fn tell_a_change(client: &Client, names: &IndexNames, payloads: Payloads) -> Result<()> {
    let reply = client.get(&template_path(names)).await?;
    if reply.status == 404 {
        return Ok(());
    }
    let found: Value = client.read(reply)?;
    if let Some(before) = of_template(&found).filter(|before| *before != payloads) {
        tracing::warn!(
            template = names.template(),
            before = before.name(),
            now = payloads.name(),
            "payloads were kept in another way until now, by an earlier setting or a worker with another one; indices that are \
             made from now on follow this worker's. If it shall not be so: {REMEDY}"
        );
    }
    Ok(())
}

/// Names every template and index that differs from the setting, for `doctor`.
pub async fn warnings(client: &Client, names: &IndexNames, payloads: Payloads) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let (template, setting) = (names.template(), payloads.name());
    let found: Value = client.ask(&template_path(names)).await.unwrap_or_default();
    if let Some(other) = of_template(&found).filter(|other| *other != payloads) {
        let other = other.name();
        warnings.push(format!(
            "the index template {template} keeps payloads {other}, the settings say {setting}: {REMEDY}"
        ));
    }
    let path = format!("{}/_mapping?filter_path=*.mappings.properties.payload", names.pattern());
    let indices: BTreeMap<String, Value> = client.ask(&path).await?;
    let payload = |index: &Value| of_mapping(&index["mappings"]["properties"]["payload"]);
    let others: Vec<&str> = indices
        .iter()
        .filter(|(name, index)| names.is_ours(name) && payload(index).is_some_and(|other| other != payloads))
        .map(|(name, _)| name.as_str())
        .collect();
    if let [first, ..] = others[..] {
        let named = others.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
        let more = others.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let other = payload(&indices[first]).unwrap_or_default().name();
        warnings.push(format!(
            "{named}{more} keep payloads {other}, as they were made; indices of later days follow the setting"
        ));
    }
    Ok(warnings)
}

fn template_path(names: &IndexNames) -> String {
    let payload = "index_templates.index_template.template.mappings.properties.payload";
    format!("_index_template/{}?filter_path={payload}", names.template())
}

fn of_template(found: &Value) -> Option<Payloads> {
    of_mapping(&found["index_templates"][0]["index_template"]["template"]["mappings"]["properties"]["payload"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_is_told_by_its_mapping_and_nothing_else_is() {
        for payloads in Payloads::ALL {
            assert_eq!(of_mapping(&mapping(payloads)), Some(payloads));
        }
        assert_eq!(of_mapping(&json!({ "enabled": "false" })), None);
        assert_eq!(of_mapping(&json!({ "type": "keyword" })), None);
        assert_eq!(of_mapping(&Value::Null), None);
    }
}
