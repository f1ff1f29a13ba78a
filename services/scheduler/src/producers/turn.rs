//! The turn of a range to look for room. Each look asks every producer, and there may be tens of thousands of ranges, so they look in turn.

use tokio::sync::MutexGuard;

/// The turn of one range to look for room; it ends when a producer takes the range.
pub struct Turn<'a>(std::sync::Mutex<Option<MutexGuard<'a, ()>>>);

impl<'a> Turn<'a> {
    pub fn new(turn: MutexGuard<'a, ()>) -> Self {
        Self(std::sync::Mutex::new(Some(turn)))
    }

    pub fn end(&self) {
        self.0.lock().expect("no code panics while it holds a turn").take();
    }

    /// The same turn for another look; `None` if the turn has ended.
    pub fn keep(self) -> Option<Self> {
        let turn = self.0.into_inner().expect("no code panics while it holds a turn")?;
        Some(Self::new(turn))
    }
}
