//! What can go wrong with HDFS, sorted by what the caller should do about it.
//!
//! The only place that knows the server's exception classes.

use std::io;
use std::time::Duration;

use hdfs_native::HdfsError as NativeError;

/// A failed operation.
#[derive(Debug, thiserror::Error)]
pub enum HdfsError {
    /// The text is not a place in HDFS: mend it.
    #[error("cannot use `{text}` as a path: {problem}")]
    Location {
        /// As it was given.
        text: String,
        /// What is wrong, and what to write instead.
        problem: String,
    },
    /// The configuration does not lead to a cluster: mend it.
    #[error("cannot use the HDFS configuration: {problem}")]
    Configuration {
        /// What is wrong, and where.
        problem: String,
    },
    /// Nothing is there.
    #[error("cannot {action} {path}: it does not exist")]
    Missing {
        /// A verb, such as `read`.
        action: &'static str,
        /// URL.
        path: String,
    },
    /// It is there already, and must not be.
    #[error("cannot {action} {path}: it exists already")]
    Exists {
        /// A verb.
        action: &'static str,
        /// URL.
        path: String,
    },
    /// The user may not do that there.
    #[error("not allowed to {action} {path}: {message}")]
    Denied {
        /// A verb.
        action: &'static str,
        /// URL.
        path: String,
        /// User, permissions and owner, as the NameNode says it.
        message: String,
    },
    /// A quota of names or space is used up.
    #[error("cannot {action} {path}: a quota is used up: {message}")]
    Quota {
        /// A verb.
        action: &'static str,
        /// URL.
        path: String,
        /// Which one, and its size.
        message: String,
    },
    /// The NameNode takes no changes now. Worth waiting for.
    #[error("cannot {action} {path}: the NameNode is in safe mode (`hdfs dfsadmin -safemode get` shows its state)")]
    SafeMode {
        /// A verb.
        action: &'static str,
        /// URL.
        path: String,
    },
    /// No active NameNode was reached in time. Worth waiting for.
    #[error("cannot {action} {path}: no active NameNode answers: {message}")]
    Unreachable {
        /// A verb.
        action: &'static str,
        /// URL.
        path: String,
        /// What was met.
        message: String,
        /// Whether the request may have been carried out.
        reply: ReplyState,
    },
    /// The NameNode was waited for as long as the settings say.
    #[error("waited {} s for HDFS: {source}", waited.as_secs())]
    GaveUp {
        /// How long.
        waited: Duration,
        /// The last failure.
        source: Box<HdfsError>,
    },
    /// DataNodes fail. It may work again later, or from another host.
    #[error("cannot {action} {path}: DataNodes fail: {message}")]
    DataNodes {
        /// A verb.
        action: &'static str,
        /// URL.
        path: String,
        /// What was met.
        message: String,
    },
    /// No replica of a block can be read. Trying again helps only if a DataNode comes back.
    #[error("cannot read {path}: {problem}")]
    Block {
        /// URL.
        path: String,
        /// Which block, and what became of its replicas.
        problem: String,
    },
    /// Somebody else has the file open for writing, or removed it while it was written.
    #[error("cannot {action} {path}: the lease on it was lost: {message}")]
    LostLease {
        /// A verb.
        action: &'static str,
        /// URL.
        path: String,
        /// What the NameNode says.
        message: String,
    },
    /// The file is not the one that was opened.
    #[error("{path} changed while it was read: {before} bytes when it was opened, {now} now")]
    Changed {
        /// URL.
        path: String,
        /// Length when it was opened, in bytes.
        before: u64,
        /// Length now, in bytes.
        now: u64,
    },
    /// A component of the path is a file.
    #[error("cannot {action} {path}: it, or something above it, is not a directory")]
    NotDirectory {
        /// A verb.
        action: &'static str,
        /// URL.
        path: String,
    },
    /// A file is needed there.
    #[error("cannot {action} {path}: it is a directory")]
    IsDirectory {
        /// A verb.
        action: &'static str,
        /// URL.
        path: String,
    },
    /// The directory has entries.
    #[error("cannot {action} {path}: the directory is not empty")]
    NotEmpty {
        /// A verb.
        action: &'static str,
        /// URL.
        path: String,
    },
    /// A local file of ours, such as a spool, cannot be used.
    #[error("cannot {action} {path}: {source}")]
    Local {
        /// A verb.
        action: &'static str,
        /// Local path.
        path: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The server refuses the request as it is, or answers what it should not.
    #[error("cannot {action} {path}: {message}")]
    Refused {
        /// A verb.
        action: &'static str,
        /// URL.
        path: String,
        /// What it says.
        message: String,
    },
}

/// What is known about a request that failed on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyState {
    /// It never reached a NameNode that would carry it out.
    NotDone,
    /// The answer was lost: it was carried out, or not, or will be.
    Lost,
}

