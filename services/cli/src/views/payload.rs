//! The payload of a run: from a flag, a file or stdin, checked as JSON here so that a typing error never becomes a run;
//! and both ways between JSON and the wire's Struct, whose numbers are doubles.

use std::io::Read;
use std::path::Path;

use paceline_core::error::codes;
use paceline_core::run::PAYLOAD_BYTES_MAX;
use paceline_core::{Error, Result};
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value as WireValue};
use serde_json::{Map, Number, Value};

/// Whole numbers above this lose digits in a double.
const EXACT_MAX: u64 = 1 << f64::MANTISSA_DIGITS;
/// Means stdin where a file or a text is expected.
const STDIN: &str = "-";

/// The payload as the caller gave it: a text, a file, or `-` for stdin as either.
pub fn read(text: Option<&str>, file: Option<&Path>) -> Result<Option<Struct>> {
    let json = match (text, file) {
        (Some(STDIN), _) => read_limited(std::io::stdin().lock(), "stdin")?,
        (Some(text), _) => text.to_owned(),
        (None, Some(file)) if file == Path::new(STDIN) => read_limited(std::io::stdin().lock(), "stdin")?,
        (None, Some(file)) => {
            let opened = std::fs::File::open(file);
            read_limited(opened.map_err(|e| unreadable(&file.display().to_string(), &e))?, &file.display().to_string())?
        }
        (None, None) => return Ok(None),
    };
    parse(&json).map(Some)
}

fn read_limited(source: impl Read, name: &str) -> Result<String> {
    let mut json = String::new();
    let limit = PAYLOAD_BYTES_MAX as u64 + 1;
    source.take(limit).read_to_string(&mut json).map_err(|e| unreadable(name, &e))?;
    if json.len() > PAYLOAD_BYTES_MAX {
        return Err(Error::invalid_field("payload", format!("{name} is above the limit of {PAYLOAD_BYTES_MAX} bytes"))
            .coded(codes::PAYLOAD_TOO_LARGE));
    }
    Ok(json)
}

fn unreadable(name: &str, error: &std::io::Error) -> Error {
    Error::invalid_field("payload", format!("cannot read {name}: {error}")).coded(codes::PAYLOAD_INVALID)
}

fn parse(json: &str) -> Result<Struct> {
    let object: Map<String, Value> = serde_json::from_str(json).map_err(|e| {
        Error::invalid_field("payload", format!("must be a JSON object, such as {{\"customer\": 7}}: {e}"))
            .coded(codes::PAYLOAD_INVALID)
    })?;
    to_struct(object)
}

fn to_struct(object: Map<String, Value>) -> Result<Struct> {
    let fields = object.into_iter().map(|(name, value)| Ok((name, to_wire(value)?)));
    Ok(Struct { fields: fields.collect::<Result<_>>()? })
}

fn to_wire(value: Value) -> Result<WireValue> {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(flag),
        Value::Number(number) => Kind::NumberValue(exact(&number)?),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(items) => {
            Kind::ListValue(ListValue { values: items.into_iter().map(to_wire).collect::<Result<_>>()? })
        }
        Value::Object(object) => Kind::StructValue(to_struct(object)?),
    };
    Ok(WireValue { kind: Some(kind) })
}

/// An id that silently became another id would be worse than an error.
fn exact(number: &Number) -> Result<f64> {
    let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    match number.as_f64() {
        Some(double) if magnitude.is_none_or(|magnitude| magnitude <= EXACT_MAX) => Ok(double),
        _ => Err(Error::invalid_field(
            "payload",
            format!("{number} does not fit a double exactly; write it as a string"),
        )
        .coded(codes::PAYLOAD_INVALID)),
    }
}

/// The wire's Struct as JSON; whole numbers come back as they were written.
pub fn to_json(payload: &Struct) -> Map<String, Value> {
    payload.fields.iter().map(|(name, value)| (name.clone(), from_wire(value))).collect()
}

fn from_wire(value: &WireValue) -> Value {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(flag)) => Value::Bool(*flag),
        Some(Kind::NumberValue(number)) => from_double(*number),
        Some(Kind::StringValue(text)) => Value::String(text.clone()),
        Some(Kind::ListValue(list)) => list.values.iter().map(from_wire).collect(),
        Some(Kind::StructValue(payload)) => Value::Object(to_json(payload)),
    }
}

fn from_double(number: f64) -> Value {
    let is_whole = number.fract() == 0.0 && number.abs() <= EXACT_MAX as f64;
    if is_whole { Value::from(number as i64) } else { Value::from(number) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_survives_the_wire() {
        let original = json!({"a": 1, "b": -2.5, "c": [true, null, "x", {"d": []}], "e": 9_007_199_254_740_992_u64});
        let wire = parse(&original.to_string()).unwrap();
        assert_eq!(Value::Object(to_json(&wire)), original);
    }

    #[test]
    fn what_is_no_object_or_would_change_is_refused() {
        for (bad, word) in [("[1]", "JSON object"), ("{", "JSON object"), (r#"{"id": 9007199254740993}"#, "string")] {
            let error = parse(bad).unwrap_err();
            assert_eq!(error.fields[0].field, "payload");
            assert!(error.message.contains(word), "{}", error.message);
        }
    }

    #[test]
    fn a_file_is_read_up_to_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("payload.json");
        std::fs::write(&file, r#"{"a": 1}"#).unwrap();
        assert_eq!(read(None, Some(&file)).unwrap(), Some(parse(r#"{"a": 1}"#).unwrap()));
        std::fs::write(&file, format!("{{\"a\": \"{}\"}}", "x".repeat(PAYLOAD_BYTES_MAX))).unwrap();
        assert!(read(None, Some(&file)).unwrap_err().message.contains("limit"));
        assert!(read(None, Some(&folder.path().join("none"))).unwrap_err().message.contains("cannot read"));
        assert_eq!(read(None, None).unwrap(), None);
    }
}
