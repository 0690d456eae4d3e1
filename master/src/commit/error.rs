//! Why a commit gave up.

use hearth_common::FailureCause;
use hearth_storage::StorageError;

/// A commit, or a check for one, that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommitError {
    /// `mode = "error"`, and something is there.
    #[error("output {path} exists; remove it, choose another path, or set mode = \"overwrite\" or mode = \"append\"")]
    Exists {
        /// The destination.
        path: String,
    },
    /// A file stands where the output directory should be.
    #[error("output {path} is a file; remove it or choose another path, an output is a directory")]
    NotADirectory {
        /// The destination.
        path: String,
    },
    /// The root of a file system.
    #[error("output {path} has no parent directory; choose a directory below it")]
    Root {
        /// The destination.
        path: String,
    },
    /// The output would take the place of the job's own input.
    #[error("output {output} with mode = \"overwrite\" would delete the input {path}; choose another path")]
    OverInput {
        /// The destination.
        output: String,
        /// The input's path.
        path: String,
    },
    /// What an attempt reported does not make a path of ours.
    #[error("attempt reported an output file that cannot be: {0}")]
    Report(String),
    /// Staging does not hold what was recorded.
    #[error("staging {directory} does not hold what was recorded: {problem}")]
    Mismatch {
        /// The directory.
        directory: String,
        /// The difference.
        problem: String,
    },
    /// The staging is not there under any name that this master knows.
    #[error("staging {directory} is gone: another master has taken the job over, or somebody removed it")]
    TakenOver {
        /// The directory.
        directory: String,
    },
    /// The file system.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl CommitError {
    /// Trying again later may help.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Storage(error) if error.may_pass())
    }

    /// It was waited for as long as it may be; trying again at once would double that.
    pub(crate) fn was_waited_for(&self) -> bool {
        matches!(self, Self::Storage(error) if error.was_waited_for())
    }

    /// The failure of a job that met this error.
    pub(crate) fn into_cause(self) -> FailureCause {
        match self {
            Self::Storage(error) => error.into_cause(),
            Self::Exists { .. } | Self::NotADirectory { .. } | Self::Root { .. } | Self::OverInput { .. } => {
                FailureCause::task(self.to_string())
            }
            Self::Report(_) | Self::Mismatch { .. } | Self::TakenOver { .. } => {
                FailureCause::internal(self.to_string())
            }
        }
    }
}
