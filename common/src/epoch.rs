//! Epochs: which of the masters of one state directory speaks. A newer one has fenced all older ones.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ClusterId;

/// The turn of one master on a state directory. Each master that becomes active begins the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// The state directory. Numbers of two of them tell nothing of each other.
    pub cluster: ClusterId,
    /// From 1, and never used twice.
    pub number: u64,
}

/// Why a text is not an epoch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an epoch, NUMBER@CLUSTER")]
pub struct EpochError(String);

/// The newest epoch that somebody has met, and that they never go back from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NewestEpoch(Option<Epoch>);

/// Why a master is not listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a master of epoch {own}, and epoch {newest} has begun")]
pub struct Outdated {
    /// Of that master.
    pub own: u64,
    /// Of another one that was met.
    pub newest: u64,
}

impl NewestEpoch {
    /// The epoch; `None` before the first.
    #[must_use]
    pub const fn get(self) -> Option<Epoch> {
        self.0
    }

    /// It is known that a master of a newer epoch has fenced that one.
    #[must_use]
    pub fn is_past(self, epoch: Epoch) -> bool {
        self.0.is_some_and(|newest| epoch.is_older_than(newest))
    }

    /// A master of that epoch is met.
    ///
    /// # Errors
    /// [`Outdated`]: one of a newer epoch was met before.
    pub fn meet(&mut self, epoch: Epoch) -> Result<(), Outdated> {
        match self.0.filter(|newest| epoch.is_older_than(*newest)) {
            Some(newest) => Err(Outdated { own: epoch.number, newest: newest.number }),
            None => {
                self.0 = Some(epoch);
                Ok(())
            }
        }
    }
}

impl Epoch {
    /// A master of `other` has fenced the one of this epoch.
    #[must_use]
    pub fn is_older_than(self, other: Self) -> bool {
        self.cluster == other.cluster && self.number < other.number
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.number, self.cluster)
    }
}

impl FromStr for Epoch {
    type Err = EpochError;

    fn from_str(text: &str) -> Result<Self, EpochError> {
        let parsed = text.split_once('@').and_then(|(number, cluster)| {
            let number = number.parse().ok().filter(|number| *number > 0)?;
            Some(Self { cluster: cluster.parse().ok()?, number })
        });
        parsed.ok_or_else(|| EpochError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn epoch(cluster: u128, number: u64) -> Epoch {
        Epoch { cluster: ClusterId::from_u128(cluster), number }
    }

    #[test]
    fn only_epochs_of_one_cluster_have_an_order() {
        assert!(epoch(1, 1).is_older_than(epoch(1, 2)));
        for (one, other) in [((1, 2), (1, 2)), ((1, 3), (1, 2)), ((1, 1), (2, 2)), ((2, 1), (1, 2))] {
            assert!(!epoch(one.0, one.1).is_older_than(epoch(other.0, other.1)), "{one:?} {other:?}");
        }
    }

    #[test]
    fn nobody_goes_back() {
        let mut newest = NewestEpoch::default();
        assert_eq!((newest.get(), newest.is_past(epoch(1, 1))), (None, false));
        for met in [epoch(1, 2), epoch(1, 2), epoch(1, 3)] {
            newest.meet(met).unwrap();
            assert_eq!(newest.get(), Some(met));
        }
        assert!(newest.is_past(epoch(1, 2)) && !newest.is_past(epoch(1, 3)) && !newest.is_past(epoch(2, 1)));
        let refused = newest.meet(epoch(1, 2)).unwrap_err();
        assert_eq!(refused.to_string(), "a master of epoch 2, and epoch 3 has begun");
        assert_eq!(newest.get(), Some(epoch(1, 3)));
        newest.meet(epoch(2, 1)).unwrap();
        assert_eq!(newest.get(), Some(epoch(2, 1)), "a new cluster begins anew");
    }

    #[test]
    fn reads_what_it_shows() {
        assert_eq!(epoch(7, 12).to_string().parse(), Ok(epoch(7, 12)));
        for text in ["", "1", "1@", "@x", "0@00000000-0000-0000-0000-000000000007", "1@7", "-1@7"] {
            assert!(text.parse::<Epoch>().is_err(), "{text}");
        }
    }
}
