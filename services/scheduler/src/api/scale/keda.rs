//! The edge of `externalscaler.ExternalScaler`: KEDA asks, and its HPA starts and stops pods.
//!
//! The metric is the number of workers that are wanted, and its target is 1 a worker, so the HPA's arithmetic (metric ÷ target) leaves it as
//! it is. A number that is not known is UNAVAILABLE: KEDA and its HPA then leave the pods as they are.
//!
//! KEDA sends no metadata with its calls. It does send every key of the trigger, and puts in place of a key that ends in `FromEnv` the variable
//! of the scaled pods. So `tokenFromEnv: PACELINE_TOKEN` brings the token, and the ScaledObject holds no secret.

use std::collections::HashMap;
use std::time::Duration;

use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use paceline_core::error::codes;
use paceline_core::scaling::Decision;
use paceline_core::{Error, Result};
use paceline_proto::externalscaler::external_scaler_server::ExternalScaler;
use paceline_proto::externalscaler::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec, MetricValue,
    ScaledObjectRef,
};
use paceline_runtime::auth::RequireToken;
use paceline_runtime::status::{self, to_status};
use tokio::time::MissedTickBehavior;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::question::Question;
use super::trigger::{TOKEN_KEY, question};
use crate::context::Context;

/// The one metric.
pub const METRIC: &str = "paceline-workers";
/// The metric's target for one worker.
const TARGET: i64 = 1;
/// The time between two looks of a stream for a change.
const STREAM_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub struct ExternalScalerApi {
    context: Context,
    token: RequireToken,
}

impl ExternalScalerApi {
    pub fn new(context: Context, token: RequireToken) -> Self {
        Self { context, token }
    }

    async fn decide<T>(&self, request: &Request<T>, object: Option<&ScaledObjectRef>) -> Result<Decision, Status> {
        let question = self.question(request, object)?;
        question.answer(&self.context).await.map_err(to_status)
    }

    /// Whoever may ask learns what is wrong with the question.
    fn question<T>(&self, request: &Request<T>, object: Option<&ScaledObjectRef>) -> Result<Question, Status> {
        let metadata = object.map(|object| &object.scaler_metadata).ok_or_else(|| {
            to_status(
                Error::invalid_field("scaledObjectRef", "is missing: it says which queue is meant")
                    .coded(codes::SCALED_OBJECT_INVALID),
            )
        })?;
        admit(&self.token, request.metadata(), metadata)?;
        question(metadata, &self.context.config).map_err(to_status)
    }
}

/// Checks the token: the one in the call's metadata, as in all other calls, or the one among the trigger's keys.
fn admit(token: &RequireToken, call: &MetadataMap, keys: &HashMap<String, String>) -> Result<(), Status> {
    let given = call.get("authorization").map(|value| value.as_bytes().to_vec());
    let given = given.or_else(|| keys.get(TOKEN_KEY).map(|token| format!("Bearer {token}").into_bytes()));
    match given {
        given if token.admits(given.as_deref()) => Ok(()),
        Some(_) => Err(status::unauthenticated("the token is wrong; the pods' PACELINE_TOKEN is not the scheduler's")),
        None => Err(status::unauthenticated(format!(
            "a token is required: put `{TOKEN_KEY}: PACELINE_TOKEN` into the trigger's metadata, and that variable into the scaled pods"
        ))),
    }
}

#[tonic::async_trait]
impl ExternalScaler for ExternalScalerApi {
    async fn is_active(&self, request: Request<ScaledObjectRef>) -> Result<Response<IsActiveResponse>, Status> {
        let result = self.decide(&request, Some(request.get_ref())).await?.is_active;
        Ok(Response::new(IsActiveResponse { result }))
    }

    type StreamIsActiveStream = BoxStream<'static, Result<IsActiveResponse, Status>>;

