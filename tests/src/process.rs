//! One real process: started, watched through its log files, signalled, and killed at the latest when it is dropped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait::{Deadline, wait_for};

/// How much of a log is shown when a test fails, in bytes.
const LOG_TAIL_BYTES: usize = 6_000;

/// A running process whose output goes to files.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts a command. Its output goes to `NAME.out` and `NAME.err` in `log_dir`.
    ///
    /// # Errors
    /// The logs cannot be made or the program cannot be started.
    pub fn start(name: &str, command: &mut Command, log_dir: &Path) -> Result<Self> {
        let (stdout, stderr) = (log_dir.join(format!("{name}.out")), log_dir.join(format!("{name}.err")));
        let open = |path: &Path| File::create(path).with_context(|| format!("create {}", path.display()));
        command.stdin(Stdio::null()).stdout(open(&stdout)?).stderr(open(&stderr)?);
        let child = command.spawn().with_context(|| format!("start {name}: {command:?}"))?;
        Ok(Self { name: name.to_owned(), child, stdout, stderr })
    }

    /// Id of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        read_lossy(&self.stdout)
    }

    /// What it wrote to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        read_lossy(&self.stderr)
    }

    /// Waits for a line on standard output that begins with `prefix`, and returns the rest of it.
    ///
    /// # Errors
    /// The process ends first, or the deadline passes.
    pub fn wait_for_line(&mut self, prefix: &str, deadline: Deadline) -> Result<String> {
        let what = format!("`{prefix}` from {}", self.name);
        let found = wait_for(&what, deadline, || {
            // The state is read first: a line written just before the end is still found.
            let ended = self.child.try_wait()?;
            let text = self.stdout();
            let complete = text.rfind('\n').map_or("", |end| &text[..end]);
            if let Some(rest) = complete.lines().find_map(|line| line.strip_prefix(prefix)) {
                return Ok(Some(rest.trim().to_owned()));
            }
            if let Some(status) = ended {
                bail!("{} ended with {status} before it was ready", self.name);
            }
            Ok(None)
        });
        found.with_context(|| self.log_tails())
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// The process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal).with_context(|| format!("send {signal:?} to {}", self.name))
    }

    /// Sends SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// The process was gone before.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("kill {}", self.name))?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits until it ended by itself.
    ///
    /// # Errors
    /// The deadline passes first.
    pub fn wait_for_exit(&mut self, deadline: Deadline) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        wait_for(&what, deadline, || Ok(self.child.try_wait()?))
    }

    /// It has not ended.
    ///
    /// # Errors
    /// The system does not know the process.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// The last lines of both logs, for a failed test.
    #[must_use]
    pub fn log_tails(&self) -> String {
        let mut text = String::new();
        for path in [&self.stdout, &self.stderr] {
            let log = read_lossy(path);
            let start = log.len().saturating_sub(LOG_TAIL_BYTES);
            let start = (start..log.len()).find(|at| log.is_char_boundary(*at)).unwrap_or(start);
            text.push_str(&format!("--- {}\n{}\n", path.display(), &log[start..]));
        }
        text
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A stopped process takes SIGKILL too. Errors mean that it is gone, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn read_lossy(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
