//! What can go wrong between a client and its master. Each variant answers what the caller should do.

use std::error::Error;

use hearth_proto::convert::ConvertError;
use tonic::{Code, Status};

/// Why the master did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers there. Check the address, or try again later.
    #[error("cannot reach a master at {address}: {reason}")]
    Unreachable {
        /// `host:port`.
        address: String,
        /// What the connection said.
        reason: String,
    },
    /// The request itself is wrong: it would be refused again.
    #[error("{message}")]
    Refused {
        /// What is wrong, from the master.
        message: String,
    },
    /// The master has too much to do. The same request may succeed later.
    #[error("master is busy: {message}")]
    Busy {
        /// Which limit was met.
        message: String,
    },
    /// There is no such job, or it is too old to be remembered.
    #[error("{message}")]
    NotFound {
        /// What was not found.
        message: String,
    },
    /// Anything else: the master's fault, or another version.
    #[error("master gave an unexpected answer: {message}")]
    Other {
        /// What it said.
        message: String,
    },
}

impl From<ConvertError> for ClientError {
    fn from(error: ConvertError) -> Self {
        Self::Other { message: error.to_string() }
    }
}

impl ClientError {
    /// Nobody answered; the same request may be sent again if it is safe to repeat.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    pub(crate) fn unreachable(address: &str, error: &dyn Error) -> Self {
        Self::Unreachable { address: address.to_owned(), reason: deepest(error) }
    }

    /// The meaning of a failed call. A status that was made on this side, from a broken connection, has a source.
    pub(crate) fn from_status(address: &str, status: &Status) -> Self {
        if let Some(source) = status.source() {
            return Self::unreachable(address, source);
        }
        let message = status.message().to_owned();
        match status.code() {
            Code::Unavailable | Code::DeadlineExceeded => {
                Self::Unreachable { address: address.to_owned(), reason: message }
            }
            Code::InvalidArgument
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::PermissionDenied
            | Code::Unauthenticated => Self::Refused { message },
            Code::ResourceExhausted => Self::Busy { message },
            Code::NotFound => Self::NotFound { message },
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::Aborted
            | Code::Unimplemented
            | Code::Internal
            | Code::DataLoss => Self::Other { message: format!("{} ({})", message, status.code()) },
        }
    }
}

/// The innermost cause: `Connection refused` says more than `transport error`.
pub(crate) fn deepest(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
