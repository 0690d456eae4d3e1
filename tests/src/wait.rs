//! Waiting for a condition, always with a deadline. Nothing here sleeps for a time that somebody guessed.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Time between two looks at a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The same where what is waited for passes quickly.
const CLOSE_POLL_INTERVAL: Duration = Duration::from_millis(1);

/// A point in time after which waiting is a failure.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// `seconds` from now.
    #[must_use]
    pub fn after_seconds(seconds: u64) -> Self {
        Self(Instant::now() + Duration::from_secs(seconds))
    }

    /// It has passed.
    #[must_use]
    pub fn has_passed(self) -> bool {
        Instant::now() >= self.0
    }
}

/// Looks again and again until `look` finds something.
///
/// # Errors
/// What `look` fails with, or the deadline passing, in which case `what` tells what was waited for.
pub fn wait_for<T>(what: &str, deadline: Deadline, look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    wait((what, deadline), POLL_INTERVAL, look)
}

/// The same for what lasts some milliseconds only, and is cheap to look at.
///
/// # Errors
/// As [`wait_for`].
pub fn wait_closely<T>(what: &str, deadline: Deadline, look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    wait((what, deadline), CLOSE_POLL_INTERVAL, look)
}

fn wait<T>(
    (what, deadline): (&str, Deadline),
    interval: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if deadline.has_passed() {
            bail!("waited too long for {what}");
        }
        std::thread::sleep(interval);
    }
}
