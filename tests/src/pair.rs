//! Two masters on one state directory, and workers that know both, as real processes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::binary::hearth_binary;
use crate::cluster::{Permit, READY_SECONDS_MAX, run_shown};
use crate::command::{Background, Outcome, run_hearth};
use crate::job_file::JobFile;
use crate::ports::own_address;
use crate::process::Process;
use crate::wait::{Deadline, wait_for};

/// The configuration file of all processes.
const CONFIG: &str = "pair.toml";

/// One of the two.
#[derive(Debug)]
pub struct PairMaster {
    /// The process, while there is one; its logs stay.
    pub process: Process,
    /// `host:port` for clients and workers.
    pub rpc: String,
    /// `host:port` of its pages.
    pub http: String,
}

/// How a pair is started.
#[derive(Debug, Clone)]
pub struct PairOptions {
    /// Workers to start with.
    pub workers: usize,
    /// Slots of each worker.
    pub slots: u32,
    /// Lines of the configuration files of masters and workers.
    pub config: String,
    /// Environment variables of all processes.
    pub environment: Vec<(String, String)>,
}

impl Default for PairOptions {
    fn default() -> Self {
        Self { workers: 2, slots: 1, config: String::new(), environment: Vec::new() }
    }
}

/// Two masters and some workers.
#[derive(Debug)]
pub struct Pair {
    options: PairOptions,
    /// Both were started as standbys; the first one first.
    pub masters: [PairMaster; 2],
    workers: Vec<Process>,
    directory: TempDir,
}

impl Pair {
    /// Starts both masters and some workers with one slot each, runs a test on them, and shows all logs when it fails.
    ///
    /// # Errors
    /// What the test fails with, or a process that does not start.
    pub fn run(workers: usize, test: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        Self::run_with(PairOptions { workers, ..PairOptions::default() }, test)
    }

    /// The same, with other options.
    ///
    /// # Errors
    /// What the test fails with, or a process that does not start.
    pub fn run_with(options: PairOptions, test: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let _permit = Permit::take();
        let mut pair = Self::start(options)?;
        run_shown(&mut pair, test, Self::log_tails)
    }

