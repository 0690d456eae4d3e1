//! One cluster on which schedules run one after the other.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::strike::Strikes;
use super::{End, Moment, Planned, Schedule};
use crate::cluster::{Cluster, ClusterOptions, WorkerProcess};
use crate::data::UserActions;
use crate::job_file::JobFile;
use crate::rows::{Rows, read_parquet_dir, sql_in_one_process};
use crate::wait::{Deadline, wait_for};

const QUERY: &str = "SELECT email, action, count(*) AS freq FROM actions GROUP BY email, action";
/// Holds the shuffle outputs of a job many times, and is filled in no time.
const DISK_MEBIBYTES: u32 = 48;
/// A job that is not at its end so long after the last change hangs.
const QUIET_MAX: Duration = Duration::from_secs(120);
/// Time between two looks at a job. Commits take some tens of milliseconds.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Workers that a task may lose in a row until it is poison.
const LOSSES_MAX: usize = 3;

pub(super) struct Lane {
    pub(super) cluster: Cluster,
    /// Indexes of the workers that run.
    workers: Vec<usize>,
    answer: Rows,
    /// How long a job takes when nothing goes wrong; the median of a few.
    pub(super) usual: Duration,
    outputs: u32,
}

/// How a job ended, and after how long.
pub(super) struct Ran {
    pub(super) end: End,
    pub(super) took: Duration,
    pub(super) struck: Vec<Planned>,
}

impl Lane {
    pub(super) fn start(workers: u8) -> Result<Self> {
        let input = UserActions::SMALL.directory()?;
        let answer = sql_in_one_process(QUERY, &[("actions", &input)])?;
        let cluster = Cluster::start(ClusterOptions {
            workers: workers.into(),
            links: true,
            disk_mebibytes: Some(DISK_MEBIBYTES),
            ..ClusterOptions::default()
        })?;
        let workers = (0..workers.into()).collect();
        let mut lane = Self { cluster, workers, answer, usual: Duration::ZERO, outputs: 0 };
        let schedule = Schedule { seed: 0, workers: 0, faults: Vec::new() };
        let mut took = Vec::new();
        for _ in 0..3 {
            took.push(lane.run(&schedule)?.took);
        }
        took.sort_unstable();
        lane.usual = took[1];
        Ok(lane)
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
    pub(super) fn run(&mut self, schedule: &Schedule) -> Result<Ran> {
        let mut strikes = Strikes::new(schedule);
        self.outputs += 1;
        let output = self.cluster.directory().join(format!("report-{}", self.outputs));
        let begun = Instant::now();
        let ended = self.run_job(&output, &mut strikes);
        let took = begun.elapsed();
        strikes.mend_all(self)?;
        let end = self.check(schedule, &ended?, &output)?;
        self.heal()?;
        Ok(Ran { end, took, struck: strikes.struck().to_vec() })
    }

    fn run_job(&mut self, output: &Path, strikes: &mut Strikes) -> Result<Value> {
        let job = JobFile::new("faults", QUERY)
            .csv("actions", &UserActions::SMALL.directory()?)
            .output(output, &[])
            .setting("split_bytes = \"128KiB\"")
            .setting("shuffle_partitions = 24")
            .setting("merge_bytes = \"1B\"");
        let id = self.cluster.submit_detached(&job)?;
        loop {
            // A master that was killed does not answer.
            let status = self.cluster.api(&format!("/api/v1/jobs/{id}")).unwrap_or_default();
            if matches!(status["state"].as_str(), Some("done" | "failed" | "cancelled")) {
                return Ok(status);
            }
            strikes.advance(self, |moment| has_come(moment, &status))?;
            let quiet = strikes.last_change().elapsed();
            ensure!(quiet < QUIET_MAX, "the job hangs; nothing has changed for {} s: {status:#}", quiet.as_secs());
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    fn check(&self, schedule: &Schedule, status: &Value, output: &Path) -> Result<End> {
        if status["state"] == "done" {
            read_parquet_dir(output)?.check_equal(&self.answer).with_context(|| format!("{status:#}"))?;
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
}

fn has_come(moment: Moment, status: &Value) -> bool {
    let stages = status["stages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let sum = |name: &str| stages.iter().filter_map(|stage| stage[name].as_u64()).sum::<u64>();
    match moment {
        // The last stage has its tasks when the one before is done: it is half of the job.
        Moment::Done(percent) => {
            let done = stages.iter().map(|stage| {
                let count = |name: &str| stage[name].as_u64().unwrap_or_default();
                (count("tasks_done") * 100).checked_div(count("tasks")).unwrap_or_default()
            });
            sum("tasks") > 0 && done.sum::<u64>() >= u64::from(percent) * stages.len() as u64
        }
        Moment::Commit => status["state"] == "committing",
    }
}
