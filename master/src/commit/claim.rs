//! Which master a job's staging belongs to. A master that commits first renames the staging to a name that only it knows, and was
//! recorded before: from then on, whatever an older master of the same job still does meets names that are not there. Nothing here
//! or elsewhere makes a staging directory again that is gone.

use hearth_common::ClaimId;
use hearth_storage::{CommitFs, StorageError};

use super::publish::put_back;
use super::{CommitError, CommitIntent, Staging};

/// Makes the staging this intent's own. May be called again.
pub(super) async fn take(fs: &dyn CommitFs, intent: &CommitIntent) -> Result<(), CommitError> {
    let staging = intent.staging()?;
    let root = staging.root();
    if fs.kind(&root).await?.is_some() {
        return Ok(());
    }
    for earlier in staging.earlier_roots() {
        match fs.rename_no_replace(&earlier, &root).await {
            Ok(()) => return Ok(fs.sync_dir(&staging.shared_root()).await?),
            Err(StorageError::Missing { .. }) if fs.kind(&earlier).await?.is_none() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(CommitError::TakenOver { directory: root.to_string() })
}

/// Tells an error that comes of a lost claim from others.
pub(super) async fn explain(fs: &dyn CommitFs, intent: &CommitIntent, error: CommitError) -> CommitError {
    let Ok(root) = intent.staging().map(|staging| staging.root()) else { return error };
    if error.may_pass() {
        return error;
    }
    match fs.kind(&root).await {
        Ok(None) => CommitError::TakenOver { directory: root.to_string() },
        Ok(Some(_)) | Err(_) => error,
    }
}

/// Removes the staging of a job that will not be committed, whoever claims it: an older master may have begun to commit it, and
/// have moved an old output aside.
pub(crate) async fn fence(fs: &dyn CommitFs, staging: &Staging) -> Result<(), CommitError> {
    let shared = staging.shared_root();
    for name in fs.names(&shared).await?.into_iter().filter(|name| staging.is_root(name)) {
        let mine = staging.clone().claimed(&[ClaimId::generate()]);
        match fs.rename_no_replace(&shared.join(&name), &mine.root()).await {
            Ok(()) => {}
            // The older master has just renamed or removed it.
            Err(StorageError::Missing { .. }) => continue,
            Err(error) => return Err(error.into()),
        }
        put_back(fs, &mine).await?;
        fs.remove_dir_all(&mine.root()).await?;
    }
    Ok(fs.remove_empty_dir(&shared).await?)
}
