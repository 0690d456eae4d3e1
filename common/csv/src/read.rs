//! The records of one input split, as record batches.

use std::sync::Arc;

use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Decoder;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use bytes::{Buf, Bytes, BytesMut};
use datafusion::execution::runtime_env::RuntimeEnv;
use hearth_common::{CsvOptions, FailureCause, InputSplit};
use hearth_storage::{SplitLines, open_split};

use crate::header::{self, HEADER_BYTES_MAX};
use crate::problem;
use crate::structure::{Structure, first_record, has_content};

/// How the files of a table are read.
#[derive(Debug, Clone)]
pub struct CsvTable {
    /// How the files are written.
    pub options: CsvOptions,
    /// Columns of the files, in their order.
    pub schema: SchemaRef,
    /// Columns to read, by position; all where it is `None`.
    pub projection: Option<Vec<usize>>,
    /// Rows of a batch.
    pub batch_rows: usize,
}

/// The records that start in one input split.
pub struct SplitRecords {
    table: Arc<CsvTable>,
    split: InputSplit,
    lines: SplitLines,
    decoder: Decoder,
    structure: Structure,
    /// Bytes of the split's beginning, until its header is complete.
    header: Option<BytesMut>,
    at_file_start: bool,
    chunk: Bytes,
    ended: bool,
}

impl CsvTable {
    /// Opens an input split.
    ///
    /// # Errors
    /// A file that cannot be opened or is not the planned one, and a split of part of a file where lines are no records.
    pub async fn open(
        self: &Arc<Self>,
        split: &InputSplit,
        runtime: &RuntimeEnv,
    ) -> Result<SplitRecords, FailureCause> {
        if self.options.multiline && (split.start > 0 || split.end < split.file_bytes) {
            return Err(FailureCause::internal(format!(
                "{} was split although its fields may hold line breaks",
                split.url
            )));
        }
        let mut builder = ReaderBuilder::new(Arc::clone(&self.schema))
            .with_format(header::format(&self.options))
            .with_batch_size(self.batch_rows);
        if let Some(projection) = &self.projection {
            builder = builder.with_projection(projection.clone());
        }
        Ok(SplitRecords {
            table: Arc::clone(self),
            split: split.clone(),
            lines: open_split(runtime, split).await?,
            decoder: builder.build_decoder(),
            structure: Structure::new(&self.options),
            header: (self.options.header && split.start == 0).then(BytesMut::new),
            at_file_start: split.start == 0,
            chunk: Bytes::new(),
            ended: false,
        })
    }
}

impl SplitRecords {
    /// The next records; `None` after the last one.
    ///
    /// # Errors
    /// What the storage says, and the first record that cannot be read.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, FailureCause> {
        loop {
            if self.chunk.is_empty() && !self.ended {
                self.fill().await?;
                if self.chunk.is_empty() && !self.ended {
                    continue;
                }
            }
            let used = self.decoder.decode(&self.chunk).map_err(|error| self.describe(&error))?;
            self.chunk.advance(used);
            if self.decoder.capacity() > 0 && !self.ended {
                continue;
            }
            let batch = self.decoder.flush().map_err(|error| self.describe(&error))?;
            if batch.is_some() || self.ended {
                return Ok(batch);
            }
        }
    }

    /// Fetches the next chunk, without BOM and header; it may be empty.
    async fn fill(&mut self) -> Result<(), FailureCause> {
        let position = self.lines.position();
        let Some(mut chunk) = self.lines.next().await? else {
            return self.end();
        };
        if std::mem::take(&mut self.at_file_start) && chunk.starts_with(b"\xEF\xBB\xBF") {
            chunk.advance(3);
        }
        if self.table.options.multiline {
            self.structure.pass(&chunk);
        } else if let Some(at) = self.structure.find_quoted_line_break(&chunk) {
            return Err(self.quoted_line_break(position.max(self.split.start) + at as u64));
        }
        self.chunk = match self.header.take() {
            None => chunk,
            Some(start) => self.take_header(start, &chunk)?,
        };
        Ok(())
    }

    fn end(&mut self) -> Result<(), FailureCause> {
        self.ended = true;
        if self.structure.is_in_quotes() {
            let message = "the last CSV record has a quoted field without its closing quote";
            return Err(problem::of_file(&self.split.url, message));
        }
        match self.header.take() {
            Some(start) if has_content(&start, &self.table.options) => {
                header::check(&start, &self.table.options, &self.table.schema, &self.split.url)
            }
            Some(_) if self.split.end < self.split.file_bytes => Err(problem::of_file(
                &self.split.url,
                "the CSV header does not begin in the file's first input split; remove the blank lines or comments before it",
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Checks the header when all of it is there; gives what follows it.
    fn take_header(&mut self, mut start: BytesMut, chunk: &[u8]) -> Result<Bytes, FailureCause> {
        start.extend_from_slice(chunk);
        match first_record(&start, &self.table.options) {
            Some(end) => {
                header::check(&start[..end], &self.table.options, &self.table.schema, &self.split.url)?;
                Ok(start.freeze().slice(end..))
            }
            None if start.len() > HEADER_BYTES_MAX => {
                let message = format!("cannot find the end of the CSV header in the first {HEADER_BYTES_MAX} bytes");
                Err(problem::of_file(&self.split.url, message))
            }
            None => {
                self.header = Some(start);
                Ok(Bytes::new())
            }
        }
    }

    fn quoted_line_break(&self, near: u64) -> FailureCause {
        let message = format!(
            "a quoted CSV field holds a line break near byte {near}, or its closing quote is missing; \
             set multiline = true for this input if line breaks are meant"
        );
        problem::of_file(&self.split.url, message)
    }

    fn describe(&self, error: &arrow::error::ArrowError) -> FailureCause {
        problem::of_split(&self.split, &self.table.schema, error)
    }
}

#[cfg(test)]
mod tests;
