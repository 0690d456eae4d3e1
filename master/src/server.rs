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
use crate::listen::{ListenError, Ports};
use crate::load::kept::{self, KeptHours};
use crate::metrics::Metrics;
use crate::recovery::{self, Recovered, Settler};
use crate::rpc::{self, ControlRpc, JobRpc, Terms};
use crate::snapshot::Snapshot;
use crate::standby::StandbyServers;
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
        let ports = Ports::listen(&config).await?;
        let (path, silence_max) = (config.state_dir.clone(), config.takeover_after);
        let reached = ports.reached(config.advertise.as_deref());
        let state_dir = blocking(move || StateDir::open(&path, reached, silence_max)).await??;
        Self::start_on(config, state_dir, Opening { ports, standby: None }).await
    }

    /// Starts as the active master of a state directory.
    pub(crate) async fn start_on(
        config: MasterConfig,
        state_dir: StateDir,
        opening: Opening,
    ) -> Result<Self, StartError> {
        let (store, stored) = open_store(&state_dir).await?;
        let storage = Storage::new(config.hdfs.clone()).with_spool(state_dir.spool());
        let (inputs, received) = mpsc::channel(INPUTS_MAX);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let settler = Settler::new((&store, &storage), &inputs, (&tasks, &stop));
        let Recovered { history, settled, resumed } = recovery::recover(&settler, stored).await?;
        let charts = state_dir.charts();
        let charts = blocking(move || KeptHours::read(&charts)).await?;
        let (snapshots, snapshot) = watch::channel(Arc::new(Snapshot::default()));
        let logs = JobLogs::start(state_dir.logs(), config.log_limits());
        let logs = logs.map_err(|error| StartError::Process(format!("keep the logs of jobs: {error}")))?;
        let handle = LoopHandle { inputs: inputs.clone(), snapshot: snapshot.clone(), logs: logs.clone() };
        let (results, tenure) = (state_dir.results(), state_dir.tenure().clone());
        let metrics = Arc::new(Metrics::new(snapshot.clone(), (config.state_dir.clone(), storage.clone())));
        let observed = Arc::clone(&metrics);
        let (traces, sending) =
            Traces::new(config.otlp_endpoint()?, Arc::clone(&metrics), (opening.ports.rpc_address, stop.clone()));
        sending.into_iter().for_each(|sending| drop(tasks.spawn(sending)));
        settled.iter().for_each(|job| traces.tell(job));
        tasks.spawn(kept::keep(snapshot, state_dir.clone(), stop.clone()));
        let services = Services {
            store,
            storage,
            inputs,
            tasks,
            stop: stop.clone(),
            results,
            logs,
            metrics: observed,
            tenure,
            traces,
        };
        let config = Arc::new(config);
        let start = Start {
            config: Arc::clone(&config),
            services: services.clone(),
            metrics: Arc::clone(&metrics),
            snapshot: snapshots,
            history,
            resumed,
            charts,
        };
        let owner = Owner::new(start);
        // The last moment: from here on this master answers itself.
        let Ports { rpc: rpc_listener, http: http_listener, rpc_address: rpc, http_address: http } =
            opening.open().await;
        let addresses = Addresses { rpc, http, lease: config.lease };
        let http_state = HttpState::new(handle.clone(), metrics, stop.clone(), addresses);
        let parts = Parts { config, state_dir, services, received, owner, handle, http_state };
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

/// The addresses of a master, and who answers there before it does.
#[derive(Debug)]
pub(crate) struct Opening {
    pub ports: Ports,
    pub standby: Option<StandbyServers>,
}

impl Opening {
    async fn open(self) -> Ports {
        let Self { ports, standby } = self;
        if let Some(standby) = standby {
            standby.stop().await;
        }
        ports
    }
}

async fn open_store(state_dir: &StateDir) -> Result<(Store, Stored), StartError> {
    let state_dir = state_dir.clone();
    blocking(move || {
        let opened = Store::open(&state_dir.store(), Some(state_dir.tenure().clone()))?;
        state_dir.forget_earlier();
        Ok(opened)
    })
    .await?
}

/// Runs a step of a start that blocks.
pub(crate) async fn blocking<T: Send + 'static>(step: impl FnOnce() -> T + Send + 'static) -> Result<T, StartError> {
    tokio::task::spawn_blocking(step).await.map_err(|error| StartError::Process(error.to_string()))
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
        let epoch = services.tenure.epoch();
        let terms = Terms { heartbeat_interval: config.heartbeat_interval, lease: config.lease, epoch };
        let tenure = services.tenure.clone();
        let control = ControlRpc::new(handle.clone(), stop.clone(), (terms, Arc::clone(&services.metrics)));
        let (storage, results) = (services.storage.clone(), state_dir.results());
        let jobs = JobRpc { handle, storage, results, request_bytes_max: config.request_bytes_max, epoch };
        let mut listeners = JoinSet::new();
        listeners.spawn({
            let (stop, tenure) = (stop.clone(), tenure.clone());
            async move { rpc::serve(rpc, (control, jobs), tenure, stop).await.map_err(|error| error.to_string()) }
        });
        listeners.spawn({
            let (stop, tenure) = (stop.clone(), tenure.clone());
            async move { crate::http::serve(http, http_state, tenure, stop).await.map_err(|error| error.to_string()) }
        });
        let mut event_loop = tokio::spawn(owner.run(received));
        let abort_loop = event_loop.abort_handle();
        let unfinished = tokio::select! {
            unfinished = &mut event_loop => unfinished,
            () = tenure.lost().cancelled() => Ok(Vec::new()),
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
        if tenure.lost().is_cancelled() {
            // Everything that is left to do is another master's; what is under way meets its fences.
            abort_loop.abort();
            return;
        }
        let unfinished = unfinished.unwrap_or_else(|error| {
            tracing::error!(%error, "the event loop broke, the master stops");
            Vec::new()
        });
        let _ = tokio::time::timeout(FAREWELL, async { while listeners.join_next().await.is_some() {} }).await;
        listeners.shutdown().await;
        settle(&config, &services, unfinished).await;
        let _ = tokio::task::spawn_blocking(move || state_dir.tenure().end()).await;
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
