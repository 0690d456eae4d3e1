//! Shuffle outputs: written by one attempt, kept in one file, read by attempts here and served to other workers.

mod absent;
mod cells;
mod coded;
mod compact;
mod fetch;
mod frame;
mod frame_file;
mod held;
mod index;
mod partition;
mod read;
mod scatter;
mod serve;
mod store;
mod write;

pub(crate) use compact::row_bytes;
pub(crate) use fetch::Fetcher;
pub(crate) use read::AttemptReader;
pub(crate) use serve::{CurrentStore, serve};
pub(crate) use store::ShuffleStore;
pub(crate) use write::{ShuffleSpec, ShuffleWriter};

#[cfg(test)]
mod tests;
