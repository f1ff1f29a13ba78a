//! Traces from the query API of Jaeger or Tempo: both answer `GET /api/traces/<trace id>`, each in a shape of its own.

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use paceline_core::error::codes;
use paceline_core::ports::SpanReader;
use paceline_core::trace::span::{AttributeValue, Span, SpanKind};
use paceline_core::trace::{SpanId, TraceId};
use paceline_core::{Error, Result};
use serde_json::Value as Json;

const TIMEOUT: Duration = Duration::from_secs(10);

pub struct TraceQuery {
    client: reqwest::Client,
    url: String,
    /// Host and port, for people: the address may hold a password.
    place: String,
}

impl TraceQuery {
    /// `url` is that of the API, as `http://127.0.0.1:16686` of a Jaeger or `http://127.0.0.1:3200` of a Tempo.
    pub fn new(url: &str) -> Result<Self> {
        let client = reqwest::Client::builder().timeout(TIMEOUT).build();
        let client = client.map_err(|e| Error::internal(format!("the client of traces cannot be made: {e}")))?;
        let parsed = url::Url::parse(url);
        let parsed = parsed.map_err(|e| {
            Error::invalid_field("traces.query_url", format!("is no address: {e}")).coded(codes::ADDRESS_INVALID)
        })?;
        let port = parsed.port_or_known_default().unwrap_or(0);
        let place = format!("{}:{port}", parsed.host_str().unwrap_or_default());
        Ok(Self { client, url: url.trim_end_matches('/').to_owned(), place })
    }
}

#[async_trait]
impl SpanReader for TraceQuery {
    async fn trace(&self, trace: TraceId) -> Result<Vec<Span>> {
        let (url, place) = (format!("{}/api/traces/{trace}", self.url), &self.place);
        let away = |e: reqwest::Error| {
            Error::unavailable(format!("{place} does not answer: {}", e.without_url())).coded(codes::TRACES_UNAVAILABLE)
        };
        let answer = self.client.get(&url).header("accept", "application/json").send().await.map_err(away)?;
        let (status, body) = (answer.status(), answer.text().await.map_err(away)?);
        if status.as_u16() == 404 {
            return Ok(Vec::new());
        }
        if !status.is_success() {
            let words: String = body.chars().take(200).collect();
            return Err(
                Error::unavailable(format!("{place} answers {status}: {words}")).coded(codes::TRACES_UNAVAILABLE)
            );
        }
        let body: Json = serde_json::from_str(&body).map_err(|e| {
            Error::unavailable(format!("{place} answers something else than a trace: {e}"))
                .coded(codes::TRACES_UNAVAILABLE)
        })?;
        Ok(spans(&body))
    }
}

fn spans(body: &Json) -> Vec<Span> {
    let batches =
        ["batches", "resourceSpans"].iter().find_map(|key| body[key].as_array().or(body["trace"][key].as_array()));
    match batches {
        Some(batches) => {
            let scopes = batches.iter().flat_map(|batch| list(&batch["scopeSpans"]));
            scopes.flat_map(|scope| list(&scope["spans"])).filter_map(otlp_span).collect()
        }
        None => list(&body["data"]).flat_map(|trace| list(&trace["spans"])).filter_map(jaeger_span).collect(),
    }
}

fn list(json: &Json) -> impl Iterator<Item = &Json> {
    json.as_array().into_iter().flatten()
}

fn jaeger_span(json: &Json) -> Option<Span> {
    let trace = TraceId::parse(&format!("{:0>32}", json["traceID"].as_str()?))?;
    let start_us = json["startTime"].as_i64()?;
    let is_parent = |reference: &&Json| reference["refType"] == "CHILD_OF";
    let parent = list(&json["references"]).find(is_parent).and_then(|reference| span_id(&reference["spanID"]));
    let name = json["operationName"].as_str()?.to_owned();
    let mut span = Span::new(trace, parent, name, (start_us, start_us.saturating_add(json["duration"].as_i64()?)))
        .id(span_id(&json["spanID"])?);
    for tag in list(&json["tags"]) {
        let Some(key) = tag["key"].as_str() else { continue };
        match (key, tag["value"].as_str()) {
            ("otel.status_description", Some(why)) => span.error = Some(why.to_owned()),
            ("span.kind", Some(kind)) => span.kind = self::kind(kind),
            _ => span.attributes.push((Cow::Owned(key.to_owned()), value(&tag["value"]))),
        }
    }
    Some(span)
}

