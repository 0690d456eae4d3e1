//! A master and its workers as real processes on free ports, in a directory of their own.

use std::net::{IpAddr, Ipv4Addr};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Condvar, Mutex, PoisonError};

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::binary::hearth_binary;
use crate::command::{Background, Outcome, run_hearth};
use crate::faults::{Link, SmallDisk};
use crate::job_file::JobFile;
use crate::ports::own_address;
use crate::process::Process;
use crate::wait::{Deadline, wait_for};

/// Time for a process to say that it is ready, in seconds.
pub(crate) const READY_SECONDS_MAX: u64 = 60;
/// Clusters that run at the same time in one test process.
const CLUSTERS_MAX: u32 = 2;

/// Where workers with links listen, and where others find them: two of the addresses that every Linux machine has.
const OWN_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const SHUFFLE_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));

static RUNNING: Mutex<u32> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// How a cluster is started.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// Workers to start with.
    pub workers: usize,
    /// Slots of each worker.
    pub slots: u32,
    /// Memory limit of each worker.
    pub memory: String,
    /// Lines of the master's configuration file, such as `lease = "5s"`.
    pub master_config: String,
    /// Lines of the workers' configuration files, by index; the last ones go for all that follow.
    pub worker_configs: Vec<String>,
    /// Environment variables of all processes.
    pub environment: Vec<(String, String)>,
    /// Each worker reaches the master, and is reached by others, over [`Link`]s of its own, which can be made worse.
    pub links: bool,
    /// Each worker has its work directory on a [`SmallDisk`] of so many MiB.
    pub disk_mebibytes: Option<u32>,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            workers: 2,
            slots: 1,
            memory: "1GiB".to_owned(),
            master_config: String::new(),
            worker_configs: Vec::new(),
            environment: Vec::new(),
            links: false,
            disk_mebibytes: None,
        }
    }
}

/// One worker process.
#[derive(Debug)]
pub struct WorkerProcess {
    /// The process.
    pub process: Process,
    /// Its worker id.
    pub id: String,
    /// Its work directory.
    pub work_dir: PathBuf,
    /// `host:port` of its metrics, where its configuration wants them.
    pub http: Option<String>,
    link: Option<Link>,
    shuffle_link: Option<Link>,
    disk: Option<SmallDisk>,
}

impl WorkerProcess {
    /// Its way to the master.
    ///
    /// # Errors
    /// The cluster was started without [`ClusterOptions::links`].
    pub fn link(&self) -> Result<&Link> {
        self.link.as_ref().context("find the worker's link")
    }

    /// The way of all others to its shuffle outputs.
    ///
    /// # Errors
    /// The cluster was started without [`ClusterOptions::links`].
    pub fn shuffle_link(&self) -> Result<&Link> {
        self.shuffle_link.as_ref().context("find the link before the worker's shuffle outputs")
    }

    /// Its disk.
    ///
    /// # Errors
    /// The cluster was started without [`ClusterOptions::disk_mebibytes`].
    pub fn disk(&self) -> Result<&SmallDisk> {
        self.disk.as_ref().context("find the worker's disk")
    }
}

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    options: ClusterOptions,
    master: Process,
    workers: Vec<WorkerProcess>,
    rpc: String,
    http: String,
    directory: TempDir,
}

impl Cluster {
    /// Starts a cluster, runs a test on it and ends it. When the test fails, the logs of all processes are shown.
    ///
    /// # Errors
    /// What the test fails with, or a process that does not start.
    pub fn run(options: ClusterOptions, test: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let _permit = Permit::take();
        let mut cluster = Self::start(options)?;
        run_shown(&mut cluster, test, Self::log_tails)
    }

