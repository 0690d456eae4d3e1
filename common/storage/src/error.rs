//! What can go wrong with storage, sorted by what the caller should do about it.

use std::io;

use hearth_common::FailureCause;
use hearth_hdfs::HdfsError;

/// A failed storage operation.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The text is not a place we can read or write: mend it.
    #[error("cannot use `{text}` as a path: {problem}")]
    Location {
        /// As it was given.
        text: String,
        /// What is wrong with it, and what to write instead.
        problem: String,
    },
    /// Nothing is there.
    #[error("no file found at {path}{}", nearest(near))]
    Missing {
        /// Path or glob.
        path: String,
        /// Names that are there and look alike.
        near: Vec<String>,
    },
    /// It is there already, and must not be.
    #[error("{path} exists already")]
    Exists {
        /// Path.
        path: String,
    },
    /// The process may not do that there.
    #[error("not allowed to {action} {path}; check the permissions of the user that runs this process")]
    Denied {
        /// What was tried, such as `read`.
        action: &'static str,
        /// Path.
        path: String,
    },
    /// The input is there, but cannot be used as it is.
    #[error("cannot read {path}: {problem}")]
    Unusable {
        /// Path.
        path: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// It is not the file that was planned with.
    #[error("{path} changed while the job ran: {before} bytes when it was planned, {now} now; run the job again")]
    Changed {
        /// URL.
        path: String,
        /// Size when the job was planned, in bytes.
        before: u64,
        /// Size now, in bytes. Where it is the same, the modification time differs.
        now: u64,
    },
    /// No room is left.
    #[error("no space left to {action} {path}")]
    Full {
        /// What was tried.
        action: &'static str,
        /// Path.
        path: String,
    },
    /// Anything else the file system says; it may pass.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Path.
        path: String,
        /// The file system's answer.
        source: io::Error,
    },
    /// Anything else that HDFS says.
    #[error(transparent)]
    Hdfs(Box<HdfsError>),
    /// Anything else an object store says; it may pass.
    #[error("cannot {action} {path}: {source}")]
    Store {
        /// What was tried.
        action: &'static str,
        /// URL.
        path: String,
        /// The store's answer.
        source: Box<object_store::Error>,
    },
}

fn nearest(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; there is `{}`", near.join("`, `")) }
}

impl StorageError {
    /// Sorts an I/O error. `action` is a verb such as `read`.
    #[must_use]
    pub fn from_io(action: &'static str, path: impl Into<String>, source: io::Error) -> Self {
        let path = path.into();
        let kind = source.kind();
        if kind == io::ErrorKind::NotFound {
            Self::Missing { path, near: Vec::new() }
        } else if kind == io::ErrorKind::AlreadyExists {
            Self::Exists { path }
        } else if kind == io::ErrorKind::PermissionDenied || kind == io::ErrorKind::ReadOnlyFilesystem {
            Self::Denied { action, path }
        } else if kind == io::ErrorKind::StorageFull || kind == io::ErrorKind::QuotaExceeded {
            Self::Full { action, path }
        } else {
            Self::Io { action, path, source }
        }
    }

    /// Sorts an object store's error. `action` is a verb such as `read`.
    #[must_use]
    pub fn from_store(action: &'static str, path: impl Into<String>, source: object_store::Error) -> Self {
        let path = path.into();
        if let Some(kind) = io_kind(&source)
            && kind != io::ErrorKind::Other
        {
            return Self::from_io(action, path, io::Error::new(kind, source));
        }
        if matches!(source, object_store::Error::NotFound { .. }) {
            Self::Missing { path, near: Vec::new() }
        } else if matches!(source, object_store::Error::AlreadyExists { .. }) {
            Self::Exists { path }
        } else if matches!(
            source,
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. }
        ) {
            Self::Denied { action, path }
        } else {
            Self::Store { action, path, source: Box::new(source) }
        }
    }

    /// Sorts an error of HDFS.
    #[must_use]
    pub fn from_hdfs(error: HdfsError) -> Self {
        match error {
            HdfsError::Location { text, problem } => Self::Location { text, problem },
            HdfsError::Missing { path, .. } => Self::Missing { path, near: Vec::new() },
            HdfsError::Exists { path, .. } => Self::Exists { path },
            HdfsError::Changed { path, before, now } => Self::Changed { path, before, now },
            HdfsError::Local { action, path, source } => Self::from_io(action, path, source),
            other @ (HdfsError::Configuration { .. }
            | HdfsError::Denied { .. }
            | HdfsError::Quota { .. }
            | HdfsError::SafeMode { .. }
            | HdfsError::Unreachable { .. }
            | HdfsError::GaveUp { .. }
            | HdfsError::DataNodes { .. }
            | HdfsError::Block { .. }
            | HdfsError::LostLease { .. }
            | HdfsError::NotDirectory { .. }
            | HdfsError::IsDirectory { .. }
            | HdfsError::NotEmpty { .. }
            | HdfsError::Refused { .. }) => Self::Hdfs(Box::new(other)),
        }
    }

    /// Trying again later may help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Io { .. } | Self::Store { .. } | Self::Full { .. } => true,
            Self::Hdfs(error) => error.is_transient(),
            Self::Location { .. }
            | Self::Missing { .. }
            | Self::Exists { .. }
            | Self::Denied { .. }
            | Self::Changed { .. }
            | Self::Unusable { .. } => false,
        }
    }

    /// Its end was waited for already, for as long as the settings say.
    #[must_use]
    pub fn was_waited_for(&self) -> bool {
        matches!(self, Self::Hdfs(error) if matches!(**error, HdfsError::GaveUp { .. }))
    }

    /// As [`StorageError::cause`], for the end of an error's way.
    #[must_use]
    pub fn into_cause(self) -> FailureCause {
        self.cause()
    }

    /// The failure of an attempt or job that met this error.
    #[must_use]
    pub fn cause(&self) -> FailureCause {
        match self {
            Self::Location { .. }
            | Self::Missing { .. }
            | Self::Exists { .. }
            | Self::Denied { .. }
            | Self::Changed { .. }
            | Self::Unusable { .. } => FailureCause::task(self.to_string()),
            Self::Full { path, .. } => {
                FailureCause::DiskFull { directory: directory_of(path), message: self.to_string() }
            }
            Self::Hdfs(error) => cause_of_hdfs(error),
            Self::Store { source, .. } => {
                typed_cause(source.as_ref()).unwrap_or_else(|| FailureCause::Storage { message: self.to_string() })
            }
            Self::Io { .. } => FailureCause::Storage { message: self.to_string() },
        }
    }
}

