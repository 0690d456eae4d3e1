//! The attempts of one life: those that run, and the reports that the master has not acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hearth_common::{AttemptId, FailureCause, JobId};
use hearth_proto::convert::control::{AttemptProgress, LaunchOrder, Report, ReportOutcome, WAITING_BYTES_MAX};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::timeout;

use crate::attempt::{AttemptHost, run_attempt};
use crate::attempt_log::AttemptLog;
use crate::cpu::CpuPool;
use crate::metrics::Metrics;
use crate::progress::Progress;

/// Attempts that may run for each slot: a cancelled one may still be winding down when the next is launched.
const ATTEMPTS_PER_SLOT_MAX: usize = 2;
/// Reports that wait to be taken; attempts wait beyond it.
const REPORTS_AHEAD: usize = 256;
/// How long discarded attempts may take to notice.
const ABORT_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Running {
    progress: Arc<Progress>,
    log: AttemptLog,
    task: JoinHandle<()>,
}

/// Starts attempts, stops them, and keeps their reports until they are acknowledged.
#[derive(Debug)]
pub(crate) struct Slots {
    host: Arc<AttemptHost>,
    cpu: Arc<CpuPool>,
    running_max: usize,
    running: BTreeMap<AttemptId, Running>,
    reports: BTreeMap<AttemptId, Report>,
    finished: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
}

impl Slots {
    pub(crate) fn new(host: Arc<AttemptHost>, cpu: Arc<CpuPool>, slots: u32) -> Self {
        Self {
            host,
            cpu,
            running_max: slots as usize * ATTEMPTS_PER_SLOT_MAX,
            running: BTreeMap::new(),
            reports: BTreeMap::new(),
            finished: mpsc::channel(REPORTS_AHEAD),
        }
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.host.metrics
    }

    fn tell_running(&self) {
        self.metrics().attempts_running.set(i64::try_from(self.running.len()).unwrap_or(i64::MAX));
    }

    /// Starts an attempt. Answers with a report where it cannot be started; one that is known already is left alone.
    pub(crate) fn launch(&mut self, order: LaunchOrder) -> Option<Report> {
        let attempt = order.attempt;
        if self.running.contains_key(&attempt) || self.reports.contains_key(&attempt) {
            return None;
        }
        if self.running.len() >= self.running_max {
            let message = format!("the worker runs {} attempts already", self.running.len());
            return Some(self.refuse(attempt, FailureCause::internal(message)));
        }
        let progress = Arc::new(Progress::new());
        let log = self.host.log_of(attempt);
        let running = run_attempt(Arc::clone(&self.host), order, (Arc::clone(&progress), log.clone()));
        let finished = self.finished.0.clone();
        let task = self.cpu.spawn(async move {
            let report = running.await;
            // Nobody is left to be told when this fails.
            let _ = finished.send(report).await;
        });
        match task {
            Some(task) => {
                tracing::debug!(%attempt, "attempt started");
                self.running.insert(attempt, Running { progress, log, task });
                self.metrics().count_launch();
                self.tell_running();
                None
            }
            None => Some(self.refuse(attempt, FailureCause::internal("the worker is stopping"))),
        }
    }

    /// Keeps the report of an attempt that is not run.
    pub(crate) fn refuse(&mut self, attempt: AttemptId, cause: FailureCause) -> Report {
        let outcome = ReportOutcome::Failed(cause);
        let (metrics, scans, records, operators) = Default::default();
        let report = Report { attempt, metrics, outcome, scans, records, operators };
        self.reports.insert(attempt, report.clone());
        report
    }

    /// Waits for the next attempt to end. Answers with its report, which is kept until [`Slots::acknowledge`].
    pub(crate) async fn next_report(&mut self) -> Option<Report> {
        let report = self.finished.1.recv().await?;
        self.keep(report)
    }

    /// Takes the reports that are there already.
    pub(crate) fn take_finished(&mut self) {
        while let Ok(report) = self.finished.1.try_recv() {
            self.keep(report);
        }
    }

