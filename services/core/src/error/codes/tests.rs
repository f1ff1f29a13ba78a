//! Keeps the table honest: its numbers, its words, and that each of its codes is given to an error.

use std::path::{Path, PathBuf};

use super::*;

const TITLE_CHARS_MAX: usize = 60;
const SENTENCE_WORDS_MAX: usize = 30;

#[test]
fn numbers_are_unique_and_ascend_within_their_groups() {
    let numbers: Vec<u16> = all().map(|code| code.number).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let groups = [requests::ALL, settings::ALL, broker::ALL, sink::ALL, ledger::ALL, roles::ALL, mesh::ALL];
    for (group, codes) in (1..).zip(groups.into_iter().chain([commands::ALL, internal::ALL])) {
        assert!(codes.iter().all(|code| code.number / 1_000 == group), "group {group}: {codes:?}");
    }
}

#[test]
fn each_kind_has_a_general_code_of_its_own_kind() {
    for kind in ErrorKind::ALL {
        assert_eq!(Code::general(kind).kind, kind);
    }
}

#[test]
fn words_are_short_and_whole() {
    for code in all() {
        let title = code.title;
        assert!((10..=TITLE_CHARS_MAX).contains(&title.chars().count()) && !title.ends_with('.'), "{code}: {title:?}");
        for text in [code.happened, code.causes, code.remedy] {
            assert!(
                text.ends_with('.') && text.starts_with(|c: char| c.is_uppercase() || c == '`'),
                "{code}: {text:?}"
            );
            assert!(!text.contains("  ") && !text.contains('\n'), "{code}: {text:?}");
            for sentence in text.split(". ") {
                let words = sentence.split_whitespace().count();
                assert!(words <= SENTENCE_WORDS_MAX, "{code}: {words} words: {sentence:?}");
            }
        }
    }
}

#[test]
fn a_code_is_found_by_its_text() {
    for code in all() {
        assert_eq!(Code::of_text(&code.to_string()), Some(code));
    }
    assert_eq!(RUN_TOTAL_BELOW_ENQUEUED.to_string(), "PL-1040");
    assert!(["PL-9999", "1040", "PL-", "UNPUBLISHABLE"].into_iter().all(|text| Code::of_text(text).is_none()));
}

#[test]
fn each_code_is_given_to_an_error() {
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a crate is in a folder");
    let mut sources = String::new();
    let table = services.join("core/src/error/codes");
    read_all(services, &table, &mut sources);
    let general = ErrorKind::ALL.map(|kind| Code::general(kind).number);
    let named = |code: &Code| sources.contains(&format!("codes::{}", code.name));
    let unused: Vec<_> = all().filter(|code| !general.contains(&code.number) && !named(code)).map(|c| c.name).collect();
    assert!(unused.is_empty(), "no error has these codes; their numbers stay taken: {unused:?}");
}

/// Appends every source below `folder`, except those of the table itself.
fn read_all(folder: &Path, table: &Path, sources: &mut String) {
    let entries = std::fs::read_dir(folder).expect("the sources are there");
    let paths: Vec<PathBuf> = entries.map(|entry| entry.expect("the sources are readable").path()).collect();
    for path in paths {
        if path == table || path.ends_with("target") {
            continue;
        }
        if path.is_dir() {
            read_all(&path, table, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&std::fs::read_to_string(&path).expect("a source is text"));
        }
    }
}
