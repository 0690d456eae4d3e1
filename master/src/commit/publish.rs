//! The step that readers see: one rename of the directory, or for `append` one rename per file.

use hearth_storage::{CommitFs, EntryKind, Exchange, StorageError};

use super::at_once::for_each;
use super::gather::Joined;
use super::intent::{SUCCESS, Seal};
use super::{CommitError, CommitIntent, Staging};

/// Largest `_SUCCESS` that is read; ours have about a hundred bytes.
const SEAL_BYTES_MAX: u64 = 64 << 10;
/// How often another writer may take the destination's name while we publish.
const ROUNDS_MAX: u32 = 16;

/// The destination holds this job's output: its seal says so.
pub(super) async fn is_published(fs: &dyn CommitFs, intent: &CommitIntent) -> Result<bool, CommitError> {
    let seal = intent.staging()?.destination().join(SUCCESS);
    let content = match fs.read_small(&seal, SEAL_BYTES_MAX).await {
        Ok(content) => content,
        // Too large, or not a file: not a seal of ours.
        Err(StorageError::Io { .. } | StorageError::Unusable { .. }) if fs.kind(&seal).await?.is_some() => None,
        Err(error) => return Err(error.into()),
    };
    let seal: Option<Seal> = content.and_then(|content| serde_json::from_slice(&content).ok());
    Ok(seal.is_some_and(|seal| seal.job == intent.job))
}

/// Publishes `data/` with one rename.
pub(super) async fn publish_directory(fs: &dyn CommitFs, intent: &CommitIntent) -> Result<(), CommitError> {
    let staging = intent.staging()?;
    let outcome = if intent.mode == hearth_common::OutputMode::Overwrite {
        take_place(fs, &staging).await
    } else {
        appear(fs, &staging).await
    };
    match outcome {
        // The rename may have happened although its answer says otherwise: the names tell.
        Err(error) if !is_published(fs, intent).await? => Err(error),
        Err(_) | Ok(()) => Ok(()),
    }
}

async fn appear(fs: &dyn CommitFs, staging: &Staging) -> Result<(), CommitError> {
    match fs.rename_no_replace(&staging.data(), staging.destination()).await {
        Ok(()) => Ok(()),
        Err(StorageError::Exists { .. }) => Err(CommitError::Exists { path: staging.destination().to_string() }),
        Err(error) => Err(error.into()),
    }
}

/// Overwrites: the old directory and the new one change places in one step, or the old one is moved aside first.
async fn take_place(fs: &dyn CommitFs, staging: &Staging) -> Result<(), CommitError> {
    let destination = staging.destination();
    for round in 0..ROUNDS_MAX {
        match fs.kind(destination).await? {
            None => match fs.rename_no_replace(&staging.data(), destination).await {
                Ok(()) => return Ok(()),
                Err(StorageError::Exists { .. }) => {}
                Err(error) => return Err(error.into()),
            },
            Some(EntryKind::File) => return Err(CommitError::NotADirectory { path: destination.to_string() }),
            Some(EntryKind::Directory) => match fs.exchange(&staging.data(), destination).await {
                Ok(Exchange::Done) => return Ok(()),
                Ok(Exchange::Unsupported) => move_aside(fs, staging, round).await?,
                // Somebody removed it between the look and the exchange.
                Err(StorageError::Missing { .. }) if fs.kind(destination).await?.is_none() => {}
                Err(error) => return Err(error.into()),
            },
        }
    }
    Err(CommitError::Exists { path: destination.to_string() })
}

async fn move_aside(fs: &dyn CommitFs, staging: &Staging, round: u32) -> Result<(), CommitError> {
    for place in round..ROUNDS_MAX {
        match fs.rename_no_replace(staging.destination(), &staging.old(place)).await {
            Ok(()) => return Ok(()),
            Err(StorageError::Exists { .. }) => {}
            Err(StorageError::Missing { .. }) if fs.kind(staging.destination()).await?.is_none() => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Err(CommitError::Exists { path: staging.old(round).to_string() })
}

/// Takes a published directory back into the staging. The staging has to be this intent's own: its name is the fence.
pub(super) async fn withdraw_directory(fs: &dyn CommitFs, intent: &CommitIntent) -> Result<(), CommitError> {
    if !is_published(fs, intent).await? {
        return Ok(());
    }
    let staging = intent.staging()?;
    let (data, destination) = (staging.data(), staging.destination());
    if fs.kind(&data).await?.is_some() {
        // The old output stands there: the two have changed places.
        fs.exchange(&data, destination).await?;
    } else {
        fs.rename_no_replace(destination, &data).await?;
    }
    Ok(fs.sync_dir(staging.parent()).await?)
}

/// Puts an old output back that was moved aside by an overwrite which then failed.
pub(super) async fn put_back(fs: &dyn CommitFs, staging: &Staging) -> Result<(), CommitError> {
    if fs.kind(staging.destination()).await?.is_some() {
        return Ok(());
    }
    for round in (0..ROUNDS_MAX).rev() {
        if fs.kind(&staging.old(round)).await?.is_some() {
            fs.rename_no_replace(&staging.old(round), staging.destination()).await?;
            return Ok(fs.sync_dir(staging.parent()).await?);
        }
    }
    Ok(())
}

/// Appends: every file joins the destination under a name with this job's id, then the seal is renewed.
pub(super) async fn join_files(fs: &dyn CommitFs, intent: &CommitIntent, joined: &Joined) -> Result<(), CommitError> {
    let staging = intent.staging()?;
    let destination = staging.destination();
    if fs.kind(destination).await? == Some(EntryKind::File) {
        return Err(CommitError::NotADirectory { path: destination.to_string() });
    }
    fs.create_dir_all(destination).await?;
    let data = &staging.data();
    let directories = intent.directories().into_iter().map(|directory| destination.join(directory)).collect();
    for_each(directories, |directory| async move { Ok(fs.create_dir_all(&directory).await?) }).await?;
    let targets = intent.all_files().map(|file| &file.target).filter(|target| !joined.contains(*target)).cloned();
    for_each(targets.collect(), |target: String| async move {
        let (from, to) = (data.join(&target), destination.join(&target));
        let Err(error) = fs.rename_no_replace(&from, &to).await else { return Ok(()) };
        let happened = fs.kind(&from).await?.is_none() && fs.kind(&to).await?.is_some();
        if happened { Ok(()) } else { Err(error.into()) }
    })
    .await?;
    for directory in intent.directories() {
        fs.sync_dir(&destination.join(directory)).await?;
    }
    fs.sync_dir(destination).await?;
    Ok(fs.rename_replace(&staging.data().join(SUCCESS), &destination.join(SUCCESS)).await?)
}

/// Takes appended files out of the destination again.
pub(super) async fn leave_files(fs: &dyn CommitFs, intent: &CommitIntent) -> Result<(), CommitError> {
    let staging = intent.staging()?;
    for file in intent.all_files() {
        let (visible, hidden) = (staging.destination().join(&file.target), staging.data().join(&file.target));
        if fs.kind(&visible).await?.is_some() {
            fs.rename_no_replace(&visible, &hidden).await?;
        }
    }
    Ok(())
}

/// Makes the published names outlive a power cut.
pub(super) async fn sync_published(fs: &dyn CommitFs, intent: &CommitIntent) -> Result<(), CommitError> {
    let staging = intent.staging()?;
    fs.sync_dir(staging.destination()).await?;
    fs.sync_dir(staging.parent()).await?;
    match fs.sync_dir(&staging.root()).await {
        // Removed already, by an earlier try that came further.
        Ok(()) | Err(StorageError::Missing { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
