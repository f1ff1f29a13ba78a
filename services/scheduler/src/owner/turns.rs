//! The order of ranges for a queue that takes nothing: one tries at a time, until one succeeds.

use std::sync::atomic::{AtomicBool, Ordering};

use paceline_core::error::{Error, ErrorKind};
use tokio::sync::Mutex;

use crate::producers::Ask;

/// The fate of the last range for the run's queue.
#[derive(Default)]
pub struct QueueTurns {
    /// The queue took nothing.
    is_suspect: AtomicBool,
    /// Held by the one range that tries the queue then.
    turn: Mutex<()>,
}

impl QueueTurns {
    /// Publishes at once, or in turn while the queue is suspect.
    pub async fn offer<F>(&self, bytes: u64, publish: impl Fn(Ask) -> F) -> Result<String, Error>
    where
        F: Future<Output = Result<String, Error>>,
    {
        let turn = if self.is_suspect() { Some(self.turn.lock().await) } else { None };
        // The range before may have found that the queue is well again.
        let turn = turn.filter(|_| self.is_suspect());
        let published = publish(if turn.is_some() { Ask::Suspect } else { Ask::Range { bytes } }).await;
        match &published {
            Ok(_) => self.is_suspect.store(false, Ordering::Relaxed),
            Err(error) if error.kind == ErrorKind::ResourceExhausted => self.is_suspect.store(true, Ordering::Relaxed),
            Err(_) => (),
        }
        published
    }

    fn is_suspect(&self) -> bool {
        self.is_suspect.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::time::Duration;

    use super::*;

    /// Thirty ranges of a queue that is full for ten seconds of every try: the most that try at once, after the first ones.
    #[tokio::test(start_paused = true)]
    async fn a_queue_that_takes_nothing_gets_one_range_at_a_time_until_it_takes_one() {
        let (queue, is_full) = (QueueTurns::default(), AtomicBool::new(true));
        let (trying, most) = (AtomicU64::new(0), AtomicU64::new(0));
        let publish = |_| async {
            most.fetch_max(trying.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(10)).await;
            trying.fetch_sub(1, Ordering::Relaxed);
            if is_full.load(Ordering::Relaxed) { Err(Error::resource_exhausted("full")) } else { Ok("p".to_owned()) }
        };
        let all = || futures::future::join_all((0..30).map(|_| queue.offer(1, publish)));
        assert!(all().await.iter().all(Result::is_err));
        assert_eq!(most.swap(0, Ordering::Relaxed), 30, "nobody knew");
        assert!(all().await.iter().all(Result::is_err));
        assert_eq!(most.swap(0, Ordering::Relaxed), 1);
        is_full.store(false, Ordering::Relaxed);
        assert!(all().await.iter().all(Result::is_ok));
        // The first finds that it is well; the others, which waited for their turn, go on together.
        assert!(most.swap(0, Ordering::Relaxed) > 1 && !queue.is_suspect());
    }
}
