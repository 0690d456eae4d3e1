//! The file of one shuffle output while it is written: frames, then the index.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::ipc::writer::IpcWriteOptions;
use datafusion::error::DataFusionError;
use hearth_common::{AttemptId, FailureCause};
use hearth_plan::cause_of;
use hearth_plan::frame::frame_header;

use super::compact::{compact, row_bytes};
use super::frame::{encode, write_options};
use super::index::{Extent, PartitionEntry, ShuffleIndex};
use super::store::ShuffleStore;

/// Rows of a frame; what readers get as one batch.
pub(super) const FRAME_ROWS_MAX: usize = 8192;
/// Uncompressed size that a frame aims at where its rows are wide, in bytes.
pub(super) const FRAME_BYTES_TARGET: usize = 4 << 20;
/// Largest payload that is written; a batch beyond it is cut in two.
const PAYLOAD_BYTES_MAX: usize = 64 << 20;
/// Rows of more bytes are cut in two before they are encoded.
const ROW_BYTES_MAX: usize = 512 << 20;

/// How many rows of that width make a frame.
pub(super) fn frame_rows(bytes: usize, rows: usize) -> usize {
    let row_width = (bytes / rows.max(1)).max(1);
    (FRAME_BYTES_TARGET / row_width).clamp(1, FRAME_ROWS_MAX)
}

pub(super) fn arrow_cause(error: ArrowError) -> FailureCause {
    cause_of(&DataFusionError::from(error))
}

/// The file under its temporary name. Removed on drop unless it was completed.
#[derive(Debug)]
pub(super) struct FrameFile {
    file: BufWriter<File>,
    path: PathBuf,
    offset: u64,
    index: ShuffleIndex,
    options: IpcWriteOptions,
    payload: Vec<u8>,
    completed: bool,
}

impl FrameFile {
    pub(super) fn create(store: &ShuffleStore, attempt: AttemptId, partitions: u32) -> Result<Self, FailureCause> {
        let path = store.path(attempt).with_extension("unfinished");
        let directory = path.parent().unwrap_or(store.directory());
        let file = fs::create_dir_all(directory)
            .and_then(|()| File::create(&path))
            .map_err(|error| write_cause(&path, &error))?;
        Ok(Self {
            file: BufWriter::with_capacity(256 << 10, file),
            path,
            offset: 0,
            index: ShuffleIndex::new(partitions),
            options: write_options().map_err(arrow_cause)?,
            payload: Vec::new(),
            completed: false,
        })
    }

    /// Bytes so far.
    pub(super) const fn bytes(&self) -> u64 {
        self.offset
    }

    /// Writes rows of one partition, as one frame unless they are too large for one.
    pub(super) fn write(&mut self, partition: usize, rows: &RecordBatch) -> Result<(), FailureCause> {
        if rows.num_rows() > 1 && row_bytes(rows) > ROW_BYTES_MAX {
            return self.write_halves(partition, rows);
        }
        self.payload.clear();
        let rows = compact(rows).map_err(arrow_cause)?;
        encode(&rows, &self.options, &mut self.payload).map_err(arrow_cause)?;
        if self.payload.len() > PAYLOAD_BYTES_MAX {
            return self.write_halves(partition, &rows);
        }
        let header = frame_header(&self.payload).map_err(|error| FailureCause::internal(error.to_string()))?;
        let written = self.file.write_all(&header).and_then(|()| self.file.write_all(&self.payload));
        written.map_err(|error| write_cause(&self.path, &error))?;
        let bytes = (header.len() + self.payload.len()) as u64;
        let extent = Extent { offset: self.offset, bytes };
        self.offset += bytes;
        if let Some(entry) = self.index.partitions.get_mut(partition) {
            entry.add(rows.num_rows() as u64, extent);
        }
        Ok(())
    }

    fn write_halves(&mut self, partition: usize, rows: &RecordBatch) -> Result<(), FailureCause> {
        let half = rows.num_rows() / 2;
        if half == 0 {
            let (found, max) = (self.payload.len() >> 20, PAYLOAD_BYTES_MAX >> 20);
            let message = format!("a row of {found}MiB is too large to be sent between stages; at most {max}MiB");
            return Err(FailureCause::task(message));
        }
        self.write(partition, &rows.slice(0, half))?;
        self.write(partition, &rows.slice(half, rows.num_rows() - half))
    }

    /// Writes the index and gives the file its name. Answers with the bytes of each partition.
    pub(super) fn complete(mut self, path: &Path) -> Result<Vec<u64>, FailureCause> {
        let written = self.index.write(&mut self.file).and_then(|()| self.file.flush());
        let renamed = written.and_then(|()| fs::rename(&self.path, path));
        renamed.map_err(|error| write_cause(path, &error))?;
        self.completed = true;
        Ok(self.index.partitions.iter().map(PartitionEntry::bytes).collect())
    }
}

impl Drop for FrameFile {
    fn drop(&mut self) {
        if !self.completed
            && let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "could not remove an unfinished shuffle output");
        }
    }
}

fn write_cause(path: &Path, error: &io::Error) -> FailureCause {
    let message = format!("cannot write {}: {error}", path.display());
    let kind = error.kind();
    if kind == io::ErrorKind::StorageFull || kind == io::ErrorKind::QuotaExceeded {
        let directory = path.parent().unwrap_or(path).display().to_string();
        return FailureCause::DiskFull { directory, message };
    }
    FailureCause::Storage { message }
}
