//! The only place where wire messages become our types and back. It validates: what comes out of here is well formed.
//!
//! Nothing here decides anything; a message that cannot be understood is an error that names its field.

mod active;
mod common;
pub mod control;
pub(crate) mod error;
mod job;
mod log;
mod request;
mod shuffle;
mod status;
#[cfg(test)]
mod tests;

pub use active::{EPOCH_KEY, Master, NotActive, epoch_of, epoch_value};
pub use error::ConvertError;
pub use log::{LogPage, ReadLog};
pub use request::{FetchResult, ListJobs, ResultFormat, SubmitJob, job_id_of, worker_id_of};
pub use shuffle::ShuffleFetch;
