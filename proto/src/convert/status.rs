//! Jobs and workers as seen from outside.

use hearth_common::{
    AttemptCounts, AttemptMetrics, FailureCause, InferredColumn, InferredInput, InputRecords, InputStatus, JobStatus,
    LocalityCounts, OutputStatus, Reject, StageId, StageStatus, WorkerState, WorkerStatus,
};

use super::error::{ConvertError, parsed, required, unknown_value};
use super::job::{job_state_of, wire_enum};
use crate::wire;

wire_enum!(WorkerState, worker_state_of, { Alive, Disconnected, Draining, Lost, Left });

impl TryFrom<wire::Job> for JobStatus {
    type Error = ConvertError;

    fn try_from(message: wire::Job) -> Result<Self, ConvertError> {
        let stages = message.stages.into_iter().map(StageStatus::try_from).collect::<Result<_, _>>()?;
        Ok(Self {
            id: parsed("Job.id", &message.id)?,
            name: message.name,
            state: job_state_of("Job.state", message.state)?,
            waiting_for: message.waiting_for,
            submitted_ms: message.submitted_ms,
            started_ms: message.started_ms,
            finished_ms: message.finished_ms,
            failure: message.failure.map(FailureCause::try_from).transpose()?,
            stages,
            metrics: required("Job.metrics", message.metrics)?.into(),
            output: message.output.map(OutputStatus::from),
            has_result: message.has_result,
            attempts: required("Job.attempts", message.attempts)?.into(),
            query: message.query,
            inputs: message.inputs.into_iter().map(InputStatus::try_from).collect::<Result<_, _>>()?,
            inferred: message.inferred.into_iter().map(InferredInput::from).collect(),
            locality: message.locality.map(LocalityCounts::from).unwrap_or_default(),
            details: None,
        })
    }
}

impl From<JobStatus> for wire::Job {
    fn from(job: JobStatus) -> Self {
        Self {
            id: job.id.to_string(),
            name: job.name,
            state: wire::JobState::from(job.state).into(),
            waiting_for: job.waiting_for,
            submitted_ms: job.submitted_ms,
            started_ms: job.started_ms,
            finished_ms: job.finished_ms,
            failure: job.failure.map(wire::FailureCause::from),
            stages: job.stages.into_iter().map(wire::Stage::from).collect(),
            metrics: Some(job.metrics.into()),
            output: job.output.map(wire::OutputStatus::from),
            attempts: Some(job.attempts.into()),
            has_result: job.has_result,
            query: job.query,
            inputs: job.inputs.into_iter().map(wire::InputStatus::from).collect(),
            inferred: job.inferred.into_iter().map(wire::InferredInput::from).collect(),
            locality: Some(job.locality.into()),
        }
    }
}

impl From<wire::LocalityCounts> for LocalityCounts {
    fn from(message: wire::LocalityCounts) -> Self {
        let wire::LocalityCounts { local, remote } = message;
        Self { local, remote }
    }
}

impl From<LocalityCounts> for wire::LocalityCounts {
    fn from(counts: LocalityCounts) -> Self {
        let LocalityCounts { local, remote } = counts;
        Self { local, remote }
    }
}

impl From<wire::InferredInput> for InferredInput {
    fn from(message: wire::InferredInput) -> Self {
        let wire::InferredInput { input, records, columns } = message;
        let column = |wire::InferredColumn { name, type_name, nulls }| InferredColumn { name, type_name, nulls };
        Self { input, records, columns: columns.into_iter().map(column).collect() }
    }
}

impl From<InferredInput> for wire::InferredInput {
    fn from(inferred: InferredInput) -> Self {
        let InferredInput { input, records, columns } = inferred;
        let column = |InferredColumn { name, type_name, nulls }| wire::InferredColumn { name, type_name, nulls };
        Self { input, records, columns: columns.into_iter().map(column).collect() }
    }
}

impl TryFrom<wire::InputStatus> for InputStatus {
    type Error = ConvertError;

