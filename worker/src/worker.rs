//! A whole worker: puts its parts together, starts them, and stops them again.

use std::net::SocketAddr;
use std::sync::Arc;

use hearth_common::WorkerId;
use hearth_storage::Storage;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::WorkerConfig;
use crate::cpu::CpuPool;
use crate::host_names::{further_names, host_name};
use crate::http::{HttpState, serve_http};
use crate::life::Workshop;
use crate::log_book::LogBook;
use crate::master_link::{LifeEnd, Masters, Wishes, live};
use crate::metrics::Metrics;
use crate::shuffle::{CurrentStore, serve};
use crate::work_dir::StartError;

/// Why a worker is no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitReason {
    /// [`RunningWorker::stop`] was called.
    Stopped,
    /// [`RunningWorker::drain`] was called, and everything is done.
    Drained,
    /// The master will not have it: the reason, for people.
    Refused(String),
    /// It could not go on: the reason, for people.
    Failed(String),
}

/// A worker that runs. Dropping it stops it.
#[derive(Debug)]
pub struct RunningWorker {
    shuffle_address: SocketAddr,
    http_address: Option<SocketAddr>,
    wishes: Wishes,
    exit: watch::Receiver<Option<ExitReason>>,
    registered: watch::Receiver<Option<WorkerId>>,
    _stop_on_drop: DropGuard,
}

impl RunningWorker {
    /// Starts a worker. It connects to its master in the background, and keeps trying.
    ///
    /// # Errors
    /// Settings that cannot be used, a work directory that cannot be written, an address that is taken.
    pub async fn start(config: WorkerConfig) -> Result<Self, StartError> {
        config.validate()?;
        let (listener, shuffle_address) = listen(config.bind, "shuffle reads").await?;
        let http = match config.http {
            Some(address) => Some(listen(address, "metrics").await?),
            None => None,
        };
        if !shuffle_address.ip().is_loopback() {
            tracing::warn!(address = %shuffle_address, "shuffle outputs are served to anybody who reaches this address");
        }
        let (registered_sender, registered) = watch::channel(None);
        let storage = Storage::new(config.hdfs.clone());
        let metrics = Arc::new(Metrics::new(&config, storage.clone()));
        let workshop = Workshop {
            host: host_name(),
            names: names_of(&config).await,
            shuffle_address: advertised(&config, shuffle_address),
            cpu: Arc::new(CpuPool::start(config.slots)?),
            store: CurrentStore::default(),
            fetcher: Workshop::fetcher(),
            logs: LogBook::default(),
            registered: registered_sender,
            metrics: Arc::clone(&metrics),
            storage,
            config,
        };
        // The first life begins here, so that a work directory that cannot be used is told to whoever starts the worker.
        let life = workshop.begin_life().await?;
        let wishes = Wishes::default();
        let (exit_sender, exit) = watch::channel(None);
        let serving = CancellationToken::new();
        let shared = (Arc::clone(&metrics), serving.clone());
        let server = tokio::spawn(serve(listener, workshop.store.clone(), shared));
        let http_address = http.as_ref().map(|(_, address)| *address);
        if let Some((listener, _)) = http {
            let state = HttpState { metrics, drain: wishes.drain.clone() };
            tokio::spawn(serve_http(listener, state, serving.clone()));
        }
        let run = Run { workshop, wishes: wishes.clone() };
        tokio::spawn(async move {
            let reason = run.all_lives(life).await;
            serving.cancel();
            server.abort();
            tracing::info!(?reason, "worker ended");
            exit_sender.send_replace(Some(reason));
        });
        let stop_on_drop = wishes.stop.clone().drop_guard();
        Ok(Self { shuffle_address, http_address, wishes, exit, registered, _stop_on_drop: stop_on_drop })
    }

    /// Where its shuffle service listens.
    #[must_use]
    pub fn shuffle_address(&self) -> SocketAddr {
        self.shuffle_address
    }

    /// Where `/metrics` is, where that is wanted.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http_address
    }

    /// Waits until the master has taken it, and gives the id it has there; `None` when the worker ends before.
    pub async fn registered(&self) -> Option<WorkerId> {
        let mut registered = self.registered.clone();
        registered.wait_for(Option::is_some).await.ok().and_then(|worker| *worker)
    }

    /// Asks it to take no more attempts, to finish what it has, and to leave.
    pub fn drain(&self) {
        self.wishes.drain.cancel();
    }

    /// Asks it to leave now. What it has is lost.
    pub fn stop(&self) {
        self.wishes.stop.cancel();
    }

    /// Waits until it is no more.
    pub async fn wait(&self) -> ExitReason {
        let mut exit = self.exit.clone();
        let ended = exit.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        ended.unwrap_or_else(|| ExitReason::Failed("the worker's main task ended without a reason".into()))
    }
}

struct Run {
    workshop: Workshop,
    wishes: Wishes,
}

impl Run {
    async fn all_lives(self, mut life: crate::life::Life) -> ExitReason {
        let mut masters = Masters::new(&self.workshop.config);
        loop {
            tracing::info!(worker = %life.worker, shuffle_address = self.workshop.shuffle_address, "worker ready");
            let end = live(&self.workshop, &mut life, (&mut masters, &self.wishes)).await;
            life.end().await;
            match end {
                LifeEnd::Discard => {}
                LifeEnd::Stopped => return ExitReason::Stopped,
                LifeEnd::Drained => return ExitReason::Drained,
                LifeEnd::Refused(reason) => {
                    tracing::error!(reason, "the master refuses this worker");
                    return ExitReason::Refused(reason);
                }
            }
            life = match self.workshop.begin_life().await {
                Ok(life) => life,
                Err(error) => return ExitReason::Failed(error.to_string()),
            };
        }
    }
}

async fn listen(address: SocketAddr, purpose: &'static str) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |reason| StartError::Listen { address, purpose, reason };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// The master may not be resolved yet: then its address tells nothing of this host's.
async fn names_of(config: &WorkerConfig) -> Vec<String> {
    let first = config.masters().first().copied().unwrap_or_default();
    let master = tokio::net::lookup_host(first).await.ok().and_then(|mut found| found.next());
    further_names(config, master)
}

/// `host:port` for others: as configured, else the bound address, else the host's name where that is every address.
fn advertised(config: &WorkerConfig, bound: SocketAddr) -> String {
    let host = match &config.advertise {
        Some(host) if host.contains(':') && !host.starts_with('[') => format!("[{host}]"),
        Some(host) => host.clone(),
        None if bound.ip().is_unspecified() => host_name(),
        None if bound.is_ipv6() => format!("[{}]", bound.ip()),
        None => bound.ip().to_string(),
    };
    format!("{host}:{}", bound.port())
}
