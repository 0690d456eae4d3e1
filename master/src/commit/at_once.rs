//! Steps of a commit that do not depend on each other, several at a time: on a storage behind a network each is mostly a wait.

use std::future::{Future, ready};
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt;
use futures::stream::iter;

use super::CommitError;

/// Steps under way at a time.
const AT_ONCE: usize = 16;

/// Takes a step for each item. After a failure no step is begun any more, but those under way are waited for: none of them may
/// change a name behind the back of whoever mends it.
pub(super) async fn for_each<T, F>(items: Vec<T>, step: impl Fn(T) -> F) -> Result<(), CommitError>
where
    F: Future<Output = Result<(), CommitError>>,
{
    let failed = AtomicBool::new(false);
    let begun = iter(items).take_while(|_| ready(!failed.load(Ordering::Relaxed))).map(step);
    let mut steps = std::pin::pin!(begun.buffer_unordered(AT_ONCE));
    let mut first = Ok(());
    while let Some(outcome) = steps.next().await {
        if outcome.is_err() && first.is_ok() {
            failed.store(true, Ordering::Relaxed);
            first = outcome;
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[tokio::test]
    async fn a_failure_lets_what_was_begun_end_and_begins_nothing_more() {
        let (begun, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (begun_in, ended_in) = (&begun, &ended);
        let outcome = for_each((0..1000).collect(), |number| async move {
            begun_in.fetch_add(1, Ordering::Relaxed);
            for _ in 0..=number % 7 {
                tokio::task::yield_now().await;
            }
            ended_in.fetch_add(1, Ordering::Relaxed);
            if number == 20 { Err(CommitError::Report("no".to_owned())) } else { Ok(()) }
        })
        .await;
        assert!(outcome.is_err());
        let (begun, ended) = (begun.into_inner(), ended.into_inner());
        assert!(begun == ended && (21..=21 + 2 * AT_ONCE).contains(&begun), "{begun} begun, {ended} ended");
        assert!(for_each((0..1000).collect(), |_| ready(Ok(()))).await.is_ok());
    }
}
