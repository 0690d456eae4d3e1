//! Runs `hearth` as a user types it, and keeps what it printed and how it ended.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::binary::hearth_binary;
use crate::process::Process;
use crate::wait::Deadline;

/// Longest time a command may take, in seconds.
const COMMAND_SECONDS_MAX: u64 = 180;

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Exit code; -1 for a signal.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// The command ended with code 0.
    ///
    /// # Errors
    /// Another code, with everything it printed.
    pub fn success(self) -> Result<Self> {
        self.with_code(0)
    }

    /// The command ended with this code.
    ///
    /// # Errors
    /// Another code, with everything it printed.
    pub fn with_code(self, code: i32) -> Result<Self> {
        ensure!(
            self.code == code,
            "expected exit code {code}, found {}\n--- stdout\n{}\n--- stderr\n{}",
            self.code,
            self.stdout,
            self.stderr
        );
        Ok(self)
    }

    /// Standard output as JSON.
    ///
    /// # Errors
    /// It is not JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("read JSON from `{}`", self.stdout))
    }

    /// Standard error has every one of these texts, whatever their case.
    ///
    /// # Errors
    /// The first text that is not there.
    pub fn says(self, texts: &[&str]) -> Result<Self> {
        let stderr = self.stderr.to_lowercase();
        for text in texts {
            ensure!(stderr.contains(&text.to_lowercase()), "expected `{text}` in: {}", self.stderr);
        }
        Ok(self)
    }
}

/// A command that runs while the test goes on.
#[derive(Debug)]
pub struct Background {
    process: Process,
    _logs: TempDir,
}

impl Background {
    /// Starts `hearth` with these arguments.
    ///
    /// # Errors
    /// The binary is missing or cannot be started.
    pub fn start(arguments: &[&str]) -> Result<Self> {
        let logs = tempfile::tempdir()?;
        let mut command = Command::new(hearth_binary()?);
        command.args(arguments).env_remove("HEARTH_MASTER").env("NO_COLOR", "1").current_dir(logs.path());
        Ok(Self { process: Process::start("command", &mut command, logs.path())?, _logs: logs })
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It takes longer than any command may.
    pub fn finish(self) -> Result<Outcome> {
        self.finish_within(COMMAND_SECONDS_MAX)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It takes longer than `seconds`.
    pub fn finish_within(mut self, seconds: u64) -> Result<Outcome> {
        let status =
            self.process.wait_for_exit(Deadline::after_seconds(seconds)).with_context(|| self.process.log_tails())?;
        Ok(Outcome { code: status.code().unwrap_or(-1), stdout: self.process.stdout(), stderr: self.process.stderr() })
    }
}

/// Runs `hearth` with these arguments to its end.
///
/// # Errors
/// It cannot be started or does not end in time; a failing exit code is not an error here.
pub fn run_hearth(arguments: &[&str]) -> Result<Outcome> {
    Background::start(arguments)?.finish()
}
