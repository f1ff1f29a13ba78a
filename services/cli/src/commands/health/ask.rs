//! One question to one place: a role answers `/readyz` with its report; everything else is an answer of nobody, in words.

use std::time::Duration;

use futures::future::join_all;
use paceline_core::Error;
use paceline_runtime::settings::Settings;
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, StatusCode};
use serde_json::Value;

use super::address::AdminAddress;

/// The most that all of it may take.
pub const TIMEOUT: Duration = Duration::from_secs(2);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// The outcome of asking one place.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// A role, and its report of itself.
    Role { is_ready: bool, report: Value },
    /// No role, and why.
    None(String),
}

impl Answer {
    /// No role, because there is no place to ask. The line begins with the code, since the command ends with the verdict and not with
    /// the error.
    pub fn not_asked(error: &Error) -> Self {
        Self::None(format!("{} {}", error.code, error.message))
    }

    pub fn report(&self) -> Option<&Value> {
        match self {
            Self::Role { report, .. } => Some(report),
            Self::None(_) => None,
        }
    }

    pub fn why_none(&self) -> Option<&str> {
        match self {
            Self::None(why) => Some(why),
            Self::Role { .. } => None,
        }
    }
}

/// The answers of all places, asked at once, in their order.
pub async fn ask_all(places: &[AdminAddress], settings: &Settings) -> anyhow::Result<Vec<Answer>> {
    // A proxy of the environment is for the world outside, and a redirect leads away from the role.
    let client = Client::builder().timeout(TIMEOUT).no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
    Ok(join_all(places.iter().map(|place| ask(&client, place, settings))).await)
}

/// The answer of one place within [`TIMEOUT`].
pub async fn ask(client: &Client, place: &AdminAddress, settings: &Settings) -> Answer {
    let name = place.name();
    // The client's own limit does not hold for the lookup of a name that nobody answers.
    match tokio::time::timeout(TIMEOUT, call(client, place, settings)).await {
        Ok(Ok((status, body))) => understand(name, status, &body),
        Ok(Err(error)) if error.is_connect() => {
            Answer::None(format!("no role listens at {name}: it is not started, or its --admin is another address"))
        }
        Ok(Err(error)) if !error.is_timeout() => {
            Answer::None(format!("{name} does not speak HTTP as a role does: {error}"))
        }
        Ok(Err(_)) | Err(_) => Answer::None(format!("{name} does not answer within {} s", TIMEOUT.as_secs())),
    }
}

async fn call(client: &Client, place: &AdminAddress, settings: &Settings) -> reqwest::Result<(StatusCode, Vec<u8>)> {
    let mut request = client.get(place.readyz());
    if let Some(token) = &settings.token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let mut response = request.send().await?;
    let (status, mut body) = (response.status(), Vec::new());
    while let Some(part) = response.chunk().await? {
        body.extend_from_slice(&part);
        if body.len() > ANSWER_BYTES_MAX {
            break;
        }
    }
    Ok((status, body))
}

fn understand(name: &str, status: StatusCode, body: &[u8]) -> Answer {
    let report = serde_json::from_slice::<Value>(body).unwrap_or_default();
    match report["ready"].as_bool() {
        Some(is_ready) if [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(&status) => {
            Answer::Role { is_ready, report }
        }
        _ => Answer::None(format!("{name} is no admin port of Paceline: it answers {} to /readyz", status.as_u16())),
    }
}
