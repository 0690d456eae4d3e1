//! A master that wants to be active: looks who is, sees whether that one still lives, and takes the next epoch when it does not.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hearth_common::{ClusterId, Epoch};

use super::epochs::{Epochs, Sight};
use super::place::Place;
use super::record::{Reached, Record};
use super::{BEAT, Tenure};

/// How often a candidate should look.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Somebody who looks as rarely as this has been held up, and has not seen what happened meanwhile.
const HELD_UP: Duration = Duration::from_secs(3);

/// One that wants to be active.
#[derive(Debug)]
pub(crate) struct Candidate {
    state_dir: PathBuf,
    epochs: Epochs,
    reached: Reached,
    silence_max: Duration,
    pub(super) place: Place,
    watched: Option<Watched>,
}

/// The master that was last seen to be active.
#[derive(Debug)]
struct Watched {
    number: u64,
    bytes: Vec<u8>,
    /// Since when its file has not changed.
    since: Instant,
    last_look: Instant,
}

/// Why a candidate is not active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// The active master, where it told who it is.
    pub active: Option<Record>,
    /// It lives: it has its lock, or has been seen to change its record.
    pub lives: bool,
}

/// What a look told.
#[derive(Debug)]
pub(crate) enum Outlook {
    /// This master is active now.
    Active(Tenure, Handover),
    /// Another one is, or may be.
    Waits(Waiting),
}

/// What the new master may do with the store of the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handover {
    /// That one is dead: its store can be gone on with.
    InPlace,
    /// It may live on, and write to its store: that is left to it, and a copy taken.
    Copy,
}

/// What is known of the last master.
enum Life {
    Dead,
    /// It has shown no sign of life for long.
    Silent,
    /// Whether it has been seen to.
    MayLive {
        seen: bool,
    },
}

impl Candidate {
    /// For a master that is reached there, and that takes over from one that has not changed its record for `silence_max`.
    pub(crate) fn new(state_dir: &Path, reached: Reached, silence_max: Duration) -> io::Result<Self> {
        let epochs = Epochs::open(state_dir)?;
        let place = Place::of(state_dir)?;
        Ok(Self { state_dir: state_dir.to_owned(), epochs, reached, silence_max, place, watched: None })
    }

    pub(crate) fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// How long to wait before the next look.
    pub(crate) const fn pause() -> Duration {
        LOOK_EVERY
    }

    /// Looks, and becomes active where it may. Blocks.
    pub(crate) fn look(&mut self) -> io::Result<Outlook> {
        let sight = match self.epochs.look() {
            // Its master was the last one, and has just been succeeded.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(waits(None, false)),
            sight => sight?,
        };
        let Some(sight) = sight else { return self.take(0, Handover::InPlace) };
        match self.life_of(&sight) {
            Life::Dead => self.take(sight.number, Handover::InPlace),
            Life::Silent => {
                tracing::warn!(
                    epoch = sight.number,
                    "the active master has shown no sign of life for too long, and is fenced"
                );
                self.take(sight.number, Handover::Copy)
            }
            Life::MayLive { seen } => Ok(waits(sight.record, seen || !sight.is_unlocked)),
        }
    }

    fn life_of(&mut self, sight: &Sight) -> Life {
        if let Some(record) = sight.record.as_ref().filter(|_| sight.is_unlocked)
            && (record.has_ended || record.is_of_this_boot() || self.place == Place::OneHost)
        {
            return Life::Dead;
        }
        let now = Instant::now();
        match &mut self.watched {
            Some(watched)
                if watched.number == sight.number
                    && watched.bytes == sight.bytes
                    && now.duration_since(watched.last_look) < HELD_UP =>
            {
                watched.last_look = now;
                if now.duration_since(watched.since) >= self.silence_max {
                    Life::Silent
                } else {
                    Life::MayLive { seen: false }
                }
            }
            watched => {
                let seen = watched
                    .as_ref()
                    .is_some_and(|watched| watched.number == sight.number && watched.bytes != sight.bytes);
                let bytes = sight.bytes.clone();
                *watched = Some(Watched { number: sight.number, bytes, since: now, last_look: now });
                Life::MayLive { seen }
            }
        }
    }

    /// Takes the epoch after `last`, on the disk before anything else happens.
    fn take(&mut self, last: u64, handover: Handover) -> io::Result<Outlook> {
        let before = self.epochs.last_record()?;
        let cluster = before.as_ref().map_or_else(ClusterId::generate, |record| record.epoch.cluster);
        let epoch = Epoch { cluster, number: last + 1 };
        let Some(file) = self.epochs.take(epoch.number)? else { return Ok(waits(before, false)) };
        let record = Record::new(epoch, self.reached.clone());
        record.write(&file)?;
        tracing::info!(%epoch, "this master is active");
        Ok(Outlook::Active(Tenure::begin(self.epochs.clone(), file, record)?, handover))
    }
}

/// Shorter than this, and a master that is only slow would be fenced.
pub(crate) const SILENCE_MIN: Duration = BEAT.saturating_mul(4);

fn waits(active: Option<Record>, lives: bool) -> Outlook {
    Outlook::Waits(Waiting { active, lives })
}
