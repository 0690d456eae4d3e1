//! The records of one input split, as record batches.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatchOptions};
use arrow::buffer::Buffer;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::execution::runtime_env::RuntimeEnv;
use hearth_common::{CsvOptions, Encoding, FailureCause, InputSplit, LinkScan};
use hearth_scan::ProblemKind;
use hearth_storage::{file_of, open_range};

use crate::column::{Column, column, type_name};
use crate::dialect;
use crate::field::FieldRules;
use crate::header::{self, Layout};
use crate::link::CONTEXT_BYTES;
use crate::problem::{BadRecord, Located, Reason};
use crate::run::Run;
use crate::segment::{Record, Segment};
use crate::segments::{Begin, Segments};

/// How the files of a table are read.
#[derive(Debug, Clone)]
pub struct CsvTable {
    /// How the files are written.
    pub options: CsvOptions,
    /// Columns of the table.
    pub schema: SchemaRef,
    /// Columns to read, by position; all where it is `None`.
    pub projection: Option<Vec<usize>>,
    /// Rows of a batch.
    pub batch_rows: usize,
}

/// The records that start in one input split.
pub struct SplitRecords {
    table: Arc<CsvTable>,
    /// Of the batches.
    schema: SchemaRef,
    segments: Segments,
    current: Option<(Segment, Buffer)>,
    /// Fields of a record.
    fields: usize,
    columns: Vec<Box<dyn Column>>,
    /// The field of each column.
    field_of: Vec<Option<usize>>,
    rules: FieldRules,
    /// Rows in `columns`.
    rows: usize,
    /// Line of the split's first record; 1 where it was guessed.
    line: u64,
    /// Start of the records before the header was left out, and its lines.
    header: Option<(u64, u64)>,
    bad: Vec<usize>,
}

impl CsvTable {
    /// Opens an input split.
    ///
    /// # Errors
    /// A file that cannot be opened, is not the planned one, or has other columns.
    pub async fn open(
        self: &Arc<Self>,
        split: &InputSplit,
        runtime: &RuntimeEnv,
    ) -> Result<SplitRecords, FailureCause> {
        let file = file_of(split);
        let header = header::read(&self.options, &file, runtime).await?;
        let layout = Layout::find(&header, &self.schema, (&self.options, &split.url))?;
        let known = match split.link {
            Some(link) => link.known.map(|known| (known.byte, known.line)),
            None => Some((split.start, 1)),
        };
        // The header is no record: what is known to begin in it begins behind it.
        let (begin, line, skipped) = match known {
            Some((byte, line)) if byte < header.end => {
                (Begin::Record(header.end), line + header.lines, Some((byte, header.lines)))
            }
            Some((byte, line)) => (Begin::Record(byte), line, None),
            None if split.start < header.end => (Begin::Record(header.end), 1, None),
            None => (Begin::Guess, 1, None),
        };
        let from = match begin {
            Begin::Record(byte) => byte,
            Begin::Guess => split.start.saturating_sub(CONTEXT_BYTES),
        };
        let source = open_range(runtime, &file, from.min(file.bytes)..file.bytes).await?;
        let rules = (dialect::of(&self.options), self.options.max_record_bytes.0);
        let schema = match &self.projection {
            Some(columns) => {
                Arc::new(self.schema.project(columns).map_err(|error| FailureCause::internal(error.to_string()))?)
            }
            None => Arc::clone(&self.schema),
        };
        let field_of = self.fields(&layout);
        Ok(SplitRecords {
            columns: self.columns(&schema, &field_of),
            field_of,
            rules: FieldRules::new(&self.options),
            table: Arc::clone(self),
            schema,
            segments: Segments::new(source, split.clone(), begin, rules),
            current: None,
            fields: layout.fields,
            rows: 0,
            line,
            header: skipped,
            bad: Vec::new(),
        })
    }

    /// The field of each column that is read.
    fn fields(&self, layout: &Layout) -> Vec<Option<usize>> {
        match &self.projection {
            Some(columns) => columns.iter().map(|column| layout.field_of[*column]).collect(),
            None => layout.field_of.clone(),
        }
    }

    fn columns(&self, schema: &Schema, field_of: &[Option<usize>]) -> Vec<Box<dyn Column>> {
        let fields = schema.fields().iter().zip(field_of);
        fields.map(|(field, number)| column(field.data_type(), *number, (&self.options, self.batch_rows))).collect()
    }
}

