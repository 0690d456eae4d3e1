//! Moving the winners into `data/` under their final names, comparing it with the record, and sealing it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use hearth_storage::{CommitFs, Location, StorageError};

use super::at_once::for_each;
use super::intent::SUCCESS;
use super::{CommitError, CommitIntent, IntendedFile, Staging};

/// Targets that stand in the destination already (`append` after a crash).
pub(super) type Joined = BTreeSet<String>;

/// Brings `data/` to the state that the record describes, and seals it.
pub(super) async fn gather(fs: &dyn CommitFs, intent: &CommitIntent, joined: &Joined) -> Result<(), CommitError> {
    let staging = intent.staging()?;
    let (staging, data) = (&staging, &staging.data());
    let directories = intent.directories().into_iter().map(str::to_owned).collect();
    for_each(directories, |directory: String| async move { make_below(fs, data, &directory).await }).await?;
    let files = intent.all_files().filter(|file| !joined.contains(&file.target)).cloned().collect();
    for_each(files, |file| async move { move_winner(fs, staging, &file).await }).await?;
    compare(fs, intent, joined).await?;
    seal(fs, intent).await?;
    for directory in intent.directories() {
        fs.sync_dir(&staging.data().join(directory)).await?;
    }
    fs.sync_dir(&staging.data()).await?;
    Ok(fs.sync_dir(&staging.root()).await?)
}

/// Makes directories below one that must exist.
async fn make_below(fs: &dyn CommitFs, directory: &Location, below: &str) -> Result<(), CommitError> {
    let mut directory = directory.clone();
    for name in below.split('/') {
        directory = directory.join(name);
        fs.create_dir(&directory).await?;
    }
    Ok(())
}

/// The names carry ids that nobody else uses: whatever stands under the target is this winner.
async fn move_winner(fs: &dyn CommitFs, staging: &Staging, file: &IntendedFile) -> Result<(), CommitError> {
    let from = staging.attempts().join(&file.staged);
    let to = staging.data().join(&file.target);
    match fs.rename_no_replace(&from, &to).await {
        Ok(()) => Ok(()),
        // Moved before: by an earlier try, or by this one whose answer was lost. Sizes are compared below.
        Err(error) if fs.kind(&to).await?.is_some() => match fs.kind(&from).await? {
            None => Ok(()),
            Some(_) => Err(error.into()),
        },
        Err(StorageError::Missing { .. }) => Err(CommitError::Mismatch {
            directory: staging.attempts().to_string(),
            problem: format!("`{}` is missing", file.staged),
        }),
        Err(error) => Err(error.into()),
    }
}

/// The listing of `data/` must equal the record: every file with its size, and nothing else.
async fn compare(fs: &dyn CommitFs, intent: &CommitIntent, joined: &Joined) -> Result<(), CommitError> {
    let data = intent.staging()?.data();
    let mut found: BTreeMap<String, u64> =
        fs.list(&data).await?.into_iter().map(|file| (file.path, file.bytes)).collect();
    found.remove(SUCCESS);
    let mismatch = |problem: String| CommitError::Mismatch { directory: data.to_string(), problem };
    for file in intent.all_files().filter(|file| !joined.contains(&file.target)) {
        match found.remove(&file.target) {
            Some(bytes) if bytes == file.bytes => {}
            Some(bytes) => {
                let problem = format!("`{}` has {bytes} bytes, {} were reported", file.target, file.bytes);
                return Err(mismatch(problem));
            }
            None => return Err(mismatch(format!("`{}` is missing", file.target))),
        }
    }
    match found.keys().next() {
        Some(stranger) => Err(mismatch(format!("nobody reported `{stranger}`"))),
        None => Ok(()),
    }
}

/// The seal is written where a crash may leave anything, and renamed: `data/` never holds what was not meant.
async fn seal(fs: &dyn CommitFs, intent: &CommitIntent) -> Result<(), CommitError> {
    let mut content = serde_json::to_vec(&intent.seal())
        .map_err(|error| CommitError::Report(format!("figures that cannot be written: {error}")))?;
    content.push(b'\n');
    let staging = intent.staging()?;
    let written = staging.attempts().join(SUCCESS);
    fs.write_small(&written, content).await?;
    Ok(fs.rename_replace(&written, &staging.data().join(SUCCESS)).await?)
}

/// Which files an earlier try moved to the destination already.
pub(super) async fn find_joined(fs: &dyn CommitFs, intent: &CommitIntent) -> Result<Joined, CommitError> {
    let staging = intent.staging()?;
    let (staging, joined) = (&staging, &Mutex::new(Joined::new()));
    let targets = intent.all_files().map(|file| file.target.clone()).collect();
    for_each(targets, |target: String| async move {
        if fs.kind(&staging.destination().join(&target)).await?.is_some() {
            joined.lock().unwrap_or_else(PoisonError::into_inner).insert(target);
        }
        Ok(())
    })
    .await?;
    Ok(std::mem::take(&mut *joined.lock().unwrap_or_else(PoisonError::into_inner)))
}
