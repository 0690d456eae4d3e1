//! A web server over a made-up snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hearth_common::{
    AttemptId, AttemptMetrics, FailureCause, JobDetails, JobId, JobState, JobStatus, Place, StageId, StageStatus,
    TaskId, WorkerId, WorkerState, WorkerStatus,
};
use hearth_storage::Storage;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::config::MasterConfig;
use crate::event_loop::wall_ms;
use crate::http::{Addresses, HttpState, serve};
use crate::input::{Input, LoopHandle, TaskPage};
use crate::job_logs::JobLogs;
use crate::ledger::{End, Ledger};
use crate::load::Load;
use crate::metrics::Metrics;
use crate::snapshot::tests::job;
use crate::snapshot::{LiveDetails, Snapshot};
use crate::state_dir::StateDir;
use crate::tenure::Reached;

/// The job that runs.
pub(super) const RUNNING: JobId = JobId::from_u128(0x0100);
/// The job that failed.
pub(super) const FAILED: JobId = JobId::from_u128(0x0200);

/// A web server, and the way to change what it shows.
pub(super) struct Scene {
    pub(super) address: String,
    pub(super) snapshots: watch::Sender<Arc<Snapshot>>,
    stop: CancellationToken,
    _inputs: tokio::task::JoinHandle<()>,
    _directory: tempfile::TempDir,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Scene {
    pub(super) async fn start(snapshot: Snapshot) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = listener.local_addr().unwrap();
        let (snapshots, shown) = watch::channel(Arc::new(snapshot));
        let (inputs, mut received) = mpsc::channel(16);
        let stop = CancellationToken::new();
        let directory = tempfile::tempdir().unwrap();
        let (state_dir, limits) = (directory.path().to_owned(), MasterConfig::default().log_limits());
        let logs = JobLogs::start(state_dir.join("logs"), limits).unwrap();
        let metrics = Arc::new(Metrics::new(shown.clone(), (state_dir, Storage::default())));
        let handle = LoopHandle { inputs, snapshot: shown, logs };
        let addresses = Addresses { rpc: "127.0.0.1:7077".parse().unwrap(), http, lease: Duration::from_secs(10) };
        let state = HttpState::new(handle, metrics, stop.clone(), addresses);
        let reached = Reached { rpc: addresses.rpc.to_string(), http: http.to_string() };
        let opened = StateDir::open(&directory.path().join("state"), reached, Duration::from_secs(10)).unwrap();
        tokio::spawn(serve(listener, state, opened.tenure().clone(), stop.clone()));
        let inputs = tokio::spawn(async move {
            while let Some(input) = received.recv().await {
                answer(input);
            }
        });
        Self { address: http.to_string(), snapshots, stop, _inputs: inputs, _directory: directory }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "").await
    }

    pub(super) async fn send(&self, method: &str, path: &str, headers: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{headers}\r\n", self.address);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        tokio::time::timeout(Duration::from_secs(30), stream.read_to_string(&mut text)).await.unwrap().unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }
}

/// The event loop's part, as far as the web asks for it.
fn answer(input: Input) {
    match input {
        Input::Cancel { reply, .. } => drop(reply.send(())),
        Input::Drain { reply, .. } => drop(reply.send(true)),
        Input::ListTasks { reply, .. } => {
            let task = crate::input::TaskStatus {
                partition: 0,
                state: "running",
                attempts: 1,
                attempt: Some(0),
                worker: None,
            };
            drop(reply.send(Some(TaskPage { tasks: vec![task], total: 1, next: None })));
        }
        other @ (Input::FindKey { .. }
        | Input::Submit(_)
        | Input::Written(_)
        | Input::Stored { .. }
        | Input::Planned { .. }
        | Input::WaitsForHdfs { .. }
        | Input::CommitEnded(_)
        | Input::CommitSettled(_)
        | Input::WorkerConnected { .. }
        | Input::WorkerSaid { .. }
        | Input::WorkerDisconnected { .. }
        | Input::LaunchRefused { .. }) => unreachable!("the web does not send {other:?}"),
    }
}

