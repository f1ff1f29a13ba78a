//! The numbers that the workers give of themselves in their last heartbeats, taken together.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use paceline_core::error::codes;
use paceline_core::ports::workers::WorkerInfo;
use paceline_core::{Error, Result};

#[derive(Debug, Default)]
pub struct BenchTally {
    /// Worker → jobs that ended there, by its own count.
    pub workers: BTreeMap<String, u64>,
    /// Requests to the sink, and the documents in them.
    pub batches: u64,
    pub documents: u64,
    /// The times from due to stored.
    stored_ms: Option<Histogram<u64>>,
}

impl BenchTally {
    /// The jobs that ended, by the workers' own counts.
    pub fn jobs(&self) -> u64 {
        self.workers.values().sum()
    }

    pub fn of(workers: &[WorkerInfo]) -> Result<Self> {
        let mut tally = Self::default();
        for worker in workers {
            tally.workers.insert(worker.worker_id.clone(), worker.processed + worker.dead);
            tally.batches += worker.batches;
            tally.documents += worker.batched_documents;
            let histogram = decode(worker)?;
            match &mut tally.stored_ms {
                None => tally.stored_ms = Some(histogram),
                Some(all) => all.add(histogram).map_err(|e| unreadable(worker, e))?,
            }
        }
        Ok(tally)
    }

    pub fn batch_mean(&self) -> Option<f64> {
        (self.batches > 0).then(|| self.documents as f64 / self.batches as f64)
    }

    /// Milliseconds from due to stored; 1.0 is the longest.
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        let histogram = self.stored_ms.as_ref().filter(|histogram| !histogram.is_empty())?;
        Some(histogram.value_at_quantile(quantile) as f64)
    }
}

fn decode(worker: &WorkerInfo) -> Result<Histogram<u64>> {
    let bytes = STANDARD.decode(&worker.stored_latency).map_err(|e| unreadable(worker, e))?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|e| unreadable(worker, e))
}

fn unreadable(worker: &WorkerInfo, reason: impl std::fmt::Display) -> Error {
    Error::internal(format!(
        "the latencies of {} cannot be read ({reason}); is it of another version?",
        worker.worker_id
    ))
    .coded(codes::BENCH_BROKE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::{Serializer as _, V2Serializer};

    fn worker(id: &str, latencies_ms: &[u64]) -> WorkerInfo {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 3_600_000, 3).unwrap();
        latencies_ms.iter().for_each(|ms| histogram.record(*ms).unwrap());
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(&histogram, &mut bytes).unwrap();
        WorkerInfo {
            version: String::new(),
            worker_id: id.into(),
            queue: "default".into(),
            group: "main".into(),
            host: "here".into(),
            pid: 1,
            started_at_ms: 0,
            heartbeat_at_ms: 0,
            age_ms: 0,
            processed: latencies_ms.len() as u64,
            dead: 0,
            retried: 0,
            held: 0,
            stalled: 0,
            loads: Default::default(),
            busy: None,
            is_stopping: false,
            batches: 1,
            batched_documents: latencies_ms.len() as u64,
            stored_latency: STANDARD.encode(bytes),
        }
    }

    #[test]
    fn workers_are_taken_together() {
        let tally = BenchTally::of(&[worker("a", &[1, 2, 3]), worker("b", &[100])]).unwrap();
        assert_eq!((tally.batches, tally.documents, tally.batch_mean()), (2, 4, Some(2.0)));
        assert_eq!((tally.quantile_ms(0.5), tally.quantile_ms(1.0)), (Some(2.0), Some(100.0)));
        assert_eq!(tally.workers, BTreeMap::from([("a".to_owned(), 3), ("b".to_owned(), 1)]));
    }

    #[test]
    fn nobody_has_no_numbers_and_nonsense_is_named() {
        let tally = BenchTally::of(&[]).unwrap();
        assert_eq!((tally.quantile_ms(0.5), tally.batch_mean()), (None, None));
        let broken = WorkerInfo { stored_latency: "AAAA".into(), ..worker("a", &[]) };
        assert!(BenchTally::of(&[broken]).unwrap_err().message.contains("latencies of a"));
    }
}
