//! The demo's processes: this binary as one master and some workers. Whatever happens, they end with the demo.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::exit::CliError;

const READY_TIMEOUT: Duration = Duration::from_secs(30);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// One master and its workers, as child processes.
pub(super) struct DemoCluster {
    rpc: String,
    http: String,
    /// Dropped before the master.
    workers: Vec<Process>,
    master: Process,
    scratch: [PathBuf; 2],
}

/// A child that is killed when it is dropped.
struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl DemoCluster {
    /// Starts the processes and waits until every one is ready.
    pub(super) async fn start(directory: &Path, workers: u32) -> Result<Self, CliError> {
        let (state, work) = (directory.join("state"), directory.join("work"));
        let (rpc, http) = (address(7077), address(8080));
        let mut command = hearth("master")?;
        command.args(["--rpc", &rpc, "--http", &http, "--state-dir"]).arg(&state);
        let mut master = Process::spawn("master", command, directory)?;
        let line = master.ready().await?;
        let (rpc, http) = (value_of(&line, "rpc="), value_of(&line, "http="));
        let mut cluster = Self { rpc, http, workers: Vec::new(), master, scratch: [state, work.clone()] };
        for number in 1..=workers {
            let name = format!("worker-{number}");
            let mut command = hearth("worker")?;
            command.args(["--master", &cluster.rpc, "--slots", "1", "--work-dir"]).arg(work.join(&name));
            cluster.workers.push(Process::spawn(&name, command, directory)?);
        }
        for worker in &mut cluster.workers {
            worker.ready().await?;
        }
        Ok(cluster)
    }

    pub(super) fn rpc(&self) -> &str {
        &self.rpc
    }

    pub(super) fn http(&self) -> &str {
        &self.http
    }

    /// Ends the processes calmly, workers first, and removes what only they needed.
    pub(super) async fn stop(self) {
        let Self { mut workers, mut master, scratch, .. } = self;
        for worker in &workers {
            worker.terminate();
        }
        for worker in &mut workers {
            worker.end().await;
        }
        master.terminate();
        master.end().await;
        for directory in scratch {
            if let Err(error) = std::fs::remove_dir_all(&directory) {
                tracing::debug!(directory = %directory.display(), %error, "cannot remove a directory of the demo");
            }
        }
    }
}

/// The usual port, or any free one when somebody has it.
fn address(port: u16) -> String {
    let is_free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    format!("127.0.0.1:{}", if is_free { port } else { 0 })
}

fn hearth(command: &str) -> Result<Command, CliError> {
    let binary =
        std::env::current_exe().map_err(|error| CliError::failed(format!("cannot find this program: {error}")))?;
    let mut hearth = Command::new(binary);
    // A signal to the demo's group must not reach them twice; the demo tells them itself.
    hearth.arg(command).process_group(0).env_remove("HEARTH_MASTER");
    Ok(hearth)
}

fn value_of(line: &str, key: &str) -> String {
    line.split_whitespace().find_map(|word| word.strip_prefix(key)).unwrap_or_default().to_owned()
}

impl Process {
    fn spawn(name: &str, mut command: Command, directory: &Path) -> Result<Self, CliError> {
        let failed = |error: std::io::Error| CliError::failed(format!("cannot start the {name}: {error}"));
        let log = directory.join(format!("{name}.log"));
        let stderr = File::create(&log).map_err(failed)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).kill_on_drop(true);
        Ok(Self { child: command.spawn().map_err(failed)?, name: name.to_owned(), log })
    }

    /// Waits for the line that says it is ready.
    async fn ready(&mut self) -> Result<String, CliError> {
        let stdout = self.child.stdout.take();
        let line = async {
            match stdout {
                Some(stdout) => BufReader::new(stdout).lines().next_line().await.ok().flatten(),
                None => None,
            }
        };
        match tokio::time::timeout(READY_TIMEOUT, line).await {
            Ok(Some(line)) => Ok(line),
            Ok(None) => Err(self.failed("ended before it was ready")),
            Err(_) => Err(self.failed(&format!("was not ready in {} s", READY_TIMEOUT.as_secs()))),
        }
    }

    fn failed(&self, what: &str) -> CliError {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = log.lines().rfind(|line| !line.starts_with("hint:")).unwrap_or("its log is empty");
        CliError::failed(format!("the {} {what}: {last}", self.name)).hint(format!("its log is {}", self.log.display()))
    }

    fn terminate(&self) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended meanwhile, which is what is wanted.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Waits for its end, and kills it when it takes too long.
    async fn end(&mut self) {
        if tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await.is_err() {
            tracing::warn!(process = self.name, "a process of the demo did not end in time; killing it");
            let _ = self.child.kill().await;
        }
    }
}
