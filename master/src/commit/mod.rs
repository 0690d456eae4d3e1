//! Making a job's output visible: all or nothing, exactly once. The only module that renames anything into a destination.
//!
//! The protocol: the winners' rejects are gathered in one more file of `attempts/`, winners are recorded as a [`CommitIntent`], the
//! staging gets a name that only this master knows, winners are moved from `attempts/` to `data/`, compared with the record, sealed with `_SUCCESS`, and published by one rename of the
//! directory (`append`: by one rename per file). Every step looks before it acts, so that [`roll_forward`] can be called again
//! after a crash at any point. It must not decide which attempt won.

mod at_once;
mod claim;
mod destination;
mod error;
mod gather;
mod intent;
mod publish;
mod staging;

use std::time::Duration;

use hearth_common::{Backoff, FailureCause, OutputMode};
use hearth_plan::{WinnerRejects, gather_rejects};
use hearth_storage::{CommitFs, Storage};

use crate::event_loop::wall_ms;

pub(crate) use claim::fence;
pub(crate) use destination::{check_destination, finds_input_below};
pub(crate) use error::CommitError;
pub(crate) use intent::{CommitIntent, IntendedFile};
pub(crate) use staging::Staging;

/// How often a step that storage trouble stopped is tried, the first time included.
const TRIES_MAX: u32 = 6;
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(5) };

/// Makes the names in the staging durable, before the intent is recorded: from then on, a missing `data/` means that it was
/// published.
pub(crate) async fn begin(fs: &dyn CommitFs, intent: &CommitIntent) -> Result<(), CommitError> {
    Ok(fs.sync_dir(&intent.staging()?.unclaimed().root()).await?)
}

/// Gathers the rejects of the winners in one more file of `attempts/`, before the intent is recorded: until then nothing of
/// them counts, and after it they are a file like any other.
pub(crate) async fn add_rejects(
    storage: &Storage,
    intent: &mut CommitIntent,
    winners: Vec<WinnerRejects>,
) -> Result<(), FailureCause> {
    if winners.is_empty() {
        return Ok(());
    }
    let attempts = intent.staging().map_err(CommitError::into_cause)?.unclaimed().attempts().url();
    // A try that a killed master made may have left one, and nothing is ever written over.
    let now_ms = wall_ms();
    let target = format!("rejects-{}-{now_ms}.parquet", intent.job);
    intent.set_rejects(gather_rejects(storage, &attempts, winners, &target).await?);
    Ok(())
}

/// Carries a recorded intent out, from wherever an earlier try stopped. Storage trouble is tried again for a while.
///
/// # Errors
/// Where nothing became visible and nothing will without help; [`roll_back`] should follow, unless the trouble is one that
/// [may pass](CommitError::may_pass).
pub(crate) async fn roll_forward(fs: &dyn CommitFs, intent: &CommitIntent) -> Result<(), CommitError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match advance(fs, intent).await {
            Err(error) if error.may_pass() && !error.was_waited_for() && tries < TRIES_MAX => {
                tracing::warn!(job = %intent.job, tries, %error, "commit met storage trouble and is tried again");
                tokio::time::sleep(BACKOFF.delay_after(tries)).await;
            }
            Err(error) => return Err(claim::explain(fs, intent, error).await),
            Ok(()) => break,
        }
    }
    // Readers see it now, so it is done, whatever the disk says about keeping the names.
    if let Err(error) = publish::sync_published(fs, intent).await {
        tracing::error!(job = %intent.job, %error, "output is visible, but a power cut could undo it");
    }
    Ok(())
}

async fn advance(fs: &dyn CommitFs, intent: &CommitIntent) -> Result<(), CommitError> {
    match intent.mode {
        OutputMode::Error | OutputMode::Overwrite => {
            if !publish::is_published(fs, intent).await? {
                claim::take(fs, intent).await?;
                gather::gather(fs, intent, &gather::Joined::new()).await?;
                publish::publish_directory(fs, intent).await?;
            }
        }
        OutputMode::Append => {
            let taken = claim::take(fs, intent).await;
            let joined = gather::find_joined(fs, intent).await?;
            // An older master removes the staging when everything is joined.
            match taken {
                Err(CommitError::TakenOver { .. }) if joined.len() == intent.all_files().count() => return Ok(()),
                taken => taken?,
            }
            gather::gather(fs, intent, &joined).await?;
            publish::join_files(fs, intent, &joined).await?;
        }
    }
    Ok(())
}

/// Takes back what an intent that failed has done to the destination, so that it is as it was before, also where it became visible
/// and nobody heard of that. What another master has taken over stays.
pub(crate) async fn roll_back(fs: &dyn CommitFs, intent: &CommitIntent) -> Result<(), CommitError> {
    match claim::take(fs, intent).await {
        Err(CommitError::TakenOver { .. }) => return Ok(()),
        taken => taken?,
    }
    match intent.mode {
        OutputMode::Error => publish::withdraw_directory(fs, intent).await,
        OutputMode::Overwrite => {
            publish::withdraw_directory(fs, intent).await?;
            publish::put_back(fs, &intent.staging()?).await
        }
        OutputMode::Append => publish::leave_files(fs, intent).await,
    }
}

/// Makes the staging, early enough that an unwritable destination fails the job before any work. Nothing makes it a second time.
pub(crate) async fn prepare(fs: &dyn CommitFs, staging: &Staging) -> Result<(), CommitError> {
    fs.create_dir_all(&staging.attempts()).await?;
    Ok(fs.create_dir(&staging.data()).await?)
}

/// Removes the staging of a job whose output is visible, or never will be, under every name that this master knows.
pub(crate) async fn clean_up(fs: &dyn CommitFs, staging: &Staging) -> Result<(), CommitError> {
    fs.remove_dir_all(&staging.root()).await?;
    for root in staging.earlier_roots() {
        fs.remove_dir_all(&root).await?;
    }
    Ok(fs.remove_empty_dir(&staging.shared_root()).await?)
}

#[cfg(test)]
mod tests;
