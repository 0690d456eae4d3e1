//! The threads that attempts run on, apart from the ones that talk to the master and serve shuffle reads.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::StartError;

/// Plans nest deeply, and so do their streams.
const STACK_BYTES: usize = 16 << 20;
/// Attempts yield to whatever keeps the node and this worker's connections alive.
const NICENESS: i32 = 5;
/// Blocking file operations of all attempts together.
const BLOCKING_THREADS_MAX: usize = 64;

/// One thread per slot. Attempts are futures of DataFusion and yield between batches.
#[derive(Debug)]
pub(crate) struct CpuPool {
    runtime: Option<Runtime>,
}

impl CpuPool {
    pub(crate) fn start(slots: u32) -> Result<Self, StartError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(slots as usize)
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_name("hearth-attempt")
            .thread_stack_size(STACK_BYTES)
            .on_thread_start(lower_priority)
            .enable_all()
            .build()
            .map_err(|error| StartError::Runtime(format!("cannot start {slots} threads for attempts: {error}")))?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Runs a future on the pool's threads. Aborting its handle stops it where it next yields.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Option<JoinHandle<T>> {
        self.runtime.as_ref().map(|runtime| runtime.spawn(future))
    }
}

fn lower_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "could not lower the priority of an attempt thread");
    }
}

impl Drop for CpuPool {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
