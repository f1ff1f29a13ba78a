//! The place of a gauntlet on this machine, and its words for whoever looks on. A leaf: every other file may use it.

use std::path::{Path, PathBuf};

/// Prefix of queues, indices and keys; the stack is our own, so any will do.
pub const NAMESPACE: &str = "gauntlet";

/// The folders and the binary of one gauntlet.
#[derive(Debug, Clone)]
pub struct Place {
    pub repository: PathBuf,
    pub binary: PathBuf,
    /// Of this gauntlet alone: logs and the services' data.
    pub folder: PathBuf,
}

impl Place {
    pub fn stack(&self) -> PathBuf {
        self.folder.join("stack")
    }

    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }
}

/// Says something on stderr, for whoever looks on; the result goes to stdout.
pub fn say(words: &str) {
    eprintln!("gauntlet: {words}");
}

/// The repository that this program was built from.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}
