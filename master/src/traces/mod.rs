//! Traces of ended jobs for a collector: one for each job, made of what the master keeps of it anyway.
//!
//! A task of its own makes and sends them. Nobody waits for it: a queue that is full loses the trace, and so does a collector that
//! does not take it after some tries. Losses are counted.

mod endpoint;
mod otlp;
mod spans;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hearth_common::JobStatus;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use endpoint::Answer;
pub(crate) use endpoint::Endpoint;
use otlp::ExportRequest;

/// Jobs that wait for the collector at most.
const WAITING_MAX: usize = 256;
/// Jobs in one request.
const BATCH_MAX: usize = 16;
/// Longest wait for the answer to one request.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Waits before another try.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// How long a master that stops tries to send what waits.
const FAREWELL: Duration = Duration::from_secs(2);

/// The table `[tracing]` of the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TracingConfig {
    /// Where a collector takes OTLP over HTTP, such as `http://127.0.0.1:4318`. Left out: no traces.
    pub otlp_endpoint: Option<String>,
}

/// The way to the task that sends traces.
#[derive(Debug, Clone)]
pub(crate) struct Traces {
    jobs: Option<mpsc::Sender<Arc<JobStatus>>>,
    metrics: Arc<Metrics>,
}

impl Traces {
    /// A way that leads nowhere, without an endpoint; else that to the sending, which ends after `stop`.
    pub(crate) fn new(
        endpoint: Option<Endpoint>,
        metrics: Arc<Metrics>,
        (master, stop): (SocketAddr, CancellationToken),
    ) -> (Self, Option<impl Future<Output = ()> + Send + 'static>) {
        let Some(endpoint) = endpoint else { return (Self { jobs: None, metrics }, None) };
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let sending = Sending { endpoint, master: master.to_string(), metrics: Arc::clone(&metrics), fails: false };
        (Self { jobs: Some(jobs), metrics }, Some(sending.run(waiting, stop)))
    }

    /// A job has ended.
    pub(crate) fn tell(&self, job: &Arc<JobStatus>) {
        if let Some(jobs) = &self.jobs
            && jobs.try_send(Arc::clone(job)).is_err()
        {
            self.metrics.count_traces_lost(1);
        }
    }
}

/// The sending task.
struct Sending {
    endpoint: Endpoint,
    /// Address of this master.
    master: String,
    metrics: Arc<Metrics>,
    /// The collector did not take the last ones.
    fails: bool,
}

impl Sending {
    async fn run(mut self, mut waiting: mpsc::Receiver<Arc<JobStatus>>, stop: CancellationToken) {
        let mut jobs = Vec::with_capacity(BATCH_MAX);
        while stop.run_until_cancelled(waiting.recv_many(&mut jobs, BATCH_MAX)).await.is_some_and(|count| count > 0) {
            let request = spans::request_of(&jobs, &self.master);
            let sent = stop.run_until_cancelled(self.send(&request)).await;
            match sent {
                Some(outcome) => self.note(jobs.len(), outcome),
                None => break,
            }
            jobs.clear();
        }
        self.say_farewell(jobs, waiting).await;
    }

    /// Tries a few times.
    async fn send(&self, request: &ExportRequest) -> Result<(), String> {
        let mut pauses = PAUSES.iter();
        loop {
            let because = match self.try_once(request, ANSWER_WITHIN).await {
                Answer::Taken => return Ok(()),
                Answer::Refused(because) => return Err(because),
                Answer::Later(because) => because,
            };
            let Some(pause) = pauses.next() else { return Err(because) };
            tokio::time::sleep(*pause).await;
        }
    }

    async fn try_once(&self, request: &ExportRequest, limit: Duration) -> Answer {
        let answer = tokio::time::timeout(limit, self.endpoint.send(request)).await;
        answer.unwrap_or_else(|_| Answer::Later("it does not answer".to_owned()))
    }

    fn note(&mut self, jobs: usize, outcome: Result<(), String>) {
        let fails = outcome.is_err();
        match outcome {
            Ok(()) => {
                self.metrics.count_traces_sent(jobs);
                if self.fails {
                    tracing::info!("the collector takes traces again");
                }
            }
            Err(because) => {
                self.metrics.count_traces_lost(jobs);
                if !self.fails {
                    tracing::warn!(endpoint = ?self.endpoint, because, "the collector does not take traces; those of ended jobs are lost");
                }
            }
        }
        self.fails = fails;
    }

    /// What is left is sent in one try.
    async fn say_farewell(mut self, mut jobs: Vec<Arc<JobStatus>>, mut waiting: mpsc::Receiver<Arc<JobStatus>>) {
        waiting.close();
        while let Ok(job) = waiting.try_recv() {
            jobs.push(job);
        }
        if jobs.is_empty() {
            return;
        }
        let request = spans::request_of(&jobs, &self.master);
        let outcome = match self.try_once(&request, FAREWELL).await {
            Answer::Taken => Ok(()),
            Answer::Refused(because) | Answer::Later(because) => Err(because),
        };
        self.note(jobs.len(), outcome);
    }
}
