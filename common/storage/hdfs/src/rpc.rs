//! The one call that the client library lacks: where the blocks of a file are.
//!
//! A small client of Hadoop's RPC, version 9 (`RpcHeader.proto`, `IpcConnectionContext.proto`, `ProtobufRpcEngine2.proto` and
//! `ClientNamenodeProtocol.proto` of Hadoop), without authentication: where Kerberos is required, it is not used.

use std::io;

use prost::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PROTOCOL: &str = "org.apache.hadoop.hdfs.protocol.ClientProtocol";
/// Magic, version 9, service class 0, no authentication.
const PREAMBLE: &[u8] = b"hrpc\x09\x00\x00";
const CONTEXT_CALL: i32 = -3;
const ANSWER_BYTES_MAX: u32 = 64 << 20;

#[derive(Clone, PartialEq, Message)]
struct RequestHead {
    #[prost(int32, optional, tag = "1")]
    kind: Option<i32>,
    #[prost(int32, optional, tag = "2")]
    operation: Option<i32>,
    #[prost(sint32, required, tag = "3")]
    call: i32,
    #[prost(bytes = "vec", required, tag = "4")]
    client: Vec<u8>,
    #[prost(sint32, optional, tag = "5")]
    retry: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct AnswerHead {
    #[prost(uint32, required, tag = "1")]
    call: u32,
    /// 0 is success.
    #[prost(int32, required, tag = "2")]
    status: i32,
    #[prost(string, optional, tag = "4")]
    exception: Option<String>,
    #[prost(string, optional, tag = "5")]
    message: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct User {
    #[prost(string, optional, tag = "1")]
    effective: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Context {
    #[prost(message, optional, tag = "2")]
    user: Option<User>,
    #[prost(string, optional, tag = "3")]
    protocol: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Method {
    #[prost(string, required, tag = "1")]
    name: String,
    #[prost(string, required, tag = "2")]
    protocol: String,
    #[prost(uint64, required, tag = "3")]
    version: u64,
}

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

/// Its identity.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BlockId {
    #[prost(uint64, required, tag = "2")]
    pub(crate) id: u64,
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
}

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RpcError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("cannot decode the answer: {0}")]
    Decode(#[from] prost::DecodeError),
    #[error("{class}: {message}")]
    Exception { class: String, message: String },
}

/// A connection to one `NameNode`; calls follow one another.
#[derive(Debug)]
pub(crate) struct RpcConnection {
    stream: TcpStream,
    client: Vec<u8>,
    next_call: i32,
}

impl RpcConnection {
    pub(crate) async fn open(address: &str, user: &str) -> Result<Self, RpcError> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        stream.write_all(PREAMBLE).await?;
        let client = uuid::Uuid::new_v4().as_bytes().to_vec();
        let mut connection = Self { stream, client, next_call: 0 };
        let user = User { effective: Some(user.to_owned()) };
        let context = Context { user: Some(user), protocol: Some(PROTOCOL.to_owned()) };
        let head = connection.head(CONTEXT_CALL, -1);
        connection.send(&[head.encode_length_delimited_to_vec(), context.encode_length_delimited_to_vec()]).await?;
        Ok(connection)
    }

    /// The blocks that overlap a range of a file.
    pub(crate) async fn block_locations(
        &mut self,
        path: &str,
        offset: u64,
        length: u64,
    ) -> Result<Vec<FoundBlock>, RpcError> {
        let request = LocationsRequest { path: path.to_owned(), offset, length };
        let method = Method { name: "getBlockLocations".to_owned(), protocol: PROTOCOL.to_owned(), version: 1 };
        let call = self.next_call;
        self.next_call = self.next_call.wrapping_add(1).max(0);
        let head = self.head(call, 0);
        self.send(&[
            head.encode_length_delimited_to_vec(),
            method.encode_length_delimited_to_vec(),
            request.encode_length_delimited_to_vec(),
        ])
        .await?;
        let mut answer = self.receive().await?;
        let head = AnswerHead::decode_length_delimited(&mut answer)?;
        if head.status != 0 {
            let (class, message) = (head.exception.unwrap_or_default(), head.message.unwrap_or_default());
            return Err(RpcError::Exception { class, message });
        }
        if i64::from(head.call) != i64::from(call) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer to another call").into());
        }
        let found = LocationsAnswer::decode_length_delimited(&mut answer)?;
        Ok(found.blocks.map(|blocks| blocks.blocks).unwrap_or_default())
    }

    fn head(&self, call: i32, retry: i32) -> RequestHead {
        RequestHead { kind: Some(2), operation: Some(0), call, client: self.client.clone(), retry: Some(retry) }
    }

    async fn send(&mut self, parts: &[Vec<u8>]) -> Result<(), RpcError> {
        let length = parts.iter().map(Vec::len).sum::<usize>();
        let length = u32::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let mut frame = length.to_be_bytes().to_vec();
        for part in parts {
            frame.extend_from_slice(part);
        }
        self.stream.write_all(&frame).await?;
        Ok(())
    }

    async fn receive(&mut self) -> Result<bytes::Bytes, RpcError> {
        let length = self.stream.read_u32().await?;
        if length > ANSWER_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer that is too long").into());
        }
        let mut answer = vec![0; usize::try_from(length).unwrap_or_default()];
        self.stream.read_exact(&mut answer).await?;
        Ok(answer.into())
    }
}
