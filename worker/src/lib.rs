//! A worker: takes attempts from its master, runs them on a CPU pool of its own, keeps their shuffle outputs and serves them.
//!
//! A worker never decides: what runs where, what runs again and what is thrown away is the master's to say. Everything it has
//! belongs to one life, named by a worker id; a worker that its master gave up discards all of it and comes back under another.

mod attempt;
mod attempt_log;
mod config;
mod cpu;
mod host_names;
mod http;
mod life;
mod log_book;
mod master_link;
mod memory;
mod metrics;
mod operators;
mod output;
mod progress;
mod shuffle;
mod slots;
mod spill;
mod work_dir;
mod worker;

pub use config::WorkerConfig;
pub use work_dir::StartError;
pub use worker::{ExitReason, RunningWorker};
