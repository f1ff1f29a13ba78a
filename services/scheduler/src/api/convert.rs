//! Runs on the wire and in core: `paceline.v1` in, core out, and back. The proof and the number of workers are converted beside their
//! services.

use paceline_core::pacing::CatchUp;
use paceline_core::run::{RunState, Snapshot};
use paceline_proto::v1;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Timestamp};
use serde_json::{Map, Number, Value};

use super::validate::StartRun;

pub fn start_run(request: v1::StartRunRequest) -> StartRun {
    StartRun {
        catch_up: catch_up(request.catch_up()),
        jobs: request.jobs,
        per_minutes: request.per_minutes,
        total: request.total,
        queue: request.queue,
        handler: request.handler,
        payload: request.payload.map(object).unwrap_or_default(),
        request_id: request.request_id,
        traceparent: None,
    }
}

fn catch_up(wire: v1::CatchUp) -> CatchUp {
    match wire {
        v1::CatchUp::Unspecified | v1::CatchUp::All => CatchUp::All,
        v1::CatchUp::Skip => CatchUp::Skip,
    }
}

pub fn run(snapshot: &Snapshot) -> v1::Run {
    let record = &snapshot.record;
    let spec = &record.spec;
    let catch_up = match spec.catch_up {
        CatchUp::All => v1::CatchUp::All,
        CatchUp::Skip => v1::CatchUp::Skip,
    };
    v1::Run {
        run_id: spec.run_id.to_string(),
        state: state(record.state).into(),
        jobs: spec.rate.jobs,
        per_minutes: spec.rate.per_minutes(),
        total: spec.total,
        queue: spec.queue.clone(),
        handler: spec.handler.clone(),
        payload: (!spec.payload.is_empty()).then(|| structure(&spec.payload)),
        catch_up: catch_up.into(),
        failure: record.failure.clone().unwrap_or_default(),
        started_at: Some(timestamp(spec.created_at_ms)),
        ended_at: record.ended_at_ms.map(timestamp),
        snapshot: Some(numbers(snapshot)),
        groups: spec.groups.clone().into(),
    }
}

fn numbers(snapshot: &Snapshot) -> v1::Snapshot {
    v1::Snapshot {
        enqueued: snapshot.enqueued,
        published: snapshot.published,
        processed: snapshot.processed,
        dead: snapshot.dead,
        duplicates: snapshot.duplicates,
        in_flight: snapshot.in_flight(),
        asked_per_second: snapshot.record.spec.rate.per_second(),
        achieved_per_second: snapshot.per_second(snapshot.enqueued_in_window),
        processed_per_second: snapshot.per_second(snapshot.processed_in_window),
        workers: snapshot.workers.clone().into_iter().collect(),
        producers: snapshot.producers.clone().into_iter().collect(),
        estimated_end: snapshot.estimated_end_ms().map(timestamp),
        read_at: Some(timestamp(snapshot.read_at_ms)),
    }
}

pub fn state(state: RunState) -> v1::RunState {
    match state {
        RunState::Running => v1::RunState::Running,
        RunState::Paused => v1::RunState::Paused,
        RunState::Stopping => v1::RunState::Stopping,
        RunState::Draining => v1::RunState::Draining,
        RunState::Completed => v1::RunState::Completed,
        RunState::Stopped => v1::RunState::Stopped,
        RunState::Failed => v1::RunState::Failed,
    }
}

fn timestamp(ms: i64) -> Timestamp {
    let nanos = i32::try_from(ms.rem_euclid(1000) * 1_000_000).expect("below a thousand million");
    Timestamp { seconds: ms.div_euclid(1000), nanos }
}

/// A Struct as JSON. Whole numbers stay whole: a Struct knows only doubles.
fn object(structure: Struct) -> Map<String, Value> {
    structure.fields.into_iter().map(|(key, value)| (key, json(value))).collect()
}

fn json(value: prost_types::Value) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(flag)) => flag.into(),
        Some(Kind::StringValue(text)) => text.into(),
        Some(Kind::NumberValue(number)) if number.fract() == 0.0 && number.abs() < EXACT => (number as i64).into(),
        Some(Kind::NumberValue(number)) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        Some(Kind::StructValue(fields)) => Value::Object(object(fields)),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(json).collect(),
    }
}

fn structure(object: &Map<String, Value>) -> Struct {
    Struct { fields: object.iter().map(|(key, value)| (key.clone(), wire(value))).collect() }
}

fn wire(value: &Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(*flag),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::Object(fields) => Kind::StructValue(structure(fields)),
        Value::Array(values) => Kind::ListValue(ListValue { values: values.iter().map(wire).collect() }),
    };
    prost_types::Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_crosses_the_wire_unchanged() {
        let payload = serde_json::json!({"a": 1, "b": [true, null, "x", -2.5], "c": {"d": {}}});
        let payload = payload.as_object().unwrap();
        assert_eq!(&object(structure(payload)), payload);
    }

    #[test]
    fn times_before_the_epoch_are_valid_too() {
        assert_eq!(timestamp(-1), Timestamp { seconds: -1, nanos: 999_000_000 });
    }
}
