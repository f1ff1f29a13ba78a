//! Start-up on services that are not there yet: try again with backoff, say which one and what to do, until it answers.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use paceline_core::Result;
use paceline_runtime::lifecycle::Shutdown;

const DELAY_MIN: Duration = Duration::from_millis(200);
const DELAY_MAX: Duration = Duration::from_secs(5);

/// The connection, or `None` when a stop comes first. What can never work (a bad URL, a wrong password) is an error at once.
pub async fn connected<T, F>(what: &str, shutdown: &Shutdown, connect: impl Fn() -> F) -> Result<Option<T>>
where
    F: Future<Output = Result<T>>,
{
    let mut delays = ExponentialBuilder::default()
        .with_min_delay(DELAY_MIN)
        .with_max_delay(DELAY_MAX)
        .with_jitter()
        .without_max_times()
        .build();
    loop {
        match shutdown.or(connect()).await {
            None => return Ok(None),
            Some(Ok(connection)) => return Ok(Some(connection)),
            Some(Err(error)) if !error.is_retryable() => return Err(error),
            Some(Err(error)) => {
                let delay = delays.next().unwrap_or(DELAY_MAX);
                tracing::warn!(%error, retry_in_ms = delay.as_millis(), "waiting for the {what}");
                shutdown.or(tokio::time::sleep(delay)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use paceline_core::Error;

    #[tokio::test(start_paused = true)]
    async fn waits_for_what_may_come_and_not_for_what_cannot() {
        let (tries, shutdown) = (AtomicU32::new(0), Shutdown::new());
        let third_time = || async {
            if tries.fetch_add(1, Ordering::Relaxed) < 2 { Err(Error::unavailable("not yet")) } else { Ok(7) }
        };
        assert_eq!(connected("broker", &shutdown, third_time).await.unwrap(), Some(7));
        let never = || async { Err::<(), _>(Error::invalid_field("broker_url", "bad")) };
        assert!(connected("broker", &shutdown, never).await.is_err());
        shutdown.trigger();
        let away = || async { Err::<(), _>(Error::unavailable("away")) };
        assert_eq!(connected("broker", &shutdown, away).await.unwrap(), None);
    }
}
