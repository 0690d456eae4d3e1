//! Files of operators that found no room in memory. DataFusion writes and reads them, and trusts what it reads so far that damaged
//! bytes would be taken for memory addresses. So every block's checksum is kept in memory, where the file is of use to nobody
//! else anyway, and no byte is handed out before its block is verified.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SpillFile, SpillWriter, TempFileFactory};
use futures::Stream;
use hearth_common::{ByteSize, FailureCause};
use tokio::io::AsyncReadExt;
use xxhash_rust::xxh3::xxh3_64;

/// Blocks are about that long, and read as a whole.
const BLOCK_BYTES: usize = 128 << 10;

/// Makes the files of one life of a worker.
#[derive(Debug)]
pub(crate) struct SpillFiles {
    space: Arc<Space>,
    made: AtomicU64,
}

/// The directory, and how much of it is used.
#[derive(Debug)]
struct Space {
    directory: PathBuf,
    bytes_max: ByteSize,
    used: AtomicU64,
}

impl SpillFiles {
    /// Files in `directory`, together of at most `bytes_max`.
    pub(crate) fn new(directory: PathBuf, bytes_max: ByteSize) -> Self {
        let space = Arc::new(Space { directory, bytes_max, used: AtomicU64::new(0) });
        Self { space, made: AtomicU64::new(0) }
    }
}

impl TempFileFactory for SpillFiles {
    fn create_temp_file(&self, description: &str) -> Result<Arc<dyn SpillFile>> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let path = self.space.directory.join(number.to_string());
        let file = File::options().write(true).create_new(true).open(&path).map_err(|error| {
            let error = self.space.explain(error);
            DataFusionError::IoError(error).context(format!("make the file {} for {description}", path.display()))
        })?;
        let space = Arc::clone(&self.space);
        Ok(Arc::new(Spilled(Arc::new(Spill { path, file, space, blocks: Mutex::default() }))))
    }
}

impl Space {
    /// Takes room for so many bytes, if there is some.
    fn take(&self, bytes: u64) -> io::Result<()> {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if used <= self.bytes_max.0 {
            return Ok(());
        }
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        let message = format!("operators put more than {} on disk, the limit spill_bytes_max", self.bytes_max);
        Err(io::Error::other(self.full(message)))
    }

    fn full(&self, message: String) -> FailureCause {
        FailureCause::DiskFull { directory: self.directory.display().to_string(), message }
    }

    /// Names the directory where it is full.
    fn explain(&self, error: io::Error) -> io::Error {
        if !matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            return error;
        }
        let used = ByteSize(self.used.load(Ordering::Relaxed));
        io::Error::other(self.full(format!("{error}; operators have {used} there")))
    }
}

/// One file. It is gone when its last user is.
struct Spill {
    path: PathBuf,
    file: File,
    space: Arc<Space>,
    blocks: Mutex<Vec<Block>>,
}

/// What was written, one after the other.
#[derive(Debug, Clone, Copy)]
struct Block {
    offset: u64,
    bytes: usize,
    checksum: u64,
}

impl Spill {
    fn blocks(&self) -> MutexGuard<'_, Vec<Block>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bytes(&self) -> u64 {
        self.blocks().last().map_or(0, |last| last.offset + last.bytes as u64)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.space.take(bytes.len() as u64)?;
        let written = (&self.file).write_all(bytes).map_err(|error| self.space.explain(error));
        if written.is_err() {
            // What is there of it is removed with the file.
            self.space.used.fetch_sub(bytes.len() as u64, Ordering::Relaxed);
            return written;
        }
        let mut blocks = self.blocks();
        let offset = blocks.last().map_or(0, |last| last.offset + last.bytes as u64);
        blocks.push(Block { offset, bytes: bytes.len(), checksum: xxh3_64(bytes) });
        Ok(())
    }

    fn damaged(&self, at: u64, problem: &dyn fmt::Display) -> DataFusionError {
        let path = self.path.display();
        let cause =
            FailureCause::internal(format!("what was put on disk in {path} is damaged at byte {at}: {problem}"));
        DataFusionError::External(Box::new(cause))
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        self.space.used.fetch_sub(self.bytes(), Ordering::Relaxed);
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "a spill file could not be removed");
        }
    }
}

/// A file in DataFusion's hands.
struct Spilled(Arc<Spill>);

impl SpillFile for Spilled {
    fn path(&self) -> Option<&Path> {
        Some(&self.0.path)
    }

    fn size(&self) -> Option<u64> {
        Some(self.0.bytes())
    }

    fn read_stream(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>> {
        let reading = Reading { spill: Arc::clone(&self.0), file: None, next: 0 };
        Ok(Box::pin(futures::stream::try_unfold(reading, |mut reading| async move {
            Ok(reading.next_block().await?.map(|bytes| (bytes, reading)))
        })))
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
        Ok(Box::new(Writing { spill: Arc::clone(&self.0), buffer: Vec::new() }))
    }
}

struct Reading {
    spill: Arc<Spill>,
    file: Option<tokio::fs::File>,
    next: usize,
}

impl Reading {
    async fn next_block(&mut self) -> Result<Option<Bytes>> {
        let Some(block) = self.spill.blocks().get(self.next).copied() else { return Ok(None) };
        self.next += 1;
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tokio::fs::File::open(&self.spill.path).await?),
        };
        let mut bytes = vec![0; block.bytes];
        match file.read_exact(&mut bytes).await {
            Ok(_) if xxh3_64(&bytes) == block.checksum => Ok(Some(bytes.into())),
            Ok(_) => Err(self.spill.damaged(block.offset, &"its checksum is not what it was")),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.spill.damaged(block.offset, &error)),
            Err(error) => Err(DataFusionError::IoError(error)),
        }
    }
}

/// Collects blocks. What is not flushed when it is dropped was not finished, and is read by nobody.
struct Writing {
    spill: Arc<Spill>,
    buffer: Vec<u8>,
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BLOCK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.spill.write(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }
}

impl SpillWriter for Writing {
    fn finish(&mut self) -> Result<()> {
        Ok(self.flush()?)
    }
}

#[cfg(test)]
mod tests;
