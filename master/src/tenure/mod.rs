//! The right to act on a state directory: one master has it at a time, and a master that lost it finds out before it acts again.
//!
//! Each master that becomes active takes the next epoch and has a store file of its own. What proves that nothing it told is lost:
//! a record is on the disk, then the newest epoch is looked at, and only then something is told; whoever takes over first takes
//! the next epoch, and then copies the store. So what was told is in the copy. Clocks decide when to take over, never whether a
//! master may act.

mod candidate;
mod epochs;
mod place;
mod record;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use hearth_common::Epoch;
use tokio_util::sync::CancellationToken;

pub(crate) use candidate::Handover;
pub(crate) use candidate::{Candidate, Outlook, SILENCE_MIN, Waiting};
use epochs::Epochs;
pub(crate) use record::{Reached, Record};

/// How often an active master shows that it lives, and looks whether it still is the active one.
pub(crate) const BEAT: Duration = Duration::from_secs(2);
/// How long a look is good for reads that tell what is known anyway. Writes look each time.
const FRESH: Duration = Duration::from_secs(6);

/// How long a state directory that cannot be read is tried again, and how often.
const TROUBLE_MAX: Duration = Duration::from_secs(3);
const TROUBLE_PAUSE: Duration = Duration::from_millis(100);

/// Why a master may not act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Lost {
    /// Another master has taken over.
    #[error("epoch {own} of this master is over: the state directory is at epoch {newest}")]
    Fenced {
        /// Of this master.
        own: u64,
        /// Of the one that is active.
        newest: u64,
    },
    /// It cannot be known.
    #[error("cannot see whether this master is still the active one: {0}")]
    Unknown(String),
}

/// An epoch that this master has. Cheap to clone; its lock is free when all are gone.
#[derive(Debug, Clone)]
pub(crate) struct Tenure {
    held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    epoch: Epoch,
    epochs: Epochs,
    /// When it was last seen that the epoch is the newest.
    seen: Mutex<Instant>,
    lost: CancellationToken,
    /// The thread that shows that the master lives ends on a word, or when this does.
    end: mpsc::Sender<()>,
    beats: Mutex<Option<thread::JoinHandle<()>>>,
}

impl Tenure {
    /// Begins to show that the master lives.
    fn begin(epochs: Epochs, file: File, record: Record) -> io::Result<Self> {
        let (end, ended) = mpsc::channel();
        let (epoch, lost, seen) = (record.epoch, CancellationToken::new(), Mutex::new(Instant::now()));
        let held = Arc::new(Held { epoch, epochs, seen, lost, end, beats: Mutex::new(None) });
        let weak = Arc::downgrade(&held);
        let beats = thread::Builder::new().name("hearth-tenure".to_owned());
        let beats = beats.spawn(move || {
            let mut record = record;
            while let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(BEAT) {
                let Some(held) = weak.upgrade() else { break };
                if let Err(error) = (Self { held }).check() {
                    tracing::warn!(%error, "looked at the state directory");
                }
                record.beat += 1;
                if let Err(error) = record.write(&file) {
                    tracing::warn!(%error, "could not show other masters that this one lives");
                }
            }
            record.has_ended = true;
            if let Err(error) = record.write(&file) {
                tracing::debug!(%error, "could not show other masters that this one has ended");
            }
        })?;
        *held.beats.lock().unwrap_or_else(PoisonError::into_inner) = Some(beats);
        Ok(Self { held })
    }

    /// Shows that the master has ended, after its last act, so that nobody needs to wait for that. Blocks.
    pub(crate) fn end(&self) {
        let _ = self.held.end.send(());
        let beats = self.held.beats.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _ = beats.map(thread::JoinHandle::join);
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.held.epoch
    }

    /// Cancelled when another master has taken over.
    pub(crate) fn lost(&self) -> &CancellationToken {
        &self.held.lost
    }

    /// Looks whether this master is still the active one. Blocks for as long as it takes to list a directory.
    pub(crate) fn check(&self) -> Result<(), Lost> {
        let own = self.held.epoch.number;
        let (looked, newest) = self.newest().map_err(|error| Lost::Unknown(error.to_string()))?;
        if newest == own && !self.held.lost.is_cancelled() {
            *self.held.seen.lock().unwrap_or_else(PoisonError::into_inner) = looked;
            return Ok(());
        }
        if !self.held.lost.is_cancelled() {
            tracing::error!(own, newest, "another master has taken over, this one ends");
            self.held.lost.cancel();
        }
        Err(Lost::Fenced { own, newest })
    }

    /// The newest epoch, and when the look at it began. What passes by itself, as a lack of open files, ends no master.
    fn newest(&self) -> io::Result<(Instant, u64)> {
        let began = Instant::now();
        loop {
            let looked = Instant::now();
            match self.held.epochs.newest() {
                Err(_) if began.elapsed() < TROUBLE_MAX => thread::sleep(TROUBLE_PAUSE),
                newest => return Ok((looked, newest?)),
            }
        }
    }

    /// Looks only where the last look is some seconds old: this process was held up, and much may have happened.
    pub(crate) async fn confirm(&self) -> Result<(), Lost> {
        let seen = *self.held.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.elapsed() < FRESH && !self.held.lost.is_cancelled() {
            return Ok(());
        }
        let tenure = self.clone();
        let looked = tokio::task::spawn_blocking(move || tenure.check());
        match tokio::time::timeout(FRESH, looked).await {
            Ok(Ok(looked)) => looked,
            Ok(Err(error)) => Err(Lost::Unknown(error.to_string())),
            Err(_) => Err(Lost::Unknown("it does not answer in time".to_owned())),
        }
    }

    /// The newest epoch's master, where it is another one.
    pub(crate) fn successor(&self) -> Option<Record> {
        let record = self.held.epochs.look().ok()??.record?;
        (record.epoch.number > self.held.epoch.number).then_some(record)
    }

    /// Nothing is needed any more of the masters before.
    pub(crate) fn forget_earlier(&self) -> io::Result<()> {
        self.held.epochs.forget_before(self.held.epoch.number)
    }
}
