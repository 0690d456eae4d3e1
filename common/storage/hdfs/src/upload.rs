//! Writes a file through failures: as long as its content is at hand, any one `DataNode` may die or hang, and any `NameNode` restart.
//!
//! The content is kept (in memory or a [`crate::Spool`]) and the *whole file* is sent again when a try fails, each time under a fresh
//! hidden name, which becomes the asked one by a rename only after the file is closed and has the right length. Keeping only what
//! is not yet on the disks of `DataNodes`, and going on from there, would save bytes; but the client cannot abandon one block, and a
//! file that was begun and cannot be finished stays open for as long as this process lives. A file of a job is small
//! beside the job, and the failure is rare.
//!
//! A `NameNode` goes on giving new blocks to a dead `DataNode` until it is known to be dead, and with as many replicas as there are
//! `DataNodes` every try meets it. So from the third try on there is one replica and, so that one good choice is enough, one block; the
//! number of replicas is raised again before the rename.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hearth_common::Backoff;
use tokio::io::AsyncReadExt as _;
use uuid::Uuid;

use crate::counters::add;
use crate::error::Action;
use crate::wait::{Patience, Waiting};
use crate::writer::{NewFile, Parents};
use crate::{Depth, Hdfs, HdfsError, HdfsUrl, Overwrite};

const READ_BYTES: usize = 1 << 20;
/// Tries with all replicas.
const FULL_TRIES: u32 = 2;
/// A block that holds a whole file is not larger than this.
const BLOCK_BYTES_MAX: u64 = 1 << 30;
/// Replicas that a file gets after a try with one, where nobody says how many.
const REPLICATION_DEFAULT: u32 = 3;
/// Short, because the next try may well meet another `DataNode`.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(2) };

/// What is in a file to be.
#[derive(Debug, Clone)]
pub enum Content {
    /// These bytes.
    Bytes(Bytes),
    /// What is in a local file, which must not change.
    File(PathBuf),
}

/// A file to write.
#[derive(Clone)]
pub struct Upload<'a> {
    /// What is in it.
    pub content: Content,
    /// Replicas. Default: of the settings, of Hadoop's configuration, of the `NameNode`.
    pub replication: Option<u32>,
    /// What becomes of missing directories above it.
    pub parents: Parents,
    /// What becomes of a file that is there.
    pub overwrite: Overwrite,
    /// Called with the bytes that were sent, from 0 again with each try.
    pub progress: &'a (dyn Fn(u64) + Sync),
    /// Called while a `NameNode` is waited for.
    pub notice: &'a (dyn Fn(&Waiting<'_>) + Sync),
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uploaded {
    /// Length of the file.
    pub bytes: u64,
    /// Tries that it took; 1 where nothing failed.
    pub tries: u32,
}

impl<'a> Upload<'a> {
    /// Into a directory that exists, over no file that exists, telling nobody.
    #[must_use]
    pub fn new(content: Content) -> Self {
        Self {
            content,
            replication: None,
            parents: Parents::MustExist,
            overwrite: Overwrite::Never,
            progress: &|_| (),
            notice: &|_| (),
        }
    }

    fn patience(&self, hdfs: &Hdfs) -> Patience<'a> {
        Patience { limit: hdfs.settings().wait_for_namenode, notice: self.notice }
    }
}

/// How one try stores the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    new: NewFile,
    /// What to raise the number of replicas to when the file is written.
    raise_to: Option<u32>,
}

/// The plan of try number `tries`, from 1.
fn plan(tries: u32, bytes: u64, wanted: NewFile) -> Plan {
    if tries <= FULL_TRIES {
        return Plan { new: wanted, raise_to: None };
    }
    let whole = bytes.clamp(1, BLOCK_BYTES_MAX).next_multiple_of(1 << 20);
    let block_bytes = Some(wanted.block_bytes.unwrap_or_default().max(whole));
    let raise_to = Some(wanted.replication.unwrap_or(REPLICATION_DEFAULT)).filter(|wanted| *wanted > 1);
    Plan { new: NewFile { replication: Some(1), block_bytes, ..wanted }, raise_to }
}

impl Hdfs {
    /// Writes a file whole, or leaves nothing. Takes as long as `wait_for_datanodes` and `wait_for_namenode` of the settings allow.
    ///
    /// # Errors
    /// [`HdfsError::Exists`] where a file is in the way; [`HdfsError::DataNodes`] or [`HdfsError::GaveUp`] when the time is over; any
    /// other failure at once. Only after [`HdfsError::GaveUp`] may the file be there all the same.
    pub async fn upload(&self, target: &HdfsUrl, upload: &Upload<'_>) -> Result<Uploaded, HdfsError> {
        let action = Action { verb: "write", path: target };
        let bytes = upload.content.bytes()?;
        let patience = upload.patience(self);
        let (Some(directory), Some(name)) = (target.parent(), target.name()) else {
            return Err(action.is_directory());
        };
        if upload.overwrite == Overwrite::Never && self.wait_for(patience, || self.entry(target)).await?.is_some() {
            return Err(action.exists());
        }
        let mut wanted = NewFile {
            replication: upload.replication.or_else(|| self.replication()),
            block_bytes: self.block_bytes(),
            parents: upload.parents,
        };
        let (begun, mut tries) = (Instant::now(), 0);
        loop {
            tries += 1;
            let part = directory.join(&format!(".{name}.{}.part", Uuid::new_v4().simple()))?;
            let plan = plan(tries, bytes, wanted);
            let error = match self.send_whole(&part, upload, plan).await {
                Ok(()) => {
                    self.publish(&part, target, upload.overwrite).await?;
                    return Ok(Uploaded { bytes, tries });
                }
                Err(error) => error,
            };
            let may_pass = error.is_transient() || matches!(error, HdfsError::LostLease { .. });
            let is_over = begun.elapsed() >= self.settings().wait_for_datanodes;
            if may_pass && !is_over && error.is_namenode_trouble() {
                // First of all: whoever waits for the file shall hear why, and nothing can be removed before it is over.
                self.wait_for(patience, || self.probe(&directory)).await?;
            }
            wanted.replication = self.clear(&part, wanted.replication).await;
            if !may_pass || is_over {
                return Err(error);
            }
            tracing::warn!(%target, %error, tries, "writing failed; sending the whole file again");
            add(&self.counters().uploads_repeated, 1);
            tokio::time::sleep(BACKOFF.delay_after(tries)).await;
        }
    }

