//! Attempt ids, places, failure causes and metrics.

use hearth_common::{AttemptId, AttemptMetrics, FailureCause, OutputLoss, Place, Reject, StageId, TaskId};

use super::error::{ConvertError, parsed, required};
use crate::wire::{self, failure_cause::Kind};

impl TryFrom<wire::AttemptId> for AttemptId {
    type Error = ConvertError;

    fn try_from(message: wire::AttemptId) -> Result<Self, ConvertError> {
        let wire::AttemptId { job_id, stage, partition, attempt } = message;
        let job = parsed("AttemptId.job_id", &job_id)?;
        Ok(Self { task: TaskId { job, stage: StageId(stage), partition }, attempt })
    }
}

impl From<AttemptId> for wire::AttemptId {
    fn from(id: AttemptId) -> Self {
        let TaskId { job, stage, partition } = id.task;
        Self { job_id: job.to_string(), stage: stage.0, partition, attempt: id.attempt }
    }
}

impl From<wire::Place> for Place {
    fn from(message: wire::Place) -> Self {
        let wire::Place { file, line, byte, column } = message;
        Self { file, line, byte, column }
    }
}

impl From<Place> for wire::Place {
    fn from(place: Place) -> Self {
        let Place { file, line, byte, column } = place;
        Self { file, line, byte, column }
    }
}

impl TryFrom<wire::Reject> for Reject {
    type Error = ConvertError;

    fn try_from(message: wire::Reject) -> Result<Self, ConvertError> {
        Ok(Self { place: required("Reject.place", message.place)?.into(), reason: message.reason })
    }
}

impl From<Reject> for wire::Reject {
    fn from(reject: Reject) -> Self {
        Self { place: Some(reject.place.into()), reason: reject.reason }
    }
}

impl TryFrom<wire::FailureCause> for FailureCause {
    type Error = ConvertError;

    fn try_from(message: wire::FailureCause) -> Result<Self, ConvertError> {
        Ok(match required("FailureCause.kind", message.kind)? {
            Kind::Task(wire::TaskFailure { message, place }) => Self::Task { message, place: place.map(Place::from) },
            Kind::LostShuffleOutput(lost) => Self::LostShuffleOutput {
                stage: StageId(lost.stage),
                partition: lost.partition,
                attempt: lost.attempt,
                worker: parsed("LostShuffleOutput.worker_id", &lost.worker_id)?,
                loss: if lost.unreached { OutputLoss::Unreached } else { OutputLoss::Gone },
                message: lost.message,
            },
            Kind::OutOfMemory(wire::Trouble { message }) => Self::OutOfMemory { message },
            Kind::DiskFull(wire::DiskFull { directory, message }) => Self::DiskFull { directory, message },
            Kind::Storage(wire::Trouble { message }) => Self::Storage { message },
            Kind::Internal(wire::Trouble { message }) => Self::Internal { message },
            Kind::WorkerLost(lost) => Self::WorkerLost { worker: parsed("WorkerLost.worker_id", &lost.worker_id)? },
            Kind::Poison(wire::Poison { stage, partition, workers, input }) => {
                Self::Poison { stage: StageId(stage), partition, workers, input }
            }
            Kind::NoWorkers(wire::NoWorkers { waited_seconds }) => Self::NoWorkers { waited_seconds },
            Kind::Cancelled(wire::Cancelled {}) => Self::Cancelled,
            Kind::WorkerDrains(wire::WorkerDrains {}) => Self::WorkerDrains,
            Kind::DeadlinePassed(wire::DeadlinePassed { limit_seconds }) => Self::DeadlinePassed { limit_seconds },
        })
    }
}

impl From<FailureCause> for wire::FailureCause {
    fn from(cause: FailureCause) -> Self {
        let kind = match cause {
            FailureCause::Task { message, place } => {
                Kind::Task(wire::TaskFailure { message, place: place.map(wire::Place::from) })
            }
            FailureCause::LostShuffleOutput { stage, partition, attempt, worker, loss, message } => {
                Kind::LostShuffleOutput(wire::LostShuffleOutput {
                    stage: stage.0,
                    partition,
                    attempt,
                    worker_id: worker.to_string(),
                    message,
                    unreached: loss == OutputLoss::Unreached,
                })
            }
            FailureCause::OutOfMemory { message } => Kind::OutOfMemory(wire::Trouble { message }),
            FailureCause::DiskFull { directory, message } => Kind::DiskFull(wire::DiskFull { directory, message }),
            FailureCause::Storage { message } => Kind::Storage(wire::Trouble { message }),
            FailureCause::Internal { message } => Kind::Internal(wire::Trouble { message }),
            FailureCause::WorkerLost { worker } => Kind::WorkerLost(wire::WorkerLost { worker_id: worker.to_string() }),
            FailureCause::Poison { stage, partition, workers, input } => {
                Kind::Poison(wire::Poison { stage: stage.0, partition, workers, input })
            }
            FailureCause::NoWorkers { waited_seconds } => Kind::NoWorkers(wire::NoWorkers { waited_seconds }),
            FailureCause::Cancelled => Kind::Cancelled(wire::Cancelled {}),
            FailureCause::WorkerDrains => Kind::WorkerDrains(wire::WorkerDrains {}),
            FailureCause::DeadlinePassed { limit_seconds } => {
                Kind::DeadlinePassed(wire::DeadlinePassed { limit_seconds })
            }
        };
        Self { kind: Some(kind) }
    }
}

impl From<wire::AttemptMetrics> for AttemptMetrics {
    fn from(message: wire::AttemptMetrics) -> Self {
        let wire::AttemptMetrics {
            input_rows,
            input_bytes,
            shuffle_read_rows,
            shuffle_local_bytes,
            shuffle_remote_bytes,
            output_rows,
            output_bytes,
            spilled_bytes,
            elapsed_ms,
        } = message;
        Self {
            input_rows,
            input_bytes,
            shuffle_read_rows,
            shuffle_local_bytes,
            shuffle_remote_bytes,
            output_rows,
            output_bytes,
            spilled_bytes,
            elapsed_ms,
        }
    }
}

impl From<AttemptMetrics> for wire::AttemptMetrics {
    fn from(metrics: AttemptMetrics) -> Self {
        let AttemptMetrics {
            input_rows,
            input_bytes,
            shuffle_read_rows,
            shuffle_local_bytes,
            shuffle_remote_bytes,
            output_rows,
            output_bytes,
            spilled_bytes,
            elapsed_ms,
        } = metrics;
        Self {
            input_rows,
            input_bytes,
            shuffle_read_rows,
            shuffle_local_bytes,
            shuffle_remote_bytes,
            output_rows,
            output_bytes,
            spilled_bytes,
            elapsed_ms,
        }
    }
}
