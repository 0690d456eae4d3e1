//! The messages of our encoding. Numbers of fields and enums are private to one engine version.
#![expect(clippy::too_many_arguments, reason = "prost's derived functions have five")]

use datafusion_proto::protobuf::{Partitioning, PhysicalExprNode, PhysicalPlanNode, PhysicalSortExprNode, Schema};
use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub(super) struct Stage {
    #[prost(message, optional, tag = "1")]
    pub(super) plan: Option<PhysicalPlanNode>,
    #[prost(message, optional, tag = "2")]
    pub(super) sink: Option<Sink>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Sink {
    #[prost(oneof = "SinkKind", tags = "1, 2, 3")]
    pub(super) kind: Option<SinkKind>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum SinkKind {
    #[prost(message, tag = "1")]
    Shuffle(Shuffle),
    #[prost(message, tag = "2")]
    Output(Output),
    #[prost(uint64, tag = "3")]
    ResultBytesMax(u64),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Shuffle {
    #[prost(message, repeated, tag = "1")]
    pub(super) hash_exprs: Vec<PhysicalExprNode>,
    #[prost(uint32, tag = "2")]
    pub(super) partitions: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Output {
    #[prost(string, tag = "1")]
    pub(super) attempts_url: String,
    #[prost(string, tag = "2")]
    pub(super) path: String,
    #[prost(uint32, tag = "3")]
    pub(super) format: u32,
    #[prost(uint32, tag = "4")]
    pub(super) mode: u32,
    #[prost(string, repeated, tag = "5")]
    pub(super) partition_by: Vec<String>,
    #[prost(uint32, tag = "6")]
    pub(super) compression: u32,
    #[prost(uint64, tag = "7")]
    pub(super) file_bytes_max: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Own {
    #[prost(oneof = "OwnKind", tags = "1, 2, 3, 4")]
    pub(super) kind: Option<OwnKind>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum OwnKind {
    #[prost(message, boxed, tag = "1")]
    Scan(Box<Scan>),
    #[prost(message, tag = "2")]
    StageInput(StageInput),
    /// A [`PhysicalPlanNode`] that begins a message of its own.
    #[prost(bytes, tag = "3")]
    Nested(Vec<u8>),
    /// A window operator, and what its encoding leaves out.
    #[prost(message, tag = "4")]
    Window(Window),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Window {
    /// A [`PhysicalPlanNode`].
    #[prost(bytes, tag = "1")]
    pub(super) node: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    pub(super) functions: Vec<WindowFunction>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct WindowFunction {
    #[prost(bool, tag = "1")]
    pub(super) reversed: bool,
    #[prost(bool, tag = "2")]
    pub(super) ignore_nulls: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Scan {
    #[prost(uint32, tag = "1")]
    pub(super) leaf: u32,
    #[prost(string, tag = "2")]
    pub(super) table: String,
    #[prost(oneof = "Format", tags = "3, 4, 5")]
    pub(super) format: Option<Format>,
    #[prost(message, optional, tag = "6")]
    pub(super) file_schema: Option<Schema>,
    #[prost(message, optional, tag = "7")]
    pub(super) projection: Option<Projection>,
    #[prost(message, repeated, tag = "8")]
    pub(super) filters: Vec<PhysicalExprNode>,
    #[prost(uint64, optional, tag = "9")]
    pub(super) limit: Option<u64>,
    #[prost(uint32, tag = "10")]
    pub(super) partitions: u32,
    #[prost(uint64, optional, tag = "11")]
    pub(super) rows_estimated: Option<u64>,
    #[prost(uint64, tag = "12")]
    pub(super) bytes: u64,
    /// Left out: a record that cannot be read is an error.
    #[prost(message, optional, tag = "13")]
    pub(super) rejects: Option<Rejects>,
    #[prost(string, optional, tag = "14")]
    pub(super) attempts_url: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct Rejects {
    #[prost(oneof = "RejectsMax", tags = "1, 2")]
    pub(super) max: Option<RejectsMax>,
}

#[derive(Clone, Copy, PartialEq, Eq, Oneof)]
pub(super) enum RejectsMax {
    #[prost(uint64, tag = "1")]
    Records(u64),
    #[prost(uint32, tag = "2")]
    Millionths(u32),
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Format {
    #[prost(message, tag = "3")]
    Csv(Csv),
    #[prost(bool, tag = "4")]
    Json(bool),
    #[prost(bool, tag = "5")]
    Parquet(bool),
}

/// Marks are numbers below 256.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Csv {
    #[prost(bool, tag = "1")]
    pub(super) header: bool,
    #[prost(uint32, tag = "2")]
    pub(super) delimiter: u32,
    #[prost(uint32, optional, tag = "3")]
    pub(super) quote: Option<u32>,
    #[prost(uint32, optional, tag = "4")]
    pub(super) escape: Option<u32>,
    #[prost(uint32, optional, tag = "5")]
    pub(super) comment: Option<u32>,
    #[prost(string, repeated, tag = "6")]
    pub(super) null_values: Vec<String>,
    #[prost(bool, tag = "7")]
    pub(super) trim: bool,
    #[prost(uint32, tag = "8")]
    pub(super) encoding: u32,
    #[prost(string, optional, tag = "9")]
    pub(super) date_format: Option<String>,
    #[prost(string, optional, tag = "10")]
    pub(super) timestamp_format: Option<String>,
    #[prost(uint32, tag = "11")]
    pub(super) missing_columns: u32,
    #[prost(uint32, tag = "12")]
    pub(super) extra_columns: u32,
    #[prost(uint64, tag = "13")]
    pub(super) max_record_bytes: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Projection {
    #[prost(uint32, repeated, tag = "1")]
    pub(super) columns: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StageInput {
    #[prost(uint32, tag = "1")]
    pub(super) leaf: u32,
    #[prost(message, optional, tag = "2")]
    pub(super) schema: Option<Schema>,
    #[prost(message, optional, tag = "3")]
    pub(super) partitioning: Option<Partitioning>,
    #[prost(message, repeated, tag = "4")]
    pub(super) ordering: Vec<PhysicalSortExprNode>,
}
