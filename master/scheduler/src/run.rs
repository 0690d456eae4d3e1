//! The attempts of a task that run: one, or two on different workers. The first that ends well wins, and the other is stopped.

use hearth_common::{AttemptId, WorkerId};

use crate::Millis;

/// An attempt that was launched, and of whose end nothing was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) attempt: u32,
    pub(crate) worker: WorkerId,
    /// When it was launched.
    pub(crate) since: Millis,
}

/// The attempts of one task that run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runs {
    One(Run),
    /// The first is far slower than others of its stage. Made by [`Runs::with_second`] alone.
    Two {
        first: Run,
        second: Run,
    },
}

impl Runs {
    /// The attempts, in the order of their launches.
    pub(crate) fn iter(self) -> impl Iterator<Item = Run> {
        let (first, second) = match self {
            Self::One(run) => (run, None),
            Self::Two { first, second } => (first, Some(second)),
        };
        std::iter::once(first).chain(second)
    }

    pub(crate) const fn second(self) -> Option<Run> {
        match self {
            Self::One(_) => None,
            Self::Two { second, .. } => Some(second),
        }
    }

    pub(crate) fn find(self, attempt: AttemptId, worker: WorkerId) -> Option<Run> {
        self.iter().find(|run| run.attempt == attempt.attempt && run.worker == worker)
    }

    /// Adds a second attempt; `None` where there are two, or where it would run beside the first.
    pub(crate) fn with_second(self, second: Run) -> Option<Self> {
        match self {
            Self::One(first) if first.worker != second.worker => Some(Self::Two { first, second }),
            Self::One(_) | Self::Two { .. } => None,
        }
    }

    /// The one that is left without that attempt, of two.
    pub(crate) fn other_than(self, attempt: u32) -> Option<Run> {
        match self {
            Self::Two { first, second } if first.attempt == attempt => Some(second),
            Self::Two { first, second } if second.attempt == attempt => Some(first),
            Self::One(_) | Self::Two { .. } => None,
        }
    }
}
