//! Where a job's files stand before they are visible: next to the destination, on the same file system.

use hearth_common::{ClaimId, JobId};
use hearth_storage::Location;

use super::CommitError;

const STAGING: &str = ".hearth-staging";

/// The staging directory of one job. It has the job's name while attempts write, and the name of a claim behind it from the moment
/// on in which a master commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Staging {
    destination: Location,
    parent: Location,
    job: JobId,
    claims: Vec<ClaimId>,
}

impl Staging {
    /// The staging of `job` for its output directory.
    pub(crate) fn of(job: JobId, output_path: &str) -> Result<Self, CommitError> {
        let destination = Location::parse(output_path)?;
        let parent = destination.parent().ok_or_else(|| CommitError::Root { path: destination.to_string() })?;
        Ok(Self { destination, parent, job, claims: Vec::new() })
    }

    /// The same with these claims, of which the last one holds.
    pub(super) fn claimed(self, claims: &[ClaimId]) -> Self {
        Self { claims: claims.to_vec(), ..self }
    }

    /// The same as attempts know it, before any claim.
    pub(super) fn unclaimed(&self) -> Self {
        Self { claims: Vec::new(), ..self.clone() }
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
        self.root_under(self.claims.last())
    }

    /// The names that the root had before the last claim, the last of them first.
    pub(super) fn earlier_roots(&self) -> Vec<Location> {
        let Some((_, earlier)) = self.claims.split_last() else { return Vec::new() };
        earlier.iter().rev().map(Some).chain([None]).map(|claim| self.root_under(claim)).collect()
    }

    fn root_under(&self, claim: Option<&ClaimId>) -> Location {
        let name = claim.map_or_else(|| self.job.to_string(), |claim| format!("{}.{claim}", self.job));
        self.shared_root().join(&name)
    }

    /// Whether a name in the shared directory is a root of this job, whoever claims it.
    pub(super) fn is_root(&self, name: &str) -> bool {
        let rest = name.strip_prefix(&self.job.to_string());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
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
