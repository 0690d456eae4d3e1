//! Everything that runs a master or a worker: the two commands, both inside one process, and the demo. Absent from the client-only build.

mod config;
pub(crate) mod demo;
pub(crate) mod local;
pub(crate) mod master;
mod memory;
mod signals;
pub(crate) mod worker;
