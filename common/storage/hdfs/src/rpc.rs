//! The calls that the client library lacks, over Hadoop's RPC.
//!
//! A small client of version 9 (`RpcHeader.proto`, `IpcConnectionContext.proto` and `ProtobufRpcEngine2.proto` of Hadoop), without
//! authentication: where Kerberos is required, it is not used. The calls themselves are in [`crate::protocol`].

use std::io;

use prost::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

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

/// A connection to one server, for one of its protocols; calls follow one another.
#[derive(Debug)]
pub(crate) struct RpcConnection {
    stream: TcpStream,
    protocol: &'static str,
    client: Vec<u8>,
    next_call: i32,
}

impl RpcConnection {
    pub(crate) async fn open(address: &str, user: &str, protocol: &'static str) -> Result<Self, RpcError> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        stream.write_all(PREAMBLE).await?;
        let client = uuid::Uuid::new_v4().as_bytes().to_vec();
        let mut connection = Self { stream, protocol, client, next_call: 0 };
        let user = User { effective: Some(user.to_owned()) };
        let context = Context { user: Some(user), protocol: Some(protocol.to_owned()) };
        let head = connection.head(CONTEXT_CALL, -1);
        connection.send(&[head.encode_length_delimited_to_vec(), context.encode_length_delimited_to_vec()]).await?;
        Ok(connection)
    }

    /// Makes a call and waits for its answer.
    pub(crate) async fn call<A: Message + Default>(
        &mut self,
        name: &str,
        request: &impl Message,
    ) -> Result<A, RpcError> {
        let method = Method { name: name.to_owned(), protocol: self.protocol.to_owned(), version: 1 };
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
        Ok(A::decode_length_delimited(&mut answer)?)
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
