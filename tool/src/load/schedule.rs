//! When the messages of an open loop are due: a fixed rate that waits for nobody. Pure.
//!
//! Latency measured from when a message was *due* counts the time it waited because the ones before it were slow;
//! measured from when it was sent, exactly the bad moments would go unseen (coordinated omission).

use std::time::Duration;

/// The messages one of several connections sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Messages per second over all connections.
    rate: f64,
    /// Messages over all connections.
    total: u64,
    /// This connection, of how many.
    index: u64,
    streams: u64,
}

impl Schedule {
    /// Messages at `rate` per second for `time`, at least one.
    #[must_use]
    pub fn new(rate: f64, time: Duration) -> Self {
        let total = (rate * time.as_secs_f64()).round().max(1.0) as u64;
        Self { rate, total, index: 0, streams: 1 }
    }

    /// The part of connection `index` of `streams`: they take turns, so that their messages are evenly spread.
    #[must_use]
    pub fn part(self, index: usize, streams: usize) -> Self {
        Self { index: index as u64, streams: (streams as u64).max(1), ..self }
    }

    /// Messages per second over all connections.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Messages over all connections.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Messages of this part.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.total.saturating_sub(self.index).div_ceil(self.streams)
    }

    /// When message `number` of this part (from 0) is due, from the start.
    #[must_use]
    pub fn due(&self, number: u64) -> Duration {
        let overall = number * self.streams + self.index;
        Duration::try_from_secs_f64(overall as f64 / self.rate).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_connection_sends_evenly() {
        let schedule = Schedule::new(1000.0, SECOND);
        assert_eq!((schedule.total(), schedule.count()), (1000, 1000));
        assert_eq!(schedule.due(0), Duration::ZERO);
        assert_eq!(schedule.due(1), Duration::from_millis(1));
        assert_eq!(schedule.due(999), Duration::from_millis(999));
    }

    #[test]
    fn the_parts_of_all_connections_are_the_whole() {
        for (rate, streams) in [(10.0, 3), (1000.0, 7), (1.0, 4), (123_457.0, 5)] {
            let whole = Schedule::new(rate, SECOND);
            let mut due = Vec::new();
            for index in 0..streams {
                let part = whole.part(index, streams);
                due.extend((0..part.count()).map(|n| part.due(n)));
            }
            due.sort();
            let expected: Vec<_> = (0..whole.total()).map(|n| whole.due(n)).collect();
            assert_eq!(due, expected, "{rate} over {streams}");
        }
    }

    #[test]
    fn a_rate_that_does_not_divide_the_second_does_not_drift() {
        let schedule = Schedule::new(3.0, Duration::from_secs(1000));
        assert_eq!(schedule.due(2999), Duration::from_secs_f64(2999.0 / 3.0));
        assert_eq!(schedule.total(), 3000);
        assert_eq!(Schedule::new(0.1, SECOND).total(), 1, "there is always something to measure");
    }
}
