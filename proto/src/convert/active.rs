//! Who is the active master: epochs, and the answer of one that is not active.

use bytes::Bytes;
use hearth_common::Epoch;
use prost::Message;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Code, Status};

use super::ConvertError;
use super::control::check_address;
use super::error::{parsed, required};
use crate::wire;

/// Metadata key of every answer of an active master: its epoch.
pub const EPOCH_KEY: &str = "hearth-epoch";

/// The answer of a master that is not active, to every call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NotActive {
    /// `host:port` of the active one, where it is known.
    pub active: Option<String>,
    /// Of that one.
    pub epoch: Option<Epoch>,
}

impl NotActive {
    /// As the answer to a call, with a message for people.
    #[must_use]
    pub fn into_status(self, message: impl Into<String>) -> Status {
        let details = wire::NotActive::from(self).encode_to_vec();
        Status::with_details(Code::Unavailable, message, Bytes::from(details))
    }

    /// What an answer says, if it is this one.
    #[must_use]
    pub fn of(status: &Status) -> Option<Self> {
        if status.code() != Code::Unavailable || status.details().is_empty() {
            return None;
        }
        wire::NotActive::decode(status.details()).ok()?.try_into().ok()
    }
}

/// The epoch of the master that gave an answer; `None` for one that says nothing of it.
#[must_use]
pub fn epoch_of(metadata: &MetadataMap) -> Option<Epoch> {
    metadata.get(EPOCH_KEY)?.to_str().ok()?.parse().ok()
}

/// The value of [`EPOCH_KEY`].
#[must_use]
pub fn epoch_value(epoch: Epoch) -> Option<AsciiMetadataValue> {
    epoch.to_string().parse().ok()
}

impl From<Epoch> for wire::Epoch {
    fn from(Epoch { cluster, number }: Epoch) -> Self {
        Self { cluster_id: cluster.to_string(), number }
    }
}

impl TryFrom<wire::Epoch> for Epoch {
    type Error = ConvertError;

    fn try_from(wire::Epoch { cluster_id, number }: wire::Epoch) -> Result<Self, ConvertError> {
        if number == 0 {
            return Err(ConvertError::new("number", "epochs begin with 1"));
        }
        Ok(Self { cluster: parsed("cluster_id", &cluster_id)?, number })
    }
}

impl From<NotActive> for wire::NotActive {
    fn from(NotActive { active, epoch }: NotActive) -> Self {
        Self { active: active.unwrap_or_default(), epoch: epoch.map(Into::into), not_active: true }
    }
}

impl TryFrom<wire::NotActive> for NotActive {
    type Error = ConvertError;

    fn try_from(wire::NotActive { active, epoch, not_active }: wire::NotActive) -> Result<Self, ConvertError> {
        if !not_active {
            return Err(ConvertError::new("not_active", "it is always true"));
        }
        let active = Some(active).filter(|active| !active.is_empty());
        active.as_ref().map_or(Ok(()), |active| check_address("active", active))?;
        Ok(Self { active, epoch: epoch.map(Epoch::try_from).transpose()? })
    }
}

/// Which master it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Master {
    /// Its version.
    pub version: String,
    /// Its epoch.
    pub epoch: Epoch,
}

impl From<Master> for wire::Master {
    fn from(Master { version, epoch }: Master) -> Self {
        Self { version, epoch: Some(epoch.into()) }
    }
}

impl TryFrom<wire::Master> for Master {
    type Error = ConvertError;

    fn try_from(wire::Master { version, epoch }: wire::Master) -> Result<Self, ConvertError> {
        Ok(Self { version, epoch: required("epoch", epoch)?.try_into()? })
    }
}

#[cfg(test)]
mod tests {
    use hearth_common::ClusterId;

    use super::*;

    const EPOCH: Epoch = Epoch { cluster: ClusterId::from_u128(5), number: 3 };

    #[test]
    fn the_answer_of_a_standby_is_told_from_others() {
        for told in [
            NotActive::default(),
            NotActive { active: Some("node2:7077".into()), epoch: Some(EPOCH) },
            NotActive { active: None, epoch: Some(EPOCH) },
        ] {
            assert_eq!(NotActive::of(&told.clone().into_status("a standby")), Some(told));
        }
        assert_eq!(NotActive::of(&Status::unavailable("stopping")), None);
        let odd = wire::NotActive { active: "a b".into(), epoch: None, not_active: true };
        let odd = Status::with_details(Code::Unavailable, "", odd.encode_to_vec().into());
        assert_eq!(NotActive::of(&odd), None, "an address that is none");
    }

    #[test]
    fn epochs_come_with_answers() {
        let mut metadata = MetadataMap::new();
        assert_eq!(epoch_of(&metadata), None);
        metadata.insert(EPOCH_KEY, epoch_value(EPOCH).unwrap());
        assert_eq!(epoch_of(&metadata), Some(EPOCH));
        let master = Master { version: "1".into(), epoch: EPOCH };
        assert_eq!(Master::try_from(wire::Master::from(master.clone())), Ok(master));
        let zero = wire::Epoch { cluster_id: EPOCH.cluster.to_string(), number: 0 };
        assert_eq!(Epoch::try_from(zero).unwrap_err().field, "number");
    }
}
