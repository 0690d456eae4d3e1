//! What is wrong with a job file, and where.

use std::path::PathBuf;

/// Why a job file does not describe a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobFileError {
    /// The file, or the SQL file it names, cannot be read.
    #[error("cannot read {}: {reason}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Something in it is wrong.
    #[error("{}:{line}:{column}: {problem}", file.display())]
    At {
        /// The file.
        file: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong, and what to write instead.
        problem: String,
    },
    /// The job as a whole is wrong.
    #[error("{}: {problem}", file.display())]
    Job {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
}
