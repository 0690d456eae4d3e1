//! A whole worker against a master that does what the test says.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use hearth_common::{AttemptId, ByteSize, ClusterId, Epoch, JobId, StageId, TaskId, TaskInputs, WorkerId};
use hearth_proto::convert::control::{Hello, LaunchOrder, MasterMessage, ReportOutcome, WorkerMessage};
use hearth_proto::wire;
use hearth_proto::wire::control_service_server::{ControlService, ControlServiceServer};

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::{ExitReason, RunningWorker, StartError, WorkerConfig};

const DEADLINE: Duration = Duration::from_secs(20);

fn attempt(partition: u32) -> AttemptId {
    AttemptId { task: TaskId { job: JobId::from_u128(1), stage: StageId(0), partition }, attempt: 0 }
}

/// An order that fails at once, as its checksum is wrong: what counts here is what becomes of the report.
fn launch(partition: u32) -> MasterMessage {
    MasterMessage::Launch(LaunchOrder {
        attempt: attempt(partition),
        program: Bytes::from_static(b"?"),
        program_xxh3: 0,
        inputs: TaskInputs::new(),
    })
}

fn welcome() -> MasterMessage {
    welcome_in(1)
}

fn welcome_in(number: u64) -> MasterMessage {
    let epoch = Epoch { cluster: ClusterId::from_u128(1), number };
    MasterMessage::Welcome { heartbeat_interval: Duration::from_millis(50), lease: Duration::from_secs(10), epoch }
}

/// One connection as the master sees it.
struct Connection {
    incoming: Streaming<wire::FromWorker>,
    outgoing: mpsc::Sender<Result<wire::FromMaster, Status>>,
}

impl Connection {
    async fn next(&mut self) -> Option<WorkerMessage> {
        let message = timeout(DEADLINE, self.incoming.message()).await.expect("the worker says something");
        message.ok().flatten().map(|message| WorkerMessage::try_from(message).unwrap())
    }

    /// The next message that is not about logs, whose lines are told whenever there are some.
    async fn next_beside_logs(&mut self) -> Option<WorkerMessage> {
        loop {
            let message = self.next().await?;
            if !matches!(message, WorkerMessage::LogLines(_)) {
                return Some(message);
            }
        }
    }

    /// The next message that is neither a heartbeat nor about logs.
    async fn next_news(&mut self) -> Option<WorkerMessage> {
        loop {
            let message = self.next_beside_logs().await?;
            if !matches!(message, WorkerMessage::Heartbeat(_)) {
                return Some(message);
            }
        }
    }

    async fn hello(&mut self) -> Hello {
        let message = self.next().await;
        let Some(WorkerMessage::Hello(hello)) = message else { panic!("{message:?}") };
        hello
    }

    async fn failed_report(&mut self) -> AttemptId {
        let message = self.next_news().await;
        let Some(WorkerMessage::Report(report)) = message else { panic!("{message:?}") };
        assert!(matches!(report.outcome, ReportOutcome::Failed(_)), "{report:?}");
        report.attempt
    }

    async fn send(&self, message: MasterMessage) {
        self.outgoing.send(Ok(message.into())).await.unwrap();
    }
}

struct FakeMaster {
    connections: mpsc::Sender<Connection>,
}

#[tonic::async_trait]
impl ControlService for FakeMaster {
    type AttachStream = ReceiverStream<Result<wire::FromMaster, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<wire::FromWorker>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (outgoing, messages) = mpsc::channel(16);
        let connection = Connection { incoming: request.into_inner(), outgoing };
        self.connections.send(connection).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ReceiverStream::new(messages)))
    }
}

struct Fixture {
    directory: tempfile::TempDir,
    connections: mpsc::Receiver<Connection>,
    worker: RunningWorker,
}

