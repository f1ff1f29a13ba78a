//! A job reads back as it was written, and whatever is not ours is refused.

use bytes::Bytes;
use serde_json::Value;

use super::*;
use crate::groups::Groups;
use crate::ids::RunId;
use crate::pacing::{CatchUp, Rate};
use crate::ports::broker::Message;
use crate::run::{PAYLOAD_BYTES_MAX, RunSpec};
use crate::trace::{Sampling, TraceContext, TraceId};

fn spec(payload: Value) -> RunSpec {
    RunSpec {
        run_id: RunId::parse("r1").unwrap(),
        rate: Rate::new(10, 1.0).unwrap(),
        total: None,
        queue: "default".into(),
        groups: Groups::default(),
        handler: "record".into(),
        payload: payload.as_object().cloned().unwrap_or_default(),
        catch_up: CatchUp::All,
        created_at_ms: 5,
        traceparent: None,
    }
}

#[test]
fn what_is_encoded_decodes_to_the_same_job() {
    for payload in [serde_json::json!({}), serde_json::json!({"to": "a\"b", "n": [1, {"x": null}]})] {
        let spec = spec(payload.clone());
        let range = Range { first: 7, count: 3, scheduled_at_ms: 1000 };
        let message = Encoder::new(&spec).message(&range, 8, 1234, Sampling::NONE);
        let job = Job::decode(&message).unwrap();
        assert_eq!((job.job_id.as_str(), job.seq, job.scheduled_at, job.enqueued_at), ("r1-8", 8, 1000, 1234));
        assert_eq!(Value::Object(job.payload), payload);
        assert_eq!((message.run.as_ref(), message.seq), ("r1", Some(8)));
    }
}

#[test]
fn a_message_carries_the_trace_of_its_job_if_that_is_recorded() {
    let (encoder, range) = (Encoder::new(&spec(Value::Null)), Range { first: 0, count: 1, scheduled_at_ms: 0 });
    let message = || encoder.message(&range, 0, 0, Sampling::ALL);
    let contexts = [message(), message()].map(|message| TraceContext::parse(&message.traceparent.unwrap()).unwrap());
    assert!(contexts.iter().all(|context| context.trace == TraceId::of_job("r1-0") && context.is_sampled));
    assert_ne!(contexts[0].span, contexts[1].span, "published twice is two spans of one trace");
    assert_eq!(encoder.message(&range, 0, 0, Sampling::NONE).traceparent, None);
}

#[test]
fn a_run_whose_jobs_cannot_travel_is_named_and_no_message_is_longer_than_said() {
    let fits = Encoder::new(&spec(serde_json::json!({"text": "x".repeat(PAYLOAD_BYTES_MAX - 11)})));
    fits.check().unwrap();
    let last = Range { first: u64::MAX - 1, count: 1, scheduled_at_ms: i64::MIN };
    assert!(fits.message(&last, u64::MAX - 1, i64::MIN, Sampling::NONE).body.len() <= fits.message_bytes_max());
    let too_large = spec(serde_json::json!({"text": "x".repeat(MESSAGE_BYTES_MAX)}));
    let odd_handler = RunSpec { handler: "h".repeat(256), ..spec(Value::Null) };
    for (spec, word) in [(too_large, "payload"), (odd_handler, "handler")] {
        let refused = Encoder::new(&spec).check().unwrap_err();
        assert!(refused.kind == crate::ErrorKind::Unpublishable && refused.message.contains(word), "{refused}");
    }
}

#[test]
fn what_is_not_ours_is_refused_with_a_reason() {
    let good = Encoder::new(&spec(Value::Null)).message(
        &Range { first: 0, count: 1, scheduled_at_ms: 0 },
        0,
        0,
        Sampling::NONE,
    );
    let with_body = |body: &str| Message { body: Bytes::from(body.to_owned()), ..good.clone() };
    let cases = [
        (with_body("hello"), "not a Paceline job"),
        (with_body("{}"), "not a Paceline job"),
        (Message { id: String::new(), ..good.clone() }, "no id"),
        (Message { id: "r1-1".into(), ..good.clone() }, "differs"),
        (
            with_body(&String::from_utf8(good.body.to_vec()).unwrap().replace("\"seq\":0", "\"seq\":1")),
            "not <runId>-<seq>",
        ),
        (with_body(&" ".repeat(MESSAGE_BYTES_MAX + 1)), "over the limit"),
    ];
    for (message, reason) in cases {
        let refused = Job::decode(&message).unwrap_err();
        assert!(refused.contains(reason), "{refused}");
    }
}
