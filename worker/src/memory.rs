//! Memory and spill space of the attempts of one life.
//!
//! Every attempt has a pool of its own with an equal part of the worker's memory, shared fairly between its operators: an
//! attempt that needs more spills, and can neither starve its neighbours nor fail because of them.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use hearth_common::FailureCause;
use hearth_storage::Storage;

use crate::spill::SpillFiles;
use crate::{StartError, WorkerConfig};

/// Operators that a failure for lack of memory names.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4);

/// What attempts share: caches and the spill directory; and how much memory each of them has.
#[derive(Debug)]
pub(crate) struct AttemptMemory {
    shared: RuntimeEnv,
    attempt_bytes_max: usize,
}

impl AttemptMemory {
    pub(crate) fn new(config: &WorkerConfig, spill: PathBuf) -> Result<Self, StartError> {
        let files = SpillFiles::new(spill, config.spill_bytes_max);
        let disk = DiskManagerBuilder::default().with_temp_file_factory(Arc::new(files));
        let shared = RuntimeEnvBuilder::new()
            .with_disk_manager_builder(disk)
            .build()
            .map_err(|error| StartError::Runtime(error.to_string()))?;
        Ok(Self { shared, attempt_bytes_max: config.attempt_memory_bytes() })
    }

    /// The environment of a new attempt that reads through `storage`.
    pub(crate) fn runtime(&self, storage: &Storage) -> Result<Arc<RuntimeEnv>, FailureCause> {
        let pool = TrackConsumersPool::new(FairSpillPool::new(self.attempt_bytes_max), NAMED_CONSUMERS);
        RuntimeEnvBuilder::from_runtime_env(&self.shared)
            .with_memory_pool(Arc::new(pool))
            .with_object_store_registry(storage.stores())
            .build_arc()
            .map_err(|error| FailureCause::internal(format!("cannot set up the memory of an attempt: {error}")))
    }
}
