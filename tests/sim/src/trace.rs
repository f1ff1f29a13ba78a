//! The trace of a run, a line a step: hashed whole, and the last lines kept.
//!
//! Nothing that differs between two runs of a seed may enter: no random id, no process id, no host name.

use std::collections::VecDeque;

/// Lines that a report of a broken law shows.
const KEPT_LINES: usize = 40;
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

pub struct Trace {
    hash: u64,
    steps: u64,
    last: VecDeque<String>,
    is_loud: bool,
}

impl Trace {
    /// `is_loud`: every line goes to stderr as well.
    pub fn new(is_loud: bool) -> Self {
        Self { hash: FNV_OFFSET, steps: 0, last: VecDeque::with_capacity(KEPT_LINES), is_loud }
    }

    pub fn note(&mut self, now_us: u64, line: &str) {
        let line = format!("{:>10}.{:03} ms  {line}", now_us / 1000, now_us % 1000);
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
        self.steps += 1;
        if self.is_loud {
            eprintln!("{line}");
        }
        if self.last.len() == KEPT_LINES {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn steps(&self) -> u64 {
        self.steps
    }

    pub fn last(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }
}