pub(super) const fn worker_id(number: u32) -> WorkerId {
    WorkerId::from_u128(0xabcd_0000 + number as u128)
}

fn worker(number: u32) -> WorkerStatus {
    WorkerStatus {
        id: worker_id(number),
        host: format!("node{number:04}"),
        shuffle_address: format!("node{number:04}:4000"),
        state: if number % 100 == 99 { WorkerState::Draining } else { WorkerState::Alive },
        slots: 8,
        slots_used: number % 9,
        memory_bytes_max: 4 << 30,
        memory_bytes_used: u64::from(number) << 20,
        disk_bytes_free: 100 << 30,
        version: "0.1.0".to_owned(),
        registered_ms: wall_ms(),
        lease_ms: 9000,
        excluded: (number == 5).then(|| "no attempts for 60 s more".to_owned()),
    }
}

fn attempt(job: JobId, partition: u32) -> AttemptId {
    AttemptId { task: TaskId { job, stage: StageId(0), partition }, attempt: 0 }
}

/// So many workers, a job that runs with so many tasks, and one that failed.
pub(super) fn snapshot(workers: u32, tasks: u32) -> Snapshot {
    let now = wall_ms();
    let (mut ledger, mut load) = (Ledger::default(), Load::default());
    let mut hosts = BTreeMap::new();
    for partition in 0..tasks {
        let (id, on) = (attempt(RUNNING, partition), worker_id(partition % workers.max(1)));
        hosts.insert(on, format!("node{:04}", partition % workers.max(1)));
        ledger.note_launch((id, on), &[], now - 60_000 + u64::from(partition));
        let metrics =
            AttemptMetrics { input_rows: 1000, input_bytes: 1 << 20, elapsed_ms: 5, ..AttemptMetrics::default() };
        load.note_flow(ledger.note_progress((id, on), metrics, now));
        match partition {
            7 => ledger.note_end(id, End::Failed(&FailureCause::internal("broke")), now),
            _ if partition % 10 == 3 => {}
            _ => ledger.note_end(id, End::Done, now - 50_000 + u64::from(partition)),
        }
    }
    (0..20).for_each(|sample| {
        load.note_use(workers * 8, workers * 4 + sample, u64::from(workers) << 20);
        load.sample(now - 200_000 + u64::from(sample) * 10_000);
    });
    let stage = StageStatus {
        id: StageId(0),
        label: "scan actions, partial aggregate".to_owned(),
        tasks,
        tasks_done: tasks - tasks / 10,
        tasks_running: tasks / 10,
        metrics: AttemptMetrics::default(),
        inputs: Vec::new(),
    };
    let running = JobStatus {
        id: RUNNING,
        name: "large".to_owned(),
        started_ms: Some(now - 60_000),
        stages: vec![stage],
        ..(*job(1, JobState::Running)).clone()
    };
    let place = Place { file: "/in/a.csv".to_owned(), line: Some(4), byte: Some(20), column: Some("n".to_owned()) };
    let failed = JobStatus {
        id: FAILED,
        name: "broken".to_owned(),
        finished_ms: Some(now),
        failure: Some(FailureCause::Task { message: "`x` is no number".to_owned(), place: Some(place) }),
        details: Some(Box::default()),
        ..(*job(2, JobState::Failed)).clone()
    };
    let details = JobDetails { hosts, ..JobDetails::default() };
    Snapshot {
        active: BTreeMap::from([(RUNNING, Arc::new(running))]),
        ended: Arc::new(BTreeMap::from([(FAILED, Arc::new(failed))])),
        workers: (0..workers).map(worker).collect(),
        live: BTreeMap::from([(
            RUNNING,
            LiveDetails { details: Arc::new(details), attempts: ledger.attempts(), operators: Vec::new() },
        )]),
        running: (0..workers).map(|number| (worker_id(number), vec![attempt(RUNNING, number)])).collect(),
        hour: load.hour(),
        hours: (0..workers).map(|number| (worker_id(number), load.hour())).collect(),
    }
}
