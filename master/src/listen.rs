//! Listening: an address that is taken or not ours is an error that names the setting to change; an open one is a warning.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::config::MasterConfig;
use crate::tenure::Reached;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else does.
    #[error(
        "listen on {address}: it is in use, perhaps by another master; stop that one, or choose another with {flag} HOST:PORT"
    )]
    InUse {
        /// The address.
        address: SocketAddr,
        /// The flag that sets it.
        flag: &'static str,
    },
    /// Anything else.
    #[error("listen on {address}: {source}; choose another with {flag} HOST:PORT")]
    Failed {
        /// The address.
        address: SocketAddr,
        /// The flag that sets it.
        flag: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

/// Listens, and warns where others than this host can connect.
async fn listen(address: SocketAddr, flag: &'static str) -> Result<(TcpListener, SocketAddr), ListenError> {
    let failed = |source: io::Error| match source.kind() == io::ErrorKind::AddrInUse {
        true => ListenError::InUse { address, flag },
        false => ListenError::Failed { address, flag, source },
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    if !bound.ip().is_loopback() {
        tracing::warn!(
            address = %bound, flag,
            "listening for other hosts without authentication: whoever reaches this address can run jobs as this user"
        );
    }
    Ok((listener, bound))
}

/// The two addresses of a master.
#[derive(Debug)]
pub(crate) struct Ports {
    pub rpc: TcpListener,
    pub http: TcpListener,
    pub rpc_address: SocketAddr,
    pub http_address: SocketAddr,
}

impl Ports {
    /// Listens on both.
    pub(crate) async fn listen(config: &MasterConfig) -> Result<Self, ListenError> {
        let (rpc, rpc_address) = listen(config.rpc, "--rpc").await?;
        let (http, http_address) = listen(config.http, "--http").await?;
        Ok(Self { rpc, http, rpc_address, http_address })
    }

    /// The same two again: whichever accepts next has the next connection, and none that waits is lost between two of them.
    pub(crate) fn share(self) -> io::Result<(Self, Self)> {
        let Self { rpc, http, rpc_address, http_address } = self;
        let (rpc, http) = (rpc.into_std()?, http.into_std()?);
        let second = (TcpListener::from_std(rpc.try_clone()?)?, TcpListener::from_std(http.try_clone()?)?);
        let first = (TcpListener::from_std(rpc)?, TcpListener::from_std(http)?);
        let of = |(rpc, http)| Self { rpc, http, rpc_address, http_address };
        Ok((of(first), of(second)))
    }

    /// Where others reach them: as configured, else the bound address, else the host's name where that is every address.
    pub(crate) fn reached(&self, advertise: Option<&str>) -> Reached {
        let of = |address: SocketAddr| match advertise {
            Some(host) if host.contains(':') && !host.starts_with('[') => format!("[{host}]:{}", address.port()),
            Some(host) => format!("{host}:{}", address.port()),
            None if address.ip().is_unspecified() => {
                format!("{}:{}", rustix::system::uname().nodename().to_string_lossy(), address.port())
            }
            None => address.to_string(),
        };
        Reached { rpc: of(self.rpc_address), http: of(self.http_address) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn says_which_flag_frees_a_taken_address() {
        let (_first, address) = listen("127.0.0.1:0".parse().unwrap(), "--rpc").await.unwrap();
        let error = listen(address, "--rpc").await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("listen on {address}: it is in use")), "{error}");
        assert!(error.ends_with("choose another with --rpc HOST:PORT"), "{error}");
        let error = listen("192.0.2.1:1".parse().unwrap(), "--http").await.unwrap_err().to_string();
        assert!(error.starts_with("listen on 192.0.2.1:1: "), "{error}");
    }
}
