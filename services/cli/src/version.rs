//! The words of `paceline --version`: the version, the commit that it was built from, and the protocol that its roles have.

use std::sync::LazyLock;

use paceline_proto::PROTOCOL;

/// The commit of the build, by the build script; "unknown" outside of a checkout.
pub const COMMIT: &str = env!("PACELINE_COMMIT");

static VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{} (commit {COMMIT}, protocol {PROTOCOL})", env!("CARGO_PKG_VERSION")));

pub fn version() -> &'static str {
    &VERSION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_says_what_runs() {
        let words = version();
        assert!(words.starts_with("0.") && words.contains(&format!("protocol {PROTOCOL})")), "{words}");
        let (hash, _) = COMMIT.split_once('-').unwrap_or((COMMIT, ""));
        let is_hash = hash.len() >= 12 && hash.chars().all(|c| c.is_ascii_hexdigit());
        assert!(is_hash || COMMIT == "unknown" || option_env!("PACELINE_BUILD_COMMIT").is_some(), "{COMMIT}");
    }
}
