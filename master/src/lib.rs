//! The master: takes jobs, plans them, has workers run them, makes their output visible, and tells how they are.
//!
//! [`RunningMaster`] is all that others need, and [`StandbyMaster`] for one that waits to become it; one task inside owns the scheduler, everything else feeds it or carries out
//! what it wants. The master never touches rows, except to commit.

mod commit;
mod config;
mod effects;
mod event_loop;
mod figures;
mod http;
mod input;
mod job_logs;
mod jobs;
mod ledger;
mod listen;
mod load;
mod metrics;
mod operators;
pub mod planner;
mod reconcile;
mod recovery;
mod results;
mod rpc;
mod server;
mod snapshot;
mod standby;
mod state_dir;
mod store;
mod tally;
mod tenure;
mod traces;
mod workers;

pub use config::{ConfigError, MasterConfig, OnStop};
pub use listen::ListenError;
pub use server::{RunningMaster, StartError};
pub use standby::StandbyMaster;
pub use state_dir::StateDirError;
pub use store::StoreError;
pub use traces::TracingConfig;