fn config(master: String, work_dir: &Path) -> WorkerConfig {
    WorkerConfig {
        master,
        slots: 2,
        memory: ByteSize::mib(128),
        work_dir: work_dir.to_owned(),
        drain_timeout: Duration::from_secs(5),
        ..WorkerConfig::default()
    }
}

impl Fixture {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let master = listener.local_addr().unwrap().to_string();
        let (sender, connections) = mpsc::channel(4);
        let service = ControlServiceServer::new(FakeMaster { connections: sender });
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        let directory = tempfile::tempdir().unwrap();
        let worker = RunningWorker::start(config(master, directory.path())).await.unwrap();
        Self { directory, connections, worker }
    }

    /// The next connection, its hello taken and answered with a welcome.
    async fn welcomed(&mut self) -> (Connection, Hello) {
        let mut connection = self.connection().await;
        let hello = connection.hello().await;
        connection.send(welcome()).await;
        (connection, hello)
    }

    async fn connection(&mut self) -> Connection {
        timeout(DEADLINE, self.connections.recv()).await.expect("the worker dials").unwrap()
    }

    async fn exit(&self) -> ExitReason {
        timeout(DEADLINE, self.worker.wait()).await.expect("the worker ends")
    }

    fn lives(&self) -> usize {
        let names = std::fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_str().unwrap().parse::<WorkerId>().is_ok()).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_repeated_until_it_is_acknowledged() {
    let mut fixture = Fixture::start().await;
    let (mut connection, first) = fixture.welcomed().await;
    assert!(first.attempts.is_empty() && first.slots == 2);
    connection.send(launch(3)).await;
    assert_eq!(connection.failed_report().await, attempt(3));
    drop(connection);
    let (mut connection, second) = fixture.welcomed().await;
    assert_eq!((second.worker, second.attempts.as_slice()), (first.worker, [attempt(3)].as_slice()));
    assert_eq!(connection.failed_report().await, attempt(3));
    connection.send(MasterMessage::Ack(attempt(3))).await;
    connection.send(launch(4)).await;
    assert_eq!(connection.failed_report().await, attempt(4));
    drop(connection);
    let (mut connection, third) = fixture.welcomed().await;
    assert_eq!(third.attempts, [attempt(4)], "what was acknowledged is not told again");
    assert_eq!(connection.failed_report().await, attempt(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_worker_comes_back_as_another() {
    let mut fixture = Fixture::start().await;
    let (mut connection, first) = fixture.welcomed().await;
    connection.send(launch(0)).await;
    connection.failed_report().await;
    connection.send(MasterMessage::Fenced).await;
    let (mut connection, second) = fixture.welcomed().await;
    assert_ne!(first.worker, second.worker);
    assert!(second.attempts.is_empty(), "nothing of the old life is left");
    assert!(matches!(connection.next_beside_logs().await, Some(WorkerMessage::Heartbeat(_))));
    assert_eq!(fixture.lives(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_master_that_wakes_up_is_refused() {
    let mut fixture = Fixture::start().await;
    let (mut connection, first) = fixture.welcomed().await;
    assert_eq!(first.epoch, None);
    assert!(matches!(connection.next_beside_logs().await, Some(WorkerMessage::Heartbeat(_))));
    drop(connection);
    let mut newer = fixture.connection().await;
    assert_eq!(newer.hello().await.epoch.unwrap().number, 1);
    newer.send(welcome_in(2)).await;
    newer.send(launch(0)).await;
    newer.failed_report().await;
    drop(newer);
    let mut older = fixture.connection().await;
    let hello = older.hello().await;
    assert_eq!((hello.epoch.unwrap().number, hello.worker), (2, first.worker));
    older.send(welcome_in(1)).await;
    older.send(MasterMessage::Fenced).await;
    assert_eq!(older.next().await, None, "not even a heartbeat, and no report");
    let mut newer = fixture.connection().await;
    assert_eq!(newer.hello().await.worker, first.worker, "and what it was told is not believed");
    newer.send(welcome_in(2)).await;
    assert_eq!(newer.failed_report().await, attempt(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_worker_tries_again_or_ends() {
    let mut fixture = Fixture::start().await;
    let mut connection = fixture.connection().await;
    connection.hello().await;
    connection.send(MasterMessage::Refused { reason: "starting".into(), retry: true }).await;
    let mut connection = fixture.connection().await;
    connection.hello().await;
    connection.send(MasterMessage::Refused { reason: "another version".into(), retry: false }).await;
    assert_eq!(fixture.exit().await, ExitReason::Refused("another version".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_worker_finishes_and_says_goodbye() {
    let mut fixture = Fixture::start().await;
    let (mut connection, _) = fixture.welcomed().await;
    connection.send(launch(0)).await;
    connection.failed_report().await;
    fixture.worker.drain();
    assert_eq!(connection.next_news().await, Some(WorkerMessage::Draining));
    connection.send(launch(1)).await;
    assert_eq!(connection.failed_report().await, attempt(1), "no more attempts are taken");
    connection.send(MasterMessage::Ack(attempt(0))).await;
    connection.send(MasterMessage::Ack(attempt(1))).await;
    assert_eq!(connection.next_news().await, Some(WorkerMessage::Goodbye));
    assert_eq!(connection.next_news().await, None);
    drop(connection);
    assert_eq!(fixture.exit().await, ExitReason::Drained);
    assert_eq!(fixture.lives(), 0, "nothing is left on the disk");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_can_drain_a_worker() {
    let mut fixture = Fixture::start().await;
    let (mut connection, _) = fixture.welcomed().await;
    connection.send(launch(0)).await;
    connection.failed_report().await;
    connection.send(MasterMessage::Drain).await;
    assert_eq!(connection.next_news().await, Some(WorkerMessage::Draining));
    connection.send(MasterMessage::MayLeave).await;
    drop(connection);
    let (mut connection, second) = fixture.welcomed().await;
    assert_eq!(second.attempts, [attempt(0)], "its report comes first, whatever it was told");
    assert_eq!(connection.failed_report().await, attempt(0));
    assert_eq!(connection.next_news().await, Some(WorkerMessage::Draining), "told on every connection");
    connection.send(MasterMessage::Ack(attempt(0))).await;
    assert_eq!(connection.next_news().await, Some(WorkerMessage::Goodbye));
    drop(connection);
    assert_eq!(fixture.exit().await, ExitReason::Drained);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_worker_leaves_at_once() {
    let mut fixture = Fixture::start().await;
    let (mut connection, _) = fixture.welcomed().await;
    assert!(matches!(connection.next().await, Some(WorkerMessage::Heartbeat(_))), "it has taken the welcome");
    fixture.worker.stop();
    assert_eq!(connection.next_news().await, Some(WorkerMessage::Goodbye));
    drop(connection);
    assert_eq!(fixture.exit().await, ExitReason::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_a_master_waits_and_can_be_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let worker = RunningWorker::start(config("127.0.0.1:1".into(), directory.path())).await.unwrap();
    worker.stop();
    assert_eq!(timeout(DEADLINE, worker.wait()).await.unwrap(), ExitReason::Stopped);
    let worker = RunningWorker::start(config("127.0.0.1:1".into(), directory.path())).await.unwrap();
    worker.drain();
    assert_eq!(timeout(DEADLINE, worker.wait()).await.unwrap(), ExitReason::Drained);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_cannot_work_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = RunningWorker::start(config("127.0.0.1:1".into(), &file)).await.unwrap_err();
    assert!(matches!(error, StartError::WorkDir { .. }), "{error}");
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bind = taken.local_addr().unwrap();
    let config = WorkerConfig { bind, ..config("127.0.0.1:1".into(), directory.path()) };
    let error = RunningWorker::start(config).await.unwrap_err();
    assert!(matches!(error, StartError::Listen { .. }), "{error}");
}
