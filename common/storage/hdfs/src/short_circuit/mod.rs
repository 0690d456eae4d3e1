//! Short-circuit reads: blocks of this host's `DataNode`s are read from their files, not through them.
//!
//! The `DataNode` is asked where its files are (Hadoop's legacy short-circuit reads; `dfs.block.local-path-access.user` lets a user
//! ask). What is read is held against the checksums there. Whatever goes wrong, the block is read through `DataNode`s as others are:
//! these reads make things faster and are never a reason to fail.

mod block_file;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub(crate) use block_file::{BlockFile, BlockFileError};

use crate::Hdfs;
use crate::client::lock;
use crate::counters::add;
use crate::deadline::{NoOutcome, within};
use crate::protocol::{BlockId, BlockPaths, DATA_NODE, FoundBlock, Node, block_paths};
use crate::rpc::{RpcConnection, RpcError};

/// Longest wait for an answer of a `DataNode`.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// How long a `DataNode` is not asked again that did not answer.
const SILENT: Duration = Duration::from_secs(60);
/// How long a `DataNode` is not asked again that does not let us, or whose files are not seen from here.
const REFUSED: Duration = Duration::from_secs(600);

/// What is known of the `DataNode`s of one cluster.
#[derive(Debug)]
pub(crate) struct ShortCircuit {
    is_on: bool,
    user: String,
    /// By `ip:port` of their calls.
    nodes: Mutex<BTreeMap<String, NodeState>>,
}

#[derive(Debug, Default)]
struct NodeState {
    is_here: Option<bool>,
    /// Kept for the next question.
    connection: Option<RpcConnection>,
    not_before: Option<Instant>,
}

/// Why a block is not read from the files of one `DataNode`.
#[derive(Debug, thiserror::Error)]
enum NotHere {
    #[error("{0}")]
    Rpc(#[from] RpcError),
    #[error("{0}")]
    Files(#[from] BlockFileError),
    #[error("no answer came in time")]
    Silent,
}

impl NotHere {
    /// How long the `DataNode` is left alone. `None` when this is about one block.
    fn pause(&self) -> Option<Duration> {
        match self {
            Self::Rpc(RpcError::Exception { class, .. }) if class.ends_with("AccessControlException") => Some(REFUSED),
            Self::Rpc(RpcError::Exception { .. }) => None,
            Self::Rpc(RpcError::Io(_) | RpcError::Decode(_)) | Self::Silent => Some(SILENT),
            Self::Files(BlockFileError::Io(error)) => {
                let is_unseen = matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound);
                is_unseen.then_some(REFUSED)
            }
            Self::Files(BlockFileError::Name(_)) => Some(REFUSED),
            Self::Files(BlockFileError::Sums(_) | BlockFileError::Short(_) | BlockFileError::Mismatch(_)) => None,
        }
    }
}

impl ShortCircuit {
    pub(crate) fn new(is_on: bool, user: String) -> Self {
        Self { is_on, user, nodes: Mutex::default() }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether some `DataNode` with the block may let us read its files.
    pub(crate) fn may_open(&self, block: &FoundBlock) -> bool {
        self.is_on && block.nodes.iter().any(|node| self.may_ask(node))
    }

    fn may_ask(&self, node: &Node) -> bool {
        let mut nodes = lock(&self.nodes);
        let state = nodes.entry(calls_at(node)).or_default();
        let is_here = *state.is_here.get_or_insert_with(|| is_here(&node.address.ip));
        is_here && state.not_before.is_none_or(|moment| Instant::now() >= moment)
    }

    async fn ask(&self, node: &Node, block: &BlockId) -> Result<BlockPaths, NotHere> {
        let address = calls_at(node);
        // Taken out: a call that is given up or fails leaves a connection that nobody can use.
        let kept = lock(&self.nodes).get_mut(&address).and_then(|state| state.connection.take());
        let work = async {
            if let Some(mut connection) = kept
                && let Ok(paths) = block_paths(&mut connection, block).await
            {
                return Ok((connection, paths));
            }
            let mut connection = RpcConnection::open(&address, &self.user, DATA_NODE).await?;
            let paths = block_paths(&mut connection, block).await?;
            Ok((connection, paths))
        };
        let (connection, paths) = match within(ANSWER_LIMIT, work).await {
            Ok(answer) => answer.map_err(NotHere::Rpc)?,
            Err(NoOutcome::TooLate | NoOutcome::Panicked) => return Err(NotHere::Silent),
        };
        if let Some(state) = lock(&self.nodes).get_mut(&address) {
            state.connection = Some(connection);
        }
        Ok(paths)
    }

    async fn open_at(&self, node: &Node, block: &BlockId) -> Result<BlockFile, NotHere> {
        let paths = self.ask(node, block).await?;
        Ok(BlockFile::open(block, &paths)?)
    }

    /// Leaves a `DataNode` alone for a while, and says so once.
    fn leave(&self, node: &Node, reason: &NotHere) {
        let Some(pause) = reason.pause() else {
            tracing::debug!(node = %calls_at(node), %reason, "a block is read through its DataNode, not from its files");
            return;
        };
        let mut nodes = lock(&self.nodes);
        let state = nodes.entry(calls_at(node)).or_default();
        let was_left = state.not_before.replace(Instant::now() + pause).is_some();
        drop(nodes);
        if was_left {
            tracing::debug!(node = %calls_at(node), %reason, "blocks are still read through this DataNode");
        } else {
            let seconds = pause.as_secs();
            tracing::warn!(node = %calls_at(node), %reason, seconds, "no short-circuit reads; blocks are read through this DataNode for a while");
        }
    }
}

impl Hdfs {
    /// Opens a block in the files of a `DataNode` of this host; `None` when it has to be read through one.
    pub(crate) async fn open_here(&self, block: &FoundBlock) -> Option<BlockFile> {
        let short_circuit = self.short_circuit();
        for node in &block.nodes {
            if !short_circuit.may_ask(node) {
                continue;
            }
            match short_circuit.open_at(node, &block.block).await {
                Ok(file) => return Some(file),
                Err(reason) => {
                    add(&self.counters().short_circuit_failures, 1);
                    short_circuit.leave(node, &reason);
                }
            }
        }
        None
    }
}

fn calls_at(node: &Node) -> String {
    let (ip, port) = (&node.address.ip, node.address.call_port);
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

/// Whether an address is one of this host's.
fn is_here(ip: &str) -> bool {
    let Ok(ip) = ip.parse::<IpAddr>() else { return false };
    ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_host_are_known() {
        for (ip, expected) in
            [("127.0.0.1", true), ("127.3.2.1", true), ("192.0.2.7", false), ("", false), ("host", false)]
        {
            assert_eq!(is_here(ip), expected, "{ip}");
        }
    }
}
