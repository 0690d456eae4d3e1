//! A wait that ends, whatever the client does: too late is an error, and so is a panic inside it.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;

/// Why a wait ended without an outcome.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoOutcome {
    /// The deadline passed.
    TooLate,
    /// The client panicked.
    Panicked,
}

/// Runs `work` for at most `limit`.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, NoOutcome> {
    match tokio::time::timeout(limit, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(_)) => Err(NoOutcome::Panicked),
        Err(_) => Err(NoOutcome::TooLate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_wait_ends() {
        let (second, moment) = (Duration::from_secs(1), Duration::from_millis(5));
        assert_eq!(within(second, async { 1 }).await, Ok(1));
        assert_eq!(within(moment, std::future::pending::<i32>()).await, Err(NoOutcome::TooLate));
        assert_eq!(within(second, async { panic!("as the client does") }).await, Err::<i32, _>(NoOutcome::Panicked));
    }
}
