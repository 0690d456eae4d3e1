//! A file that is open for reading: one call to the `NameNode`, then any number of reads of its ranges.
//!
//! When every replica that was known at the opening has failed, the file is opened again, with the replicas of that moment.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use hdfs_native::HdfsError as NativeError;
use hdfs_native::file::FileReader;

use crate::client::lock;
use crate::counters::add;
use crate::deadline::{NoOutcome, within};
use crate::error::Action;
use crate::protocol::FoundBlock;
use crate::stream::Ahead;
use crate::{Hdfs, HdfsError, HdfsStream, HdfsUrl};

/// A file that is open for reading. Cheap to clone.
#[derive(Clone)]
pub struct HdfsFile {
    hdfs: Hdfs,
    inner: Arc<FileInner>,
}

struct FileInner {
    url: HdfsUrl,
    bytes: u64,
    opened: Mutex<Opened>,
    /// For short-circuit reads alone; empty when there are none.
    blocks: Vec<FoundBlock>,
}

/// What the client knows of the file's blocks, and how often it was opened before.
#[derive(Clone)]
struct Opened {
    reader: Arc<FileReader>,
    number: u32,
}

impl std::fmt::Debug for HdfsFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HdfsFile")
            .field("url", &self.inner.url)
            .field("bytes", &self.inner.bytes)
            .finish_non_exhaustive()
    }
}

impl HdfsFile {
    /// Opens a file.
    ///
    /// # Errors
    /// [`HdfsError::Missing`], [`HdfsError::IsDirectory`], and what else the `NameNode` says.
    pub async fn open(hdfs: &Hdfs, url: &HdfsUrl) -> Result<Self, HdfsError> {
        let before = blocks_to_read_here(hdfs, url).await;
        let reader = ask_for_blocks(hdfs, url).await?;
        add(&hdfs.counters().files_opened, 1);
        let bytes = reader.file_length() as u64;
        // The client does not tell which blocks it found. They are those that were there before and after.
        let is_whole = before.last().is_some_and(|block| block.range().end == bytes);
        let blocks = if is_whole { blocks_to_read_here(hdfs, url).await } else { Vec::new() };
        let blocks = if same_blocks(&before, &blocks) { blocks } else { Vec::new() };
        let opened = Mutex::new(Opened { reader: Arc::new(reader), number: 0 });
        Ok(Self { hdfs: hdfs.clone(), inner: Arc::new(FileInner { url: url.clone(), bytes, opened, blocks }) })
    }

    /// Its length, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.inner.bytes
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &HdfsUrl {
        &self.inner.url
    }

    pub(crate) fn hdfs(&self) -> &Hdfs {
        &self.hdfs
    }

    /// The same open file, read through another handle on its cluster.
    pub(crate) fn through(&self, hdfs: &Hdfs) -> Self {
        Self { hdfs: hdfs.clone(), inner: Arc::clone(&self.inner) }
    }

