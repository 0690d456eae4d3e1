//! The harness of the system tests: real `hearth` processes, their data, and what they left behind.
//!
//! It knows the command line and the HTTP interface, as a user does, and nothing of what is inside the processes.

mod binary;
mod command;
mod dice;
mod golden;
mod hosts;
mod http;
mod job_file;
mod nodes;
mod ports;
mod process;
mod pyarrow;
mod python;
mod rows;
mod tools;
mod wait;

pub mod cluster;
pub mod corpus;
pub mod data;
pub mod faults;
pub mod hdfs_faults;
pub mod pair;
pub mod strikes;
pub mod tpch;

pub use binary::{hearth_binary, workspace_dir};
pub use cluster::{Cluster, ClusterOptions};
pub use command::{Background, Outcome, run_hearth};
pub use golden::check_against_golden;
pub use hosts::{Host, Hosts};
pub use http::{HttpAnswer, http_get};
pub use job_file::{JobFile, quoted};
pub use nodes::{NodeOptions, Nodes};
pub use process::Process;
pub use pyarrow::check_counted_actions;
pub use python::python_modules;
pub use rows::{Rows, count_parquet_rows, part_files, read_parquet_dir, sql_in_one_process};
pub use tools::{need_tool, run_tool};
pub use wait::{Deadline, wait_closely, wait_for};
