//! Publishes one job to RabbitMQ as any AMQP client can, without a run and without Paceline's code.
//!
//! ```text
//! paceline worker
//! cargo run -p paceline-examples --bin publish_with_lapin -- --run-id by-hand --seq 0 --payload '{"customer":7}'
//! ```
//!
//! The message goes to the exchange named as the namespace, with the queue as its routing key:
//!
//! | part of the message | value |
//! |---|---|
//! | `message_id` | the job's id, `<runId>-<seq>`, the same as `jobId` in the body; required |
//! | `delivery_mode` | 2: the message survives a restart of the broker |
//! | header `x-paceline-attempt` | 1 for the first attempt; absent: 1 |
//! | `content_type`, `type`, `timestamp`, headers `x-paceline-run`, `x-paceline-seq` | for tools and people; the worker believes the body |
//! | header `traceparent` | W3C trace context, if the job's trace is recorded; absent here |
//! | body | JSON: `jobId runId seq queue handler scheduledAt enqueuedAt`, and `payload` if there is one; times in milliseconds since 1970 |
//!
//! A worker handles and stores such a job. The ledger never counts it, because no run has reserved its seq.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::uri::AMQPUri;
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties};
use serde_json::{Map, Value, json};

/// The longest that connecting, or publishing with its confirm, may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// The delivery mode of a message that is written to disk.
const PERSISTENT: u8 = 2;

/// Publishes one job to RabbitMQ, as any AMQP client can
#[derive(Debug, Parser)]
struct Arguments {
    /// One node of RabbitMQ: amqp://USER:PASSWORD@HOST:PORT/VHOST
    #[arg(long, env = "PACELINE_BROKER_URL", default_value = "amqp://127.0.0.1:5672/%2f", hide_env_values = true)]
    broker_url: String,
    /// Namespace of the mesh, which is also the name of the exchange
    #[arg(long, env = "PACELINE_NAMESPACE", default_value = "paceline")]
    namespace: String,
    #[arg(long, default_value = "default")]
    queue: String,
    #[arg(long, default_value = "record")]
    handler: String,
    /// 1 to 64 of a-z 0-9 -
    #[arg(long, default_value = "by-hand")]
    run_id: String,
    #[arg(long, default_value_t = 0)]
    seq: u64,
    /// A JSON object
    #[arg(long, default_value = r#"{"customer":7}"#, value_parser = object)]
    payload: Value,
}

fn object(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str::<Map<String, Value>>(text).map(Value::Object)
}

#[tokio::main]
async fn main() -> ExitCode {
    match execute(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn execute(arguments: &Arguments) -> Result<()> {
    // The URL may hold a password, so no message repeats it.
    let uri: AMQPUri = arguments.broker_url.parse().map_err(|_| {
        anyhow::anyhow!("the broker's URL cannot be read; write amqp://USER:PASSWORD@HOST:PORT/VHOST, with one host")
    })?;
    let broker = format!("{}:{}", uri.authority.host, uri.authority.port);
    println!("connecting to RabbitMQ at {broker}");
    let connection = in_time(Connection::connect_uri(uri, ConnectionProperties::default())).await;
    let connection =
        connection.with_context(|| format!("no connection to RabbitMQ at {broker}; check --broker-url"))?;
    in_time(publish(&connection, arguments)).await?;
    println!("RabbitMQ has job {} in queue {}", job_id(arguments), arguments.queue);
    in_time(connection.close(200, "done".into())).await.context("the connection did not close in good order")
}

/// Publishes the job, and waits until RabbitMQ confirms that a queue has it.
async fn publish(connection: &Connection, arguments: &Arguments) -> Result<()> {
    let Arguments { namespace, queue, .. } = arguments;
    let channel = connection.create_channel().await.context("RabbitMQ opened no channel")?;
    channel.confirm_select(ConfirmSelectOptions::default()).await.context("RabbitMQ confirms nothing here")?;
    // A message that no queue takes comes back instead of vanishing.
    let mandatory = BasicPublishOptions { mandatory: true, ..Default::default() };
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let (body, properties) = (body(arguments, now_ms), properties(arguments, now_ms));
    let (exchange, routing_key) = (namespace.as_str().into(), queue.as_str().into());
    println!("publishing {body}");
    let sent = channel.basic_publish(exchange, routing_key, mandatory, body.as_bytes(), properties).await;
    let confirm = sent.context("the message was not sent")?.await;
    let confirm = confirm.with_context(|| format!("no confirm; is there a mesh of namespace {namespace}?"))?;
    judge(confirm, arguments)?;
    // A channel that is only dropped closes some time later, and the connection cannot be closed meanwhile.
    channel.close(200, "done".into()).await.context("the channel did not close in good order")
}

fn judge(confirm: Confirmation, Arguments { namespace, queue, .. }: &Arguments) -> Result<()> {
    match confirm {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)) => bail!(
            "no queue {queue} takes messages of namespace {namespace}; start a worker of that queue once, or check --queue"
        ),
        Confirmation::Nack(None) => {
            bail!("RabbitMQ refused the message: queue {queue} is full, or about to stop; try again")
        }
        Confirmation::NotRequested => bail!("RabbitMQ confirms nothing on this channel"),
    }
}

fn job_id(Arguments { run_id, seq, .. }: &Arguments) -> String {
    format!("{run_id}-{seq}")
}

fn body(arguments: &Arguments, now_ms: i64) -> String {
    let Arguments { queue, handler, run_id, seq, payload, .. } = arguments;
    json!({
        "jobId": job_id(arguments), "runId": run_id, "seq": seq, "queue": queue, "handler": handler,
        "scheduledAt": now_ms, "enqueuedAt": now_ms, "payload": payload,
    })
    .to_string()
}

fn properties(arguments: &Arguments, now_ms: i64) -> BasicProperties {
    let Arguments { handler, run_id, seq, .. } = arguments;
    let mut headers = FieldTable::default();
    headers.insert("x-paceline-attempt".into(), AMQPValue::LongInt(1));
    headers.insert("x-paceline-run".into(), AMQPValue::LongString(run_id.as_str().into()));
    headers.insert("x-paceline-seq".into(), AMQPValue::LongLongInt(i64::try_from(*seq).unwrap_or(i64::MAX)));
    BasicProperties::default()
        .with_message_id(job_id(arguments).into())
        .with_type(handler.as_str().into())
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_timestamp(u64::try_from(now_ms / 1000).unwrap_or(0))
        .with_headers(headers)
}

/// An error instead of a program that hangs.
async fn in_time<T, E: Into<anyhow::Error>>(step: impl Future<Output = Result<T, E>>) -> Result<T> {
    let answer = tokio::time::timeout(STEP_TIMEOUT, step).await;
    answer.with_context(|| format!("no answer within {STEP_TIMEOUT:?}"))?.map_err(Into::into)
}
