//! What master and workers tell Prometheus alike: their process, the disk they need, and HDFS as they met it.
//!
//! Everything is read when it is asked for. Labels have few values, all known when this is compiled.

mod collect;
mod hdfs;
mod process;

pub use collect::{ByLabel, CONTENT_TYPE, by_cause, by_label, encode, gauges, one_gauge, register_shared, seconds};
