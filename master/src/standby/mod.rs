//! A master that waits: it answers on its addresses as a standby, and becomes the active master when the one there is has died.
//!
//! It reads the files of the epochs, and nothing else of the state directory, before the next epoch is its own.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::MasterConfig;
use crate::listen::Ports;
use crate::server::{Opening, RunningMaster, StartError, blocking};
use crate::state_dir::{Found, StateDir};
use crate::tenure::{Candidate, Record, Waiting};
use crate::{http, rpc};

/// How long calls that a standby is refusing may take to end.
const FAREWELL: Duration = Duration::from_secs(1);

/// A master that waits to become active. Dropping it ends it.
#[derive(Debug)]
pub struct StandbyMaster {
    config: MasterConfig,
    candidate: Candidate,
    opening: Opening,
    active: watch::Sender<Option<Record>>,
}

/// What answers on the addresses of a standby.
#[derive(Debug)]
pub(crate) struct StandbyServers {
    servers: JoinSet<()>,
    stop: CancellationToken,
}

impl StandbyMaster {
    /// Starts to answer as a standby.
    ///
    /// # Errors
    /// Settings that cannot be, addresses in use, a state directory that cannot be used.
    pub async fn start(config: MasterConfig) -> Result<Self, StartError> {
        config.validate()?;
        let ports = Ports::listen(&config).await?;
        let reached = ports.reached(config.advertise.as_deref());
        let (path, silence_max) = (config.state_dir.clone(), config.takeover_after);
        let candidate = blocking(move || StateDir::standby(&path, reached, silence_max)).await??;
        let (active, watched) = watch::channel(None);
        let shared = ports.share();
        let (ports, of_standby) =
            shared.map_err(|error| StartError::Process(format!("share the addresses: {error}")))?;
        let standby = Some(StandbyServers::start(of_standby, &watched));
        Ok(Self { config, candidate, opening: Opening { ports, standby }, active })
    }

    /// Where workers and clients connect.
    #[must_use]
    pub const fn rpc_address(&self) -> SocketAddr {
        self.opening.ports.rpc_address
    }

    /// Where the pages and `/api/v1` are.
    #[must_use]
    pub const fn http_address(&self) -> SocketAddr {
        self.opening.ports.http_address
    }

    /// Waits until no other master is active, and starts as the active one.
    ///
    /// # Errors
    /// The state directory cannot be used, or what is stored there is damaged.
    pub async fn become_active(self) -> Result<RunningMaster, StartError> {
        let Self { config, mut candidate, opening, active } = self;
        let mut seen = None;
        loop {
            let (found, back) = blocking(move || (StateDir::look(&mut candidate), candidate)).await?;
            candidate = back;
            match found {
                Ok(Found::Active(state_dir)) => return RunningMaster::start_on(config, state_dir, opening).await,
                Ok(Found::Waits(Waiting { active: record, .. })) => {
                    let now = record.as_ref().map(|record| record.epoch.number);
                    if now.is_some() && std::mem::replace(&mut seen, now) != now {
                        let master = record.as_ref().map(|record| record.reached.rpc.clone()).unwrap_or_default();
                        tracing::info!(
                            epoch = now,
                            master,
                            "this master is a standby and waits for the end of the active one"
                        );
                    }
                    active.send_replace(record);
                }
                // A shared file system may come back.
                Err(error) if seen.is_some() => {
                    tracing::warn!(%error, "cannot see who is active, or take over; trying again")
                }
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(Candidate::pause()).await;
        }
    }
}

impl StandbyServers {
    fn start(ports: Ports, active: &watch::Receiver<Option<Record>>) -> Self {
        let Ports { rpc, http, .. } = ports;
        let (mut servers, stop) = (JoinSet::new(), CancellationToken::new());
        servers.spawn({
            let (active, stop) = (active.clone(), stop.clone());
            async move { told(rpc::serve_refusals(rpc, active, stop).await) }
        });
        servers.spawn({
            let (active, stop) = (active.clone(), stop.clone());
            async move { told(http::serve_standby(http, active, stop).await) }
        });
        Self { servers, stop }
    }

    /// Stops to answer. Connections that nobody has accepted yet stay for who listens next.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        let _ = tokio::time::timeout(FAREWELL, async { while self.servers.join_next().await.is_some() {} }).await;
        self.servers.shutdown().await;
    }
}

fn told<E: std::fmt::Display>(served: Result<(), E>) {
    if let Err(error) = served {
        tracing::error!(%error, "an address of this standby does not answer any more");
    }
}
