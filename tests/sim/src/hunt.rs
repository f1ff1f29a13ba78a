//! Shows that the laws can fail: each mutant must be caught within a number of seeds.

use crate::mutant::Mutant;
use crate::run::Outcome;
use crate::seeds;

/// The first seed that catches the mutant, if one of the first `seeds_max` does.
pub fn catch(mutant: Mutant, seeds_max: u64) -> Option<Outcome> {
    seeds::play(0..seeds_max, Some(mutant), 1, |_| ()).failed.into_iter().next()
}
