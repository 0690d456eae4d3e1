//! Where a job's files stand before they are visible: next to the destination, on the same file system.

use hearth_common::JobId;
use hearth_storage::Location;

use super::CommitError;

const STAGING: &str = ".hearth-staging";

/// The staging directory of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Staging {
    destination: Location,
    parent: Location,
    job: JobId,
}

impl Staging {
    /// The staging of `job` for its output directory.
    pub(crate) fn of(job: JobId, output_path: &str) -> Result<Self, CommitError> {
        let destination = Location::parse(output_path)?;
        let parent = destination.parent().ok_or_else(|| CommitError::Root { path: destination.to_string() })?;
        Ok(Self { destination, parent, job })
    }

    /// The output directory.
    pub(crate) const fn destination(&self) -> &Location {
        &self.destination
    }

    /// The directory that the output directory is in.
    pub(crate) const fn parent(&self) -> &Location {
        &self.parent
    }

    /// What jobs with the same parent share.
    pub(crate) fn shared_root(&self) -> Location {
        self.parent.join(STAGING)
    }

    /// Everything of this job.
    pub(crate) fn root(&self) -> Location {
        self.shared_root().join(&self.job.to_string())
    }

    /// Each attempt writes its own files here.
    pub(crate) fn attempts(&self) -> Location {
        self.root().join("attempts")
    }

    /// The winners, named as they will be.
    pub(crate) fn data(&self) -> Location {
        self.root().join("data")
    }

    /// The old output, moved aside where it cannot be exchanged; `round` tells those apart that others put there meanwhile.
    pub(crate) fn old(&self, round: u32) -> Location {
        self.root().join(&format!("old-{round}"))
    }
}
