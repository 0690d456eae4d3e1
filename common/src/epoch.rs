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
    fn reads_what_it_shows() {
        assert_eq!(epoch(7, 12).to_string().parse(), Ok(epoch(7, 12)));
        for text in ["", "1", "1@", "@x", "0@00000000-0000-0000-0000-000000000007", "1@7", "-1@7"] {
            assert!(text.parse::<Epoch>().is_err(), "{text}");
        }
    }
}