    /// Starts both masters and the workers outside a test.
    ///
    /// # Errors
    /// A process does not start.
    pub fn start(options: PairOptions) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("hearth-pair-").tempdir()?;
        std::fs::create_dir(directory.path().join("state"))?;
        std::fs::write(directory.path().join(CONFIG), &options.config)?;
        let workers = options.workers;
        let start = |name: &str, ready: &str| {
            let (rpc, http) = (own_address()?, own_address()?);
            let mut process = start_master((name, directory.path()), (&rpc, &http), &options.environment)?;
            process.wait_for_line(ready, Deadline::after_seconds(READY_SECONDS_MAX))?;
            Ok::<_, anyhow::Error>(PairMaster { process, rpc, http })
        };
        let masters = [start("master-0", "hearth master ready")?, start("master-1", "hearth master standby")?];
        let mut pair = Self { options, masters, workers: Vec::new(), directory };
        for _ in 0..workers {
            pair.start_worker(&pair.url())?;
        }
        Ok(pair)
    }

    /// Starts one more worker, of these masters.
    ///
    /// # Errors
    /// No master takes it.
    pub fn start_worker(&mut self, masters: &str) -> Result<()> {
        let name = format!("worker-{}", self.workers.len());
        let mut command = Command::new(hearth_binary()?);
        let slots = self.options.slots.to_string();
        command.args(["worker", "--master", masters, "--slots", &slots, "--memory", "1GiB", "--work-dir"]);
        command.arg(self.directory().join(&name)).arg("--config").arg(self.directory().join(CONFIG));
        command.envs(self.options.environment.iter().cloned());
        let mut worker = Process::start(&name, &mut command, self.directory())?;
        worker.wait_for_line("hearth worker ready", Deadline::after_seconds(READY_SECONDS_MAX))?;
        self.workers.push(worker);
        Ok(())
    }

    /// Starts a master again that has ended, on its addresses, as a standby.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_again(&mut self, index: usize) -> Result<()> {
        let name = format!("master-{index}-again");
        let addresses = (self.masters[index].rpc.clone(), self.masters[index].http.clone());
        let addresses = (addresses.0.as_str(), addresses.1.as_str());
        let mut process = start_master((&name, self.directory()), addresses, &self.options.environment)?;
        process.wait_for_line("hearth master standby", Deadline::after_seconds(READY_SECONDS_MAX))?;
        self.masters[index].process = process;
        Ok(())
    }

    /// Waits until a master is active that was a standby.
    ///
    /// # Errors
    /// The deadline passes, or the master ends.
    pub fn wait_for_takeover(&mut self, index: usize, deadline: Deadline) -> Result<()> {
        self.masters[index].process.wait_for_line("hearth master ready", deadline)?;
        Ok(())
    }

    /// The last lines of the logs of all processes.
    #[must_use]
    pub fn log_tails(&self) -> String {
        let masters = self.masters.iter().map(|master| &master.process);
        masters.chain(&self.workers).map(Process::log_tails).collect::<Vec<_>>().join("\n")
    }

    /// What to pass as `--master`: both.
    #[must_use]
    pub fn url(&self) -> String {
        let [first, second] = &self.masters;
        format!("hearth://{},{}", first.rpc, second.rpc)
    }

    /// Of the masters, the workers, and the test's own files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The work directories of all workers.
    #[must_use]
    pub fn work_dirs(&self) -> Vec<PathBuf> {
        (0..self.workers.len()).map(|index| self.directory().join(format!("worker-{index}"))).collect()
    }

    /// Runs a `hearth` command that knows both masters.
    ///
    /// # Errors
    /// It cannot be started or does not end in time.
    pub fn hearth(&self, arguments: &[&str]) -> Result<Outcome> {
        let url = self.url();
        run_hearth(&[arguments, &["--master", url.as_str()]].concat())
    }

    /// Starts a `hearth` command that knows both masters.
    ///
    /// # Errors
    /// The command cannot be started.
    pub fn in_background(&self, arguments: &[&str]) -> Result<Background> {
        let url = self.url();
        Background::start(&[arguments, &["--master", url.as_str()]].concat())
    }

    /// Submits a job and keeps the waiting command in the background.
    ///
    /// # Errors
    /// The command cannot be started.
    pub fn submit_in_background(&self, job: &JobFile) -> Result<Background> {
        let file = job.write(self.directory())?;
        self.in_background(&["submit", &file.to_string_lossy()])
    }

    /// JSON from the web address of a master.
    ///
    /// # Errors
    /// It does not answer with JSON.
    pub fn api(&self, index: usize, path: &str) -> Result<Value> {
        crate::http::http_get(&self.masters[index].http, path)?.json()
    }

    /// Waits until a master tells a status of a job that fulfils a condition.
    ///
    /// # Errors
    /// The deadline passes; the message has the last status.
    pub fn wait_for_status(&self, index: usize, job: &str, fulfils: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        let found = wait_for("a job's status", Deadline::after_seconds(150), || {
            last = self.api(index, &format!("/api/v1/jobs/{job}"))?;
            Ok(fulfils(&last).then(|| last.clone()))
        });
        found.with_context(|| format!("last status: {last:#}"))
    }
}

fn start_master(
    (name, directory): (&str, &Path),
    (rpc, http): (&str, &str),
    environment: &[(String, String)],
) -> Result<Process> {
    let mut command = Command::new(hearth_binary()?);
    command.args(["master", "--standby", "--rpc", rpc, "--http", http, "--state-dir"]).arg(directory.join("state"));
    command.arg("--config").arg(directory.join(CONFIG)).envs(environment.iter().cloned());
    Process::start(name, &mut command, directory)
}