fn otlp_span(json: &Json) -> Option<Span> {
    let trace = TraceId(id(&json["traceId"], 16)?);
    let us = |at: &Json| Some(at.as_str()?.parse::<i64>().ok()? / 1000);
    let times = (us(&json["startTimeUnixNano"])?, us(&json["endTimeUnixNano"])?);
    let parent = id(&json["parentSpanId"], 8).and_then(|id| u64::try_from(id).ok()).map(SpanId);
    let own = SpanId(u64::try_from(id(&json["spanId"], 8)?).ok()?);
    let mut span = Span::new(trace, parent, json["name"].as_str()?.to_owned(), times).id(own);
    span.kind = kind(json["kind"].as_str().unwrap_or_default());
    for attribute in list(&json["attributes"]) {
        let (Some(key), Some(any)) = (attribute["key"].as_str(), attribute["value"].as_object()) else { continue };
        let Some((shape, content)) = any.iter().next() else { continue };
        let number = content.as_str().filter(|_| shape == "intValue").and_then(|text| text.parse().ok());
        let value = number.map_or_else(|| value(content), AttributeValue::Int);
        span.attributes.push((Cow::Owned(key.to_owned()), value));
    }
    span.error = json["status"]["message"].as_str().filter(|why| !why.is_empty()).map(str::to_owned);
    Some(span)
}

fn kind(name: &str) -> SpanKind {
    let name = name.to_ascii_lowercase();
    match name.trim_start_matches("span_kind_") {
        "producer" => SpanKind::Producer,
        "consumer" => SpanKind::Consumer,
        "client" => SpanKind::Client,
        _ => SpanKind::Internal,
    }
}

fn value(json: &Json) -> AttributeValue {
    match (json.as_i64(), json.as_str()) {
        (Some(number), _) => AttributeValue::Int(number),
        (None, Some(text)) => AttributeValue::Text(text.to_owned().into()),
        (None, None) => AttributeValue::Text(json.to_string().into()),
    }
}

fn span_id(json: &Json) -> Option<SpanId> {
    u64::from_str_radix(json.as_str()?, 16).ok().filter(|id| *id != 0).map(SpanId)
}

/// Hexadecimal, as OTLP says, or base64, as protobuf's JSON does.
fn id(json: &Json, bytes: usize) -> Option<u128> {
    let text = json.as_str()?;
    if text.len() == 2 * bytes
        && let Ok(id) = u128::from_str_radix(text, 16)
    {
        return Some(id).filter(|id| *id != 0);
    }
    let raw = base64::engine::general_purpose::STANDARD.decode(text).ok().filter(|raw| raw.len() == bytes)?;
    Some(raw.iter().fold(0, |id, byte| id << 8 | u128::from(*byte))).filter(|id| *id != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jaeger_and_tempo_say_the_same() {
        let jaeger = serde_json::json!({"data": [{"traceID": "0af7651916cd43dd8448eb211c80319c", "spans": [{
            "traceID": "0af7651916cd43dd8448eb211c80319c", "spanID": "b7ad6b7169203331", "operationName": "publish default",
            "references": [{"refType": "CHILD_OF", "traceID": "0af7651916cd43dd8448eb211c80319c", "spanID": "00f067aa0ba902b7"}],
            "startTime": 1_000_000, "duration": 500,
            "tags": [{"key": "span.kind", "type": "string", "value": "producer"},
                     {"key": "paceline.attempt", "type": "int64", "value": 2},
                     {"key": "otel.status_description", "type": "string", "value": "full"}]}]}]});
        let tempo = |trace: &str, span: &str, parent: &str| {
            serde_json::json!({"batches": [{"resource": {}, "scopeSpans": [{"spans": [{
                "traceId": trace, "spanId": span, "parentSpanId": parent, "name": "publish default", "kind": "SPAN_KIND_PRODUCER",
                "startTimeUnixNano": "1000000000", "endTimeUnixNano": "1000500000",
                "attributes": [{"key": "paceline.attempt", "value": {"intValue": "2"}}],
                "status": {"code": "STATUS_CODE_ERROR", "message": "full"}}]}]}]})
        };
        let hex = tempo("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7");
        let base64 = tempo("CvdlGRbNQ92ESOshHIAxnA==", "t61rcWkgMzE=", "APBnqgupArc=");
        let expected = spans(&jaeger);
        assert_eq!((expected.len(), expected[0].attribute("paceline.attempt").as_str()), (1, "2"));
        assert_eq!(expected[0].error.as_deref(), Some("full"));
        assert_eq!(expected[0].parent, Some(SpanId(0x00f0_67aa_0ba9_02b7)));
        assert_eq!(spans(&hex), expected);
        assert_eq!(spans(&base64), expected);
    }

    #[test]
    fn what_is_no_trace_has_no_spans() {
        for body in [
            serde_json::json!({}),
            serde_json::json!([1]),
            serde_json::json!({"data": null, "errors": [{"code": 404}]}),
        ] {
            assert_eq!(spans(&body), []);
        }
    }
}
