//! The service that clients use.

use std::path::PathBuf;
use std::sync::Arc;

use hearth_common::{ENGINE_VERSION, Epoch, JobId, JobStatus};
use hearth_proto::convert::{FetchResult, ListJobs, Master, ReadLog, SubmitJob, job_id_of, worker_id_of};
use hearth_proto::wire;
use hearth_proto::wire::job_service_server::JobService;
use hearth_storage::Storage;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{AnswerStream, invalid, read_log, result_stream, submit, watch_job};
use crate::input::{Input, LoopHandle};
use crate::job_logs::LogError;
use crate::snapshot::Page;
use crate::state_dir::result_file;

/// States of a watched job that wait for a slow reader.
const STATES_MAX: usize = 2;

/// What the job service stands on.
#[derive(Debug)]
pub(crate) struct JobRpc {
    pub handle: LoopHandle,
    pub storage: Storage,
    /// Where results are stored.
    pub results: PathBuf,
    pub request_bytes_max: usize,
    /// Of this master.
    pub epoch: Epoch,
}

impl JobRpc {
    fn status(&self, job: JobId) -> Result<Arc<JobStatus>, Status> {
        self.handle.snapshot().job(job).cloned().ok_or_else(|| unknown(job))
    }
}

pub(super) fn unknown(job: JobId) -> Status {
    Status::not_found(read_log::unknown(job))
}

#[tonic::async_trait]
impl JobService for JobRpc {
    async fn get_master(&self, _request: Request<wire::GetMasterRequest>) -> Result<Response<wire::Master>, Status> {
        let master = Master { version: ENGINE_VERSION.to_owned(), epoch: self.epoch };
        Ok(Response::new(master.into()))
    }

    async fn submit(&self, request: Request<wire::SubmitRequest>) -> Result<Response<wire::SubmitResponse>, Status> {
        let request = SubmitJob::try_from(request.into_inner()).map_err(invalid)?;
        let submitted = submit::submit(&self.handle, &self.storage, request).await?;
        Ok(Response::new(wire::SubmitResponse { job_id: submitted.job.to_string(), existed: submitted.existed }))
    }

    async fn get_job(&self, request: Request<wire::GetJobRequest>) -> Result<Response<wire::Job>, Status> {
        let job = job_id_of(request.get_ref()).map_err(invalid)?;
        Ok(Response::new((*self.status(job)?).clone().into()))
    }

    async fn list_jobs(
        &self,
        request: Request<wire::ListJobsRequest>,
    ) -> Result<Response<wire::ListJobsResponse>, Status> {
        let ListJobs { states, page_size, page_token } = request.into_inner().try_into().map_err(invalid)?;
        let before = page_token.map(|token| token.parse::<JobId>()).transpose();
        let before = before.map_err(|_| Status::invalid_argument("page_token is not from an answer of this master"))?;
        let page = Page { states, size: page_size as usize, before, ..Page::default() };
        let (jobs, next) = self.handle.snapshot().page(&page);
        let without_stages =
            |job: Arc<JobStatus>| JobStatus { stages: Vec::new(), inferred: Vec::new(), ..(*job).clone() };
        Ok(Response::new(wire::ListJobsResponse {
            jobs: jobs.into_iter().map(|job| without_stages(job).into()).collect(),
            next_page_token: next.map(|job| job.to_string()).unwrap_or_default(),
        }))
    }

    type WatchJobStream = AnswerStream<wire::Job>;

    async fn watch_job(&self, request: Request<wire::GetJobRequest>) -> Result<Response<Self::WatchJobStream>, Status> {
        let job = job_id_of(request.get_ref()).map_err(invalid)?;
        self.status(job)?;
        let (states, received) = mpsc::channel(STATES_MAX);
        tokio::spawn(watch_job::send_states(job, self.handle.snapshot.clone(), states));
        Ok(Response::new(Box::pin(ReceiverStream::new(received))))
    }

    async fn cancel_job(&self, request: Request<wire::GetJobRequest>) -> Result<Response<wire::Job>, Status> {
        let job = job_id_of(request.get_ref()).map_err(invalid)?;
        self.status(job)?;
        self.handle.ask(|reply| Input::Cancel { job, reply }).await?;
        Ok(Response::new((*self.status(job)?).clone().into()))
    }

    type FetchResultStream = AnswerStream<wire::ResultChunk>;

    async fn fetch_result(
        &self,
        request: Request<wire::FetchResultRequest>,
    ) -> Result<Response<Self::FetchResultStream>, Status> {
        let FetchResult { job, format } = request.into_inner().try_into().map_err(invalid)?;
        let status = self.status(job)?;
        if !status.has_result {
            return Err(Status::failed_precondition(without_result(&status)));
        }
        let chunks = result_stream::open(result_file(&self.results, job), format).await?;
        Ok(Response::new(Box::pin(chunks)))
    }

    async fn list_workers(
        &self,
        _request: Request<wire::ListWorkersRequest>,
    ) -> Result<Response<wire::ListWorkersResponse>, Status> {
        let workers = self.handle.snapshot().workers.iter().cloned().map(Into::into).collect();
        Ok(Response::new(wire::ListWorkersResponse { workers }))
    }

    async fn drain_worker(&self, request: Request<wire::DrainWorkerRequest>) -> Result<Response<wire::Worker>, Status> {
        let worker = worker_id_of(request.get_ref()).map_err(invalid)?;
        let missing = || Status::not_found(format!("worker {worker} is not here; see `hearth workers`"));
        if !self.handle.ask(|reply| Input::Drain { worker, reply }).await? {
            return Err(missing());
        }
        let snapshot = self.handle.snapshot();
        let status = snapshot.workers.iter().find(|status| status.id == worker).ok_or_else(missing)?;
        Ok(Response::new(status.clone().into()))
    }

    async fn read_log(
        &self,
        request: Request<wire::ReadLogRequest>,
    ) -> Result<Response<wire::ReadLogResponse>, Status> {
        let read = ReadLog::try_from(request.into_inner()).map_err(invalid)?;
        let job = read.job;
        let page = read_log::read_log(&self.handle, read).await.map_err(|error| match error {
            LogError::Cursor(_) => Status::invalid_argument(error.to_string()),
            LogError::Io(_) => Status::internal(error.to_string()),
            LogError::Stopping => Status::unavailable(error.to_string()),
        })?;
        Ok(Response::new(page.ok_or_else(|| unknown(job))?.into()))
    }
}

fn without_result(status: &JobStatus) -> String {
    match &status.output {
        Some(output) => format!("job {} has no result to fetch: its output is in {}", status.id, output.path),
        None => format!("job {} has no result to fetch: it is {}", status.id, status.state),
    }
}
