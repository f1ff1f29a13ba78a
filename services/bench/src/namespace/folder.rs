//! A folder of embedded adapters, which is the benchmark's own, and its removal.

use paceline_core::error::codes;
use std::path::{Path, PathBuf};

use paceline_core::{Error, Result};

use super::leftover::{self, Leftover};

/// A folder in that of the user.
pub struct Folder {
    pub path: PathBuf,
    /// True if the user's was there before: then it stays, empty or not.
    was_around: bool,
}

impl Folder {
    pub fn new(path: PathBuf) -> Self {
        Self { was_around: path.parent().is_some_and(Path::exists), path }
    }

    pub fn leftover(&self) -> Leftover {
        leftover::folder(&self.path)
    }

    /// The folder around it goes too if we made it and nobody has put anything else in it.
    pub fn remove(&self) -> Result<u64> {
        let removed = match std::fs::remove_dir_all(&self.path) {
            Ok(()) => 1,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(error) => return Err(Error::internal(error.to_string()).coded(codes::BENCH_BROKE)),
        };
        if !self.was_around {
            _ = self.path.parent().map(std::fs::remove_dir);
        }
        Ok(removed)
    }
}