    fn try_from(message: wire::InputStatus) -> Result<Self, ConvertError> {
        let wire::InputStatus { input, records, used, rejected, first_rejects } = message;
        let first_rejects = first_rejects.into_iter().map(Reject::try_from).collect::<Result<_, _>>()?;
        Ok(Self { records: InputRecords { input, records, used, rejected }, first_rejects })
    }
}

impl From<InputStatus> for wire::InputStatus {
    fn from(status: InputStatus) -> Self {
        let InputRecords { input, records, used, rejected } = status.records;
        let first_rejects = status.first_rejects.into_iter().map(wire::Reject::from).collect();
        Self { input, records, used, rejected, first_rejects }
    }
}

impl TryFrom<wire::Stage> for StageStatus {
    type Error = ConvertError;

    fn try_from(message: wire::Stage) -> Result<Self, ConvertError> {
        let wire::Stage { id, label, tasks, tasks_done, tasks_running, metrics, inputs } = message;
        let metrics: AttemptMetrics = required("Stage.metrics", metrics)?.into();
        let inputs = inputs.into_iter().map(StageId).collect();
        Ok(Self { id: StageId(id), label, tasks, tasks_done, tasks_running, metrics, inputs })
    }
}

impl From<StageStatus> for wire::Stage {
    fn from(stage: StageStatus) -> Self {
        let StageStatus { id, label, tasks, tasks_done, tasks_running, metrics, inputs } = stage;
        let inputs = inputs.into_iter().map(|id| id.0).collect();
        Self { id: id.0, label, tasks, tasks_done, tasks_running, metrics: Some(metrics.into()), inputs }
    }
}

impl From<wire::OutputStatus> for OutputStatus {
    fn from(message: wire::OutputStatus) -> Self {
        let wire::OutputStatus { path, files, rows, bytes, rejects } = message;
        Self { path, files, rows, bytes, rejects }
    }
}

impl From<OutputStatus> for wire::OutputStatus {
    fn from(output: OutputStatus) -> Self {
        let OutputStatus { path, files, rows, bytes, rejects } = output;
        Self { path, files, rows, bytes, rejects }
    }
}

impl From<wire::AttemptCounts> for AttemptCounts {
    fn from(message: wire::AttemptCounts) -> Self {
        let wire::AttemptCounts { launched, lost, failed, second, second_won } = message;
        Self { launched, lost, failed, second, second_won }
    }
}

impl From<AttemptCounts> for wire::AttemptCounts {
    fn from(counts: AttemptCounts) -> Self {
        let AttemptCounts { launched, lost, failed, second, second_won } = counts;
        Self { launched, lost, failed, second, second_won }
    }
}

impl TryFrom<wire::Worker> for WorkerStatus {
    type Error = ConvertError;

    fn try_from(message: wire::Worker) -> Result<Self, ConvertError> {
        Ok(Self {
            id: parsed("Worker.id", &message.id)?,
            host: message.host,
            shuffle_address: message.shuffle_address,
            state: worker_state_of("Worker.state", message.state)?,
            slots: message.slots,
            slots_used: message.slots_used,
            memory_bytes_max: message.memory_bytes_max,
            memory_bytes_used: message.memory_bytes_used,
            disk_bytes_free: message.disk_bytes_free,
            version: message.version,
            registered_ms: message.registered_ms,
            lease_ms: message.lease_ms,
            excluded: message.excluded,
        })
    }
}

impl From<WorkerStatus> for wire::Worker {
    fn from(worker: WorkerStatus) -> Self {
        Self {
            id: worker.id.to_string(),
            host: worker.host,
            shuffle_address: worker.shuffle_address,
            state: wire::WorkerState::from(worker.state).into(),
            slots: worker.slots,
            slots_used: worker.slots_used,
            memory_bytes_max: worker.memory_bytes_max,
            memory_bytes_used: worker.memory_bytes_used,
            disk_bytes_free: worker.disk_bytes_free,
            version: worker.version,
            registered_ms: worker.registered_ms,
            lease_ms: worker.lease_ms,
            excluded: worker.excluded,
        }
    }
}