    /// Whether the `NameNode` takes changes: asks for one that changes nothing.
    async fn probe(&self, directory: &HdfsUrl) -> Result<(), HdfsError> {
        match self.entry(directory).await? {
            Some(_) => self.ensure_directory(directory).await,
            None => Ok(()),
        }
    }

    async fn send_whole(&self, part: &HdfsUrl, upload: &Upload<'_>, plan: Plan) -> Result<(), HdfsError> {
        let mut writer = self.create(part, plan.new).await?;
        let mut content = upload.content.open().await?;
        while let Some(chunk) = content.next().await? {
            writer.write(chunk).await?;
            (upload.progress)(writer.bytes_written());
        }
        let sent = writer.close().await?;
        if let Some(replication) = plan.raise_to {
            add(&self.counters().uploads_with_one_replica, 1);
            self.set_replication(part, replication).await?;
        }
        let stored = self.stat(part).await?.bytes;
        if stored != sent || sent != upload.content.bytes()? {
            let message = format!("{stored} bytes are stored of {sent}");
            return Err(Action { verb: "write", path: part }.data_nodes(message));
        }
        Ok(())
    }

    async fn publish(&self, part: &HdfsUrl, target: &HdfsUrl, overwrite: Overwrite) -> Result<(), HdfsError> {
        let renamed = self.wait_quietly(|| self.rename(part, target, overwrite)).await;
        if renamed.is_err() {
            self.clear(part, None).await;
        }
        renamed
    }

    /// Removes what a failed try left, as far as that is possible now: its name is used once, and hidden. Answers with the number of
    /// replicas that the file had, if nobody said how many it should have.
    async fn clear(&self, part: &HdfsUrl, replication: Option<u32>) -> Option<u32> {
        let known = match replication {
            Some(known) => Some(known),
            None => self.entry(part).await.ok().flatten().map(|entry| entry.replication),
        };
        if let Err(error) = self.remove(part, Depth::One).await {
            tracing::warn!(%part, %error, "could not remove an unfinished file");
        }
        known
    }
}

impl Content {
    /// Its length.
    ///
    /// # Errors
    /// [`HdfsError::Local`].
    pub fn bytes(&self) -> Result<u64, HdfsError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.len() as u64),
            Self::File(path) => match std::fs::metadata(path) {
                Ok(metadata) => Ok(metadata.len()),
                Err(source) => Err(local(path, source)),
            },
        }
    }

    async fn open(&self) -> Result<OpenContent, HdfsError> {
        match self {
            Self::Bytes(bytes) => Ok(OpenContent::Bytes(bytes.clone())),
            Self::File(path) => match tokio::fs::File::open(path).await {
                Ok(file) => Ok(OpenContent::File(file, path.clone())),
                Err(source) => Err(local(path, source)),
            },
        }
    }
}

enum OpenContent {
    Bytes(Bytes),
    File(tokio::fs::File, PathBuf),
}

impl OpenContent {
    async fn next(&mut self) -> Result<Option<Bytes>, HdfsError> {
        let chunk = match self {
            Self::Bytes(bytes) => bytes.split_to(bytes.len().min(READ_BYTES)),
            Self::File(file, path) => {
                let mut chunk = Vec::with_capacity(READ_BYTES);
                let mut part = file.take(READ_BYTES as u64);
                part.read_to_end(&mut chunk).await.map_err(|source| local(path, source))?;
                chunk.into()
            }
        };
        Ok(Some(chunk).filter(|chunk| !chunk.is_empty()))
    }
}

fn local(path: &Path, source: std::io::Error) -> HdfsError {
    HdfsError::Local { action: "read", path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: NewFile = NewFile { replication: Some(2), block_bytes: Some(1 << 20), parents: Parents::MustExist };

    fn check(tries: u32, bytes: u64, wanted: NewFile, expected: (Option<u32>, Option<u64>, Option<u32>)) {
        let plan = plan(tries, bytes, wanted);
        assert_eq!((plan.new.replication, plan.new.block_bytes, plan.raise_to), expected, "try {tries}");
        assert_eq!(plan.new.parents, wanted.parents);
    }

    #[test]
    fn later_tries_need_one_data_node() {
        check(1, 10 << 20, WANTED, (Some(2), Some(1 << 20), None));
        check(2, 10 << 20, WANTED, (Some(2), Some(1 << 20), None));
        check(3, (10 << 20) + 1, WANTED, (Some(1), Some(11 << 20), Some(2)));
        check(3, 0, WANTED, (Some(1), Some(1 << 20), Some(2)));
        check(9, u64::MAX, WANTED, (Some(1), Some(1 << 30), Some(2)));
        check(
            3,
            5,
            NewFile { replication: None, block_bytes: Some(128 << 20), ..WANTED },
            (Some(1), Some(128 << 20), Some(3)),
        );
        check(3, 5, NewFile { replication: Some(1), ..WANTED }, (Some(1), Some(1 << 20), None));
    }
}
