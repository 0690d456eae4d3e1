//! Exit codes, and errors as people read them: `error: ...` and, where it helps, `hint: ...`.

use std::fmt::Display;
use std::process::ExitCode;

use hearth_client::ClientError;
use hearth_client::job_file::JobFileError;

use crate::terminal::note;

/// How the process ends. The numbers are a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything that was asked for is done.
    Done,
    /// The job failed, or something that nobody asked for went wrong.
    Failed,
    /// The command line, the job file or the job is wrong.
    Usage,
    /// The job was cancelled.
    Cancelled,
    /// No master answered.
    Unreachable,
    /// A signal ended it; what was submitted goes on.
    Signal(u8),
}

impl Exit {
    /// The number the shell sees.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Cancelled => 3,
            Self::Unreachable => 4,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct CliError {
    exit: Exit,
    message: String,
    hint: Option<String>,
}

impl CliError {
    pub(crate) fn new(exit: Exit, message: impl Display) -> Self {
        Self { exit, message: message.to_string(), hint: None }
    }

    /// The command line or the job is wrong.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Something failed that is not the caller's fault.
    pub(crate) fn failed(message: impl Display) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// The process cannot even start.
    pub(crate) fn start(error: impl Display) -> Self {
        Self::failed(format!("cannot start: {error}"))
    }

    /// Adds what to do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Tells the error, and gives the exit code.
    pub(crate) fn report(self) -> Exit {
        if !self.message.is_empty() {
            note(&format!("error: {}", self.message));
        }
        if let Some(hint) = self.hint {
            note(&format!("hint: {hint}"));
        }
        self.exit
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        let exit = match &error {
            ClientError::Unreachable { .. } => Exit::Unreachable,
            ClientError::Refused { .. } | ClientError::NotFound { .. } => Exit::Usage,
            ClientError::Busy { .. } | ClientError::Other { .. } => Exit::Failed,
        };
        let failed = Self::new(exit, &error);
        match error {
            ClientError::Unreachable { .. } => failed.hint(
                "start a master with `hearth master`, or give its address with --master hearth://HOST:7077 or HEARTH_MASTER",
            ),
            ClientError::Busy { .. } => failed.hint("try again later; `hearth list` shows what it is busy with"),
            ClientError::Refused { .. } | ClientError::NotFound { .. } | ClientError::Other { .. } => failed,
        }
    }
}

impl From<JobFileError> for CliError {
    fn from(error: JobFileError) -> Self {
        Self::usage(error)
    }
}

/// Standard output is gone: whoever read it has enough.
impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() == std::io::ErrorKind::BrokenPipe {
            true => Self::new(Exit::Done, ""),
            false => Self::failed(format!("cannot write to the terminal: {error}")),
        }
    }
}