impl SplitRecords {
    /// The next records; `None` after the last one.
    ///
    /// # Errors
    /// What the storage says, and the first record that cannot be read.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, FailureCause> {
        while self.rows < self.table.batch_rows {
            if self.current.is_none() {
                let segment = self.segments.next().await.map_err(|error| self.cause_of(error))?;
                let Some(segment) = segment else { break };
                let buffer = Buffer::from(segment.bytes.clone());
                self.columns.iter_mut().for_each(|column| column.begin_segment());
                self.current = Some((segment, buffer));
            }
            self.read_some().map_err(|error| self.cause_of(error))?;
        }
        if self.rows == 0 {
            return Ok(None);
        }
        self.flush().map(Some)
    }

    /// What was taken for granted about the split and what was found; `None` for a split that needs no proof.
    ///
    /// Behind the last record, or after [`SplitRecords::finish`], it is complete; after an error it says how far the reading came.
    #[must_use]
    pub fn scan(&self) -> Option<LinkScan> {
        let link = self.segments.split().link?;
        let mut scan = self.segments.scan(link.number);
        if let Some((start, lines)) = self.header {
            scan.read.start = start;
            scan.read.end = scan.read.end.map(|mut end| {
                end.lines += lines;
                end
            });
        }
        Some(scan)
    }

    /// Passes over the rest of the split, so that [`SplitRecords::scan`] is complete. Values are not looked at.
    ///
    /// # Errors
    /// As [`SplitRecords::next`], for what is wrong with the structure.
    pub async fn finish(&mut self) -> Result<(), FailureCause> {
        if self.segments.split().link.is_none() {
            return Ok(());
        }
        self.segments.finish().await.map_err(|error| self.cause_of(error))
    }

    /// Reads records of the current segment until the batch is full, one is unusual, or none is left.
    fn read_some(&mut self) -> Result<(), Located> {
        let Some((mut segment, buffer)) = self.current.take() else { return Ok(()) };
        match segment.peek() {
            Some(record) => {
                self.read_records(&mut segment, record, &buffer)?;
                self.current = Some((segment, buffer));
            }
            None => self.segments.recycle(segment),
        }
        Ok(())
    }

    fn read_records(&mut self, segment: &mut Segment, record: Record, buffer: &Buffer) -> Result<(), Located> {
        let options = &self.table.options;
        let needs_look =
            options.comment.is_some() || self.fields == 1 || !segment.is_utf8 && options.encoding == Encoding::Utf8;
        let max = if needs_look { 1 } else { self.table.batch_rows - self.rows };
        let records = segment.regular(self.fields, max);
        if (records == 0 || needs_look) && self.look_at(segment, record)? == Look::Skip {
            segment.pass(1);
            return Ok(());
        }
        let run = Run::new(segment, self.fields, records);
        let mut first_bad: Option<(usize, usize)> = None;
        for (number, column) in self.columns.iter_mut().enumerate() {
            self.bad.clear();
            column.add(run, buffer, &mut self.bad);
            if let Some(row) = self.bad.first() {
                first_bad = Some(first_bad.map_or((*row, number), |found| found.min((*row, number))));
            }
        }
        if let Some((row, column)) = first_bad {
            segment.pass(row);
            return Err(self.bad_value(segment, column));
        }
        self.rows += records;
        segment.pass(records);
        Ok(())
    }

    /// Looks at the next record alone: whether it is one, and whether it can be read.
    fn look_at(&self, segment: &Segment, record: Record) -> Result<Look, Located> {
        let options = &self.table.options;
        let raw = &segment.bytes[record.start..record.end];
        if raw.is_empty() || options.comment.is_some() && raw.first() == options.comment.as_ref() {
            return Ok(Look::Skip);
        }
        let reason = match segment.problem_of_next() {
            Some(ProblemKind::TextAfterQuote) => Some(Reason::TextAfterQuote),
            Some(ProblemKind::CarriageReturn) => Some(Reason::CarriageReturn),
            None if record.fields != self.fields => {
                Some(Reason::Fields { found: record.fields, expected: self.fields })
            }
            None if options.encoding == Encoding::Utf8 => first_not_utf8(raw).map(|byte| Reason::Encoding { byte }),
            None => None,
        };
        match reason {
            Some(reason) => Err(Located::Record(Box::new(bad_record(segment, record, reason)))),
            None => Ok(Look::Read),
        }
    }

    /// A field of the next record is not of its column's type.
    fn bad_value(&self, segment: &Segment, column: usize) -> Located {
        let (Some(record), Some(Some(field))) = (segment.peek(), self.field_of.get(column)) else {
            return FailureCause::internal("a value is bad, but no record is at hand").into();
        };
        let raw = Run::new(segment, self.fields, 1).field(0, *field);
        let text = String::from_utf8_lossy(&self.rules.read(raw).text).into_owned();
        let field = self.schema.field(column);
        let reason = Reason::Value { text, expected: type_name(field.data_type()) };
        Located::Record(Box::new(BadRecord {
            column: Some(field.name().clone()),
            ..bad_record(segment, record, reason)
        }))
    }

    fn flush(&mut self) -> Result<RecordBatch, FailureCause> {
        let columns: Vec<ArrayRef> = self.columns.iter_mut().map(|column| column.finish()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| FailureCause::internal(format!("cannot build a batch: {error}")))
    }

    fn cause_of(&self, error: Located) -> FailureCause {
        error.into_cause(&self.segments.split().url, self.line)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// It is blank or a comment.
    Skip,
    Read,
}

fn bad_record(segment: &Segment, record: Record, reason: Reason) -> BadRecord {
    BadRecord {
        reason,
        byte: segment.offset + record.start as u64,
        lines: segment.lines_before(record.start),
        column: None,
        raw: segment.bytes[record.start..record.end].to_vec(),
    }
}

fn first_not_utf8(raw: &[u8]) -> Option<u8> {
    let valid = std::str::from_utf8(raw).err()?.valid_up_to();
    raw.get(valid).copied()
}

#[cfg(test)]
mod tests;
