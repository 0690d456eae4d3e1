//! A cluster on two hosts: a master and a worker on the first one, and room for a worker on the second.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::hosts::{Host, Hosts};
use crate::job_file::JobFile;
use crate::process::Process;
use crate::tools::run_tool;
use crate::wait::{Deadline, wait_for};

const MASTER: &str = "hearth://10.77.0.1:7077";

/// The processes end before the hosts do.
#[derive(Debug)]
pub struct Nodes {
    directory: TempDir,
    processes: Vec<Process>,
    hosts: Hosts,
    slots: u32,
}

impl Nodes {
    /// Starts the hosts, a master, and a worker on the first host, and runs a test on them. Workers have so many slots.
    ///
    /// # Errors
    /// What the test fails with, with the logs of all processes; not root; or a process that does not start.
    pub fn run<T>(slots: u32, test: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let (directory, hosts) = (tempfile::tempdir()?, Hosts::start()?);
        let mut nodes = Self { directory, processes: Vec::new(), hosts, slots };
        let outcome = nodes.start_master().and_then(|()| nodes.start_worker(Host::One)).and_then(|_| test(&mut nodes));
        let logs = || nodes.processes.iter().map(Process::log_tails).collect::<Vec<_>>().join("\n");
        outcome.map_err(|error| error.context(logs()))
    }

    fn start_master(&mut self) -> Result<()> {
        let state = self.directory.path().join("state");
        let arguments = ["master", "--rpc", "0.0.0.0:7077", "--http", "0.0.0.0:8080", "--state-dir", &path(&state)];
        self.start("master", Host::One, &arguments)?
            .wait_for_line("hearth master ready", Deadline::after_seconds(60))?;
        Ok(())
    }

    /// Starts a worker, and gives its id.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn start_worker(&mut self, host: Host) -> Result<String> {
        let work = path(&self.directory.path().join(format!("work-{}", host.name())));
        let (bind, slots) = (format!("{}:7177", host.shuffle_address()), self.slots.to_string());
        let limits = ["--slots", &slots, "--memory", "512MiB", "--work-dir", &work, "--bind", &bind];
        let worker = self.start(host.name(), host, &[&["worker", "--master", MASTER], &limits[..]].concat())?;
        let ready = worker.wait_for_line("hearth worker ready", Deadline::after_seconds(60))?;
        let id = ready.split_whitespace().find_map(|word| word.strip_prefix("id="));
        id.map(str::to_owned).context("find the worker's id")
    }

    fn start(&mut self, name: &str, host: Host, arguments: &[&str]) -> Result<&mut Process> {
        let process = Process::start(name, &mut self.hosts.hearth(host, arguments)?, self.directory.path())?;
        self.processes.push(process);
        self.processes.last_mut().context("find the process")
    }

    /// For the test's own files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The hosts, and the links between them.
    #[must_use]
    pub const fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// Runs a command on the first host, to its end, and gives what it printed.
    ///
    /// # Errors
    /// It fails.
    pub fn hearth(&self, arguments: &[&str]) -> Result<String> {
        run_tool(&mut self.hosts.hearth(Host::One, &[arguments, &["--master", MASTER]].concat())?)
    }

    /// Submits a job and gives its id.
    ///
    /// # Errors
    /// It is not accepted.
    pub fn submit(&self, job: &JobFile) -> Result<String> {
        let file = job.write(self.directory.path())?;
        Ok(self.hearth(&["submit", "--detach", &path(&file)])?.trim().to_owned())
    }

    /// Waits until the status of a job fulfils a condition, and gives it.
    ///
    /// # Errors
    /// The deadline passes; the message has the last status.
    pub fn wait_for(&self, job: &str, seconds: u64, fulfils: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        let found = wait_for("a job's status", Deadline::after_seconds(seconds), || {
            last = serde_json::from_str(&self.hearth(&["status", job, "--json"])?)?;
            Ok(fulfils(&last).then(|| last.clone()))
        });
        found.with_context(|| format!("last status: {last:#}"))
    }

    /// Waits for the end of a job, which must be done.
    ///
    /// # Errors
    /// It is not.
    pub fn wait_for_done(&self, job: &str) -> Result<Value> {
        let is_over = |status: &Value| matches!(status["state"].as_str(), Some("done" | "failed" | "cancelled"));
        let status = self.wait_for(job, 180, is_over)?;
        ensure!(status["state"] == "done", "{status:#}");
        Ok(status)
    }

    /// Lines that a worker wrote about a job.
    ///
    /// # Errors
    /// The job is not known.
    pub fn lines_of(&self, job: &str, worker: &str) -> Result<Vec<Value>> {
        let printed = self.hearth(&["logs", job, "--json", "--worker", worker])?;
        printed.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