    /// Starts a cluster outside a test.
    ///
    /// # Errors
    /// A process does not become ready.
    pub fn start(options: ClusterOptions) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("hearth-test-").tempdir()?;
        let config = directory.path().join("master.toml");
        std::fs::write(&config, &options.master_config)?;
        let (rpc, http) = (own_address()?, own_address()?);
        let (master, rpc, http) = start_master("master", directory.path(), (&rpc, &http), &options.environment)?;
        let workers = options.workers;
        let mut cluster = Self { options, master, workers: Vec::new(), rpc, http, directory };
        for _ in 0..workers {
            cluster.start_worker()?;
        }
        Ok(cluster)
    }

    /// Kills the master with SIGKILL and starts it again on the same ports and the same state.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn restart_master(&mut self) -> Result<()> {
        self.kill_master()?;
        self.start_master_again()
    }

    /// Kills the master with SIGKILL.
    ///
    /// # Errors
    /// It is gone.
    pub fn kill_master(&mut self) -> Result<()> {
        self.master.kill()
    }

    /// Starts the master again that was killed or stopped, on the same ports and the same state.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn start_master_again(&mut self) -> Result<()> {
        let addresses = (self.rpc.as_str(), self.http.as_str());
        (self.master, _, _) = start_master("master", self.directory.path(), addresses, &self.options.environment)?;
        Ok(())
    }

    /// Sends a signal to the master.
    ///
    /// # Errors
    /// It is gone.
    pub fn signal_master(&self, signal: Signal) -> Result<()> {
        self.master.signal(signal)
    }

    /// Starts a second master, on a copy of the state of the first one and on ports of its own.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn start_second_master(&self) -> Result<Process> {
        let (from, to) = (self.directory().join("state"), self.directory().join("second-state"));
        let copied = Command::new("cp").arg("-r").args([&from, &to]).status()?;
        anyhow::ensure!(copied.success(), "copy {} to {}", from.display(), to.display());
        let any = "127.0.0.1:0";
        Ok(start_master("second", self.directory(), (any, any), &self.options.environment)?.0)
    }

    /// Sends a signal to the master and waits for its end.
    ///
    /// # Errors
    /// It does not end.
    pub fn stop_master(&mut self, signal: Signal) -> Result<ExitStatus> {
        self.master.signal(signal)?;
        self.master.wait_for_exit(Deadline::after_seconds(30))
    }

    /// Starts one more worker and returns its index.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn start_worker(&mut self) -> Result<usize> {
        let index = self.workers.len();
        let work_dir = self.directory.path().join(format!("work-{index}"));
        self.start_worker_in(work_dir)
    }

    /// Starts one more worker on a given work directory and returns its index.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn start_worker_in(&mut self, work_dir: PathBuf) -> Result<usize> {
        let index = self.workers.len();
        let link = if self.options.links { Some(Link::to_master(&self.rpc)?) } else { None };
        let url = link.as_ref().map_or_else(|| self.url(), |link| format!("hearth://{}", link.address()));
        let disk = self.options.disk_mebibytes.map(|mebibytes| SmallDisk::mount(&work_dir, mebibytes)).transpose()?;
        let mut command = Command::new(hearth_binary()?);
        command.args(["worker", "--master", &url, "--slots", &self.options.slots.to_string()]);
        command.args(["--memory", &self.options.memory, "--work-dir"]).arg(&work_dir);
        let shuffle_link = if self.options.links { Some(Link::before(OWN_ADDRESS, SHUFFLE_ADDRESS)?) } else { None };
        if let Some(link) = &shuffle_link {
            command.args(["--bind", &link.target(), "--advertise", &SHUFFLE_ADDRESS.to_string()]);
        }
        if let Some(config) = self.options.worker_configs.get(index).or(self.options.worker_configs.last()) {
            let file = self.directory.path().join(format!("worker-{index}.toml"));
            std::fs::write(&file, config)?;
            command.arg("--config").arg(file);
        }
        command.envs(self.options.environment.iter().cloned());
        let mut process = Process::start(&format!("worker-{index}"), &mut command, self.directory.path())?;
        let ready = process.wait_for_line("hearth worker ready", Deadline::after_seconds(READY_SECONDS_MAX))?;
        let (id, http) = (field(&ready, "id")?, field(&ready, "http").ok());
        self.workers.push(WorkerProcess { process, id, work_dir, http, link, shuffle_link, disk });
        Ok(index)
    }

    /// A worker by its index.
    ///
    /// # Panics
    /// There is no such worker.
    #[must_use]
    pub fn worker(&self, index: usize) -> &WorkerProcess {
        &self.workers[index]
    }

    /// The index of the worker with that id, as it was when it started.
    #[must_use]
    pub fn worker_with_id(&self, id: &str) -> Option<usize> {
        self.workers.iter().position(|worker| worker.id == id)
    }

    /// Kills a worker with SIGKILL.
    ///
    /// # Errors
    /// It is gone.
    pub fn kill_worker(&mut self, index: usize) -> Result<()> {
        self.workers[index].process.kill()
    }

    /// Waits until a worker ended by itself.
    ///
    /// # Errors
    /// The deadline passes first.
    pub fn wait_for_worker_exit(&mut self, index: usize, deadline: Deadline) -> Result<ExitStatus> {
        self.workers[index].process.wait_for_exit(deadline)
    }

    /// Ids of all processes.
    #[must_use]
    pub fn process_ids(&self) -> Vec<u32> {
        let workers = self.workers.iter().map(|worker| worker.process.id());
        std::iter::once(self.master.id()).chain(workers).collect()
    }

    /// Sends SIGTERM to a worker.
    ///
    /// # Errors
    /// It is gone.
    pub fn drain_worker(&self, index: usize) -> Result<()> {
        self.worker(index).process.signal(Signal::TERM)
    }

    /// What to pass as `--master`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("hearth://{}", self.rpc)
    }

    /// `host:port` where the master takes calls.
    #[must_use]
    pub fn rpc(&self) -> &str {
        &self.rpc
    }

    /// `host:port` of the web server.
    #[must_use]
    pub fn http(&self) -> &str {
        &self.http
    }

    /// Directory of the cluster, for the test's own files too.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Runs a `hearth` command against this cluster.
    ///
    /// # Errors
    /// It cannot be started or does not end in time.
    pub fn hearth(&self, arguments: &[&str]) -> Result<Outcome> {
        let url = self.url();
        run_hearth(&[arguments, &["--master", url.as_str()]].concat())
    }

    /// Submits a job and waits for its end; answers with how the command ended.
    ///
    /// # Errors
    /// The command cannot be run.
    pub fn submit(&self, job: &JobFile, arguments: &[&str]) -> Result<Outcome> {
        let file = job.write(self.directory())?;
        self.hearth(&[&["submit", &file.to_string_lossy()], arguments].concat())
    }

    /// Submits a job that must be done at the end, and returns its status.
    ///
    /// # Errors
    /// The job is not done.
    pub fn run_job(&self, job: &JobFile) -> Result<Value> {
        self.submit(job, &["--json"])?.success()?.json()
    }

    /// Submits a job and returns its id at once.
    ///
    /// # Errors
    /// The job is not accepted.
    pub fn submit_detached(&self, job: &JobFile) -> Result<String> {
        let outcome = self.submit(job, &["--detach"])?.success()?;
        Ok(outcome.stdout.trim().to_owned())
    }

    /// Submits a job and keeps the waiting command in the background.
    ///
    /// # Errors
    /// The command cannot be started.
    pub fn submit_in_background(&self, job: &JobFile, arguments: &[&str]) -> Result<Background> {
        let file = job.write(self.directory())?;
        let (file, url) = (file.to_string_lossy().into_owned(), self.url());
        Background::start(&[&["submit", &file, "--master", &url], arguments].concat())
    }

    /// Status of a job.
    ///
    /// # Errors
    /// There is no such job.
    pub fn status(&self, job: &str) -> Result<Value> {
        self.hearth(&["status", job, "--json"])?.success()?.json()
    }

    /// Waits until the status of a job fulfils a condition, and returns it.
    ///
    /// # Errors
    /// The deadline passes; the message has the last status.
    pub fn wait_for_status(&self, job: &str, seconds: u64, fulfils: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        let found = wait_for("a job's status", Deadline::after_seconds(seconds), || {
            last = self.api(&format!("/api/v1/jobs/{job}"))?;
            Ok(fulfils(&last).then(|| last.clone()))
        });
        found.with_context(|| format!("last status: {last:#}"))
    }

    /// Waits until a job reached a final state, and returns its status.
    ///
    /// # Errors
    /// The deadline passes.
    pub fn wait_for_end(&self, job: &str, seconds: u64) -> Result<Value> {
        self.wait_for_status(job, seconds, |status| {
            matches!(status["state"].as_str(), Some("done" | "failed" | "cancelled"))
        })
    }

    /// JSON from the master's web server.
    ///
    /// # Errors
    /// It does not answer with JSON.
    pub fn api(&self, path: &str) -> Result<Value> {
        crate::http::http_get(&self.http, path)?.json()
    }

    /// The last lines of the logs of all processes.
    #[must_use]
    pub fn log_tails(&self) -> String {
        let workers = self.workers.iter().map(|worker| worker.process.log_tails());
        std::iter::once(self.master.log_tails()).chain(workers).collect::<Vec<_>>().join("\n")
    }
}

