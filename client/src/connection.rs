//! One connection to one master, and the calls on it. Every call has a deadline.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use hearth_common::{Backoff, JobId, JobSpec, JobStatus, WorkerId, WorkerStatus};
use hearth_proto::convert::{FetchResult, ListJobs, LogPage, ReadLog, ResultFormat, SubmitJob};
use hearth_proto::wire::{self, job_service_client::JobServiceClient};
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use tonic::{IntoRequest, Request, Status, Streaming};

use crate::watch::UNREACHABLE_MAX;
use crate::{ClientError, JobWatch, MasterUrl};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// A master that does not answer pings for this long is taken for gone.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// A listing of large jobs is larger than gRPC's default.
const ANSWER_BYTES_MAX: usize = 64 << 20;
const SUBMIT_BACKOFF: Backoff = Backoff { first: Duration::from_millis(200), max: Duration::from_secs(2) };

/// A client of one master. Cheap to clone: clones share the connection.
#[derive(Debug, Clone)]
pub struct Client {
    service: JobServiceClient<Channel>,
    address: String,
}

/// Answer to a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    /// The job.
    pub job: JobId,
    /// The idempotency key was known: this is the job of its first submission.
    pub existed: bool,
}

/// One page of the jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobPage {
    /// The jobs without their stages, newest first.
    pub jobs: Vec<JobStatus>,
    /// Asks for the next page; `None` on the last one.
    pub next_page_token: Option<String>,
}

impl Client {
    /// Connects to a master.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] when nobody answers there.
    pub async fn connect(master: &MasterUrl) -> Result<Self, ClientError> {
        let address = master.address();
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| ClientError::unreachable(&address, &error))?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE);
        let channel = endpoint.connect().await.map_err(|error| ClientError::unreachable(&address, &error))?;
        let service = JobServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
        Ok(Self { service, address })
    }

    /// `host:port` of the master.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Submits a job. With an idempotency key a submission whose answer was lost is sent again, for up to [`UNREACHABLE_MAX`],
    /// and makes one job.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the job is wrong, [`ClientError::Busy`] when the queue is full.
    pub async fn submit(&self, spec: JobSpec, idempotency_key: Option<String>) -> Result<Submitted, ClientError> {
        let began = Instant::now();
        let patience = if idempotency_key.is_some() { UNREACHABLE_MAX } else { Duration::ZERO };
        let request = wire::SubmitRequest::from(SubmitJob { idempotency_key, spec });
        let mut failures = 0;
        loop {
            let answer = self.service.clone().submit(timed(request.clone())).await;
            let error = match answer {
                Ok(answer) => return submitted(answer.into_inner()),
                Err(status) => self.error(&status),
            };
            failures += 1;
            if !error.is_unreachable() || began.elapsed() >= patience {
                return Err(error);
            }
            tokio::time::sleep(SUBMIT_BACKOFF.delay_after(failures)).await;
        }
    }

    /// A job as it is now.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the master does not know it.
    pub async fn get(&self, job: JobId) -> Result<JobStatus, ClientError> {
        let answer = self.service.clone().get_job(timed(job_request(job))).await;
        Ok(answer.map_err(|status| self.error(&status))?.into_inner().try_into()?)
    }

    /// One page of the jobs, newest first.
    ///
    /// # Errors
    /// Those of every call; a page token the master did not give is [`ClientError::Refused`].
    pub async fn list(&self, page: ListJobs) -> Result<JobPage, ClientError> {
        let answer = self.service.clone().list_jobs(timed(wire::ListJobsRequest::from(page))).await;
        let wire::ListJobsResponse { jobs, next_page_token } =
            answer.map_err(|status| self.error(&status))?.into_inner();
        let jobs = jobs.into_iter().map(JobStatus::try_from).collect::<Result<_, _>>()?;
        Ok(JobPage { jobs, next_page_token: (!next_page_token.is_empty()).then_some(next_page_token) })
    }

    /// Follows a job until it is in a final state, over broken connections and restarts of the master.
    #[must_use]
    pub fn watch(&self, job: JobId) -> JobWatch {
        JobWatch::new(self.clone(), job)
    }

    /// Cancels a job, and answers with the job as it then is.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the master does not know it.
    pub async fn cancel(&self, job: JobId) -> Result<JobStatus, ClientError> {
        let answer = self.service.clone().cancel_job(timed(job_request(job))).await;
        Ok(answer.map_err(|status| self.error(&status))?.into_inner().try_into()?)
    }

    /// Asks a worker to leave once nothing runs on it and nobody needs what it holds, and answers with the worker as it then is.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the master does not know it, or has lost it.
    pub async fn drain(&self, worker: WorkerId) -> Result<WorkerStatus, ClientError> {
        let request = wire::DrainWorkerRequest { worker_id: worker.to_string() };
        let answer = self.service.clone().drain_worker(timed(request)).await;
        Ok(answer.map_err(|status| self.error(&status))?.into_inner().try_into()?)
    }

    /// The result of a job that has no output, in order, in pieces of any size.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the job is not done or has an output.
    pub async fn fetch_result(
        &self,
        job: JobId,
        format: ResultFormat,
    ) -> Result<impl Stream<Item = Result<Bytes, ClientError>> + Unpin + use<>, ClientError> {
        let request = wire::FetchResultRequest::from(FetchResult { job, format });
        let answer = self.service.clone().fetch_result(request).await;
        let chunks = answer.map_err(|status| self.error(&status))?.into_inner();
        let address = self.address.clone();
        Ok(chunks.map(move |chunk| match chunk {
            Ok(chunk) => Ok(chunk.data),
            Err(status) => Err(ClientError::from_status(&address, &status)),
        }))
    }

    /// A page of a job's log. With a wait the answer may take as long.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the master does not know the job.
    pub async fn read_log(&self, read: ReadLog) -> Result<LogPage, ClientError> {
        let answer = self.service.clone().read_log(timed(wire::ReadLogRequest::from(read))).await;
        Ok(answer.map_err(|status| self.error(&status))?.into_inner().try_into()?)
    }

    /// The workers the master knows.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn workers(&self) -> Result<Vec<WorkerStatus>, ClientError> {
        let answer = self.service.clone().list_workers(timed(wire::ListWorkersRequest {})).await;
        let workers = answer.map_err(|status| self.error(&status))?.into_inner().workers;
        Ok(workers.into_iter().map(WorkerStatus::try_from).collect::<Result<_, _>>()?)
    }

    pub(crate) async fn open_watch(&self, job: JobId) -> Result<Streaming<wire::Job>, ClientError> {
        let answer = tokio::time::timeout(CALL_TIMEOUT, self.service.clone().watch_job(job_request(job))).await;
        let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
        Ok(answer.map_err(|status| self.error(&status))?.into_inner())
    }

    pub(crate) fn error(&self, status: &Status) -> ClientError {
        ClientError::from_status(&self.address, status)
    }
}

fn timed<T>(message: T) -> Request<T> {
    let mut request = message.into_request();
    request.set_timeout(CALL_TIMEOUT);
    request
}

fn job_request(job: JobId) -> wire::GetJobRequest {
    wire::GetJobRequest { job_id: job.to_string() }
}

fn submitted(answer: wire::SubmitResponse) -> Result<Submitted, ClientError> {
    let job = answer.job_id.parse().map_err(|_| ClientError::Other {
        message: format!("it gave the job id `{}`, which is none", answer.job_id),
    })?;
    Ok(Submitted { job, existed: answer.existed })
}
