//! Where the blocks of a file are. A hint: whatever goes wrong here is a line in the debug log, and "nobody knows".

use std::ops::Range;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::counters::add;
use crate::deadline::within;
use crate::hadoop_conf::HadoopConf;
use crate::protocol::{FoundBlock, NAME_NODE, block_locations};
use crate::rpc::{RpcConnection, RpcError};
use crate::{Hdfs, HdfsUrl};

/// Longest wait for a hint.
const DEADLINE_MAX: Duration = Duration::from_secs(5);

/// A block of a file, and who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockLocation {
    /// Its number, as the logs of HDFS have it: `blk_NUMBER`.
    pub block: u64,
    /// Its bytes in the file.
    pub range: Range<u64>,
    /// All of its replicas are corrupt.
    pub is_corrupt: bool,
    /// Who has a replica, nearest first. Empty when all are lost.
    pub replicas: Vec<Replica>,
}

/// A `DataNode` that has a replica of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Host name, lower case.
    pub host: String,
    /// IP address.
    pub ip: String,
    /// Port for data.
    pub port: u16,
    /// Network location, such as `/default-rack`.
    pub rack: String,
}

/// Asks for locations over a connection of its own, because the client library does not tell them.
#[derive(Debug)]
pub(crate) struct Locator {
    /// Empty where this cannot work.
    addresses: Vec<String>,
    user: String,
    state: Mutex<LocatorState>,
}

#[derive(Debug, Default)]
struct LocatorState {
    connection: Option<RpcConnection>,
    /// The address that answered last.
    active: usize,
}

impl Locator {
    /// `user` is who asks.
    pub(crate) fn new(user: String, conf: &HadoopConf, addresses: Vec<String>) -> Self {
        let addresses = if conf.is_secure() { Vec::new() } else { addresses };
        Self { addresses, user, state: Mutex::default() }
    }

    async fn ask(&self, path: &str, range: &Range<u64>) -> Result<Vec<FoundBlock>, RpcError> {
        let mut state = self.state.lock().await;
        let mut outcome = Err(RpcError::Io(std::io::ErrorKind::Unsupported.into()));
        // Once more than there are NameNodes: the first try may meet a connection that was closed meanwhile.
        for _ in 0..=self.addresses.len() {
            outcome = self.ask_one(&mut state, path, range).await;
            match &outcome {
                Ok(_) => break,
                Err(RpcError::Exception { class, .. }) if !class.ends_with("StandbyException") => break,
                Err(RpcError::Exception { .. } | RpcError::Io(_) | RpcError::Decode(_)) => {
                    state.active = (state.active + 1) % self.addresses.len().max(1);
                }
            }
        }
        outcome
    }

    /// An answer did not come: the next question goes to another `NameNode`.
    fn give_up(&self) {
        if let Ok(mut state) = self.state.try_lock() {
            state.active = (state.active + 1) % self.addresses.len().max(1);
        }
    }

    async fn ask_one(
        &self,
        state: &mut LocatorState,
        path: &str,
        range: &Range<u64>,
    ) -> Result<Vec<FoundBlock>, RpcError> {
        // Taken out: a call that is given up or fails leaves a connection that nobody can use.
        let mut connection = match (state.connection.take(), self.addresses.get(state.active)) {
            (Some(connection), _) => connection,
            (None, Some(address)) => RpcConnection::open(address, &self.user, NAME_NODE).await?,
            (None, None) => return Err(RpcError::Io(std::io::ErrorKind::Unsupported.into())),
        };
        let found = block_locations(&mut connection, path, range).await?;
        state.connection = Some(connection);
        Ok(found)
    }
}

impl Hdfs {
    /// Where the blocks are that overlap a range of a file, in order; empty when nobody knows.
    ///
    /// It asks without authentication, so nobody knows on a cluster with Kerberos.
    pub async fn block_locations(&self, url: &HdfsUrl, range: Range<u64>) -> Vec<BlockLocation> {
        self.find_blocks(url, range).await.into_iter().map(location).collect()
    }

    /// The same, with all that the `NameNode` says of them.
    pub(crate) async fn find_blocks(&self, url: &HdfsUrl, range: Range<u64>) -> Vec<FoundBlock> {
        if range.is_empty() || self.locator().addresses.is_empty() {
            return Vec::new();
        }
        add(&self.counters().namenode_calls, 1);
        let limit = self.settings().rpc_timeout.min(DEADLINE_MAX);
        match within(limit, self.locator().ask(url.path(), &range)).await {
            Ok(Ok(blocks)) => blocks,
            Ok(Err(error)) => {
                tracing::debug!(%url, %error, "could not find out where the blocks are");
                Vec::new()
            }
            Err(reason) => {
                self.locator().give_up();
                tracing::debug!(%url, ?reason, "could not find out where the blocks are");
                Vec::new()
            }
        }
    }
}

fn location(found: FoundBlock) -> BlockLocation {
    let range = found.range();
    let replicas = found.nodes.into_iter().map(|node| Replica {
        host: node.address.host.to_ascii_lowercase(),
        ip: node.address.ip,
        port: u16::try_from(node.address.port).unwrap_or_default(),
        rack: node.rack.unwrap_or_default(),
    });
    BlockLocation { block: found.block.id, range, is_corrupt: found.corrupt, replicas: replicas.collect() }
}
