//! A master and a worker inside this process, on free loopback ports, for one `submit`. It leaves nothing behind.

use hearth_client::{Client, MasterList};
use hearth_master::{MasterConfig, OnStop, RunningMaster};
use hearth_worker::{RunningWorker, WorkerConfig};
use tempfile::TempDir;

use super::memory::default_memory;
use super::{master, worker};
use crate::exit::CliError;

/// A running local cluster.
pub(crate) struct LocalCluster {
    master: RunningMaster,
    worker: RunningWorker,
    directory: TempDir,
}

impl LocalCluster {
    /// Starts a master and a worker with `slots` slots.
    pub(crate) async fn start(slots: u32) -> Result<Self, CliError> {
        let made = tempfile::Builder::new().prefix("hearth-local-").tempdir();
        let directory =
            made.map_err(|error| CliError::failed(format!("cannot make a temporary directory: {error}")))?;
        let any_port = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0));
        let state_dir = directory.path().join("state");
        let config = MasterConfig {
            rpc: any_port,
            http: any_port,
            state_dir,
            slots_assumed: slots,
            on_stop: OnStop::Fail,
            ..MasterConfig::default()
        };
        let master = RunningMaster::start(config).await.map_err(master::not_started)?;
        let config = WorkerConfig {
            master: master.rpc_address().to_string(),
            slots,
            memory: default_memory(),
            work_dir: directory.path().join("work"),
            ..WorkerConfig::default()
        };
        let worker = RunningWorker::start(config).await.map_err(worker::not_started)?;
        Ok(Self { master, worker, directory })
    }

    /// A client of its master.
    pub(crate) async fn connect(&self) -> Result<Client, CliError> {
        let address = self.master.rpc_address().to_string();
        let masters: MasterList = address.parse().map_err(CliError::failed)?;
        Ok(Client::connect(&masters).await?)
    }

    /// Stops both and removes what they wrote.
    pub(crate) async fn stop(self) {
        self.worker.stop();
        let _ = self.worker.wait().await;
        self.master.stop().await;
        if let Err(error) = self.directory.close() {
            tracing::warn!(%error, "cannot remove the temporary directory");
        }
    }
}
