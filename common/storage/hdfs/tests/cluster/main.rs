//! The crate against a real HDFS: every operation, every kind of failure, and servers that die or hang.

mod fixture;
mod operations;
mod proxy;

mod broken_names;
mod broken_nodes;
mod failures;
mod reading;
mod store;
mod writing;
