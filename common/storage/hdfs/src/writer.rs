//! Writes one new file from front to back. Nothing waits longer than the settings say, and what is not closed goes away.
//!
//! It does not survive a `DataNode` that fails when a block begins; [`Hdfs::upload`] does, because it still has the bytes.

use bytes::Bytes;
use hdfs_native::WriteOptions;
use hdfs_native::file::FileWriter;

use crate::counters::add;
use crate::deadline::{NoOutcome, within};
use crate::error::Action;
use crate::{Depth, Hdfs, HdfsError, HdfsUrl};

/// Bytes given to the client at once: each such step has the deadline.
const STEP_BYTES: usize = 256 << 10;
/// The client keeps up to 13 MB on their way, and what is left of them is waited for when the file is closed.
const CLOSE_FACTOR: u32 = 3;

/// What becomes of directories above a new file that are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parents {
    /// They are made.
    Create,
    /// The file is not made either: a writer that is late cannot bring back a directory that was removed.
    MustExist,
}

/// How a new file is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewFile {
    /// Replicas. Default: of the settings, of Hadoop's configuration, of the `NameNode`.
    pub replication: Option<u32>,
    /// Block size in bytes, a multiple of 512. Default as for `replication`.
    pub block_bytes: Option<u64>,
    /// What becomes of missing directories.
    pub parents: Parents,
}

impl NewFile {
    /// As the settings say.
    #[must_use]
    pub const fn in_existing_directory() -> Self {
        Self { replication: None, block_bytes: None, parents: Parents::MustExist }
    }
}

/// A file that is being written. Dropped before [`HdfsWriter::close`] has succeeded, it is removed in the background.
pub struct HdfsWriter {
    hdfs: Hdfs,
    url: HdfsUrl,
    writer: Option<FileWriter>,
    written: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Failed,
    /// Closed, or no longer ours: nothing is left to remove.
    Over,
}

impl Hdfs {
    /// Begins a new file; one that exists is never replaced.
    ///
    /// # Errors
    /// [`HdfsError::Exists`]; [`HdfsError::Missing`] where the directory must exist and does not; and what else the `NameNode` says.
    /// When the answer was lost, an empty file may stand there: try again under another name.
    pub async fn create(&self, url: &HdfsUrl, new: NewFile) -> Result<HdfsWriter, HdfsError> {
        let action = Action { verb: "create", path: url };
        let mut options = WriteOptions::default().overwrite(false).create_parent(new.parents == Parents::Create);
        options.replication = new.replication.or_else(|| self.replication());
        options.block_size = new.block_bytes.or_else(|| self.block_bytes());
        let options = &options;
        let writer = self.ask_once(action, |client| async move { client.create(url.path(), options).await }).await?;
        Ok(HdfsWriter { hdfs: self.clone(), url: url.clone(), writer: Some(writer), written: 0, state: State::Open })
    }

    /// Replicas of a new file, where this process has an opinion.
    pub(crate) fn replication(&self) -> Option<u32> {
        self.settings().replication.or_else(|| self.conf().get("dfs.replication")?.parse().ok())
    }

    /// Block size of a new file, where this process has an opinion.
    pub(crate) fn block_bytes(&self) -> Option<u64> {
        self.settings().block_size.map(|size| size.0).or_else(|| hadoop_size(self.conf().get("dfs.blocksize")?))
    }
}

/// A size as Hadoop writes it: `134217728` or `128m`.
fn hadoop_size(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift).filter(|size| *size > 0 && size % 512 == 0)
}

impl HdfsWriter {
    /// Appends bytes. They are on their way, not yet safe.
    ///
    /// # Errors
    /// [`HdfsError::DataNodes`] when a `DataNode` fails or does not take them in time, [`HdfsError::LostLease`], [`HdfsError::Quota`].
    /// After an error the file can only be given up.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), HdfsError> {
        let limit = self.hdfs.settings().io_timeout;
        while !bytes.is_empty() {
            let step = bytes.split_to(bytes.len().min(STEP_BYTES));
            let length = step.len() as u64;
            let action = Action { verb: "write", path: &self.url };
            let Some(writer) = self.writer.as_mut().filter(|_| self.state == State::Open) else {
                return Err(action.refused("it failed before"));
            };
            let outcome = within(limit, writer.write_bytes(step)).await;
            let outcome = match outcome {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(action.classify_transfer(error)),
                Err(no_outcome) => Err(stalled(action, &no_outcome, limit)),
            };
            if let Err(error) = outcome {
                self.fail(&error);
                return Err(error);
            }
            self.written += length;
        }
        Ok(())
    }

    /// Bytes appended so far.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.written
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &HdfsUrl {
        &self.url
    }

    /// Waits until every byte is on the disks of its `DataNode`s, and ends the file. Answers with its length.
    ///
    /// # Errors
    /// As [`HdfsWriter::write`]. The file is then removed in the background.
    pub async fn close(mut self) -> Result<u64, HdfsError> {
        let limit = self.hdfs.settings().io_timeout * CLOSE_FACTOR;
        let action = Action { verb: "close", path: &self.url };
        let Some(writer) = self.writer.as_mut().filter(|_| self.state == State::Open) else {
            return Err(action.refused("it failed before"));
        };
        let outcome = match within(limit, writer.close()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(action.classify_transfer(error)),
            Err(no_outcome) => Err(stalled(action, &no_outcome, limit)),
        };
        if let Err(error) = outcome {
            self.fail(&error);
            return Err(error);
        }
        self.state = State::Over;
        add(&self.hdfs.counters().bytes_written, self.written);
        Ok(self.written)
    }

    /// A file whose lease went to somebody else is theirs.
    fn fail(&mut self, error: &HdfsError) {
        let is_theirs = matches!(error, HdfsError::LostLease { .. });
        self.state = if is_theirs { State::Over } else { State::Failed };
    }

    /// Gives it up and removes it, now.
    ///
    /// # Errors
    /// As [`Hdfs::remove`].
    pub async fn abandon(mut self) -> Result<(), HdfsError> {
        self.state = State::Over;
        self.writer = None;
        self.hdfs.remove(&self.url, Depth::One).await.map(|_| ())
    }
}

fn stalled(action: Action<'_>, no_outcome: &NoOutcome, limit: std::time::Duration) -> HdfsError {
    match no_outcome {
        NoOutcome::TooLate => action.data_nodes(format!("nothing moved for {} ms", limit.as_millis())),
        NoOutcome::Panicked => action.data_nodes("the HDFS client failed; its message is in the log"),
    }
}

impl Drop for HdfsWriter {
    fn drop(&mut self) {
        if self.state == State::Over {
            return;
        }
        // Else this process would renew the lease of a file that nobody writes for as long as it writes others.
        self.writer = None;
        let (hdfs, url) = (self.hdfs.clone(), self.url.clone());
        let _detached = self.hdfs.spawn(async move {
            if let Err(error) = hdfs.remove(&url, Depth::One).await {
                tracing::warn!(%url, %error, "could not remove an unfinished file");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(hadoop_size(text), expected, "{text}");
    }

    #[test]
    fn reads_sizes_as_hadoop_writes_them() {
        check("134217728", Some(128 << 20));
        check("128m", Some(128 << 20));
        check("1G", Some(1 << 30));
        check("0", None);
        check("1000", None);
        check("12x", None);
        check("99999999999999g", None);
    }
}
