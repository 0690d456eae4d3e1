//! A cluster on two hosts: a master and a worker on the first, and room for a worker on the second. The hosts are network namespaces,
//! so this needs root.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use hearth_tests::{Deadline, Host, Hosts, JobFile, Process, run_tool, wait_for};
use serde_json::Value;
use tempfile::TempDir;

/// Where the master's pages are, on its host.
pub(crate) const PAGES: &str = "10.77.0.1:8080";
const MASTER: &str = "hearth://10.77.0.1:7077";

/// What is told to processes beside their flags.
#[derive(Default)]
pub(crate) struct Settings {
    /// Lines of the master's configuration file.
    pub(crate) master: String,
    /// Lines of each worker's configuration file.
    pub(crate) worker: String,
    /// Variables for all of them.
    pub(crate) environment: Vec<(&'static str, String)>,
}

/// A master and a worker on the first host, and room for one on the second. The processes end before the hosts do.
pub(crate) struct Nodes {
    pub(crate) directory: TempDir,
    settings: Settings,
    processes: Vec<Process>,
    pub(crate) hosts: Hosts,
}

impl Nodes {
    pub(crate) fn run(test: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        Self::run_on(Hosts::start()?, Settings::default(), test)
    }

    /// As [`Nodes::run`], on hosts on which something may run already.
    pub(crate) fn run_on(hosts: Hosts, settings: Settings, test: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let mut nodes = Self { directory: tempfile::tempdir()?, settings, processes: Vec::new(), hosts };
        let outcome = nodes.start_master().and_then(|()| nodes.start_worker(Host::One)).and_then(|_| test(&mut nodes));
        let logs = || nodes.processes.iter().map(Process::log_tails).collect::<Vec<_>>().join("\n");
        outcome.map_err(|error| error.context(logs()))
    }

    fn start_master(&mut self) -> Result<()> {
        let state = self.directory.path().join("state");
        let config = self.config("master", &self.settings.master)?;
        let arguments = ["master", "--rpc", "0.0.0.0:7077", "--http", "0.0.0.0:8080", "--state-dir", &path(&state)];
        self.start("master", Host::One, &[&arguments[..], &["--config", &config]].concat())?
            .wait_for_line("hearth master ready", Deadline::after_seconds(60))?;
        Ok(())
    }

    /// Starts a worker with one slot, and gives its id.
    pub(crate) fn start_worker(&mut self, host: Host) -> Result<String> {
        let work = path(&self.directory.path().join(format!("work-{}", host.name())));
        let bind = format!("{}:7177", host.shuffle_address());
        let config = self.config(host.name(), &self.settings.worker)?;
        let arguments =
            ["worker", "--master", MASTER, "--slots", "1", "--memory", "512MiB", "--work-dir", &work, "--bind", &bind];
        let worker = self.start(host.name(), host, &[&arguments[..], &["--config", &config]].concat())?;
        let ready = worker.wait_for_line("hearth worker ready", Deadline::after_seconds(60))?;
        let id = ready.split_whitespace().find_map(|word| word.strip_prefix("id="));
        id.map(str::to_owned).context("find the worker's id")
    }

    fn start(&mut self, name: &str, host: Host, arguments: &[&str]) -> Result<&mut Process> {
        let mut command = self.hosts.hearth(host, arguments)?;
        command.envs(self.settings.environment.iter().map(|(name, value)| (name, value)));
        let process = Process::start(name, &mut command, self.directory.path())?;
        self.processes.push(process);
        self.processes.last_mut().context("find the process")
    }

    fn config(&self, name: &str, lines: &str) -> Result<String> {
        let file = self.directory.path().join(format!("{name}.toml"));
        std::fs::write(&file, lines)?;
        Ok(path(&file))
    }

    /// A command on the first host.
    pub(crate) fn hearth(&self, arguments: &[&str]) -> Result<String> {
        run_tool(&mut self.hosts.hearth(Host::One, &[arguments, &["--master", MASTER]].concat())?)
    }

    pub(crate) fn submit(&self, job: &JobFile) -> Result<String> {
        let file = job.write(self.directory.path())?;
        Ok(self.hearth(&["submit", "--detach", &path(&file)])?.trim().to_owned())
    }

    fn status(&self, job: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.hearth(&["status", job, "--json"])?)?)
    }

    pub(crate) fn wait_for(&self, job: &str, seconds: u64, fulfils: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        let found = wait_for("a job's status", Deadline::after_seconds(seconds), || {
            last = self.status(job)?;
            Ok(fulfils(&last).then(|| last.clone()))
        });
        found.with_context(|| format!("last status: {last:#}"))
    }

    pub(crate) fn wait_for_done(&self, job: &str) -> Result<Value> {
        let is_over = |status: &Value| matches!(status["state"].as_str(), Some("done" | "failed" | "cancelled"));
        let status = self.wait_for(job, 180, is_over)?;
        ensure!(status["state"] == "done", "{status:#}");
        Ok(status)
    }

    /// Lines that a worker wrote about a job.
    pub(crate) fn lines_of(&self, job: &str, worker: &str) -> Result<Vec<Value>> {
        let printed = self.hearth(&["logs", job, "--json", "--worker", worker])?;
        printed.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
