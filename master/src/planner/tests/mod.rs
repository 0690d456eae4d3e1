//! Plans real queries, runs their stages in this process as separate tasks, and compares with plain `DataFusion`.

mod bad_input;
mod cluster;
mod data;
mod queries;
mod rows;
mod shape;
mod tpch;
