//! The default handler: the document carries a number and its square, the number a pure function of run and seq.

use async_trait::async_trait;
use paceline_core::job::Job;
use paceline_core::outcome::Outcome;
use serde_json::Map;

use super::handler::{Handler, JobContext};

/// Answers a number of the job, and its square.
pub struct Record;

/// The bound that every number is below: the square of a smaller number fits into the integers of every JSON reader (2^53).
const NUMBER_END: u64 = 1 << 26;

#[async_trait]
impl Handler for Record {
    async fn handle(&self, job: &Job, _: &JobContext) -> Outcome {
        let number = number(job.run_id.as_str(), job.seq);
        let mut output = Map::new();
        output.insert("number".to_owned(), number.into());
        output.insert("square".to_owned(), (number * number).into());
        Outcome::Done { output }
    }
}

/// FNV-1a over the run's id, mixed with the seq by the finalizer of SplitMix64 (Steele, Lea & Flood 2014).
pub fn number(run: &str, seq: u64) -> u64 {
    let hash = run
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut mixed = hash.wrapping_add(seq.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % NUMBER_END
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_differ_by_run_and_seq_and_never_change() {
        assert_eq!(number("a", 1), number("a", 1));
        assert_ne!(number("a", 1), number("a", 2));
        assert_ne!(number("a", 1), number("b", 1));
        let distinct: std::collections::BTreeSet<u64> = (0..1000).map(|seq| number("run", seq)).collect();
        assert!(distinct.len() > 990);
    }
}
