//! The logs of jobs: what master and workers told of each, one file per job in the state directory, bounded for each and all together.
//!
//! One thread owns the files. Lines are handed to it and never waited for: where it cannot keep up, a worker's lines are refused and
//! told again later. They help people; nothing is decided by them.

mod files;
mod job_file;
mod recent;

use std::io;
use std::path::PathBuf;
use std::thread;

use hearth_common::{ByteSize, JobId, LogLine, WorkerId};
use hearth_proto::convert::ReadLog;
use tokio::sync::{mpsc, oneshot, watch};

use files::LogFiles;
pub(crate) use job_file::{LinesRead, LogError};

/// Commands that wait for the thread.
const COMMANDS_MAX: usize = 4096;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogLimits {
    /// Of one job.
    pub job_bytes_max: ByteSize,
    /// Of all jobs together; those of the oldest go first.
    pub bytes_max: ByteSize,
}

enum Command {
    Append(Vec<LogLine>),
    Read(ReadLog, oneshot::Sender<Result<LinesRead, LogError>>),
    ReadRecent { worker: WorkerId, lines_max: usize, reply: oneshot::Sender<Vec<LogLine>> },
    Forget(Vec<JobId>),
}

/// The way to the logs. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct JobLogs {
    commands: mpsc::Sender<Command>,
    appended: watch::Receiver<u64>,
}

/// The lines were not taken: too many wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

impl JobLogs {
    /// Starts the thread on a directory, which is made when it is missing.
    pub(crate) fn start(directory: PathBuf, limits: LogLimits) -> io::Result<Self> {
        let mut files = LogFiles::open(directory, limits)?;
        let (commands, mut received) = mpsc::channel(COMMANDS_MAX);
        let (counter, appended) = watch::channel(0);
        thread::Builder::new().name("job-logs".to_owned()).spawn(move || {
            while let Some(command) = received.blocking_recv() {
                match command {
                    Command::Append(lines) => {
                        files.append(&lines);
                        counter.send_modify(|count| *count += 1);
                    }
                    // Whoever asked may have left.
                    Command::Read(read, reply) => drop(reply.send(files.read(&read))),
                    Command::ReadRecent { worker, lines_max, reply } => {
                        drop(reply.send(files.read_recent(worker, lines_max)));
                    }
                    Command::Forget(jobs) => files.forget(&jobs),
                }
            }
        })?;
        Ok(Self { commands, appended })
    }

    /// Hands lines over, to be written after those that were handed over before. Never waits.
    pub(crate) fn append(&self, lines: Vec<LogLine>) -> Result<(), Refused> {
        self.commands.try_send(Command::Append(lines)).map_err(|_| Refused)
    }

    /// Reads a page; every line that was handed over before is seen.
    pub(crate) async fn read(&self, read: ReadLog) -> Result<LinesRead, LogError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Read(read, reply)).await.map_err(|_| LogError::Stopping)?;
        answer.await.unwrap_or(Err(LogError::Stopping))
    }

    /// The last lines that a worker told, of whatever job, oldest first: as many of them as stand in the ends of the logs that were
    /// written to last.
    pub(crate) async fn read_recent(&self, worker: WorkerId, lines_max: usize) -> Result<Vec<LogLine>, LogError> {
        let (reply, answer) = oneshot::channel();
        let read = Command::ReadRecent { worker, lines_max, reply };
        self.commands.send(read).await.map_err(|_| LogError::Stopping)?;
        answer.await.map_err(|_| LogError::Stopping)
    }

    /// Hears of lines that are appended after this call.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        let mut appended = self.appended.clone();
        appended.mark_unchanged();
        appended
    }

    /// Removes the logs of jobs.
    pub(crate) async fn forget(&self, jobs: Vec<JobId>) {
        // A master that stops leaves them to the bound of all logs.
        let _ = self.commands.send(Command::Forget(jobs)).await;
    }
}
