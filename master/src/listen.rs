//! Listening: an address that is taken or not ours is an error that names the setting to change; an open one is a warning.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

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
pub(crate) async fn listen(address: SocketAddr, flag: &'static str) -> Result<(TcpListener, SocketAddr), ListenError> {
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
