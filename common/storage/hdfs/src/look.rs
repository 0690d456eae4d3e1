//! What stands under a name: questions that change nothing.

use bytes::Bytes;
use chrono::{DateTime, TimeZone as _, Utc};
use hdfs_native::client::FileStatus;

use crate::error::Action;
use crate::{Hdfs, HdfsError, HdfsFile, HdfsUrl};

/// What kind of thing an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
}

/// A file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Absolute path.
    pub path: String,
    /// File or directory.
    pub kind: Kind,
    /// Length of a file, in bytes; 0 of a directory.
    pub bytes: u64,
    /// When it was changed last, in milliseconds since 1970.
    pub modified_ms: i64,
    /// Its owner.
    pub owner: String,
    /// Its group.
    pub group: String,
    /// Permissions, as Unix has them.
    pub permission: u16,
    /// Replicas that a file should have; 0 of a directory.
    pub replication: u32,
    /// Block size of a file, in bytes; 0 of a directory.
    pub block_bytes: u64,
}

/// What is below a directory, added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes of all replicas.
    pub bytes_on_disk: u64,
    /// Files.
    pub files: u64,
    /// Directories, itself among them.
    pub directories: u64,
}

impl Entry {
    pub(crate) fn from_status(status: FileStatus) -> Self {
        Self {
            path: status.path,
            kind: if status.isdir { Kind::Directory } else { Kind::File },
            bytes: status.length as u64,
            modified_ms: i64::try_from(status.modification_time).unwrap_or(i64::MAX),
            owner: status.owner,
            group: status.group,
            permission: status.permission,
            replication: status.replication.unwrap_or_default(),
            block_bytes: status.blocksize.unwrap_or_default(),
        }
    }

    /// When it was changed last.
    #[must_use]
    pub fn modified(&self) -> DateTime<Utc> {
        Utc.timestamp_millis_opt(self.modified_ms).single().unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// Whether both are the same thing, perhaps under another name. Renaming keeps a file's length and time.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let same_kind = self.kind == other.kind && self.owner == other.owner;
        match self.kind {
            // What is inside may have changed meanwhile, and with it the directory's time.
            Kind::Directory => same_kind,
            Kind::File => same_kind && self.bytes == other.bytes && self.modified_ms == other.modified_ms,
        }
    }
}

impl Hdfs {
    /// What stands under a name; `None` for nothing.
    ///
    /// # Errors
    /// What the NameNode says, or that it does not answer.
    pub async fn entry(&self, url: &HdfsUrl) -> Result<Option<Entry>, HdfsError> {
        let action = Action { verb: "look at", path: url };
        let status = self.ask(action, |client| async move { client.get_file_info(url.path()).await }).await;
        match status {
            Ok(status) => Ok(Some(Entry::from_status(status))),
            // Below a file there is nothing.
            Err(HdfsError::Missing { .. } | HdfsError::NotDirectory { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What stands under a name that must be there.
    ///
    /// # Errors
    /// As [`Hdfs::entry`], and [`HdfsError::Missing`].
    pub async fn stat(&self, url: &HdfsUrl) -> Result<Entry, HdfsError> {
        let action = Action { verb: "look at", path: url };
        self.entry(url).await?.ok_or_else(|| action.missing())
    }

    /// Adds up what is below a directory. One call, whatever its size.
    ///
    /// # Errors
    /// As [`Hdfs::stat`].
    pub async fn summary(&self, url: &HdfsUrl) -> Result<Summary, HdfsError> {
        let action = Action { verb: "add up", path: url };
        let found = self.ask(action, |client| async move { client.get_content_summary(url.path()).await }).await?;
        Ok(Summary {
            bytes: found.length,
            bytes_on_disk: found.space_consumed,
            files: found.file_count,
            directories: found.directory_count,
        })
    }

    /// The whole content of a file of at most `bytes_max` bytes; `None` where it is missing.
    ///
    /// # Errors
    /// What HDFS says, and [`HdfsError::Refused`] for a larger file.
    pub async fn read_small(&self, url: &HdfsUrl, bytes_max: u64) -> Result<Option<Bytes>, HdfsError> {
        let file = match HdfsFile::open(self, url).await {
            Ok(file) => file,
            Err(HdfsError::Missing { .. } | HdfsError::NotDirectory { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        if file.bytes() > bytes_max {
            let message = format!("it has {} bytes, more than {bytes_max}", file.bytes());
            return Err(Action { verb: "read", path: url }.refused(message));
        }
        file.read_range(0..file.bytes()).await.map(Some)
    }
}
