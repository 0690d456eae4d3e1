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

/// What the processes are told.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// Of each worker.
    pub slots: u32,
    /// Lines of the master's configuration file.
    pub master: String,
    /// Lines of each worker's configuration file.
    pub worker: String,
    /// Variables for all of them.
    pub environment: Vec<(&'static str, String)>,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self { slots: 1, master: String::new(), worker: String::new(), environment: Vec::new() }
    }
}

/// The processes end before the hosts do.
#[derive(Debug)]
pub struct Nodes {
    directory: TempDir,
    options: NodeOptions,
    processes: Vec<Process>,
    hosts: Hosts,
}

impl Nodes {
    /// Where the master's pages are, on the first host.
    pub const PAGES: &str = "10.77.0.1:8080";

    /// Starts the hosts, a master, and a worker on the first host, and runs a test on them.
    ///
    /// # Errors
    /// What the test fails with, with the logs of all processes; not root; or a process that does not start.
    pub fn run<T>(options: NodeOptions, test: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        Self::run_on(Hosts::start()?, options, test)
    }

    /// As [`Nodes::run`], on hosts on which something may run already.
    ///
    /// # Errors
    /// As [`Nodes::run`].
    pub fn run_on<T>(hosts: Hosts, options: NodeOptions, test: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let mut nodes = Self { directory: tempfile::tempdir()?, options, processes: Vec::new(), hosts };
        let outcome = nodes.start_master().and_then(|()| nodes.start_worker(Host::One)).and_then(|_| test(&mut nodes));
        let logs = || nodes.processes.iter().map(Process::log_tails).collect::<Vec<_>>().join("\n");
        outcome.map_err(|error| error.context(logs()))
    }

    fn start_master(&mut self) -> Result<()> {
        let state = self.directory.path().join("state");
        let arguments = ["master", "--rpc", "0.0.0.0:7077", "--http", "0.0.0.0:8080", "--state-dir", &path(&state)];
        let config = self.config("master", &self.options.master)?;
        self.start("master", Host::One, &[&arguments[..], &["--config", &config]].concat())?
            .wait_for_line("hearth master ready", Deadline::after_seconds(60))?;
        Ok(())
    }

    /// Starts a worker, and gives its id.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn start_worker(&mut self, host: Host) -> Result<String> {
        let work = path(&self.directory.path().join(format!("work-{}", host.name())));
        let (bind, slots) = (format!("{}:7177", host.shuffle_address()), self.options.slots.to_string());
        let config = self.config(host.name(), &self.options.worker)?;
        let limits = ["--slots", &slots, "--memory", "512MiB", "--work-dir", &work, "--bind", &bind];
        let arguments = [&["worker", "--master", MASTER, "--config", &config], &limits[..]].concat();
        let worker = self.start(host.name(), host, &arguments)?;
        let ready = worker.wait_for_line("hearth worker ready", Deadline::after_seconds(60))?;
        let id = ready.split_whitespace().find_map(|word| word.strip_prefix("id="));
        id.map(str::to_owned).context("find the worker's id")
    }

    fn start(&mut self, name: &str, host: Host, arguments: &[&str]) -> Result<&mut Process> {
        let mut command = self.hosts.hearth(host, arguments)?;
        command.envs(self.options.environment.iter().map(|(name, value)| (name, value)));
        let process = Process::start(name, &mut command, self.directory.path())?;
        self.processes.push(process);
        self.processes.last_mut().context("find the process")
    }

    fn config(&self, name: &str, lines: &str) -> Result<String> {
        let file = self.directory.path().join(format!("{name}.toml"));
        std::fs::write(&file, lines)?;
        Ok(path(&file))
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
