//! The whole system as real processes: jobs, commit, recovery, bad input and the web interface.
//!
//! One test binary, because linking DataFusion takes long. At most two clusters run at a time.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod check;
#[cfg(test)]
mod commit;
#[cfg(test)]
mod common;
#[cfg(test)]
mod compressed;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod csv;
#[cfg(test)]
mod deploy;
#[cfg(test)]
mod exclusion;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod filters;
#[cfg(test)]
mod hdfs;
#[cfg(test)]
mod hdfs_commit;
#[cfg(test)]
mod hdfs_failures;
#[cfg(test)]
mod hdfs_faults;
#[cfg(test)]
mod hdfs_fixture;
#[cfg(test)]
mod hdfs_fs;
#[cfg(test)]
mod hdfs_kerberos;
mod hdfs_open_commits;
#[cfg(test)]
mod hdfs_proxy;
#[cfg(test)]
mod hdfs_takeover;
#[cfg(test)]
mod http;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod json;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod master_restart;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod operators;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod queries;
#[cfg(test)]
mod recovery;
#[cfg(test)]
mod rejects;
#[cfg(test)]
mod standby;
mod standby_hdfs;
#[cfg(test)]
mod tpch;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod two_nodes;
#[cfg(test)]
mod two_nodes_hdfs;
