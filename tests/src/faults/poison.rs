//! Stands for input that no process survives: whoever runs the first task of a job is killed.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::Value;

use crate::cluster::Cluster;

/// A job that kills its workers.
#[derive(Debug)]
pub struct Poison {
    job: String,
    killed: BTreeSet<String>,
}

impl Poison {
    /// The first task of the first stage of that job is poison.
    #[must_use]
    pub const fn in_job(job: String) -> Self {
        Self { job, killed: BTreeSet::new() }
    }

    /// Kills the worker that runs it, if one does, and starts another. Answers with the job's status once it has ended.
    ///
    /// # Errors
    /// The master does not answer, or a worker does not start.
    pub fn act(&mut self, cluster: &mut Cluster) -> Result<Option<Value>> {
        let status = cluster.api(&format!("/api/v1/jobs/{}", self.job))?;
        if matches!(status["state"].as_str(), Some("done" | "failed")) {
            return Ok(Some(status));
        }
        if let Some(worker) = self.runs_on(cluster)?
            && let Some(index) = cluster.worker_with_id(&worker)
            && self.killed.insert(worker)
        {
            cluster.kill_worker(index)?;
            cluster.start_worker()?;
        }
        Ok(None)
    }

    /// How many workers it has killed.
    #[must_use]
    pub fn killed(&self) -> usize {
        self.killed.len()
    }

    fn runs_on(&self, cluster: &Cluster) -> Result<Option<String>> {
        let tasks = cluster.api(&format!("/api/v1/jobs/{}/stages/0/tasks?page_size=1", self.job))?;
        let task = &tasks["tasks"][0];
        Ok((task["state"] == "running").then(|| task["worker"].as_str().map(str::to_owned)).flatten())
    }
}
