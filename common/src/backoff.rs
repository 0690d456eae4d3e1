//! Waiting times between tries. Pure: the caller sleeps, and brings randomness if it wants any.

use std::time::Duration;

/// Doubles the wait with every try, up to a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Wait before the second try.
    pub first: Duration,
    /// No wait is longer.
    pub max: Duration,
}

impl Backoff {
    /// How long to wait after `failures` failed tries (1 or more).
    #[must_use]
    pub fn delay_after(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        self.first.saturating_mul(1 << doublings).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_limit() {
        let backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(2) };
        let waits: Vec<_> = (1..=7).map(|failures| backoff.delay_after(failures).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(backoff.delay_after(u32::MAX), backoff.max);
    }
}
