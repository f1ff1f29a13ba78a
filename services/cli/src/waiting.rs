//! Start-up on services that are not there yet: tries again with backoff, and logs each failure, until the service answers.

use std::time::Duration;

use paceline_core::Result;
use paceline_core::backoff::Backoff;
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::readiness::{HICCUP, Readiness};

const DELAY_MIN: Duration = Duration::from_millis(200);
const DELAY_MAX: Duration = Duration::from_secs(1);

/// The connection, or `None` when a stop comes first. A failure that no time mends (a bad URL, a wrong password) is an error at once.
pub async fn connected<T, F>(
    what: &str,
    readiness: &Readiness,
    shutdown: &Shutdown,
    connect: impl Fn() -> F,
) -> Result<Option<T>>
where
    F: Future<Output = Result<T>>,
{
    let mut backoff = Backoff::new(DELAY_MIN, DELAY_MAX);
    // The role goes on with the same condition.
    let reached = readiness.tolerant(what, HICCUP);
    loop {
        match shutdown.or(reached.observe(connect())).await {
            None => return Ok(None),
            Some(Ok(connection)) => return Ok(Some(connection)),
            Some(Err(error)) if !error.is_retryable() => return Err(error),
            Some(Err(error)) => {
                let pause = backoff.draw();
                tracing::warn!(%error, code = %error.code, retry_in_ms = pause.as_millis(), "waiting for the {what}");
                shutdown.or(tokio::time::sleep(pause)).await;
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
        let (tries, shutdown, readiness) = (AtomicU32::new(0), Shutdown::new(), Readiness::new("worker", "w"));
        let third_time = || async {
            if tries.fetch_add(1, Ordering::Relaxed) < 2 { Err(Error::unavailable("not yet")) } else { Ok(7) }
        };
        assert_eq!(connected("broker", &readiness, &shutdown, third_time).await.unwrap(), Some(7));
        assert!(readiness.is_ready());
        let never = || async { Err::<(), _>(Error::invalid_field("broker_url", "bad")) };
        assert!(connected("broker", &readiness, &shutdown, never).await.is_err());
        shutdown.trigger();
        let away = || async { Err::<(), _>(Error::unavailable("away")) };
        assert_eq!(connected("broker", &readiness, &shutdown, away).await.unwrap(), None);
    }
}
