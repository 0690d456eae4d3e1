//! One cluster on which schedules run one after the other.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{End, Moment, Planned, Schedule, Work};
use crate::cluster::{Cluster, ClusterOptions, WorkerProcess};
use crate::strikes::Strikes;
use crate::wait::{Deadline, wait_for};

/// A job that is not at its end so long after the last change hangs.
const QUIET_MAX: Duration = Duration::from_secs(120);
/// Time between two looks at a job. Commits take some tens of milliseconds.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Workers that a task may lose in a row until it is poison.
const LOSSES_MAX: usize = 3;

/// A cluster, the job that runs there, and which of its workers run.
#[derive(Debug)]
pub struct Lane {
    pub(super) cluster: Cluster,
    /// Indexes of the workers that run.
    workers: Vec<usize>,
    work: Arc<Work>,
    outputs: u32,
}

/// How a job ended, and after how long.
#[derive(Debug)]
pub struct Ran {
    /// How.
    pub end: End,
    /// From before its submission to its end.
    pub took: Duration,
    /// The faults that met it.
    pub struck: Vec<Planned>,
    /// What the master told of it at its end.
    pub status: Value,
    /// Its attempts, as the master told of them.
    pub attempts: Value,
}

impl Lane {
    /// Starts a cluster.
    ///
    /// # Errors
    /// A process does not become ready.
    pub fn start(work: Arc<Work>, options: ClusterOptions) -> Result<Self> {
        let workers = (0..options.workers).collect();
        Ok(Self { cluster: Cluster::start(options)?, workers, work, outputs: 0 })
    }

    /// Where one of the workers that run is in the cluster.
    pub(super) fn index(&self, worker: u8) -> usize {
        self.workers[usize::from(worker)]
    }

    pub(super) fn worker(&self, worker: u8) -> &WorkerProcess {
        self.cluster.worker(self.index(worker))
    }

    /// Starts a worker where one was killed.
    pub(super) fn replace(&mut self, worker: u8) -> Result<()> {
        self.workers[usize::from(worker)] = self.cluster.start_worker()?;
        Ok(())
    }

    /// Runs a job under a schedule. A job may end before all its faults have struck.
    ///
    /// # Errors
    /// It ends in another way than it may, or hangs.
    pub fn run(&mut self, schedule: &Schedule) -> Result<Ran> {
        let mut strikes = Strikes::new(&schedule.faults);
        self.outputs += 1;
        let output = self.cluster.directory().join(format!("report-{}", self.outputs));
        let begun = Instant::now();
        let ended = self.run_job(&output, &mut strikes);
        let took = begun.elapsed();
        strikes.mend_all(self)?;
        let status = ended?;
        let attempts = self.cluster.api(&format!("/api/v1/jobs/{}/attempts?page_size=1000", text(&status["id"])))?;
        let end = self.check(schedule, &status, &output)?;
        self.heal()?;
        Ok(Ran { end, took, struck: strikes.struck().to_vec(), status, attempts })
    }

    fn run_job(&mut self, output: &Path, strikes: &mut Strikes<Self>) -> Result<Value> {
        let id = self.cluster.submit_detached(&self.work.job(output)?)?;
        loop {
            // A master that was killed does not answer.
            let status = self.cluster.api(&format!("/api/v1/jobs/{id}")).unwrap_or_default();
            if matches!(status["state"].as_str(), Some("done" | "failed" | "cancelled")) {
                return Ok(status);
            }
            strikes.advance(self, |moment| moment.has_come(&status))?;
            let quiet = strikes.last_change().elapsed();
            ensure!(quiet < QUIET_MAX, "the job hangs; nothing has changed for {} s: {status:#}", quiet.as_secs());
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    fn check(&self, schedule: &Schedule, status: &Value, output: &Path) -> Result<End> {
        if status["state"] == "done" {
            self.work.check(output).with_context(|| format!("{status:#}"))?;
            std::fs::remove_dir_all(output)?;
            return Ok(End::Rows);
        }
        let (kind, message) = (status["failure"]["cause"].as_str(), status["failure"]["message"].as_str());
        let is_poison = kind == Some("poison") && message.is_some_and(|message| message.contains("while reading"));
        ensure!(is_poison && schedule.losses() >= LOSSES_MAX, "the job did not outlive it: {status:#}");
        ensure!(!output.exists(), "a job that failed left {}", output.display());
        Ok(End::ClearError)
    }

    /// Waits until all workers are there again.
    fn heal(&self) -> Result<()> {
        wait_for("all workers", Deadline::after_seconds(60), || {
            let listed = self.cluster.api("/api/v1/workers")?;
            let listed = listed["workers"].as_array().cloned().unwrap_or_default();
            let alive = listed.iter().filter(|worker| worker["state"] == "alive" && worker["excluded"].is_null());
            Ok((alive.count() == self.workers.len()).then_some(()))
        })
    }

    /// The last lines of the logs of all processes.
    #[must_use]
    pub fn log_tails(&self) -> String {
        self.cluster.log_tails()
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

impl Moment {
    /// Whether a job with this status has come so far.
    #[must_use]
    pub fn has_come(self, status: &Value) -> bool {
        let stages = status["stages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let sum = |name: &str| stages.iter().filter_map(|stage| stage[name].as_u64()).sum::<u64>();
        match self {
            // The last stage has its tasks when the one before is done: it is half of the job.
            Self::Done(percent) => {
                let done = stages.iter().map(|stage| {
                    let count = |name: &str| stage[name].as_u64().unwrap_or_default();
                    (count("tasks_done") * 100).checked_div(count("tasks")).unwrap_or_default()
                });
                sum("tasks") > 0 && done.sum::<u64>() >= u64::from(percent) * stages.len() as u64
            }
            Self::Commit => status["state"] == "committing",
        }
    }
}
