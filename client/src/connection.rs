//! The calls to the active master. Every call has a deadline.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use hearth_common::{Backoff, JobId, JobSpec, JobStatus, WorkerId, WorkerStatus};
use hearth_proto::convert::{FetchResult, ListJobs, LogPage, NotActive, ReadLog, ResultFormat, SubmitJob};
use hearth_proto::wire::{self, job_service_client::JobServiceClient};
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{IntoRequest, Request, Response, Status, Streaming};

use crate::masters::{CALL_TIMEOUT, Link, Masters, NotFound};
use crate::watch::UNREACHABLE_MAX;
use crate::{ClientError, JobWatch, MasterList};

type Service = JobServiceClient<Channel>;

const BACKOFF: Backoff = Backoff { first: Duration::from_millis(200), max: Duration::from_secs(2) };

/// A client of one master, or of several that share a state directory. Cheap to clone: clones share the connection.
#[derive(Debug, Clone)]
pub struct Client {
    masters: Arc<Masters>,
}

/// What is done about a call that was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// It may have been carried out, and must not be carried out twice.
    Never,
    /// It is asked of the next master, if there is one.
    Elsewhere,
    /// It is asked again, for up to [`UNREACHABLE_MAX`].
    Patiently,
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
    /// Connects to the first of these masters that is active. Where only standbys answer, one of them is waited for, for up to
    /// [`UNREACHABLE_MAX`].
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] when nobody answers there.
    pub async fn connect(masters: &MasterList) -> Result<Self, ClientError> {
        let client = Self { masters: Arc::new(Masters::new(masters)) };
        let (began, mut failures) = (Instant::now(), 0);
        while let Err(NotFound { error, has_standby }) = client.masters.link().await {
            failures += 1;
            if !has_standby || began.elapsed() >= UNREACHABLE_MAX {
                return Err(error);
            }
            tokio::time::sleep(BACKOFF.delay_after(failures)).await;
        }
        Ok(client)
    }

    /// `host:port` of the master in use, or of all.
    #[must_use]
    pub fn address(&self) -> String {
        self.masters.address()
    }

    pub(crate) fn masters(&self) -> &Masters {
        &self.masters
    }

    /// Makes a call, where nobody is active to answer it again and again for as long as a standby may become active.
    async fn call<M: Clone, T, F: Future<Output = Result<Response<T>, Status>>>(
        &self,
        repeat: Repeat,
        message: M,
        call: impl Fn(Service, M) -> F,
    ) -> Result<T, ClientError> {
        let (began, mut failures) = (Instant::now(), 0);
        loop {
            let (error, goes_on) = match self.masters.link().await {
                Ok(link) => match call(link.service.clone(), message.clone()).await {
                    Ok(answer) => match self.masters.check_answer(&link, answer.metadata()) {
                        Ok(()) => return Ok(answer.into_inner()),
                        // Whatever it was, that master could not carry it out any more.
                        Err(error) => (error, true),
                    },
                    Err(status) => {
                        let was_refused = NotActive::of(&status).is_some();
                        let error = self.masters.on_failure(&link, &status);
                        let goes_on = match repeat {
                            Repeat::Never => was_refused,
                            Repeat::Elsewhere => was_refused || self.masters.has_choice(),
                            Repeat::Patiently => true,
                        };
                        (error, goes_on)
                    }
                },
                Err(NotFound { error, has_standby }) => (error, has_standby || repeat == Repeat::Patiently),
            };
            failures += 1;
            if !error.is_unreachable() || !goes_on || began.elapsed() >= UNREACHABLE_MAX {
                return Err(error);
            }
            tokio::time::sleep(BACKOFF.delay_after(failures)).await;
        }
    }

    /// Submits a job. With an idempotency key a submission whose answer was lost is sent again, for up to [`UNREACHABLE_MAX`],
    /// and makes one job.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the job is wrong, [`ClientError::Busy`] when the queue is full.
    pub async fn submit(&self, spec: JobSpec, idempotency_key: Option<String>) -> Result<Submitted, ClientError> {
        let repeat = if idempotency_key.is_some() { Repeat::Patiently } else { Repeat::Never };
        let request = wire::SubmitRequest::from(SubmitJob { idempotency_key, spec });
        let submit = |mut service: Service, request| async move { service.submit(timed(request)).await };
        let answer = self.call(repeat, request, submit);
        submitted(answer.await?)
    }

    /// A job as it is now.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the master does not know it.
    pub async fn get(&self, job: JobId) -> Result<JobStatus, ClientError> {
        let get = |mut service: Service, request| async move { service.get_job(timed(request)).await };
        Ok(self.call(Repeat::Elsewhere, job_request(job), get).await?.try_into()?)
    }

    /// One page of the jobs, newest first.
    ///
    /// # Errors
    /// Those of every call; a page token the master did not give is [`ClientError::Refused`].
    pub async fn list(&self, page: ListJobs) -> Result<JobPage, ClientError> {
        let request = wire::ListJobsRequest::from(page);
        let list = |mut service: Service, request| async move { service.list_jobs(timed(request)).await };
        let wire::ListJobsResponse { jobs, next_page_token } = self.call(Repeat::Elsewhere, request, list).await?;
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
        let cancel = |mut service: Service, request| async move { service.cancel_job(timed(request)).await };
        Ok(self.call(Repeat::Elsewhere, job_request(job), cancel).await?.try_into()?)
    }

    /// Asks a worker to leave once nothing runs on it and nobody needs what it holds, and answers with the worker as it then is.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the master does not know it, or has lost it.
    pub async fn drain(&self, worker: WorkerId) -> Result<WorkerStatus, ClientError> {
        let request = wire::DrainWorkerRequest { worker_id: worker.to_string() };
        let drain = |mut service: Service, request| async move { service.drain_worker(timed(request)).await };
        Ok(self.call(Repeat::Elsewhere, request, drain).await?.try_into()?)
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
        let fetch = |mut service: Service, request| async move { service.fetch_result(request).await };
        let chunks = self.call(Repeat::Elsewhere, request, fetch).await?;
        let address = self.address();
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
        let request = wire::ReadLogRequest::from(read);
        let read = |mut service: Service, request| async move { service.read_log(timed(request)).await };
        Ok(self.call(Repeat::Elsewhere, request, read).await?.try_into()?)
    }

    /// The workers the master knows.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn workers(&self) -> Result<Vec<WorkerStatus>, ClientError> {
        let list = |mut service: Service, request| async move { service.list_workers(timed(request)).await };
        let workers = self.call(Repeat::Elsewhere, wire::ListWorkersRequest {}, list).await?.workers;
        Ok(workers.into_iter().map(WorkerStatus::try_from).collect::<Result<_, _>>()?)
    }

    /// Once: who watches has a patience of its own.
    pub(crate) async fn open_watch(&self, job: JobId) -> Result<(Link, Streaming<wire::Job>), ClientError> {
        let link = self.masters.link().await.map_err(|not_found| not_found.error)?;
        let answer = tokio::time::timeout(CALL_TIMEOUT, link.service.clone().watch_job(job_request(job))).await;
        let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
        let answer = answer.map_err(|status| self.masters.on_failure(&link, &status))?;
        self.masters.check_answer(&link, answer.metadata())?;
        Ok((link, answer.into_inner()))
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
