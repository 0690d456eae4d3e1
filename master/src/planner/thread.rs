//! A thread with a large stack for planning: a deeply nested query is walked recursively, by `DataFusion` and by us.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use hearth_common::FailureCause;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

/// Enough for the deepest query that the parser lets through.
const STACK_BYTES: usize = 32 << 20;
/// Planning takes milliseconds. What takes this long has met an endless loop of an optimizer, or hanging storage.
const PLANNING_MAX: Duration = Duration::from_secs(60);
/// Plans made at once. A plan that overruns its time keeps its thread, so this is also the most that can be lost.
static THREADS: Semaphore = Semaphore::const_new(8);

/// Runs `work` on a thread of its own, and waits for its outcome.
///
/// # Errors
/// Those of `work`, its panic, and the end of its time.
pub(super) async fn on_planning_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FailureCause> + Send + 'static,
) -> Result<T, FailureCause> {
    match timeout(PLANNING_MAX, spawn(work)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(FailureCause::task(format!(
            "planning took longer than {} s; the query is too complex, or its inputs cannot be listed in that time",
            PLANNING_MAX.as_secs()
        ))),
    }
}

async fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FailureCause> + Send + 'static,
) -> Result<T, FailureCause> {
    let permit = THREADS.acquire().await.map_err(|error| FailureCause::internal(error.to_string()))?;
    let (sender, receiver) = oneshot::channel();
    let run = move || {
        let _permit = permit;
        let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
        // The receiver is gone when the time is over.
        let _ = sender.send(outcome);
    };
    std::thread::Builder::new()
        .name("hearth-planner".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(run)
        .map_err(|error| FailureCause::internal(format!("could not start a planning thread: {error}")))?;
    receiver.await.map_err(|_| FailureCause::internal("the planning thread ended without an outcome"))?
}

fn panicked(panic: &(dyn Any + Send)) -> FailureCause {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    FailureCause::internal(format!("planning panicked: {}", text.unwrap_or("no message")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_internal_failure() {
        let outcome: Result<(), _> = on_planning_thread(|| panic!("oops")).await;
        assert_eq!(outcome, Err(FailureCause::internal("planning panicked: oops")));
        assert_eq!(on_planning_thread(|| Ok(7)).await, Ok(7));
    }
}
