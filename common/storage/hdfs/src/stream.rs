//! A sequential reader that is ahead of whoever decodes what it reads, by a bounded number of bytes.

use bytes::Bytes;
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::JoinHandle;

use crate::HdfsError;
use crate::error::Action;
use crate::file::{HdfsFile, Pull};

/// A `DataNode` sends packets of this size.
const PACKET_BYTES: u64 = 64 << 10;
/// A range that is so short is not worth a task.
const SHORT_BYTES: u64 = 4 * PACKET_BYTES;

/// Bytes of a range of a file, in order. Dropping it ends the reading.
pub struct HdfsStream {
    file: HdfsFile,
    remaining: u64,
    source: Source,
}

enum Source {
    /// Read when it is asked for.
    Direct(Box<Pull>),
    /// Read ahead; the channel's bound is the back-pressure.
    Ahead { chunks: Receiver<Result<Bytes, HdfsError>>, task: JoinHandle<()> },
}

impl HdfsStream {
    pub(crate) fn start(mut pull: Pull) -> Self {
        let (file, remaining) = (pull.file().clone(), pull.remaining());
        if remaining <= SHORT_BYTES {
            return Self { file, remaining, source: Source::Direct(Box::new(pull)) };
        }
        let ahead = file.hdfs().settings().read_ahead.0 / PACKET_BYTES;
        let (sender, chunks) = mpsc::channel(usize::try_from(ahead).unwrap_or(1).max(1));
        let task = file.hdfs().spawn(async move {
            while let Some(chunk) = pull.next().await.transpose() {
                let failed = chunk.is_err();
                if sender.send(chunk).await.is_err() || failed {
                    break;
                }
            }
        });
        Self { file, remaining, source: Source::Ahead { chunks, task } }
    }

    /// The next bytes; `None` after the last one of the range. After an error there are none.
    ///
    /// # Errors
    /// [`HdfsError::DataNodes`] or [`HdfsError::Block`] when no replica of a block can be read, [`HdfsError::Changed`] when the file
    /// is another one by now, and what the `NameNode` says when it is asked for other replicas.
    pub async fn next(&mut self) -> Result<Option<Bytes>, HdfsError> {
        if self.remaining == 0 {
            return Ok(None);
        }
        let chunk = match &mut self.source {
            Source::Direct(pull) => pull.next().await,
            Source::Ahead { chunks, .. } => chunks.recv().await.transpose(),
        };
        match chunk {
            Ok(Some(chunk)) => {
                self.remaining = self.remaining.saturating_sub(chunk.len() as u64);
                Ok(Some(chunk))
            }
            Ok(None) => {
                self.remaining = 0;
                Err(Action { verb: "read", path: self.file.url() }.refused("the reading task ended early"))
            }
            Err(error) => {
                self.remaining = 0;
                Err(error)
            }
        }
    }

    /// The file that it reads.
    #[must_use]
    pub fn file(&self) -> &HdfsFile {
        &self.file
    }
}

impl Drop for HdfsStream {
    fn drop(&mut self) {
        if let Source::Ahead { task, .. } = &self.source {
            task.abort();
        }
    }
}
