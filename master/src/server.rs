//! Starting and stopping a master: state directory, ports, the jobs of the master before, the event loop, and the services.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hearth_storage::Storage;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{ConfigError, MasterConfig};
use crate::effects::Services;
use crate::event_loop::{Owner, Start, Unfinished};
use crate::http::{Addresses, HttpState};
use crate::input::{INPUTS_MAX, Input, LoopHandle};
use crate::job_logs::JobLogs;
use crate::listen::{ListenError, listen};
use crate::metrics::Metrics;
use crate::recovery::{self, Recovered};
use crate::rpc::{self, ControlRpc, JobRpc, Terms};
use crate::snapshot::Snapshot;
use crate::state_dir::{StateDir, StateDirError};
use crate::store::{Store, StoreError, Stored};
use crate::traces::Traces;

/// How long clients and workers get to hear that the master stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why a master did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The state directory cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// What is stored cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The process lacks something, such as threads.
    #[error("start the master: {0}")]
    Process(String),
}

/// A master that runs. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct RunningMaster {
    rpc: SocketAddr,
    http: SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl RunningMaster {
    /// Starts a master: when this returns, it takes workers and jobs.
    ///
    /// # Errors
    /// Settings that cannot be, addresses in use, a state directory that another master uses or that is damaged.
    pub async fn start(config: MasterConfig) -> Result<Self, StartError> {
        config.validate()?;
        let (rpc_listener, rpc) = listen(config.rpc, "--rpc").await?;
        let (http_listener, http) = listen(config.http, "--http").await?;
        let (state_dir, store, stored) = open_state(&config).await?;
        let storage = Storage::new(config.hdfs.clone()).with_spool(state_dir.spool());
        let Recovered { history, resumed } = recovery::recover(&store, &storage, stored).await?;
        let stop = CancellationToken::new();
        let (snapshots, snapshot) = watch::channel(Arc::new(Snapshot::default()));
        let (inputs, received) = mpsc::channel(INPUTS_MAX);
        let logs = JobLogs::start(state_dir.logs(), config.log_limits());
        let logs = logs.map_err(|error| StartError::Process(format!("keep the logs of jobs: {error}")))?;
        let handle = LoopHandle { inputs: inputs.clone(), snapshot: snapshot.clone(), logs: logs.clone() };
        let (tasks, results) = (TaskTracker::new(), state_dir.results());
        let metrics = Arc::new(Metrics::new(snapshot, (config.state_dir.clone(), storage.clone())));
        let observed = Arc::clone(&metrics);
        let (traces, sending) = Traces::new(config.otlp_endpoint()?, Arc::clone(&metrics), (rpc, stop.clone()));
        sending.into_iter().for_each(|sending| drop(tasks.spawn(sending)));
        let services =
            Services { store, storage, inputs, tasks, stop: stop.clone(), results, logs, metrics: observed, traces };
        let config = Arc::new(config);
        let start = Start {
            config: Arc::clone(&config),
            services: services.clone(),
            metrics: Arc::clone(&metrics),
            snapshot: snapshots,
            history,
            resumed,
        };
        let http_state =
            HttpState::new(handle.clone(), metrics, stop.clone(), Addresses { rpc, http, lease: config.lease });
        let parts = Parts { config, state_dir, services, received, owner: Owner::new(start), handle, http_state };
        let running = tokio::spawn(parts.run(rpc_listener, http_listener));
        tracing::info!(%rpc, %http, "master is ready");
        Ok(Self { rpc, http, stop, running })
    }

    /// Where workers and clients connect.
    #[must_use]
    pub const fn rpc_address(&self) -> SocketAddr {
        self.rpc
    }

    /// Where the pages and `/api/v1` are.
    #[must_use]
    pub const fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// Stops: takes nothing more, and lets commits that have begun end. Other jobs go on with the next master, or end as failed
    /// (`MasterConfig::on_stop`).
    pub async fn stop(mut self) {
        self.stop.cancel();
        let _ = (&mut self.running).await;
    }

    /// Waits until the master has ended, which it does by itself only when something inside breaks.
    pub async fn wait(&mut self) {
        let _ = (&mut self.running).await;
    }
}

impl Drop for RunningMaster {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn open_state(config: &MasterConfig) -> Result<(StateDir, Store, Stored), StartError> {
    let path = config.state_dir.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let state_dir = StateDir::open(&path)?;
        let (store, stored) = Store::open(&state_dir.store())?;
        Ok((state_dir, store, stored))
    });
    opened.await.map_err(|error| StartError::Process(error.to_string()))?
}

/// What runs inside a master.
struct Parts {
    config: Arc<MasterConfig>,
    state_dir: StateDir,
    services: Services,
    received: mpsc::Receiver<Input>,
    owner: Owner,
    handle: LoopHandle,
    http_state: HttpState,
}

impl Parts {
    async fn run(self, rpc: TcpListener, http: TcpListener) {
        let Self { config, state_dir, services, received, owner, handle, http_state } = self;
        let stop = services.stop.clone();
        let terms = Terms { heartbeat_interval: config.heartbeat_interval, lease: config.lease };
        let control = ControlRpc::new(handle.clone(), stop.clone(), terms);
        let jobs = JobRpc::new(handle, services.storage.clone(), state_dir.results(), config.request_bytes_max);
        let mut listeners = JoinSet::new();
        listeners.spawn({
            let stop = stop.clone();
            async move { rpc::serve(rpc, control, jobs, stop).await.map_err(|error| error.to_string()) }
        });
        listeners.spawn({
            let stop = stop.clone();
            async move { crate::http::serve(http, http_state, stop).await.map_err(|error| error.to_string()) }
        });
        let mut event_loop = tokio::spawn(owner.run(received));
        let unfinished = tokio::select! {
            unfinished = &mut event_loop => unfinished,
            ended = listeners.join_next() => {
                if !stop.is_cancelled() {
                    tracing::error!(?ended, "a listener broke, the master stops");
                    stop.cancel();
                }
                event_loop.await
            }
        };
        // Also when the event loop broke: without it, nothing here is of use.
        stop.cancel();
        let unfinished = unfinished.unwrap_or_else(|error| {
            tracing::error!(%error, "the event loop broke, the master stops");
            Vec::new()
        });
        let _ = tokio::time::timeout(FAREWELL, async { while listeners.join_next().await.is_some() {} }).await;
        listeners.shutdown().await;
        settle(&config, &services, unfinished).await;
        drop(state_dir);
        tracing::info!("master has stopped");
    }
}

async fn settle(config: &MasterConfig, services: &Services, unfinished: Vec<Unfinished>) {
    services.tasks.close();
    if tokio::time::timeout(config.stop_timeout, services.tasks.wait()).await.is_err() {
        tracing::warn!("work was under way when the master stopped; the next start settles it");
    }
    for Unfinished { status, staging } in unfinished {
        tracing::warn!(job = %status.id, "job is interrupted by the stop of the master");
        recovery::end_interrupted((&services.store, &services.storage), &status, staging).await;
    }
    services.store.close().await;
}
