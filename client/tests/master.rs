//! The client against a master that fails in chosen ways: what is tried again, what is told, and as which error.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use hearth_client::{Client, ClientError, ListJobs, ResultFormat, WatchEvent};
use hearth_common::{ClusterId, Epoch, JobId, JobSettings, JobSpec, JobState};
use hearth_proto::convert::{EPOCH_KEY, NotActive, epoch_value};
use hearth_proto::wire::job_service_server::{JobService, JobServiceServer};
use hearth_proto::wire::{self, AttemptCounts, AttemptMetrics};
use tonic::{Request, Response, Status};

const JOB: JobId = JobId::from_u128(7);

/// Answers by the number of the call, from 0.
#[derive(Default)]
struct Script {
    calls: AtomicU32,
}

/// A master whose every answer is a function of the call's number.
#[derive(Clone, Default)]
struct FakeMaster {
    submits: Arc<Script>,
    watches: Arc<Script>,
    /// What it says of itself; 0 for nothing.
    epoch: Arc<AtomicU64>,
    /// Where it sends everybody, as a standby does.
    active: Option<String>,
}

fn epoch(number: u64) -> Epoch {
    Epoch { cluster: ClusterId::from_u128(1), number }
}

impl FakeMaster {
    /// As every answer of a master is marked, or refused by a standby.
    fn mark<T>(&self, answer: Result<T, Status>) -> Result<Response<T>, Status> {
        if self.active.is_some() {
            let told = NotActive { active: self.active.clone(), epoch: Some(epoch(1)) };
            return Err(told.into_status("a standby"));
        }
        let number = self.epoch.load(Ordering::SeqCst);
        let mut answer = answer.map(Response::new);
        if number > 0 {
            let metadata = match &mut answer {
                Ok(answer) => answer.metadata_mut(),
                Err(status) => status.metadata_mut(),
            };
            metadata.insert(EPOCH_KEY, epoch_value(epoch(number)).unwrap());
        }
        answer
    }
}

impl Script {
    fn next(&self) -> u32 {
        self.calls.fetch_add(1, Ordering::SeqCst)
    }
}

fn job(state: JobState) -> wire::Job {
    wire::Job {
        id: JOB.to_string(),
        state: wire::JobState::from(state).into(),
        metrics: Some(AttemptMetrics::default()),
        attempts: Some(AttemptCounts::default()),
        ..wire::Job::default()
    }
}

#[tonic::async_trait]
impl JobService for FakeMaster {
    async fn get_master(&self, _: Request<wire::GetMasterRequest>) -> Result<Response<wire::Master>, Status> {
        let epoch = epoch(self.epoch.load(Ordering::SeqCst).max(1));
        self.mark(Ok(hearth_proto::convert::Master { version: "1".into(), epoch }.into()))
    }

    async fn drain_worker(&self, _: Request<wire::DrainWorkerRequest>) -> Result<Response<wire::Worker>, Status> {
        Err(Status::unimplemented("no workers here"))
    }

    async fn read_log(&self, _: Request<wire::ReadLogRequest>) -> Result<Response<wire::ReadLogResponse>, Status> {
        Err(Status::unimplemented("no logs here"))
    }

    /// The first answer is lost; the second submission finds the job.
    async fn submit(&self, request: Request<wire::SubmitRequest>) -> Result<Response<wire::SubmitResponse>, Status> {
        let request = request.into_inner();
        match (request.idempotency_key.as_str(), self.submits.next()) {
            ("full", _) => Err(Status::resource_exhausted("the queue is full")),
            ("wrong", _) => Err(Status::invalid_argument("no such column")),
            (_, 0) => Err(Status::unavailable("starting")),
            _ => Ok(Response::new(wire::SubmitResponse { job_id: JOB.to_string(), existed: true })),
        }
    }

    async fn get_job(&self, request: Request<wire::GetJobRequest>) -> Result<Response<wire::Job>, Status> {
        match request.into_inner().job_id == JOB.to_string() {
            true => self.mark(Ok(job(JobState::Queued))),
            false => self.mark(Err(Status::not_found("no such job"))),
        }
    }

    async fn list_jobs(&self, _: Request<wire::ListJobsRequest>) -> Result<Response<wire::ListJobsResponse>, Status> {
        let odd = wire::Job { state: 99, ..job(JobState::Done) };
        Ok(Response::new(wire::ListJobsResponse { jobs: vec![odd], next_page_token: String::new() }))
    }

    type WatchJobStream = BoxStream<'static, Result<wire::Job, Status>>;

    /// The first watch ends early, the second breaks, the third tells the end.
    async fn watch_job(&self, _: Request<wire::GetJobRequest>) -> Result<Response<Self::WatchJobStream>, Status> {
        let answers = match self.watches.next() {
            0 => vec![Ok(job(JobState::Queued))],
            1 => vec![Ok(job(JobState::Running)), Err(Status::unavailable("stopping"))],
            _ => vec![Ok(job(JobState::Running)), Ok(job(JobState::Done)), Err(Status::internal("after the end"))],
        };
        Ok(Response::new(stream::iter(answers).boxed()))
    }

    async fn cancel_job(&self, _: Request<wire::GetJobRequest>) -> Result<Response<wire::Job>, Status> {
        Ok(Response::new(job(JobState::Cancelled)))
    }

    type FetchResultStream = BoxStream<'static, Result<wire::ResultChunk, Status>>;

    async fn fetch_result(
        &self,
        _: Request<wire::FetchResultRequest>,
    ) -> Result<Response<Self::FetchResultStream>, Status> {
        let chunk = |data: &'static str| Ok(wire::ResultChunk { data: data.into() });
        Ok(Response::new(stream::iter([chunk("a"), chunk("b"), Err(Status::data_loss("cut"))]).boxed()))
    }