    /// A range of it, whole.
    ///
    /// # Errors
    /// As [`HdfsStream::next`]; [`HdfsError::Refused`] for a range that ends behind the file.
    pub async fn read_range(&self, range: Range<u64>) -> Result<Bytes, HdfsError> {
        let mut stream = self.start(&range, Ahead::No)?;
        let mut whole = BytesMut::with_capacity(usize::try_from(range.end - range.start).unwrap_or_default());
        while let Some(chunk) = stream.next().await? {
            if chunk.len() as u64 == range.end - range.start {
                return Ok(chunk);
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// A range of it, in order and read ahead.
    ///
    /// # Errors
    /// [`HdfsError::Refused`] for a range that ends behind the file.
    pub fn stream(&self, range: Range<u64>) -> Result<HdfsStream, HdfsError> {
        self.start(&range, Ahead::Yes)
    }

    fn start(&self, range: &Range<u64>, ahead: Ahead) -> Result<HdfsStream, HdfsError> {
        // The client panics where this is not checked.
        if range.start > range.end || range.end > self.inner.bytes {
            let message = format!("bytes {} to {} are not in its {}", range.start, range.end, self.inner.bytes);
            return Err(Action { verb: "read", path: &self.inner.url }.refused(message));
        }
        Ok(HdfsStream::start(self.clone(), range.start, range.end, ahead))
    }

    /// Bytes of it through `DataNode`s, from `at` to `end`.
    pub(crate) fn pull(&self, at: u64, end: u64) -> Pull {
        Pull { file: self.clone(), at, end, chunks: None, number: 0, failures: 0 }
    }

    /// Its blocks, in order, where short-circuit reads are on; none when nobody knows.
    pub(crate) fn blocks(&self) -> &[FoundBlock] {
        &self.inner.blocks
    }

    fn opened(&self) -> Opened {
        lock(&self.inner.opened).clone()
    }

    /// Opens it again, unless somebody else has since `number`.
    async fn reopen(&self, number: u32) -> Result<(), HdfsError> {
        if self.opened().number != number {
            return Ok(());
        }
        let inner = &self.inner;
        let reader = ask_for_blocks(&self.hdfs, &inner.url).await?;
        let now = reader.file_length() as u64;
        if now != inner.bytes {
            return Err(HdfsError::Changed { path: inner.url.to_string(), before: inner.bytes, now });
        }
        add(&self.hdfs.counters().files_reopened, 1);
        *lock(&inner.opened) = Opened { reader: Arc::new(reader), number: number + 1 };
        Ok(())
    }
}

async fn blocks_to_read_here(hdfs: &Hdfs, url: &HdfsUrl) -> Vec<FoundBlock> {
    if hdfs.short_circuit().is_on() { hdfs.find_blocks(url, 0..u64::MAX >> 1).await } else { Vec::new() }
}

/// The number of a block is never given again, and its stamp is new after each change.
fn same_blocks(before: &[FoundBlock], after: &[FoundBlock]) -> bool {
    before.len() == after.len() && before.iter().zip(after).all(|(before, after)| before.block == after.block)
}

async fn ask_for_blocks(hdfs: &Hdfs, url: &HdfsUrl) -> Result<FileReader, HdfsError> {
    let action = Action { verb: "read", path: url };
    hdfs.ask(action, |client| async move { client.read(url.path()).await }).await
}

/// The bytes of a range, one packet of a `DataNode` after another.
pub(crate) struct Pull {
    file: HdfsFile,
    at: u64,
    end: u64,
    chunks: Option<BoxStream<'static, hdfs_native::Result<Bytes>>>,
    /// Which opening `chunks` is of.
    number: u32,
    /// Failures since the last bytes came.
    failures: u32,
}

impl Pull {
    /// The next bytes; `None` after the last one. A drop in between loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, HdfsError> {
        while self.at < self.end {
            let settings = self.file.hdfs().settings();
            // Behind one packet may stand a hung DataNode, met through connections that are kept and once more afresh, and
            // a question to the NameNode.
            let limit = settings.io_timeout * 4 + settings.rpc_timeout;
            let chunks = self.chunks.get_or_insert_with(|| {
                let opened = self.file.opened();
                self.number = opened.number;
                let (from, length) = (index(self.at), index(self.end - self.at));
                opened.reader.read_range_stream(from, length).boxed()
            });
            let problem = match within(limit, chunks.next()).await {
                Ok(Some(Ok(chunk))) if chunk.is_empty() => continue,
                Ok(Some(Ok(chunk))) => {
                    self.at += chunk.len() as u64;
                    self.failures = 0;
                    add(&self.file.hdfs().counters().bytes_read, chunk.len() as u64);
                    return Ok(Some(chunk));
                }
                Ok(Some(Err(error))) => summarize(error),
                Ok(None) => "it ends early; is it still being written?".to_owned(),
                Err(NoOutcome::TooLate) => format!("no bytes came within {} ms", limit.as_millis()),
                Err(NoOutcome::Panicked) => "the HDFS client failed; its message is in the log".to_owned(),
            };
            self.recover(problem).await?;
        }
        Ok(None)
    }

    /// Prepares another try from the same place, or says why there is none.
    async fn recover(&mut self, problem: String) -> Result<(), HdfsError> {
        self.chunks = None;
        self.failures += 1;
        tracing::debug!(url = %self.file.url(), at = self.at, problem, failures = self.failures, "reading from HDFS failed");
        if self.failures > self.file.hdfs().settings().rpc_tries {
            return Err(explain(&self.file, self.at, problem).await);
        }
        if self.failures > 1 {
            self.file.hdfs().pause(self.failures - 1).await;
        }
        self.file.hdfs().wait_quietly(|| self.file.reopen(self.number)).await
    }
}

/// Names the block, if the `NameNode` tells it.
async fn explain(file: &HdfsFile, at: u64, problem: String) -> HdfsError {
    let url = file.url();
    let action = Action { verb: "read", path: url };
    let blocks = file.hdfs().block_locations(url, at..at + 1).await;
    let Some(block) = blocks.first() else {
        return action.data_nodes(format!("{problem} (at byte {at})"));
    };
    let name = format!("block blk_{} (bytes {} to {})", block.block, block.range.start, block.range.end);
    let path = url.to_string();
    if block.is_corrupt {
        return HdfsError::Block { path, problem: format!("every replica of {name} is corrupt") };
    }
    if block.replicas.is_empty() {
        let problem = format!("no replica of {name} is left: the DataNodes that had one are gone");
        return HdfsError::Block { path, problem };
    }
    let hosts: Vec<String> =
        block.replicas.iter().map(|replica| format!("{} ({})", replica.host, replica.ip)).collect();
    action.data_nodes(format!("{name} on {}: {problem}", hosts.join(", ")))
}

/// The client writes out everything it knows of the nodes; the hosts are named elsewhere.
fn summarize(error: NativeError) -> String {
    let text = error.to_string();
    match text.split_once("All DataNodes failed") {
        Some(_) => "no DataNode gives it".to_owned(),
        None => text,
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
