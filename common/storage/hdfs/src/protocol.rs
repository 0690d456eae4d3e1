//! The two calls of Hadoop that we make ourselves: where the blocks of a file are (`ClientNamenodeProtocol.proto`), and which files
//! of a `DataNode` hold one (`ClientDatanodeProtocol.proto`).

use std::ops::Range;

use prost::Message;

use crate::rpc::{RpcConnection, RpcError};

/// What clients ask of a `NameNode`.
pub(crate) const NAME_NODE: &str = "org.apache.hadoop.hdfs.protocol.ClientProtocol";
/// What clients ask of a `DataNode`.
pub(crate) const DATA_NODE: &str = "org.apache.hadoop.hdfs.protocol.ClientDatanodeProtocol";

#[derive(Clone, PartialEq, Message)]
struct LocationsRequest {
    #[prost(string, required, tag = "1")]
    path: String,
    #[prost(uint64, required, tag = "2")]
    offset: u64,
    #[prost(uint64, required, tag = "3")]
    length: u64,
}

#[derive(Clone, PartialEq, Message)]
struct LocationsAnswer {
    #[prost(message, optional, tag = "1")]
    blocks: Option<Blocks>,
}

#[derive(Clone, PartialEq, Message)]
struct Blocks {
    #[prost(message, repeated, tag = "2")]
    blocks: Vec<FoundBlock>,
}

/// A block of a file.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FoundBlock {
    #[prost(message, required, tag = "1")]
    pub(crate) block: BlockId,
    #[prost(uint64, required, tag = "2")]
    pub(crate) offset: u64,
    #[prost(message, repeated, tag = "3")]
    pub(crate) nodes: Vec<Node>,
    #[prost(bool, required, tag = "4")]
    pub(crate) corrupt: bool,
}

impl FoundBlock {
    /// Its bytes in the file.
    pub(crate) fn range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.block.bytes.unwrap_or_default())
    }
}

/// Its identity.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BlockId {
    /// Id of the block pool: that of a `NameNode` or an HA pair.
    #[prost(string, required, tag = "1")]
    pub(crate) pool: String,
    #[prost(uint64, required, tag = "2")]
    pub(crate) id: u64,
    #[prost(uint64, required, tag = "3")]
    pub(crate) stamp: u64,
    #[prost(uint64, optional, tag = "4")]
    pub(crate) bytes: Option<u64>,
}

/// A `DataNode` that has a replica.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Node {
    #[prost(message, required, tag = "1")]
    pub(crate) address: NodeAddress,
    #[prost(string, optional, tag = "8")]
    pub(crate) rack: Option<String>,
}

/// Where it is.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct NodeAddress {
    #[prost(string, required, tag = "1")]
    pub(crate) ip: String,
    #[prost(string, required, tag = "2")]
    pub(crate) host: String,
    #[prost(uint32, required, tag = "4")]
    pub(crate) port: u32,
    /// Where it answers calls.
    #[prost(uint32, required, tag = "6")]
    pub(crate) call_port: u32,
}

#[derive(Clone, PartialEq, Message)]
struct PathsRequest {
    #[prost(message, required, tag = "1")]
    block: BlockId,
    #[prost(message, required, tag = "2")]
    token: Token,
}

/// None: only clusters with Kerberos ask for one.
#[derive(Clone, PartialEq, Message)]
struct Token {
    #[prost(bytes = "vec", required, tag = "1")]
    identifier: Vec<u8>,
    #[prost(bytes = "vec", required, tag = "2")]
    password: Vec<u8>,
    #[prost(string, required, tag = "3")]
    kind: String,
    #[prost(string, required, tag = "4")]
    service: String,
}

/// The files of a replica, on the `DataNode`'s host.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct BlockPaths {
    #[prost(string, required, tag = "2")]
    pub(crate) data: String,
    #[prost(string, required, tag = "3")]
    pub(crate) sums: String,
}

/// The blocks that overlap a range of a file; asked of a `NameNode`.
pub(crate) async fn block_locations(
    name_node: &mut RpcConnection,
    path: &str,
    range: &Range<u64>,
) -> Result<Vec<FoundBlock>, RpcError> {
    let length = range.end.saturating_sub(range.start);
    let request = LocationsRequest { path: path.to_owned(), offset: range.start, length };
    let found: LocationsAnswer = name_node.call("getBlockLocations", &request).await?;
    Ok(found.blocks.map(|blocks| blocks.blocks).unwrap_or_default())
}

/// The files that hold a block; asked of a `DataNode` that has it.
pub(crate) async fn block_paths(data_node: &mut RpcConnection, block: &BlockId) -> Result<BlockPaths, RpcError> {
    let request = PathsRequest { block: block.clone(), token: Token::default() };
    data_node.call("getBlockLocalPathInfo", &request).await
}