    async fn list_workers(
        &self,
        _: Request<wire::ListWorkersRequest>,
    ) -> Result<Response<wire::ListWorkersResponse>, Status> {
        Ok(Response::new(wire::ListWorkersResponse { workers: vec![] }))
    }
}

async fn start() -> Client {
    connect(&[serve(FakeMaster::default()).await]).await.unwrap()
}

async fn connect(addresses: &[String]) -> Result<Client, ClientError> {
    Client::connect(&addresses.join(",").parse().unwrap()).await
}

/// `host:port` of a master.
async fn serve(master: FakeMaster) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let server = tonic::transport::Server::builder().add_service(JobServiceServer::new(master));
    tokio::spawn(server.serve_with_incoming(incoming));
    address.to_string()
}

/// `host:port` where nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn spec() -> JobSpec {
    JobSpec {
        name: "job".into(),
        query: "SELECT 1".into(),
        inputs: Default::default(),
        output: None,
        settings: JobSettings::default(),
    }
}

#[tokio::test]
async fn a_submission_with_a_key_is_sent_again() {
    let client = start().await;
    let submitted = client.submit(spec(), Some("key".into())).await.unwrap();
    assert_eq!((submitted.job, submitted.existed), (JOB, true));
}

#[tokio::test]
async fn a_submission_without_a_key_is_sent_once() {
    let error = start().await.submit(spec(), None).await.unwrap_err();
    assert!(error.is_unreachable(), "{error}");
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let client = start().await;
    let error = client.submit(spec(), Some("full".into())).await.unwrap_err();
    assert!(matches!(error, ClientError::Busy { .. }), "{error:?}");
    let error = client.submit(spec(), Some("wrong".into())).await.unwrap_err();
    assert!(matches!(&error, ClientError::Refused { message } if message == "no such column"), "{error:?}");
    let error = client.get(JobId::from_u128(8)).await.unwrap_err();
    assert!(matches!(error, ClientError::NotFound { .. }), "{error:?}");
    let error = client.list(ListJobs::default()).await.unwrap_err();
    assert!(error.to_string().contains("read Job.state of a message: 99 is not a value"), "{error}");
    assert_eq!(client.cancel(JOB).await.unwrap().state, JobState::Cancelled);
    assert_eq!(client.workers().await.unwrap(), []);
}

#[tokio::test]
async fn a_cut_result_is_an_error() {
    let client = start().await;
    let chunks: Vec<_> = client.fetch_result(JOB, ResultFormat::Table).await.unwrap().collect().await;
    let data: Vec<_> = chunks.iter().filter_map(|chunk| chunk.as_ref().ok()).map(|data| data.to_vec()).collect();
    assert_eq!(data, [b"a", b"b"]);
    assert!(matches!(chunks.last(), Some(Err(ClientError::Other { .. }))));
}

#[tokio::test]
async fn a_watch_goes_on_over_broken_connections() {
    let client = start().await;
    let events: Vec<_> = client.watch(JOB).into_stream().map(Result::unwrap).collect().await;
    let told: Vec<_> = events
        .iter()
        .map(|event| match event {
            WatchEvent::Status(job) => job.state.name(),
            WatchEvent::Unreachable { .. } => "unreachable",
        })
        .collect();
    assert_eq!(told, ["queued", "unreachable", "running", "unreachable", "running", "done"]);
    let last = client.watch(JOB).wait().await.unwrap();
    assert_eq!(last.state, JobState::Done);
}

#[tokio::test]
async fn nobody_there_is_told_with_the_address() {
    let address = nobody();
    let connect = connect(std::slice::from_ref(&address));
    let error = tokio::time::timeout(Duration::from_secs(10), connect).await.unwrap().unwrap_err();
    assert!(
        error.to_string().starts_with(&format!("cannot reach a master at {address}: Connection refused")),
        "{error}"
    );
}

#[tokio::test]
async fn the_first_active_master_of_a_list_is_used() {
    let active = serve(FakeMaster::default()).await;
    let standby = serve(FakeMaster { active: Some(active.clone()), ..FakeMaster::default() }).await;
    for list in [vec![nobody(), active.clone()], vec![standby.clone(), active.clone()], vec![standby.clone()]] {
        let client = connect(&list).await.unwrap();
        assert_eq!(client.address(), active, "{list:?}");
        assert_eq!(client.get(JOB).await.unwrap().id, JOB);
    }
    let error = connect(&[nobody(), nobody()]).await.unwrap_err();
    assert!(error.is_unreachable() && error.to_string().matches("Connection refused").count() == 2, "{error}");
}

#[tokio::test]
async fn a_master_of_an_older_epoch_is_not_believed() {
    let number = Arc::new(AtomicU64::new(2));
    let master = FakeMaster { epoch: Arc::clone(&number), ..FakeMaster::default() };
    let client = connect(&[serve(master).await]).await.unwrap();
    assert_eq!(client.get(JOB).await.unwrap().id, JOB);
    let unknown = client.get(JobId::from_u128(8)).await.unwrap_err();
    assert!(matches!(unknown, ClientError::NotFound { .. }), "{unknown}");
    number.store(1, Ordering::SeqCst);
    for job in [JOB, JobId::from_u128(8)] {
        let error = client.get(job).await.unwrap_err();
        assert!(error.is_unreachable() && error.to_string().contains("epoch 1, and epoch 2 has begun"), "{error}");
    }
    number.store(3, Ordering::SeqCst);
    assert_eq!(client.get(JOB).await.unwrap().id, JOB);
}
