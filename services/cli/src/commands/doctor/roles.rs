//! Checks of schedulers and producers, by their gRPC health.

use futures::future::join_all;
use paceline_core::error::codes;
use paceline_core::{Error, ErrorKind, Result};
use paceline_runtime::resolver::SystemResolver;
use paceline_runtime::settings::Settings;
use paceline_runtime::{grpc, status};
use paceline_scheduler::{ProducerAddress, addresses_now};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::checkup::DoctorCheck;
use super::reach::{PROBE_TIMEOUT, within};

/// Each producer at each address; a name stands for all of its own addresses.
pub async fn producers(settings: &Settings) -> Vec<DoctorCheck> {
    let addresses = settings.producer_addresses();
    join_all(addresses.iter().map(|address| producers_at(address, settings))).await.concat()
}

async fn producers_at(address: &str, settings: &Settings) -> Vec<DoctorCheck> {
    match within(addresses_now(address, &SystemResolver)).await {
        Ok(found) => join_all(found.iter().map(|producer| role_at("producer", producer, settings))).await,
        Err(error) => {
            let remedy = "is it the name that DNS has here, and is a producer started? PACELINE_PRODUCERS says it";
            vec![DoctorCheck::skipped("producer", format!("{address}: {}", error.message)).with_remedy(remedy)]
        }
    }
}

/// A role at one address. A role that is not running is no failure: a machine need not run everything.
pub async fn role(name: &str, address: &str, settings: &Settings) -> DoctorCheck {
    role_at(name, &ProducerAddress { address: address.to_owned(), origin: None }, settings).await
}

async fn role_at(name: &str, role: &ProducerAddress, settings: &Settings) -> DoctorCheck {
    let address = &role.address;
    match within(serving_status(role, settings)).await {
        Ok(ServingStatus::Serving) => DoctorCheck::ok(name, format!("serves at {address}")),
        Ok(status) => {
            let status = status.as_str_name().to_ascii_lowercase();
            let error =
                Error::unavailable(format!("answers at {address}, but says {status}")).coded(codes::ROLE_NOT_SERVING);
            DoctorCheck::failed(name, &error, "its log says what it waits for")
        }
        Err(error) if error.kind == ErrorKind::Unavailable => {
            let remedy = format!("start it with `paceline {name}`, or `paceline dev` for everything");
            DoctorCheck::skipped(name, format!("not running at {address}")).with_remedy(remedy)
        }
        Err(error) => {
            DoctorCheck::failed(name, &error, "is it a Paceline of this version, and PACELINE_TOKEN its token?")
        }
    }
}

async fn serving_status(role: &ProducerAddress, settings: &Settings) -> Result<ServingStatus> {
    let (origin, token) = (role.origin.as_deref(), settings.token.as_deref());
    let channel = grpc::authorized_as(&role.address, origin, token, Some(PROBE_TIMEOUT))?;
    let mut health = HealthClient::new(channel);
    let answer = health.check(HealthCheckRequest { service: String::new() }).await;
    answer.map(|answer| answer.into_inner().status()).map_err(|status| status::from_status(&status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::checkup::CheckVerdict;

    #[tokio::test]
    async fn a_role_that_is_not_running_is_skipped_with_a_remedy() {
        let check = role("producer", "http://127.0.0.1:1", &Settings::default()).await;
        assert_eq!((check.verdict, check.is_ok()), (CheckVerdict::Skipped, false));
        assert!(check.remedy.unwrap().contains("paceline producer"));
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_is_named_with_a_remedy() {
        let settings = Settings { producers: "http://producer.invalid:50052".into(), ..Settings::default() };
        let checks = producers(&settings).await;
        assert_eq!((checks.len(), checks[0].verdict), (1, CheckVerdict::Skipped));
        assert!(checks[0].what.contains("producer.invalid does not resolve"), "{}", checks[0].what);
    }

    #[tokio::test]
    async fn a_role_that_serves_is_fine() {
        let (context, _guard) = crate::fake_scheduler::Fake::default().serve().await;
        let check = role("scheduler", &context.settings.server, &context.settings).await;
        assert_eq!((check.verdict, check.remedy), (CheckVerdict::Ok, None));
    }
}
