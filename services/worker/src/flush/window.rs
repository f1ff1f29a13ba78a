//! Bounds the documents and requests in flight to the sink: additive increase, multiplicative decrease (AIMD, as in TCP), by the sink's
//! answers.

/// The most bulk requests of a worker that are in flight at once.
const IN_FLIGHT_MAX: usize = 2;
/// Documents that a good answer adds to the batch.
const INCREASE: usize = 50;

/// The size of batches and their number in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkWindow {
    batch: usize,
    batch_max: usize,
    in_flight: usize,
}

impl SinkWindow {
    pub fn new(batch_max: usize) -> Self {
        Self { batch: batch_max, batch_max, in_flight: IN_FLIGHT_MAX }
    }

    pub fn batch(&self) -> usize {
        self.batch
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// The sink took everything: a little more next time.
    pub fn accepted(&mut self) {
        if self.batch == self.batch_max {
            self.in_flight = (self.in_flight + 1).min(IN_FLIGHT_MAX);
        }
        self.batch = (self.batch + INCREASE).min(self.batch_max);
    }

    /// Overload, as a whole or for some documents: half as much, one request at a time.
    pub fn refused(&mut self) {
        self.batch = (self.batch / 2).max(1);
        self.in_flight = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinks_fast_and_grows_back_slowly() {
        let mut window = SinkWindow::new(1000);
        window.refused();
        window.refused();
        assert_eq!((window.batch(), window.in_flight()), (250, 1));
        (0..100).for_each(|_| window.refused());
        assert_eq!(window.batch(), 1, "never to nothing");
        (0..100).for_each(|_| window.accepted());
        assert_eq!(window, SinkWindow::new(1000));
    }
}