    /// Says nothing while it is not known. KEDA would open a stream that ends with an error again, but later each time, up to a minute,
    /// and never sooner again.
    async fn stream_is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamIsActiveStream>, Status> {
        let question = self.question(&request, Some(request.get_ref()))?;
        let context = self.context.clone();
        let ask = move || {
            let (question, context) = (question.clone(), context.clone());
            async move { question.answer(&context).await.map(|decision| decision.is_active) }
        };
        Ok(Response::new(changes(ask).map(|result| Ok(IsActiveResponse { result })).boxed()))
    }

    async fn get_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<GetMetricSpecResponse>, Status> {
        self.question(&request, Some(request.get_ref()))?;
        let spec = MetricSpec { metric_name: METRIC.into(), target_size: TARGET, target_size_float: TARGET as f64 };
        Ok(Response::new(GetMetricSpecResponse { metric_specs: vec![spec] }))
    }

    async fn get_metrics(&self, request: Request<GetMetricsRequest>) -> Result<Response<GetMetricsResponse>, Status> {
        let asked = request.get_ref();
        self.question(&request, asked.scaled_object_ref.as_ref())?;
        if asked.metric_name != METRIC {
            let wrong = format!("{:?} is not known; there is: {METRIC}", asked.metric_name);
            return Err(to_status(Error::invalid_field("metricName", wrong).coded(codes::SCALED_OBJECT_INVALID)));
        }
        let wanted = self.decide(&request, asked.scaled_object_ref.as_ref()).await?.wanted;
        let value =
            MetricValue { metric_name: METRIC.into(), metric_value: wanted.into(), metric_value_float: wanted.into() };
        Ok(Response::new(GetMetricsResponse { metric_values: vec![value] }))
    }
}

/// The first answer that is known, and each one that differs from the last.
fn changes<F>(ask: impl Fn() -> F + Send + 'static) -> impl Stream<Item = bool> + Send
where
    F: Future<Output = Result<bool>> + Send,
{
    let mut look = tokio::time::interval(STREAM_INTERVAL);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    stream::unfold((ask, look, None), |(ask, mut look, last)| async move {
        loop {
            look.tick().await;
            match ask().await {
                Ok(active) if last != Some(active) => return Some((active, (ask, look, Some(active)))),
                Ok(_) => (),
                Err(error) => tracing::debug!(%error, "KEDA's stream is silent: it is not known"),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn keys(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_silent_while_it_is_not_known_and_goes_on() {
        let away = || Err(Error::unavailable("nobody knows"));
        let answers = [away(), Ok(false), away(), Ok(false), Ok(true), away(), Ok(true), Ok(false)];
        let answers = Mutex::new(answers.into_iter());
        let next = move || futures::future::ready(answers.lock().unwrap().next().unwrap());
        let said: Vec<bool> = changes(next).take(3).collect().await;
        assert_eq!(said, [false, true, false]);
    }

    #[test]
    fn the_token_comes_with_the_call_or_with_the_trigger() {
        const TOKEN: &str = "0123456789abcdef";
        let required = RequireToken::new(Some(TOKEN));
        let (nothing, mut header) = (MetadataMap::new(), MetadataMap::new());
        header.insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
        let code = |call: &MetadataMap, pairs| admit(&required, call, &keys(pairs)).map_err(|status| status.code());
        assert_eq!(code(&header, &[]), Ok(()));
        assert_eq!(code(&nothing, &[(TOKEN_KEY, TOKEN)]), Ok(()));
        for refused in [
            code(&nothing, &[]),
            code(&nothing, &[(TOKEN_KEY, "0123456789abcdeg")]),
            code(&nothing, &[("token", TOKEN)]),
        ] {
            assert_eq!(refused, Err(tonic::Code::Unauthenticated));
        }
        let said = admit(&required, &nothing, &keys(&[])).unwrap_err();
        assert!(said.message().contains("tokenFromEnv: PACELINE_TOKEN"), "{said}");
        admit(&RequireToken::default(), &nothing, &keys(&[])).unwrap();
    }
}