#[expect(clippy::print_stderr, reason = "the test runner shows it beside the failure")]
fn show(logs: &str) {
    eprintln!("{logs}");
}

/// Runs a test on processes, and shows their logs when it fails.
pub(crate) fn run_shown<T>(
    processes: &mut T,
    test: impl FnOnce(&mut T) -> Result<()>,
    logs: impl FnOnce(&T) -> String,
) -> Result<()> {
    let result = catch_unwind(AssertUnwindSafe(|| test(processes)));
    if !matches!(result, Ok(Ok(()))) {
        show(&logs(processes));
    }
    result.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Starts a master on its state in `directory` and the configuration there; answers with its two addresses too.
fn start_master(
    name: &str,
    directory: &Path,
    (rpc, http): (&str, &str),
    environment: &[(String, String)],
) -> Result<(Process, String, String)> {
    let state = if name == "master" { "state" } else { "second-state" };
    let mut command = Command::new(hearth_binary()?);
    command.args(["master", "--rpc", rpc, "--http", http]).arg("--state-dir").arg(directory.join(state));
    command.arg("--config").arg(directory.join("master.toml")).envs(environment.iter().cloned());
    let mut master = Process::start(name, &mut command, directory)?;
    let ready = master.wait_for_line("hearth master ready", Deadline::after_seconds(READY_SECONDS_MAX))?;
    let (rpc, http) = (field(&ready, "rpc")?, field(&ready, "http")?);
    Ok((master, rpc, http))
}

/// The value of `name=value` in a ready line.
fn field(line: &str, name: &str) -> Result<String> {
    let value = line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    value.map(str::to_owned).with_context(|| format!("find `{name}=` in `{line}`"))
}

/// Room for one cluster among those that run at the same time.
pub(crate) struct Permit;

impl Permit {
    pub(crate) fn take() -> Self {
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut running =
            ENDED.wait_while(running, |running| *running >= CLUSTERS_MAX).unwrap_or_else(PoisonError::into_inner);
        *running += 1;
        Self
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}
