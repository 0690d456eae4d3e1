//! Writes the rows of a final task to files in the job's staging directory. Nothing here makes a file visible: that is the commit's.

mod format;
mod hive;
mod staging;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use hearth_common::{AttemptId, FailureCause, OutputFile};
use hearth_plan::OutputSink;
use hearth_storage::{Storage, StorageError, StoredFile};

use self::format::FormatWriter;
use self::hive::Directories;
use self::staging::{StagedFiles, StagedName};

/// Files of different directories that are open at a time; the one that was not written to for longest is closed first.
const OPEN_FILES_MAX: usize = 64;
/// Complete files on their way to their storage at a time.
const STORING_MAX: usize = 8;
/// Memory that unfinished row groups of all open files may hold together, in bytes.
const OPEN_BYTES_MAX: usize = 160 << 20;

/// Writes the output of one attempt. Dropped before [`OutputWriter::finish`], it leaves nothing.
pub(crate) struct OutputWriter {
    storage: Storage,
    sink: OutputSink,
    attempt: AttemptId,
    file_schema: SchemaRef,
    /// `None` without `partition_by`.
    directories: Option<Directories>,
    open: BTreeMap<String, OpenFile>,
    clock: u64,
    staged: StagedFiles,
    storing: FuturesUnordered<Storing>,
    finished_bytes: u64,
}

/// A complete file on its way to its storage, with the number of its name.
type Storing = BoxFuture<'static, Result<(u32, StoredFile, OutputFile), FailureCause>>;

struct OpenFile {
    writer: Box<dyn FormatWriter>,
    name: StagedName,
    rows: u64,
    last_used: u64,
}

impl OutputWriter {
    pub(crate) fn create(
        storage: Storage,
        sink: OutputSink,
        attempt: AttemptId,
        schema: &SchemaRef,
    ) -> Result<Self, FailureCause> {
        let partition_by = &sink.spec.partition_by;
        let directories = if partition_by.is_empty() { None } else { Some(Directories::new(schema, partition_by)?) };
        let file_schema = directories.as_ref().map_or(schema, Directories::file_schema);
        let staged = StagedFiles::new(&sink.attempts_url, attempt, format::extension(sink.spec.format));
        Ok(Self {
            storage,
            attempt,
            file_schema: SchemaRef::clone(file_schema),
            directories,
            open: BTreeMap::new(),
            clock: 0,
            staged,
            storing: FuturesUnordered::new(),
            finished_bytes: 0,
            sink,
        })
    }

    /// Takes rows.
    pub(crate) async fn push(&mut self, batch: &RecordBatch) -> Result<(), FailureCause> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        match &self.directories {
            None => self.write("", batch).await,
            Some(directories) => {
                for (directory, rows) in directories.group(batch)? {
                    self.write(&directory, &rows).await?;
                }
                self.relieve()
            }
        }
    }

    /// Bytes in the files so far.
    pub(crate) fn bytes_written(&self) -> u64 {
        self.finished_bytes + self.open.values().map(|open| open.writer.file_bytes()).sum::<u64>()
    }

    /// Completes all files.
    pub(crate) async fn finish(mut self) -> Result<Vec<OutputFile>, FailureCause> {
        // An output without rows still has a schema: its first task leaves a file without rows.
        let first_task = self.attempt.task.partition == 0;
        let has_files = !(self.staged.is_empty() && self.open.is_empty() && self.storing.is_empty());
        if first_task && self.directories.is_none() && !has_files {
            self.open_file("")?;
        }
        while let Some((directory, open)) = self.open.pop_first() {
            self.close(directory, open).await?;
        }
        self.wait_for_storing(0).await?;
        Ok(self.staged.keep())
    }

    async fn write(&mut self, directory: &str, rows: &RecordBatch) -> Result<(), FailureCause> {
        if !self.open.contains_key(directory) {
            self.make_room().await?;
            self.open_file(directory)?;
        }
        self.clock += 1;
        let Some(open) = self.open.get_mut(directory) else { return Ok(()) };
        open.last_used = self.clock;
        open.writer.write(rows)?;
        open.rows += rows.num_rows() as u64;
        if open.writer.file_bytes() >= self.sink.spec.file_bytes_max.0
            && let Some((directory, open)) = self.open.remove_entry(directory)
        {
            self.close(directory, open).await?;
        }
        Ok(())
    }

    fn open_file(&mut self, directory: &str) -> Result<(), FailureCause> {
        let name = self.staged.next_name();
        let file = self.storage.create_file(&name.url).map_err(StorageError::into_cause)?;
        let writer = format::create(file, &self.sink.spec, &self.file_schema)?;
        let open = OpenFile { writer, name, rows: 0, last_used: self.clock };
        self.open.insert(directory.to_owned(), open);
        Ok(())
    }

    async fn make_room(&mut self) -> Result<(), FailureCause> {
        while self.open.len() >= OPEN_FILES_MAX {
            let oldest =
                self.open.iter().min_by_key(|(_, open)| open.last_used).map(|(directory, _)| directory.clone());
            let Some((directory, open)) = oldest.and_then(|directory| self.open.remove_entry(&directory)) else {
                return Ok(());
            };
            self.close(directory, open).await?;
        }
        Ok(())
    }

    /// Keeps what all open files hold in memory within bounds: the largest give back first.
    fn relieve(&mut self) -> Result<(), FailureCause> {
        let mut total: usize = self.open.values().map(|open| open.writer.memory_bytes()).sum();
        while total > OPEN_BYTES_MAX {
            let Some(open) = self.open.values_mut().max_by_key(|open| open.writer.memory_bytes()) else { break };
            let before = open.writer.memory_bytes();
            open.writer.relieve()?;
            let freed = before.saturating_sub(open.writer.memory_bytes());
            if freed == 0 {
                break;
            }
            total -= freed;
        }
        Ok(())
    }

    /// Ends a file. It may be on its way to its storage for a while after that, beside a few others.
    async fn close(&mut self, directory: String, open: OpenFile) -> Result<(), FailureCause> {
        let OpenFile { writer, name, rows, .. } = open;
        let (file, extension) = (writer.finish()?, self.staged.extension().to_owned());
        self.storing.push(Box::pin(async move {
            let stored = file.finish().await.map_err(StorageError::into_cause)?;
            let bytes = stored.bytes();
            Ok((name.number, stored, OutputFile { staged: name.staged, directory, extension, rows, bytes }))
        }));
        self.wait_for_storing(STORING_MAX - 1).await
    }

    /// Waits until at most so many files are on their way.
    async fn wait_for_storing(&mut self, files_max: usize) -> Result<(), FailureCause> {
        while self.storing.len() > files_max {
            let Some(stored) = self.storing.next().await else { return Ok(()) };
            let (number, stored, file) = stored?;
            self.finished_bytes += file.bytes;
            self.staged.add(number, stored, file);
        }
        Ok(())
    }
}
