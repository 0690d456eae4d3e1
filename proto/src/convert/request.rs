//! What a client asks of the master, as types that only hold what makes sense.

use hearth_common::{JobId, JobSpec, JobState, PROTOCOL, WorkerId};

use super::error::{ConvertError, parsed, required, unknown_value};
use super::job::{job_state_of, wire_enum};
use crate::wire;

/// A job to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmitJob {
    /// One per intended job; a key that is known answers with the job of its first submission.
    pub idempotency_key: Option<String>,
    /// The job.
    pub spec: JobSpec,
}

impl SubmitJob {
    /// Longest idempotency key, in bytes.
    pub const KEY_BYTES_MAX: usize = 256;
}

impl TryFrom<wire::SubmitRequest> for SubmitJob {
    type Error = ConvertError;

    fn try_from(message: wire::SubmitRequest) -> Result<Self, ConvertError> {
        let wire::SubmitRequest { protocol, idempotency_key, job } = message;
        if protocol != PROTOCOL {
            let problem =
                format!("the client speaks protocol {protocol}, this master {PROTOCOL}; use the same version");
            return Err(ConvertError::new("SubmitRequest.protocol", problem));
        }
        if idempotency_key.len() > Self::KEY_BYTES_MAX {
            let problem = format!("it is longer than {} bytes", Self::KEY_BYTES_MAX);
            return Err(ConvertError::new("SubmitRequest.idempotency_key", problem));
        }
        let idempotency_key = (!idempotency_key.is_empty()).then_some(idempotency_key);
        Ok(Self { idempotency_key, spec: required("SubmitRequest.job", job)?.try_into()? })
    }
}

impl From<SubmitJob> for wire::SubmitRequest {
    fn from(request: SubmitJob) -> Self {
        let idempotency_key = request.idempotency_key.unwrap_or_default();
        Self { protocol: PROTOCOL, idempotency_key, job: Some(request.spec.into()) }
    }
}

/// The job a request is about.
///
/// # Errors
/// A text that is not a job id.
pub fn job_id_of(message: &wire::GetJobRequest) -> Result<JobId, ConvertError> {
    parsed("GetJobRequest.job_id", &message.job_id)
}

/// The worker that somebody wants drained.
///
/// # Errors
/// Text that is no worker id.
pub fn worker_id_of(message: &wire::DrainWorkerRequest) -> Result<WorkerId, ConvertError> {
    parsed("DrainWorkerRequest.worker_id", &message.worker_id)
}

/// One page of the jobs, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListJobs {
    /// Only jobs in one of these states; empty for all.
    pub states: Vec<JobState>,
    /// Most jobs in the answer.
    pub page_size: u32,
    /// From the answer before.
    pub page_token: Option<String>,
}

impl ListJobs {
    /// Page size where none is given.
    pub const PAGE_SIZE: u32 = 50;
    /// Largest page; larger ones are cut to it.
    pub const PAGE_SIZE_MAX: u32 = 1000;
}

impl Default for ListJobs {
    fn default() -> Self {
        Self { states: Vec::new(), page_size: Self::PAGE_SIZE, page_token: None }
    }
}

impl TryFrom<wire::ListJobsRequest> for ListJobs {
    type Error = ConvertError;

    fn try_from(message: wire::ListJobsRequest) -> Result<Self, ConvertError> {
        let wire::ListJobsRequest { states, page_size, page_token } = message;
        let states = states.into_iter().map(|state| job_state_of("ListJobsRequest.states", state));
        let page_size = if page_size == 0 { Self::PAGE_SIZE } else { page_size.min(Self::PAGE_SIZE_MAX) };
        let page_token = (!page_token.is_empty()).then_some(page_token);
        Ok(Self { states: states.collect::<Result<_, _>>()?, page_size, page_token })
    }
}

impl From<ListJobs> for wire::ListJobsRequest {
    fn from(request: ListJobs) -> Self {
        let states = request.states.into_iter().map(|state| wire::JobState::from(state).into()).collect();
        Self { states, page_size: request.page_size, page_token: request.page_token.unwrap_or_default() }
    }
}

/// How a result is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultFormat {
    /// An Arrow IPC stream.
    ArrowIpc,
    /// A table for people, UTF-8.
    Table,
    /// JSON lines.
    Json,
    /// JSON lines: `name` and `type` of each column, and no rows.
    Schema,
}

wire_enum!(ResultFormat, result_format_of, { ArrowIpc, Table, Json, Schema });

/// The result of a job without an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchResult {
    /// The job.
    pub job: JobId,
    /// How it is sent.
    pub format: ResultFormat,
}

impl TryFrom<wire::FetchResultRequest> for FetchResult {
    type Error = ConvertError;

    fn try_from(message: wire::FetchResultRequest) -> Result<Self, ConvertError> {
        Ok(Self {
            job: parsed("FetchResultRequest.job_id", &message.job_id)?,
            format: result_format_of("FetchResultRequest.format", message.format)?,
        })
    }
}

impl From<FetchResult> for wire::FetchResultRequest {
    fn from(request: FetchResult) -> Self {
        Self { job_id: request.job.to_string(), format: wire::ResultFormat::from(request.format).into() }
    }
}
