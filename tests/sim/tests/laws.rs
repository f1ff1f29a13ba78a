//! Seeds that must hold, seeds that must replay, and mutants that must not escape.

use paceline_sim::{seeds, simulate};

const SEEDS: u64 = 200;
const REPLAYED: u64 = 20;

#[test]
fn every_law_holds_over_the_first_seeds() {
    let sum = seeds::play(0..SEEDS, None, 1, |_| ());
    if let Some(failed) = sum.failed.first() {
        let trace = failed.trace.join("\n");
        panic!("{trace}\nseed {}: {:?}; replay it with: make sim SEED={}", failed.seed, failed.violation, failed.seed);
    }
    assert_eq!(sum.seeds, SEEDS);
    assert!(sum.faults > SEEDS && sum.jobs > 10 * SEEDS, "the seeds do something: {sum:?}");
}

#[test]
fn a_seed_replays_bit_for_bit() {
    for seed in 0..REPLAYED {
        let (first, again) = (simulate(seed, None, false), simulate(seed, None, false));
        assert_eq!((first.hash, first.steps, first.jobs), (again.hash, again.steps, again.jobs), "seed {seed}");
    }
    assert_ne!(simulate(0, None, false).hash, simulate(1, None, false).hash);
}

#[cfg(feature = "mutants")]
mod mutants {
    use paceline_sim::mutant::Mutant;
    use paceline_sim::{hunt, simulate};

    const SEEDS_MAX: u64 = 1_000;

    fn is_caught_by(mutant: Mutant, laws: &[&str]) {
        let caught = hunt::catch(mutant, SEEDS_MAX).unwrap_or_else(|| panic!("{mutant:?} escapes {SEEDS_MAX} seeds"));
        let broken = caught.violation.expect("a seed that catches has a violation");
        assert!(laws.contains(&broken.law), "{mutant:?} breaks {laws:?}, and seed {} says {broken:?}", caught.seed);
        let whole = simulate(caught.seed, None, false);
        assert!(whole.violation.is_none(), "seed {} fails without {mutant:?} too: {:?}", caught.seed, whole.violation);
    }

    #[test]
    fn an_ack_before_the_sink_is_caught() {
        is_caught_by(Mutant::AckBeforeSink, &["L4"]);
    }

    #[test]
    fn a_bare_increment_is_caught() {
        is_caught_by(Mutant::BareIncrement, &["L1"]);
    }

    #[test]
    fn a_ledger_without_fencing_is_caught() {
        is_caught_by(Mutant::NoFencing, &["L9"]);
    }

    #[test]
    fn a_cursor_that_is_not_idempotent_is_caught() {
        is_caught_by(Mutant::CursorNotIdempotent, &["L6"]);
    }

    #[test]
    fn an_end_that_is_noted_before_it_is_kept_is_caught() {
        is_caught_by(Mutant::NoteBeforeKept, &["kept"]);
    }

    #[test]
    fn a_confirm_before_the_broker_is_caught() {
        is_caught_by(Mutant::ConfirmBeforeBroker, &["L5"]);
    }
}