/// What was tried, and on what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Action<'a> {
    pub(crate) verb: &'static str,
    pub(crate) path: &'a dyn PathText,
}

/// Anything that shows as the URL of the thing an action is about.
pub(crate) trait PathText: std::fmt::Display + std::fmt::Debug + Sync {}
impl<T: std::fmt::Display + std::fmt::Debug + Sync> PathText for T {}

impl HdfsError {
    /// Waiting for the NameNode may mend it.
    #[must_use]
    pub fn is_namenode_trouble(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::SafeMode { .. })
    }

    /// It may pass without anybody changing the request.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.is_namenode_trouble() || matches!(self, Self::DataNodes { .. } | Self::GaveUp { .. })
    }

    /// The request may have been carried out all the same.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Unreachable { reply: ReplyState::Lost, .. })
    }

    /// Stable name of the variant, for metrics and tests.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Location { .. } => "location",
            Self::Configuration { .. } => "configuration",
            Self::Missing { .. } => "missing",
            Self::Exists { .. } => "exists",
            Self::Denied { .. } => "denied",
            Self::Quota { .. } => "quota",
            Self::SafeMode { .. } => "safe_mode",
            Self::Unreachable { .. } => "unreachable",
            Self::GaveUp { .. } => "gave_up",
            Self::DataNodes { .. } => "data_nodes",
            Self::Block { .. } => "block",
            Self::LostLease { .. } => "lost_lease",
            Self::Changed { .. } => "changed",
            Self::NotDirectory { .. } => "not_directory",
            Self::IsDirectory { .. } => "is_directory",
            Self::NotEmpty { .. } => "not_empty",
            Self::Local { .. } => "local",
            Self::Refused { .. } => "refused",
        }
    }
}

