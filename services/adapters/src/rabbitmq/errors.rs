//! Errors of lapin in words for a person: the event, the broker, and the remedy.

use std::io;

use lapin::ErrorKind as Lapin;
use paceline_core::Error;
use paceline_core::error::codes;

use super::endpoint::Endpoint;
use super::limits::HEARTBEAT_S;

const ACCESS_REFUSED: u16 = 403;
const CONNECTION_FORCED: u16 = 320;
const NOT_ALLOWED: u16 = 530;

/// A connection that could not be opened.
pub fn not_opened(endpoint: &Endpoint, error: &lapin::Error) -> Error {
    match error.kind() {
        Lapin::ProtocolError(refusal) => refused(endpoint, refusal.get_id(), refusal.get_message().as_str()),
        Lapin::IOError(error) if error.kind() == io::ErrorKind::InvalidData => not_amqp(endpoint, error),
        Lapin::InvalidProtocolVersion(version) => not_amqp(endpoint, &format!("it speaks AMQP {version}")),
        Lapin::ParsingError(error) => not_amqp(endpoint, error),
        Lapin::IOError(error) if error.kind() == io::ErrorKind::UnexpectedEof => Error::unavailable(format!(
            "no connection to RabbitMQ at {endpoint}: it closed the connection during the login; check that the port is RabbitMQ's, \
             and whether it speaks TLS (amqps://)"
        ))
        .coded(codes::BROKER_UNREACHABLE),
        _ => {
            Error::unavailable(format!("no connection to RabbitMQ at {endpoint}: {}", reason(error)))
                .coded(codes::BROKER_UNREACHABLE)
        }
    }
}

fn not_amqp(endpoint: &Endpoint, what: &dyn std::fmt::Display) -> Error {
    Error::failed_precondition(format!("{endpoint} does not answer as RabbitMQ does ({what}); check the port"))
        .coded(codes::BROKER_NOT_AMQP)
}

fn refused(endpoint: &Endpoint, code: u16, text: &str) -> Error {
    let Endpoint { user, vhost, .. } = endpoint;
    let (known, what, remedy) = match code {
        ACCESS_REFUSED => {
            let remedy = "check user and password in the broker's URL".to_owned();
            (codes::BROKER_LOGIN_REFUSED, format!("refuses the login of user {user:?}"), remedy)
        }
        NOT_ALLOWED => (
            codes::BROKER_VHOST_REFUSED,
            format!("refuses user {user:?} the vhost {vhost:?}"),
            format!("make it with `rabbitmqctl add_vhost {vhost}`, or allow it with `rabbitmqctl set_permissions`"),
        ),
        CONNECTION_FORCED => {
            return Error::unavailable(format!("no connection to RabbitMQ at {endpoint}: {text}"))
                .coded(codes::BROKER_UNREACHABLE);
        }
        _ => {
            let what = format!("refuses the connection with code {code}");
            (codes::BROKER_CONNECTION_REFUSED, what, "see RabbitMQ's log".to_owned())
        }
    };
    Error::failed_precondition(format!("RabbitMQ at {endpoint} {what}: {text}; {remedy}")).coded(known)
}

/// A connection or channel that was open and is of no use any more.
pub fn lost(label: &str, error: &lapin::Error) -> Error {
    match error.kind() {
        Lapin::ProtocolError(closed) if error.is_amqp_soft_error() => {
            channel_closed(label, closed.get_id(), closed.get_message().as_str())
        }
        _ => connection_lost(label, &reason(error)),
    }
}

pub fn connection_lost(label: &str, reason: &str) -> Error {
    Error::unavailable(format!("the connection to RabbitMQ at {label} is lost: {reason}"))
        .coded(codes::BROKER_CONNECTION_LOST)
}

fn reason(error: &lapin::Error) -> String {
    match error.kind() {
        Lapin::ProtocolError(closed) => format!("it says {} {}", closed.get_id(), closed.get_message()),
        Lapin::MissingHeartbeatError => format!("it is silent for {} s", HEARTBEAT_S * 2),
        Lapin::IOError(error) => error.to_string(),
        _ => error.to_string(),
    }
}

/// The error of a channel that the broker closed, by the broker's code.
fn channel_closed(label: &str, code: u16, text: &str) -> Error {
    let message = format!("RabbitMQ at {label} closed the channel: {code} {text}");
    let (known, remedy) = match code {
        404 => (codes::QUEUE_MISSING, ""),
        ACCESS_REFUSED => (codes::BROKER_PERMISSION_MISSING, "; allow it with `rabbitmqctl set_permissions`"),
        406 if text.contains("inequivalent arg") => {
            (codes::QUEUE_SETTINGS_DIFFER, "; it was made with other settings: delete it when it is empty")
        }
        _ => (codes::BROKER_CONNECTION_LOST, ""),
    };
    Error::new(known.kind, format!("{message}{remedy}")).coded(known)
}