/// What `error`, or anything behind it, says about itself in a type of this crate.
#[must_use]
pub fn typed_cause(error: &(dyn std::error::Error + 'static)) -> Option<FailureCause> {
    if let Some(error) = error.downcast_ref::<StorageError>() {
        return Some(error.cause());
    }
    match error.downcast_ref::<HdfsError>() {
        Some(error) => Some(cause_of_hdfs(error)),
        None => error.source().and_then(typed_cause),
    }
}

fn cause_of_hdfs(error: &HdfsError) -> FailureCause {
    match error {
        HdfsError::SafeMode { .. }
        | HdfsError::Unreachable { .. }
        | HdfsError::DataNodes { .. }
        | HdfsError::Block { .. }
        | HdfsError::LostLease { .. } => FailureCause::Storage { message: error.to_string() },
        HdfsError::Local { path, source, .. }
            if [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded].contains(&source.kind()) =>
        {
            FailureCause::DiskFull { directory: directory_of(path), message: error.to_string() }
        }
        HdfsError::Local { .. } => FailureCause::Storage { message: error.to_string() },
        HdfsError::Location { .. }
        | HdfsError::Configuration { .. }
        | HdfsError::Missing { .. }
        | HdfsError::Exists { .. }
        | HdfsError::Denied { .. }
        | HdfsError::Quota { .. }
        | HdfsError::Changed { .. }
        | HdfsError::NotDirectory { .. }
        | HdfsError::IsDirectory { .. }
        | HdfsError::NotEmpty { .. }
        // It was tried for as long as somebody wanted it to be.
        | HdfsError::GaveUp { .. }
        | HdfsError::Refused { .. } => FailureCause::task(error.to_string()),
    }
}

impl From<StorageError> for FailureCause {
    fn from(error: StorageError) -> Self {
        error.cause()
    }
}

/// The I/O error at the root of a store's error.
fn io_kind(error: &object_store::Error) -> Option<io::ErrorKind> {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        source = inner.source();
    }
    None
}

fn directory_of(path: &str) -> String {
    path.rsplit_once('/').map_or(path, |(directory, _)| directory).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: io::ErrorKind, expected_cause: &str, expected_text: &str) {
        let error = StorageError::from_io("read", "/data/a.csv", io::Error::from(kind));
        assert_eq!(error.to_string(), expected_text);
        assert_eq!(error.cause().name(), expected_cause);
    }

    #[test]
    fn sorts_by_what_to_do() {
        check(io::ErrorKind::NotFound, "task", "no file found at /data/a.csv");
        check(
            io::ErrorKind::PermissionDenied,
            "task",
            "not allowed to read /data/a.csv; check the permissions of the user that runs this process",
        );
        check(io::ErrorKind::StorageFull, "disk_full", "no space left to read /data/a.csv");
        check(io::ErrorKind::TimedOut, "storage", "cannot read /data/a.csv: timed out");
    }

    fn check_hdfs(error: HdfsError, expected_cause: &str) {
        let store = object_store::Error::Generic { store: "HDFS", source: error.to_string().into() };
        assert!(typed_cause(&store).is_none(), "text is not a type");
        let text = error.to_string();
        let store = object_store::Error::Generic { store: "HDFS", source: Box::new(error) };
        let cause = StorageError::from_store("read", "/a", store).cause();
        assert_eq!((cause.name(), cause.to_string().contains(&text)), (expected_cause, true), "{cause}");
    }

    #[test]
    fn what_hdfs_says_keeps_its_type() {
        let path = || "hdfs://nn/a".to_owned();
        check_hdfs(HdfsError::SafeMode { action: "write", path: path() }, "storage");
        check_hdfs(HdfsError::Block { path: path(), problem: "gone".to_owned() }, "storage");
        check_hdfs(HdfsError::Quota { action: "write", path: path(), message: "2 names".to_owned() }, "task");
        check_hdfs(HdfsError::Configuration { problem: "none".to_owned() }, "task");
        let full =
            HdfsError::Local { action: "write", path: "/spool".into(), source: io::ErrorKind::StorageFull.into() };
        assert_eq!(StorageError::from_hdfs(full).cause().name(), "disk_full");
        let waited = HdfsError::SafeMode { action: "write", path: path() };
        let waited = HdfsError::GaveUp { waited: std::time::Duration::from_secs(300), source: Box::new(waited) };
        let waited = StorageError::from_hdfs(waited);
        assert!(waited.may_pass() && waited.was_waited_for(), "{waited}");
        assert_eq!(waited.cause().name(), "task", "nobody waits for it once more");
    }
}
