//! Following a job over broken connections and restarts of the master, for a bounded time.

use std::time::Duration;

use futures::Stream;
use hearth_common::{Backoff, JobId, JobStatus};
use hearth_proto::wire;
use tokio::time::Instant;
use tonic::{Status, Streaming};

use crate::masters::Link;
use crate::{Client, ClientError};

/// How long a watch tries to reach a master that does not answer.
pub const UNREACHABLE_MAX: Duration = Duration::from_secs(60);

const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(3) };

/// What a watch tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every event is a status")]
pub enum WatchEvent {
    /// The job changed, or this is its first sight.
    Status(JobStatus),
    /// The master does not answer; it is tried again after a pause.
    Unreachable {
        /// What the connection said.
        reason: String,
    },
}

/// Follows one job until it is in a final state.
#[derive(Debug)]
pub struct JobWatch {
    client: Client,
    job: JobId,
    answers: Option<(Link, Streaming<wire::Job>)>,
    trouble: Option<Trouble>,
    ended: bool,
}

/// An outage: since when, and how often it was tried.
#[derive(Debug, Clone, Copy)]
struct Trouble {
    since: Instant,
    failures: u32,
}

impl JobWatch {
    pub(crate) fn new(client: Client, job: JobId) -> Self {
        Self { client, job, answers: None, trouble: None, ended: false }
    }

    /// The next event; `None` after the job's final state was told.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] when the master stays away for [`UNREACHABLE_MAX`], and whatever it answers.
    pub async fn next(&mut self) -> Result<Option<WatchEvent>, ClientError> {
        if self.ended {
            return Ok(None);
        }
        self.pause().await;
        match self.receive().await {
            Ok(job) => {
                self.trouble = None;
                self.ended = job.state.is_final();
                Ok(Some(WatchEvent::Status(job)))
            }
            Err(error) => self.on_error(error).map(Some),
        }
    }

    /// Waits for the final state.
    ///
    /// # Errors
    /// Those of [`JobWatch::next`].
    pub async fn wait(mut self) -> Result<JobStatus, ClientError> {
        let mut last = None;
        while let Some(event) = self.next().await? {
            if let WatchEvent::Status(job) = event {
                last = Some(job);
            }
        }
        last.ok_or_else(|| ClientError::Other { message: "it told nothing about the job".into() })
    }

    /// The events as a stream; it ends after the final state or an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<WatchEvent, ClientError>> {
        futures::stream::try_unfold(
            self,
            |mut watch| async move { Ok(watch.next().await?.map(|event| (event, watch))) },
        )
    }

    async fn pause(&self) {
        if let Some(Trouble { failures, .. }) = self.trouble {
            tokio::time::sleep(BACKOFF.delay_after(failures)).await;
        }
    }

    async fn receive(&mut self) -> Result<JobStatus, ClientError> {
        let (link, answers) = match &mut self.answers {
            Some(answers) => answers,
            None => self.answers.insert(self.client.open_watch(self.job).await?),
        };
        match answers.message().await {
            Ok(Some(job)) => Ok(job.try_into()?),
            // A master that stops ends its streams; the next one goes on with the job.
            Ok(None) => {
                let closed = Status::unavailable("the master closed the connection");
                Err(self.client.masters().on_failure(link, &closed))
            }
            Err(status) => Err(self.client.masters().on_failure(link, &status)),
        }
    }

    fn on_error(&mut self, error: ClientError) -> Result<WatchEvent, ClientError> {
        self.answers = None;
        let ClientError::Unreachable { reason, .. } = &error else {
            self.ended = true;
            return Err(error);
        };
        let now = Instant::now();
        let trouble = self.trouble.get_or_insert(Trouble { since: now, failures: 0 });
        trouble.failures += 1;
        if now.duration_since(trouble.since) >= UNREACHABLE_MAX {
            self.ended = true;
            return Err(error);
        }
        Ok(WatchEvent::Unreachable { reason: reason.clone() })
    }
}
