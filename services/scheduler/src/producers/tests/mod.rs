//! Stories of producers, each on paused time; [`stub`] and [`stage`] are what they play on.

mod failing;
mod moving;
mod naming;
mod refusing;
mod room;
mod stage;
mod stub;
mod suspect;