    /// A report of an attempt that was cancelled meanwhile is nobody's.
    fn keep(&mut self, report: Report) -> Option<Report> {
        let attempt = report.attempt;
        if self.running.remove(&attempt).is_none() {
            self.remove_output(attempt);
            return None;
        }
        if let ReportOutcome::Failed(cause) = &report.outcome {
            tracing::info!(%attempt, %cause, "attempt failed");
        } else {
            tracing::debug!(%attempt, "attempt finished");
        }
        self.metrics().count_report(&report);
        self.tell_running();
        self.reports.insert(attempt, report.clone());
        Some(report)
    }

    /// The master has the report.
    pub(crate) fn acknowledge(&mut self, attempt: AttemptId) {
        self.reports.remove(&attempt);
    }

    /// Stops an attempt, or forgets that it ended; what it wrote is removed.
    pub(crate) fn cancel(&mut self, attempt: AttemptId) {
        self.reports.remove(&attempt);
        let Some(running) = self.running.remove(&attempt) else {
            return self.remove_output(attempt);
        };
        running.task.abort();
        running.log.stopped("the master does not need it any more");
        tracing::debug!(%attempt, "attempt cancelled");
        self.metrics().count_stopped(1);
        self.tell_running();
        let store = Arc::clone(&self.host.store);
        tokio::spawn(async move {
            // It may finish before it notices: its output is removed once it can add no more.
            let _ = running.task.await;
            if let Some(output) = store.forget(attempt) {
                tokio::task::spawn_blocking(|| output.remove());
            }
        });
    }

    fn remove_output(&self, attempt: AttemptId) {
        if let Some(output) = self.host.store.forget(attempt) {
            tokio::task::spawn_blocking(|| output.remove());
        }
    }

    /// Removes shuffle outputs of a job: one attempt's, or all.
    pub(crate) fn remove_shuffle(&self, job: JobId, attempt: Option<AttemptId>) {
        match attempt {
            Some(attempt) => self.remove_output(attempt),
            None => {
                let outputs = self.host.store.forget_job(job);
                tokio::task::spawn_blocking(|| outputs.remove());
            }
        }
    }

    /// Attempts that run, or whose report is not acknowledged.
    pub(crate) fn attempts(&self) -> Vec<AttemptId> {
        self.running.keys().chain(self.reports.keys()).copied().collect()
    }

    /// Attempts whose shuffle output is held.
    pub(crate) fn shuffle_outputs(&self) -> Vec<AttemptId> {
        self.host.store.held()
    }

    /// Reports that are not acknowledged.
    pub(crate) fn unacknowledged(&self) -> impl Iterator<Item = &Report> {
        self.reports.values()
    }

    /// How far the running attempts are.
    pub(crate) fn progress(&self) -> Vec<AttemptProgress> {
        let progress = |(attempt, running): (&AttemptId, &Running)| {
            let metrics = running.progress.metrics();
            if running.progress.has_spilled_more(metrics.spilled_bytes) {
                running.log.spilled(metrics.spilled_bytes);
            }
            let waiting_for = running.progress.waits.because().map(shorten);
            AttemptProgress { attempt: *attempt, metrics, waiting_for }
        };
        self.running.iter().map(progress).collect()
    }

    /// Memory that the running attempts have reserved, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.running.values().map(|running| running.progress.memory_bytes()).sum()
    }

    /// Nothing runs and nothing has to be told.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.reports.is_empty()
    }

    /// Nothing would be lost if the worker went away now.
    pub(crate) fn is_empty(&self) -> bool {
        self.is_idle() && self.host.store.is_empty()
    }

    /// Stops everything, and waits until it has stopped.
    pub(crate) async fn discard(mut self) {
        let running = std::mem::take(&mut self.running);
        self.metrics().count_stopped(running.len());
        self.tell_running();
        running.values().for_each(|running| running.log.stopped("the worker discards what it has"));
        let tasks: Vec<JoinHandle<()>> = running.into_values().map(|running| running.task).collect();
        tasks.iter().map(JoinHandle::abort_handle).for_each(|handle: AbortHandle| handle.abort());
        if timeout(ABORT_TIMEOUT, futures::future::join_all(tasks)).await.is_err() {
            tracing::warn!("attempts do not stop; leaving them behind");
        }
    }
}

/// Long enough for people, and short enough for a heartbeat.
fn shorten(text: String) -> String {
    text.chars().take(WAITING_BYTES_MAX / 4).collect()
}

impl Drop for Slots {
    fn drop(&mut self) {
        self.running.values().for_each(|running| running.task.abort());
    }
}