impl Action<'_> {
    fn text(self) -> (&'static str, String) {
        (self.verb, self.path.to_string())
    }

    pub(crate) fn missing(self) -> HdfsError {
        let (action, path) = self.text();
        HdfsError::Missing { action, path }
    }

    pub(crate) fn exists(self) -> HdfsError {
        let (action, path) = self.text();
        HdfsError::Exists { action, path }
    }

    pub(crate) fn is_directory(self) -> HdfsError {
        let (action, path) = self.text();
        HdfsError::IsDirectory { action, path }
    }

    pub(crate) fn refused(self, message: impl Into<String>) -> HdfsError {
        let (action, path) = self.text();
        HdfsError::Refused { action, path, message: message.into() }
    }

    pub(crate) fn data_nodes(self, message: impl Into<String>) -> HdfsError {
        let (action, path) = self.text();
        HdfsError::DataNodes { action, path, message: message.into() }
    }

    /// No answer came within the deadline; the request is on its way somewhere.
    pub(crate) fn timed_out(self, deadline: Duration) -> HdfsError {
        let (action, path) = self.text();
        let message = format!("no answer within {} ms", deadline.as_millis());
        HdfsError::Unreachable { action, path, message, reply: ReplyState::Lost }
    }

    /// Sorts what the client says of a call to a NameNode.
    pub(crate) fn classify(self, error: NativeError) -> HdfsError {
        let (action, path) = self.text();
        match error {
            NativeError::RPCError(class, message) | NativeError::FatalRPCError(class, message) => {
                self.classify_exception(&class, &message)
            }
            NativeError::AlreadyExists(_) => HdfsError::Exists { action, path },
            NativeError::FileNotFound(_) => HdfsError::Missing { action, path },
            NativeError::IsADirectoryError(_) => HdfsError::IsDirectory { action, path },
            NativeError::IOError(error) => {
                let reply = if never_sent(error.kind()) { ReplyState::NotDone } else { ReplyState::Lost };
                HdfsError::Unreachable { action, path, message: error.to_string(), reply }
            }
            NativeError::DataTransferError(message) => HdfsError::DataNodes { action, path, message },
            NativeError::ChecksumError => {
                HdfsError::DataNodes { action, path, message: "a checksum does not match".to_owned() }
            }
            NativeError::SASLError(_) | NativeError::GSSAPIError(..) | NativeError::NoSASLMechanism => {
                let message =
                    format!("{error}; check the Kerberos ticket of this process, or `principal` and `keytab`");
                HdfsError::Denied { action, path, message }
            }
            NativeError::InvalidPath(message) | NativeError::InvalidArgument(message) => {
                HdfsError::Refused { action, path, message }
            }
            NativeError::UrlParseError(_)
            | NativeError::OperationFailed(_)
            | NativeError::BlocksNotFound(_)
            | NativeError::TrashNotEnabled
            | NativeError::UnsupportedErasureCodingPolicy(_)
            | NativeError::ErasureCodingError(_)
            | NativeError::UnsupportedFeature(_)
            | NativeError::InternalError(_)
            | NativeError::InvalidRPCResponse(_)
            | NativeError::XmlParseError(_) => HdfsError::Refused { action, path, message: error.to_string() },
        }
    }

    /// Sorts what the client says while a block is written or read: there, an I/O error is about a `DataNode`.
    pub(crate) fn classify_transfer(self, error: NativeError) -> HdfsError {
        if matches!(error, NativeError::IOError(_) | NativeError::OperationFailed(_)) {
            return self.data_nodes(error.to_string());
        }
        self.classify(error)
    }

    pub(crate) fn classify_exception(self, class: &str, message: &str) -> HdfsError {
        let (action, path) = self.text();
        let name = class.rsplit(['.', '$']).next().unwrap_or(class);
        let first_line = message.lines().next().unwrap_or_default().to_owned();
        let unreachable =
            |reply| HdfsError::Unreachable { action, path: path.clone(), message: first_line.clone(), reply };
        match name {
            "SafeModeException" => HdfsError::SafeMode { action, path },
            // A NameNode of an HA pair wraps it, so that clients try again.
            "RetriableException" if message.contains("SafeMode") || message.contains("safe mode") => {
                HdfsError::SafeMode { action, path }
            }
            "StandbyException"
            | "ObserverRetryOnActiveException"
            | "RetriableException"
            | "ServerNotReadyException" => unreachable(ReplyState::NotDone),
            "NoNamenodesAvailableException" | "ConnectException" => unreachable(ReplyState::NotDone),
            "FileNotFoundException" if message.contains("not a file") => HdfsError::IsDirectory { action, path },
            "FileNotFoundException" if is_open_file_gone(message) => {
                HdfsError::LostLease { action, path, message: first_line }
            }
            "FileNotFoundException" => HdfsError::Missing { action, path },
            "FileAlreadyExistsException" | "AlreadyBeingCreatedException" => HdfsError::Exists { action, path },
            "ParentNotDirectoryException" | "PathIsNotDirectoryException" => HdfsError::NotDirectory { action, path },
            "PathIsNotEmptyDirectoryException" => HdfsError::NotEmpty { action, path },
            "AccessControlException" if message.contains("is not a directory") => {
                HdfsError::NotDirectory { action, path }
            }
            "AccessControlException" | "AuthorizationException" | "InvalidToken" | "SaslException" => {
                HdfsError::Denied { action, path, message: first_line }
            }
            "NSQuotaExceededException"
            | "DSQuotaExceededException"
            | "QuotaExceededException"
            | "QuotaByStorageTypeExceededException" => HdfsError::Quota { action, path, message: first_line },
            "LeaseExpiredException" | "RecoveryInProgressException" => {
                HdfsError::LostLease { action, path, message: first_line }
            }
            "IOException" if message.contains("could only be written to") || message.contains("Not replicated yet") => {
                HdfsError::DataNodes { action, path, message: first_line }
            }
            "IOException" if message.contains("is non empty") || message.contains("not empty") => {
                HdfsError::NotEmpty { action, path }
            }
            "IOException" if message.contains("NameNode still not started") => unreachable(ReplyState::NotDone),
            _ => HdfsError::Refused { action, path, message: format!("{name}: {first_line}") },
        }
    }
}

