//! Tells the binary which commit it was built from: `PACELINE_COMMIT`, "unknown" outside of a checkout, with `-dirty` where what it is
//! built from differs from the commit.
//!
//! It runs again when the commit changes or a source does, which builds the binary anew anyway.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The sources of the binary, from the root of the workspace.
const SOURCES: [&str; 5] = ["Cargo.toml", "Cargo.lock", "proto", "services", "paceline.example.toml"];
/// Says the commit where there is no checkout, as in the build of an image.
const SAID: &str = "PACELINE_BUILD_COMMIT";
/// Hexadecimal digits of a commit.
const DIGITS: &str = "--short=12";

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    println!("cargo:rerun-if-env-changed={SAID}");
    for source in SOURCES {
        println!("cargo:rerun-if-changed={}", root.join(source).display());
    }
    let said = std::env::var(SAID).ok().filter(|said| !said.is_empty());
    let commit = said.or_else(|| commit(&root)).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=PACELINE_COMMIT={commit}");
}

fn commit(root: &Path) -> Option<String> {
    // Not the commit of another repository, in whose folder these sources lie.
    let top = PathBuf::from(git(root, &["rev-parse", "--show-toplevel"])?);
    if top.canonicalize().ok()? != root.canonicalize().ok()? {
        return None;
    }
    let commit = git(root, &["rev-parse", DIGITS, "HEAD"])?;
    // The log of HEAD gets a line with each commit, also with one that makes the file of a branch whose ref was packed before.
    let mut moves = vec!["HEAD".to_owned(), "logs/HEAD".to_owned(), "packed-refs".to_owned()];
    moves.extend(git(root, &["symbolic-ref", "-q", "HEAD"]));
    for file in moves.iter().filter_map(|name| git(root, &["rev-parse", "--git-path", name])) {
        // A path that is not there would count as changed each time.
        let file = root.join(file);
        if file.exists() {
            println!("cargo:rerun-if-changed={}", file.display());
        }
    }
    let mut status = vec!["status", "--porcelain", "--"];
    status.extend(SOURCES);
    let is_dirty = !git(root, &status)?.is_empty();
    Some(if is_dirty { commit + "-dirty" } else { commit })
}

fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    // A look takes no lock that a git of somebody else could wait for.
    let output = Command::new("git").arg("--no-optional-locks").arg("-C").arg(root).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
