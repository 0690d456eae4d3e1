//! The shuffle service, as our types.

use std::ops::Range;

use hearth_common::{AttemptId, JobSpec, WorkerId};

use super::ConvertError;
use super::error::{parsed, required};
use crate::wire;

/// Which bytes of which shuffle output somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShuffleFetch {
    /// The attempt that left the output.
    pub attempt: AttemptId,
    /// The life of the worker that is meant.
    pub worker: WorkerId,
    /// The shuffle partitions.
    pub partitions: Range<u32>,
}

impl TryFrom<wire::FetchRequest> for ShuffleFetch {
    type Error = ConvertError;

    fn try_from(request: wire::FetchRequest) -> Result<Self, ConvertError> {
        let partitions = request.first..request.end;
        if request.first > request.end || request.end > JobSpec::SHUFFLE_PARTITIONS_MAX {
            return Err(ConvertError::new("FetchRequest.end", format!("{partitions:?} is not a range of partitions")));
        }
        Ok(Self {
            attempt: required("FetchRequest.attempt", request.attempt)?.try_into()?,
            worker: parsed("FetchRequest.worker_id", &request.worker_id)?,
            partitions,
        })
    }
}

impl From<ShuffleFetch> for wire::FetchRequest {
    fn from(fetch: ShuffleFetch) -> Self {
        Self {
            attempt: Some(fetch.attempt.into()),
            worker_id: fetch.worker.to_string(),
            first: fetch.partitions.start,
            end: fetch.partitions.end,
        }
    }
}

#[cfg(test)]
mod tests {
    use hearth_common::{JobId, StageId, TaskId};

    use super::*;

    #[test]
    fn round_trips_and_refuses_what_is_no_range() {
        let task = TaskId { job: JobId::from_u128(1), stage: StageId(2), partition: 3 };
        let attempt = AttemptId { task, attempt: 4 };
        let fetch = ShuffleFetch { attempt, worker: WorkerId::from_u128(5), partitions: 1..7 };
        let wire = wire::FetchRequest::from(fetch.clone());
        assert_eq!(ShuffleFetch::try_from(wire.clone()), Ok(fetch));
        for (first, end) in [(2, 1), (0, u32::MAX)] {
            let error = ShuffleFetch::try_from(wire::FetchRequest { first, end, ..wire.clone() }).unwrap_err();
            assert_eq!(error.field, "FetchRequest.end");
        }
        for worker_id in ["", "../x", "/tmp"] {
            let request = wire::FetchRequest { worker_id: worker_id.into(), ..wire.clone() };
            assert_eq!(ShuffleFetch::try_from(request).unwrap_err().field, "FetchRequest.worker_id");
        }
    }
}