/// The NameNode's words when the file of an open writer was removed.
fn is_open_file_gone(message: &str) -> bool {
    message.contains("(inode") && message.contains("Holder")
}

/// The request never left this host, or nobody listened.
fn never_sent(kind: io::ErrorKind) -> bool {
    kind == io::ErrorKind::ConnectionRefused
        || kind == io::ErrorKind::HostUnreachable
        || kind == io::ErrorKind::NetworkUnreachable
        || kind == io::ErrorKind::AddrNotAvailable
        || kind == io::ErrorKind::NotConnected
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(class: &str, message: &str, expected: &str) {
        let action = Action { verb: "read", path: &"hdfs://ns/a" };
        let error = action.classify(NativeError::RPCError(class.to_owned(), message.to_owned()));
        assert_eq!(error.name(), expected, "{class}: {error}");
    }

    #[test]
    fn sorts_exceptions_by_what_to_do() {
        check("org.apache.hadoop.hdfs.server.namenode.SafeModeException", "Cannot create", "safe_mode");
        check("org.apache.hadoop.ipc.RetriableException", "..SafeModeException: Cannot", "safe_mode");
        check("org.apache.hadoop.ipc.RetriableException", "try again", "unreachable");
        check("org.apache.hadoop.ipc.StandbyException", "Operation category READ", "unreachable");
        check("java.io.FileNotFoundException", "File does not exist: /a", "missing");
        check("java.io.FileNotFoundException", "Path is not a file: /a", "is_directory");
        check("java.io.FileNotFoundException", "File does not exist: /a (inode 16) Holder x does not", "lost_lease");
        check("org.apache.hadoop.security.AccessControlException", "Permission denied: user=x\n at", "denied");
        check("org.apache.hadoop.security.AccessControlException", "/a (is not a directory)", "not_directory");
        check("org.apache.hadoop.hdfs.protocol.DSQuotaExceededException", "The DiskSpace quota", "quota");
        check("org.apache.hadoop.hdfs.server.namenode.LeaseExpiredException", "No lease", "lost_lease");
        check("org.apache.hadoop.fs.PathIsNotEmptyDirectoryException", "`/a is non empty'", "not_empty");
        check("java.io.IOException", "File /a could only be written to 0 of the 1 minReplication nodes.", "data_nodes");
        check("java.io.IOException", "something else", "refused");
    }

    #[test]
    fn knows_what_was_never_sent() {
        let action = Action { verb: "rename", path: &"hdfs://ns/a" };
        let refused = action.classify(NativeError::IOError(io::Error::from(io::ErrorKind::ConnectionRefused)));
        let cut = action.classify(NativeError::IOError(io::Error::from(io::ErrorKind::ConnectionAborted)));
        assert!(!refused.is_ambiguous() && cut.is_ambiguous());
        assert!(action.timed_out(Duration::from_secs(1)).is_ambiguous());
        assert!(!action.classify_exception("org.apache.hadoop.ipc.StandbyException", "").is_ambiguous());
    }
}
