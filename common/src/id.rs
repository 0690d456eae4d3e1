//! Identities: one newtype per kind, so that a stage can never be passed for a partition.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {kind} id")]
pub struct IdError {
    kind: &'static str,
    text: String,
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes an id nobody had before; ids made later sort later.
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// Wraps a known id. Tests and the simulation use it for ids that are the same in every run.
            #[must_use]
            pub const fn from_u128(value: u128) -> Self {
                Self(Uuid::from_u128(value))
            }

            /// Its 16 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::try_parse(text).map(Self).map_err(|_| IdError { kind: $kind, text: text.to_owned() })
            }
        }
    };
}

uuid_id!(
    /// One submitted job. Also the name of its staging and shuffle directories, always parsed, never joined as raw text.
    JobId,
    "job"
);
uuid_id!(
    /// One life of a worker process. Never reused: a worker that lost its lease comes back under another.
    WorkerId,
    "worker"
);
uuid_id!(
    /// One master's claim to the staging of a job that it commits. Never reused, so that a directory with this name is that master's.
    ClaimId,
    "claim"
);
uuid_id!(
    /// One state directory, with all masters that use it one after the other.
    ClusterId,
    "cluster"
);

/// Position of a stage in its job. A stage reads only stages with smaller ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StageId(pub u32);

impl fmt::Display for StageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A task of some job as people write it, `STAGE.PARTITION`; `None` for anything else.
#[must_use]
pub fn stage_and_partition(text: &str) -> Option<(StageId, u32)> {
    let (stage, partition) = text.split_once('.')?;
    Some((StageId(stage.parse().ok()?), partition.parse().ok()?))
}

/// One partition of one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId {
    /// The job.
    pub job: JobId,
    /// The stage.
    pub stage: StageId,
    /// The partition, from 0.
    pub partition: u32,
}

/// One try at a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    /// The task.
    pub task: TaskId,
    /// The number of the try, from 0.
    pub attempt: u32,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TaskId { job, stage, partition } = self.task;
        write!(f, "{job}/{stage}/{partition}.{}", self.attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_through_text() {
        let id = JobId::generate();
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn paths_are_not_ids() {
        for text in ["", "../../etc/passwd", "/tmp", "0123", "a b"] {
            let error = text.parse::<JobId>().unwrap_err();
            assert_eq!(error.to_string(), format!("`{text}` is not a valid job id"));
        }
    }
}
