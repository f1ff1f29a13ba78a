//! A verification as text: the numbers, the problems, the verdict.

use std::fmt::Write as _;

use paceline_core::repair::Repaired;
use paceline_core::verify::Verification;

use crate::output::counted;

/// Ids that a person is shown; --json has more.
const IDS_SHOWN_MAX: usize = 20;

/// A line for each number and problem.
pub fn text(verification: &Verification) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let mut line = |label: &str, value: &str| _ = writeln!(text, "{label:<11}{value}");
    line("run", verification.run_id.as_str());
    line("state", verification.state.name());
    let numbers = [
        ("enqueued", verification.enqueued),
        ("counted", verification.counted),
        ("stored", verification.stored),
        ("dead", verification.dead),
        ("in flight", verification.in_flight),
    ];
    numbers.into_iter().for_each(|(label, number)| line(label, &number.to_string()));
    line("duplicates", &format!("{} executions beyond the first, without effect", verification.duplicates));
    let lists = [
        ("missing", &verification.missing, verification.missing_count),
        ("foreign", &verification.foreign, verification.foreign_count),
    ];
    lists.into_iter().for_each(|(label, ids, count)| line(label, &shortened(ids, count)));
    verification.problems.iter().for_each(|problem| line("✗", problem));
    if verification.ok {
        line("✓", &proved(verification));
    }
    text
}

/// One line about the repair before the proof.
pub fn repaired(repaired: Repaired) -> String {
    let mut did = Vec::new();
    let mut say = |count: u64, words: &str| {
        if count > 0 {
            did.push(format!("{} {words}", counted(count, "job")));
        }
    };
    say(repaired.counted, "stored, but not counted: counted now");
    say(repaired.forgotten, "counted, but without a document: to be done again");
    say(repaired.published, "published again");
    say(repaired.waiting, "still queued or at work: left alone");
    let words = if did.is_empty() { "nothing to do".to_owned() } else { did.join("; ") };
    format!("{:<11}{words}\n", "repaired")
}

fn proved(verification: &Verification) -> String {
    match verification.dead {
        0 => format!("each of {} is stored and counted exactly once", counted(verification.enqueued, "job")),
        dead => {
            let jobs = counted(verification.enqueued, "job");
            format!("each of {jobs} is stored and counted exactly once, {dead} of them dead with their reason")
        }
    }
}

/// The first ids and how many more there are. Foreign ids are anybody's text, so they are shown escaped.
fn shortened(ids: &[String], count: u64) -> String {
    let shown: Vec<_> = ids.iter().take(IDS_SHOWN_MAX).map(|id| id.escape_debug().to_string()).collect();
    match count.saturating_sub(shown.len() as u64) {
        0 if shown.is_empty() => "0".to_owned(),
        0 => format!("{count}: {}", shown.join(", ")),
        more => format!("{count}: {} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_core::ids::RunId;
    use paceline_core::run::RunState;

    fn verification() -> Verification {
        Verification {
            run_id: RunId::parse("r").unwrap(),
            state: RunState::Completed,
            enqueued: 100,
            counted: 100,
            stored: 98,
            dead: 2,
            missing: Vec::new(),
            missing_count: 0,
            foreign: Vec::new(),
            foreign_count: 0,
            duplicates: 3,
            in_flight: 0,
            problems: Vec::new(),
            ok: true,
        }
    }

    #[test]
    fn a_proof_is_said_in_a_sentence() {
        let text = text(&verification());
        assert!(text.contains("each of 100 jobs is stored and counted exactly once, 2 of them dead"), "{text}");
        assert!(text.contains("missing    0\n") && text.contains("duplicates 3 "), "{text}");
    }

    #[test]
    fn a_repair_is_said_in_one_line() {
        assert_eq!(repaired(Repaired::default()), "repaired   nothing to do\n");
        let done = Repaired { counted: 2, forgotten: 0, published: 1, waiting: 0 };
        assert_eq!(repaired(done), "repaired   2 jobs stored, but not counted: counted now; 1 job published again\n");
    }

    #[test]
    fn long_lists_are_shortened_and_problems_named() {
        let failed = Verification {
            missing: (0..30).map(|seq| format!("r-{seq}")).collect(),
            missing_count: 50,
            foreign: vec!["\x1b[31m".into()],
            foreign_count: 1,
            problems: vec!["50 jobs neither counted nor stored".into()],
            ok: false,
            ..verification()
        };
        let text = text(&failed);
        assert!(text.contains("50: r-0, r-1") && text.contains("r-19 and 30 more"), "{text}");
        assert!(text.contains("1: \\u{1b}[31m") && text.contains("✗          50 jobs"), "{text}");
        assert!(!text.contains('✓'));
    }
}
