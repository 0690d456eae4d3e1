//! The client library: submits jobs to a master, follows them and fetches their results; and reads job files.
//!
//! It stays light, so that a client-only program is small: no Arrow, no DataFusion, neither master nor worker.

mod connection;
mod error;
pub mod job_file;
mod masters;
mod nearest;
mod url;
mod watch;

pub use connection::{Client, JobPage, Submitted};
pub use error::ClientError;
pub use hearth_proto::convert::{ListJobs, LogPage, ReadLog, ResultFormat, SubmitJob};
pub use nearest::nearest;
pub use url::{MasterList, MasterUrl, MasterUrlError};
pub use watch::{JobWatch, UNREACHABLE_MAX, WatchEvent};
