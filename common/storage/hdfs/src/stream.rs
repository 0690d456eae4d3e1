//! A sequential reader. What comes from `DataNode`s is read ahead of whoever decodes it, by a bounded number of bytes; blocks that
//! are read from this host's disks are read when they are asked for, as local files are.

use bytes::Bytes;
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::JoinHandle;

use crate::HdfsError;
use crate::counters::add;
use crate::error::Action;
use crate::file::{HdfsFile, Pull};
use crate::short_circuit::BlockFile;

/// A `DataNode` sends packets of this size.
const PACKET_BYTES: u64 = 64 << 10;
/// A range that is so short is not worth a task.
const SHORT_BYTES: u64 = 4 * PACKET_BYTES;
/// Bytes read from a disk at once: little enough to stay near the processor until they are decoded.
const PIECE_BYTES: u64 = 128 << 10;

/// Whether bytes are read before they are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ahead {
    Yes,
    No,
}

/// Bytes of a range of a file, in order. Dropping it ends the reading.
pub struct HdfsStream {
    file: HdfsFile,
    at: u64,
    end: u64,
    ahead: Ahead,
    /// What the bytes from `at` on come from.
    run: Option<Run>,
    /// Where the run ends.
    run_end: u64,
    /// Files of `DataNode`s are not looked for before this byte.
    past_files_until: u64,
}

enum Run {
    /// A file of a `DataNode` of this host, and where its block begins.
    Here(Box<BlockFile>, u64),
    /// Read when it is asked for.
    Direct(Box<Pull>),
    /// Read ahead; the channel's bound is the back-pressure.
    Ahead { chunks: Receiver<Result<Bytes, HdfsError>>, _task: Task },
}

/// Ends with whoever waits for what it reads.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl HdfsStream {
    /// Of a range that is in the file.
    pub(crate) fn start(file: HdfsFile, at: u64, end: u64, ahead: Ahead) -> Self {
        let mut stream = Self { file, at, end, ahead, run: None, run_end: at, past_files_until: at };
        if at < end && !stream.file.hdfs().short_circuit().is_on() {
            stream.read_through_nodes(end);
        }
        stream
    }

    /// The next bytes; `None` after the last one of the range. After an error there are none.
    ///
    /// # Errors
    /// [`HdfsError::DataNodes`] or [`HdfsError::Block`] when no replica of a block can be read, [`HdfsError::Changed`] when the file
    /// is another one by now, and what the `NameNode` says when it is asked for other replicas.
    pub async fn next(&mut self) -> Result<Option<Bytes>, HdfsError> {
        while self.at < self.end {
            if self.at >= self.run_end {
                self.run = None;
            }
            if self.run.is_none() {
                self.choose_run().await;
            }
            let chunk = match &mut self.run {
                Some(Run::Here(block, start)) => {
                    let piece_end = (self.at - *start) / PIECE_BYTES * PIECE_BYTES + PIECE_BYTES;
                    match block.read(self.at - *start..piece_end.min(self.run_end - *start)) {
                        Ok(chunk) => {
                            add(&self.file.hdfs().counters().bytes_read, chunk.len() as u64);
                            add(&self.file.hdfs().counters().bytes_read_here, chunk.len() as u64);
                            Ok(Some(chunk))
                        }
                        Err(error) => {
                            tracing::warn!(url = %self.file.url(), block = *start, %error, "a replica on this host is not read from its file; a DataNode is asked");
                            add(&self.file.hdfs().counters().short_circuit_failures, 1);
                            self.past_files_until = self.run_end;
                            self.run = None;
                            continue;
                        }
                    }
                }
                Some(Run::Direct(pull)) => pull.next().await,
                Some(Run::Ahead { chunks, .. }) => chunks.recv().await.transpose(),
                None => Ok(None),
            };
            return match chunk {
                Ok(Some(chunk)) => {
                    self.at += chunk.len() as u64;
                    Ok(Some(chunk))
                }
                Ok(None) => {
                    self.at = self.end;
                    Err(Action { verb: "read", path: self.file.url() }.refused("the reading task ended early"))
                }
                Err(error) => {
                    self.at = self.end;
                    Err(error)
                }
            };
        }
        Ok(None)
    }

    /// Decides where the bytes from `at` on come from.
    async fn choose_run(&mut self) {
        let hdfs = self.file.hdfs().clone();
        if !hdfs.short_circuit().is_on() {
            return self.read_through_nodes(self.end);
        }
        let blocks = self.file.blocks();
        let first = blocks.partition_point(|block| block.range().end <= self.at);
        let blocks = blocks.get(first..).unwrap_or_default();
        if let Some(block) = blocks.first().filter(|block| block.range().contains(&self.at))
            && self.at >= self.past_files_until
            && let Some(file) = hdfs.open_here(block).await
        {
            self.run_end = block.range().end.min(self.end);
            self.run = Some(Run::Here(Box::new(file), block.range().start));
            return;
        }
        // All that follows and is not here is one run.
        let mut elsewhere = blocks.iter().skip(1);
        let next = elsewhere.find(|block| hdfs.short_circuit().may_open(block));
        self.read_through_nodes(next.map_or(self.end, |block| block.offset.min(self.end)));
    }

    fn read_through_nodes(&mut self, end: u64) {
        self.run_end = end;
        let mut pull = self.file.pull(self.at, end);
        if self.ahead == Ahead::No || end - self.at <= SHORT_BYTES {
            self.run = Some(Run::Direct(Box::new(pull)));
            return;
        }
        let ahead = self.file.hdfs().settings().read_ahead.0 / PACKET_BYTES;
        let (sender, chunks) = mpsc::channel(usize::try_from(ahead).unwrap_or(1).max(1));
        let task = self.file.hdfs().spawn(async move {
            while let Some(chunk) = pull.next().await.transpose() {
                let failed = chunk.is_err();
                if sender.send(chunk).await.is_err() || failed {
                    break;
                }
            }
        });
        self.run = Some(Run::Ahead { chunks, _task: Task(task) });
    }

    /// The file that it reads.
    #[must_use]
    pub fn file(&self) -> &HdfsFile {
        &self.file
    }
}
