//! Waits for HDFS: repeats an operation while no `NameNode` serves, for as long as the settings say.

use std::future::Future;
use std::time::{Duration, Instant};

use hearth_common::Backoff;

use crate::counters::add;
use crate::{Hdfs, HdfsError};

/// What is told to whoever waits, before each try.
#[derive(Debug)]
pub struct Waiting<'a> {
    /// Since when.
    pub waited: Duration,
    /// Why: `the NameNode is in safe mode`, or that it does not answer.
    pub because: &'a HdfsError,
}

/// How long to wait, and whom to tell.
#[derive(Clone, Copy)]
pub struct Patience<'a> {
    /// Longest wait.
    pub limit: Duration,
    /// Called when a wait begins and before each further try.
    pub notice: &'a (dyn Fn(&Waiting<'_>) + Sync),
}

impl Hdfs {
    /// Repeats `operation` while it fails because no active `NameNode` answers or it is in safe mode.
    ///
    /// The operation must be safe to repeat: one that settles its own lost answers, or one under a name that is used once.
    ///
    /// # Errors
    /// Any other failure at once; [`HdfsError::GaveUp`] with the last one when the limit is reached.
    pub async fn wait_for<T, F>(&self, patience: Patience<'_>, operation: impl Fn() -> F) -> Result<T, HdfsError>
    where
        F: Future<Output = Result<T, HdfsError>>,
    {
        let backoff = Backoff { first: Duration::from_millis(250), max: Duration::from_secs(5) };
        let (mut since, mut failures) = (None::<Instant>, 0);
        let mut told = None;
        loop {
            let error = match operation().await {
                Err(error) if error.is_namenode_trouble() => error,
                outcome => return outcome,
            };
            failures += 1;
            let waited = since.get_or_insert_with(Instant::now).elapsed();
            if waited >= patience.limit {
                return Err(HdfsError::GaveUp { waited, source: Box::new(error) });
            }
            if failures == 1 {
                add(&self.counters().waits, 1);
                tracing::warn!(authority = %self.authority(), %error, "waiting for HDFS");
            }
            told.get_or_insert_with(|| self.waits().begin(&error)).tell(&error);
            (patience.notice)(&Waiting { waited, because: &error });
            tokio::time::sleep(backoff.delay_after(failures).min(patience.limit - waited)).await;
        }
    }

    /// As [`Hdfs::wait_for`] with the limit of the settings, telling nobody but the log and the [`crate::Waits`] of this handle.
    ///
    /// # Errors
    /// As [`Hdfs::wait_for`].
    pub async fn wait_quietly<T, F>(&self, operation: impl Fn() -> F) -> Result<T, HdfsError>
    where
        F: Future<Output = Result<T, HdfsError>>,
    {
        self.wait_for(Patience { limit: self.settings().wait_for_namenode, notice: &|_| () }, operation).await
    }
}
