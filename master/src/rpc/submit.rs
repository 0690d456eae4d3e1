//! Taking a submission: everything that can be known to fail is refused here, with a text that says what to do.

use std::time::Duration;

use hearth_common::JobSpec;
use hearth_proto::convert::SubmitJob;
use hearth_storage::{Location, Storage};
use tonic::Status;

use crate::commit::{self, CommitError};
use crate::input::{Input, LoopHandle, Submission, SubmitError, Submitted};
use crate::store::AcceptedJob;

/// Longest look at the destination.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// Submits a job, or finds the one that its key belongs to.
pub(super) async fn submit(handle: &LoopHandle, storage: &Storage, request: SubmitJob) -> Result<Submitted, Status> {
    let SubmitJob { idempotency_key: key, spec } = request;
    spec.validate().map_err(|error| Status::invalid_argument(error.to_string()))?;
    let hash = AcceptedJob::hash_of(&spec);
    if let Some(known) = find(handle, key.as_deref(), hash).await? {
        return Ok(known);
    }
    if let Err(refusal) = check_places(storage, &spec).await {
        // The job of this key may have been committed between the two looks: then the destination is its own.
        return find(handle, key.as_deref(), hash).await?.ok_or(refusal);
    }
    let submission = |reply| Input::Submit(Box::new(Submission { key, spec, hash, reply }));
    handle.ask(submission).await?.map_err(refused)
}

async fn find(handle: &LoopHandle, key: Option<&str>, hash: u128) -> Result<Option<Submitted>, Status> {
    let Some(key) = key else { return Ok(None) };
    let found = handle.ask(|reply| Input::FindKey { key: key.to_owned(), hash, reply }).await?;
    found.transpose().map_err(refused)
}

/// Paths that cannot be, and an output that must not exist: told at once instead of after planning.
async fn check_places(storage: &Storage, spec: &JobSpec) -> Result<(), Status> {
    for path in spec.inputs.values().flat_map(|input| &input.paths) {
        Location::parse(path).map_err(|error| Status::invalid_argument(error.to_string()))?;
    }
    let Some(output) = &spec.output else { return Ok(()) };
    let location = Location::parse(&output.path).map_err(|error| Status::invalid_argument(error.to_string()))?;
    let fs = storage.commit_fs(&location);
    match tokio::time::timeout(LOOK_MAX, commit::check_destination(&*fs, spec)).await {
        Ok(Err(error)) if !error.may_pass() => Err(misplaced(&error)),
        // A storage that does not answer now is waited for when the job is planned, and it looks again then.
        Ok(Ok(()) | Err(_)) | Err(_) => Ok(()),
    }
}

fn misplaced(error: &CommitError) -> Status {
    let text = error.to_string();
    match error {
        CommitError::Exists { .. } | CommitError::NotADirectory { .. } => Status::failed_precondition(text),
        CommitError::Root { .. }
        | CommitError::OverInput { .. }
        | CommitError::Report(_)
        | CommitError::Mismatch { .. }
        | CommitError::TakenOver { .. }
        | CommitError::Storage(_) => Status::invalid_argument(text),
    }
}

fn refused(error: SubmitError) -> Status {
    let text = error.to_string();
    match error {
        SubmitError::KeyTaken { .. } => Status::already_exists(text),
        SubmitError::QueueFull(_) => Status::resource_exhausted(text),
        SubmitError::Store(_) => Status::unavailable(text),
    }
}
