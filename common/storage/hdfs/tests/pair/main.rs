//! The crate against an HA pair of a real HDFS.

#[cfg(test)]
mod takeover;
