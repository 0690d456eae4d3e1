//! Workers that do nothing, each on a connection of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::future::try_join_all;
use hearth_common::{ENGINE_VERSION, PROTOCOL, WorkerId};
use hearth_proto::wire::control_service_client::ControlServiceClient;
use hearth_proto::wire::{self, from_master, from_worker, report};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;

/// Longest wait for any of the events that are counted.
const WAIT: Duration = Duration::from_secs(300);
/// Messages that may wait to be sent.
const OUTGOING: usize = 16;
/// Connections that are made at the same time.
const AT_ONCE: u32 = 64;

/// All of them. Dropped, they break their connections.
pub(super) struct FakeWorkers {
    tasks: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
}

struct Shared {
    connected: AtomicU32,
    launched: AtomicU32,
    acknowledged: AtomicU32,
    /// Whether reports are sent.
    released: watch::Sender<bool>,
    partitions: u32,
}

impl FakeWorkers {
    /// Connects `count` workers with one slot each, and waits until the master welcomed all.
    pub(super) async fn attach(master: &str, count: u32, partitions: u32) -> Result<Self> {
        let shared = Arc::new(Shared {
            connected: AtomicU32::new(0),
            launched: AtomicU32::new(0),
            acknowledged: AtomicU32::new(0),
            released: watch::Sender::new(true),
            partitions,
        });
        let mut tasks = Vec::new();
        for first in (0..count).step_by(AT_ONCE as usize) {
            let some = first..(first + AT_ONCE).min(count);
            tasks.extend(try_join_all(some.map(|number| attach(master, number, Arc::clone(&shared)))).await?);
        }
        Ok(Self { tasks, shared })
    }

    /// Workers whose connection stands.
    pub(super) fn connected(&self) -> u32 {
        self.shared.connected.load(Ordering::Relaxed)
    }

    /// From now on attempts do not end.
    pub(super) fn hold(&self) {
        self.shared.released.send_replace(false);
    }

    /// All attempts end, and those that follow.
    pub(super) fn release(&self) {
        self.shared.released.send_replace(true);
    }

    pub(super) async fn wait_for_launches(&self, count: u32) -> Result<()> {
        wait(&self.shared.launched, count).await
    }

    pub(super) async fn wait_for_acknowledged(&self, count: u32) -> Result<()> {
        wait(&self.shared.acknowledged, count).await
    }
}

impl Drop for FakeWorkers {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn wait(counter: &AtomicU32, count: u32) -> Result<()> {
    let reached = async {
        while counter.load(Ordering::Relaxed) < count {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let outcome = tokio::time::timeout(WAIT, reached).await;
    outcome.with_context(|| format!("only {} of {count} after {} s", counter.load(Ordering::Relaxed), WAIT.as_secs()))
}

async fn attach(master: &str, number: u32, shared: Arc<Shared>) -> Result<JoinHandle<()>> {
    let channel = Endpoint::from_shared(format!("http://{master}"))?.connect().await?;
    let (outgoing, messages) = mpsc::channel(OUTGOING);
    send(&outgoing, from_worker::Message::Hello(hello(number))).await?;
    let mut incoming = ControlServiceClient::new(channel).attach(ReceiverStream::new(messages)).await?.into_inner();
    let first = incoming.message().await?.and_then(|message| message.message);
    let welcome = match first {
        Some(from_master::Message::Welcome(welcome)) => welcome,
        other => bail!("worker {number} is not welcome: {other:?}"),
    };
    let mut beat = tokio::time::interval(Duration::from_millis(welcome.heartbeat_interval_ms));
    shared.connected.fetch_add(1, Ordering::Relaxed);
    Ok(tokio::spawn(async move {
        loop {
            let outcome = tokio::select! {
                _ = beat.tick() => send(&outgoing, from_worker::Message::Heartbeat(heartbeat())).await,
                message = incoming.message() => match message {
                    Ok(Some(message)) => answer(message, &outgoing, &shared).await,
                    Ok(None) | Err(_) => break,
                },
            };
            if outcome.is_err() {
                break;
            }
        }
        shared.connected.fetch_sub(1, Ordering::Relaxed);
    }))
}

/// Does what a worker would, in no time.
async fn answer(
    message: wire::FromMaster,
    outgoing: &mpsc::Sender<wire::FromWorker>,
    shared: &Arc<Shared>,
) -> Result<()> {
    let message = message.message.context("a message without content")?;
    if let from_master::Message::Ack(_) = message {
        shared.acknowledged.fetch_add(1, Ordering::Relaxed);
        return Ok(());
    }
    // The rest of the job would need real files.
    let from_master::Message::Launch(launch) = message else { return Ok(()) };
    let attempt = launch.attempt.context("a launch without an attempt")?;
    if attempt.stage != 0 {
        return Ok(());
    }
    shared.launched.fetch_add(1, Ordering::Relaxed);
    let records = wire::InputRecords { input: "t".to_owned(), records: 1, used: 1, rejected: 0 };
    let written = wire::ShuffleWritten { partition_bytes: vec![1; shared.partitions as usize] };
    let report = wire::Report {
        attempt: Some(attempt),
        metrics: Some(wire::AttemptMetrics { input_rows: 1, output_rows: 1, ..Default::default() }),
        outcome: Some(report::Outcome::Shuffle(written)),
        inputs: vec![records],
        ..Default::default()
    };
    let (outgoing, mut released) = (outgoing.clone(), shared.released.subscribe());
    if *released.borrow() {
        return send(&outgoing, from_worker::Message::Report(report)).await;
    }
    tokio::spawn(async move {
        if released.wait_for(|released| *released).await.is_ok() {
            // A connection that broke meanwhile is noticed by its own loop.
            let _sent = send(&outgoing, from_worker::Message::Report(report)).await;
        }
    });
    Ok(())
}

fn hello(number: u32) -> wire::Hello {
    wire::Hello {
        protocol: PROTOCOL,
        engine_version: ENGINE_VERSION.to_owned(),
        worker_id: WorkerId::generate().to_string(),
        host: format!("host-{number}"),
        shuffle_address: format!("127.0.0.1:{}", 10_000 + number),
        slots: 1,
        memory_bytes_max: 1 << 30,
        ..Default::default()
    }
}

fn heartbeat() -> wire::Heartbeat {
    wire::Heartbeat { progress: Vec::new(), memory_bytes_used: 100 << 20, disk_bytes_free: 100 << 30 }
}

async fn send(outgoing: &mpsc::Sender<wire::FromWorker>, message: from_worker::Message) -> Result<()> {
    let sent = outgoing.send(wire::FromWorker { message: Some(message) }).await;
    ensure!(sent.is_ok(), "the connection is broken");
    Ok(())
}
