//! One life of a worker: an id, a directory, and the attempts and shuffle outputs that belong to them.

use std::path::PathBuf;
use std::sync::Arc;

use hearth_common::{Epoch, WorkerId};
use hearth_proto::convert::control::{Heartbeat, Hello};
use hearth_storage::Storage;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::WorkerConfig;
use crate::attempt::AttemptHost;
use crate::cpu::CpuPool;
use crate::log_book::LogBook;
use crate::memory::AttemptMemory;
use crate::metrics::Metrics;
use crate::shuffle::{CurrentStore, Fetcher, ShuffleStore};
use crate::slots::Slots;
use crate::work_dir::{StartError, WorkDir};

/// What outlives a life.
#[derive(Debug)]
pub(crate) struct Workshop {
    pub(crate) config: WorkerConfig,
    pub(crate) storage: Storage,
    pub(crate) host: String,
    /// Its other names.
    pub(crate) names: Vec<String>,
    pub(crate) shuffle_address: String,
    pub(crate) cpu: Arc<CpuPool>,
    pub(crate) store: CurrentStore,
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) logs: LogBook,
    pub(crate) metrics: Arc<Metrics>,
    /// The worker id that the master welcomed last.
    pub(crate) registered: watch::Sender<Option<WorkerId>>,
}

/// One life.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) worker: WorkerId,
    pub(crate) slots: Slots,
    directory: WorkDir,
    store: CurrentStore,
}

impl Workshop {
    pub(crate) fn fetcher() -> Arc<Fetcher> {
        Arc::new(Fetcher::new(Handle::current()))
    }

    /// Begins a life under a new worker id. Directories of dead lives are removed.
    pub(crate) async fn begin_life(&self) -> Result<Life, StartError> {
        let worker = WorkerId::generate();
        let root: PathBuf = self.config.work_dir.clone();
        let directory = spawn_blocking(move || WorkDir::create(&root, worker))
            .await
            .map_err(|error| StartError::Runtime(error.to_string()))??;
        let storage = self.storage.with_spool(directory.spool());
        let memory = AttemptMemory::new(&self.config, directory.spill())?;
        let store = Arc::new(ShuffleStore::new(worker, directory.shuffle()));
        self.store.set(Some(Arc::clone(&store)));
        let (fetcher, logs, metrics) = (Arc::clone(&self.fetcher), self.logs.clone(), Arc::clone(&self.metrics));
        let host = Arc::new(AttemptHost { memory, storage, store, fetcher, logs, metrics });
        let slots = Slots::new(host, Arc::clone(&self.cpu), self.config.slots);
        Ok(Life { worker, slots, directory, store: self.store.clone() })
    }

    pub(crate) fn hello(&self, life: &Life, epoch: Option<Epoch>) -> Hello {
        Hello {
            protocol: hearth_common::PROTOCOL,
            engine_version: hearth_common::ENGINE_VERSION.to_owned(),
            worker: life.worker,
            host: self.host.clone(),
            shuffle_address: self.shuffle_address.clone(),
            slots: self.config.slots,
            memory_bytes_max: self.config.memory.0,
            attempts: life.slots.attempts(),
            shuffle_outputs: life.slots.shuffle_outputs(),
            token: String::new(),
            names: self.names.clone(),
            epoch,
        }
    }
}

impl Life {
    pub(crate) fn heartbeat(&self) -> Heartbeat {
        let free = rustix::fs::statvfs(self.directory.path()).map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        let memory_bytes_used = self.slots.memory_bytes();
        self.slots.metrics().memory_used_bytes.set(memory_bytes_used);
        Heartbeat { progress: self.slots.progress(), memory_bytes_used, disk_bytes_free: free.unwrap_or(0) }
    }

    /// Ends the life: nothing of it is left.
    pub(crate) async fn end(self) {
        self.store.set(None);
        self.slots.discard().await;
        let directory = self.directory;
        if spawn_blocking(move || drop(directory)).await.is_err() {
            tracing::warn!("could not remove the work directory; the next start will");
        }
    }
}
