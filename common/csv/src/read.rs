//! The records of one input split, as record batches.

use std::sync::Arc;

use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion_execution::runtime_env::RuntimeEnv;
use hearth_common::{CsvOptions, Encoding, FailureCause, InputSplit, LinkScan};
use hearth_storage::{InputFile, content_end, file_of, open_content};

use crate::column::type_name;
use crate::dialect;
use crate::field::FieldRules;
use crate::filter::ColumnFilter;
use crate::header::{self, Layout};
use crate::link::CONTEXT_BYTES;
use crate::problem::{BadRecord, Located, Reason, RejectedRecord};
use crate::rows::{BadField, Rows};
use crate::run::Run;
use crate::segment::{Record, Segment};
use crate::segments::{Begin, Segments};

/// Rejects that wait to be taken at most, and their bytes; reading stops beyond it.
const REJECTS_AHEAD_MAX: usize = 4096;
const REJECT_BYTES_AHEAD_MAX: usize = 4 << 20;

/// How the files of a table are read.
#[derive(Debug, Clone)]
pub struct CsvTable {
    /// How the files are written.
    pub options: CsvOptions,
    /// Columns of the table.
    pub schema: SchemaRef,
    /// Columns to read, by position; all where it is `None`.
    pub projection: Option<Vec<usize>>,
    /// Conditions that rows have to pass, all of them. What is an error, or is put aside, is the same with and without: the
    /// structure of every record, and in every record the types of the columns that are read or filtered.
    pub filters: Vec<ColumnFilter>,
    /// Rows that are wanted at most; reading goes no further for them than it would without filters. More may come.
    pub limit: Option<usize>,
    /// Rows of a batch, about: with filters one may have some more, and with long records fewer.
    pub batch_rows: usize,
    /// A record that cannot be read is put aside; otherwise it is an error.
    pub puts_aside: bool,
}

/// The records that start in one input split.
pub struct SplitRecords {
    table: Arc<CsvTable>,
    segments: Segments,
    current: Option<(Segment, Buffer)>,
    /// Fields of a record.
    fields: usize,
    /// The field of each column of the table.
    field_of: Vec<Option<usize>>,
    rules: FieldRules,
    rows: Rows,
    /// Records that would be in `rows` without filters, since they were looked at last.
    taken: usize,
    /// Line of the split's first record; 1 where it was guessed.
    line: u64,
    /// Start of the records before the header was left out, and its lines.
    header: Option<(u64, u64)>,
    bad: Vec<BadField>,
    rejects: Vec<RejectedRecord>,
    reject_bytes: usize,
    records: u64,
    left_out: u64,
    /// Of them those that were known with the last batch.
    left_out_before: u64,
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
        let file = InputFile { encoding: self.options.encoding, ..file_of(split) };
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
        let source = open_content(runtime, &file, from).await?;
        let split = InputSplit { end: content_end(&file, split.end), ..split.clone() };
        let rules = (dialect::of(&self.options), self.options.max_record_bytes.0);
        Ok(SplitRecords {
            rows: Rows::new(self, &layout)?,
            field_of: layout.field_of,
            rules: FieldRules::new(&self.options),
            table: Arc::clone(self),
            segments: Segments::new(source, split, begin, rules),
            current: None,
            fields: layout.fields,
            taken: 0,
            line,
            header: skipped,
            bad: Vec::new(),
            rejects: Vec::new(),
            reject_bytes: 0,
            records: 0,
            left_out: 0,
            left_out_before: 0,
        })
    }
}

impl SplitRecords {
    /// The next records; `None` after the last one. A batch has no rows where there are rejects alone, or none that pass the filters.
    ///
    /// # Errors
    /// What the storage says, and the first record that cannot be read: one that is put aside is none.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, FailureCause> {
        while !self.is_batch_full() {
            if self.current.is_none() {
                let segment = self.segments.next().await.map_err(|error| self.cause_of(error))?;
                let Some(segment) = segment else { break };
                let buffer = Buffer::from(segment.bytes.clone());
                self.rows.begin_segment();
                self.current = Some((segment, buffer));
            }
            self.read_some().map_err(|error| self.cause_of(error))?;
        }
        let has_read = self.rows.len() > 0 || !self.rejects.is_empty() || self.left_out > self.left_out_before;
        self.left_out_before = self.left_out;
        self.taken = 0;
        if has_read { self.rows.finish().map(Some) } else { Ok(None) }
    }

    /// Batches end after as many records as they would without filters, or after some times as many where few rows pass; and
    /// before they hold too many bytes.
    fn is_batch_full(&mut self) -> bool {
        if self.has_many_rejects() || self.rows.is_heavy() {
            return true;
        }
        if self.taken < self.table.batch_rows {
            return false;
        }
        self.taken = 0;
        !self.rows.wait_for_more(self.table.batch_rows, self.table.limit)
    }

    /// The records that were put aside since the last call, in their order. To be asked for after each batch.
    pub fn take_rejects(&mut self) -> Vec<RejectedRecord> {
        self.reject_bytes = 0;
        std::mem::take(&mut self.rejects)
    }

    /// Records that were read so far: those of the batches, those that filters left out, and the rejects. Blank lines and comments
    /// are none.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// Of [`SplitRecords::records`] those that could be read and did not pass the filters.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.left_out
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
        let needs_look = self.fields == 1 || !segment.is_utf8 && options.encoding != Encoding::Latin1;
        let max = if needs_look { 1 } else { self.table.batch_rows - self.taken };
        let records = segment.regular(self.fields, max, options.comment);
        if records == 0 || needs_look {
            match self.look_at(segment, record) {
                Look::Read => {}
                Look::Skip => {
                    segment.pass(1);
                    return Ok(());
                }
                Look::Bad(reason) => {
                    self.records += 1;
                    let bad = bad_record(segment, record, reason);
                    self.refuse(bad)?;
                    segment.pass(1);
                    return Ok(());
                }
            }
        }
        let run = Run::new(segment, self.fields, records);
        self.left_out += self.rows.add(run, buffer, &mut self.bad) as u64;
        if !self.bad.is_empty() {
            for bad in std::mem::take(&mut self.bad) {
                let bad = self.bad_value(segment, bad, records)?;
                self.refuse(bad)?;
            }
        }
        self.records += records as u64;
        self.taken += records;
        segment.pass(records);
        Ok(())
    }

    /// Puts a record aside, if that is what the table wants.
    fn refuse(&mut self, bad: BadRecord) -> Result<(), Located> {
        if !self.table.puts_aside {
            return Err(Located::Record(Box::new(bad)));
        }
        self.reject_bytes += bad.raw.len();
        self.rejects.push(bad.into_rejected(self.line));
        Ok(())
    }

    const fn has_many_rejects(&self) -> bool {
        self.rejects.len() >= REJECTS_AHEAD_MAX || self.reject_bytes >= REJECT_BYTES_AHEAD_MAX
    }

    /// Looks at the next record alone: whether it is one, and whether it can be read.
    fn look_at(&self, segment: &Segment, record: Record) -> Look {
        let options = &self.table.options;
        let raw = &segment.bytes[record.start..record.end];
        if raw.is_empty() || options.comment.is_some() && raw.first() == options.comment.as_ref() {
            return Look::Skip;
        }
        let reason = match segment.problem_of_next() {
            Some(kind) => Some(Reason::from(kind)),
            None if record.fields != self.fields => {
                Some(Reason::Fields { found: record.fields, expected: self.fields })
            }
            None if options.encoding != Encoding::Latin1 => first_not_utf8(raw).map(|byte| Reason::Encoding { byte }),
            None => None,
        };
        reason.map_or(Look::Read, Look::Bad)
    }

    /// A field of one of the next `records` is not of its column's type.
    fn bad_value(
        &self,
        segment: &mut Segment,
        BadField { record, column }: BadField,
        records: usize,
    ) -> Result<BadRecord, FailureCause> {
        let Some(Some(field)) = self.field_of.get(column) else {
            return Err(FailureCause::internal("a value is bad, but its column is not in the file"));
        };
        let raw = Run::new(segment, self.fields, records).field(record, *field).1;
        let text = String::from_utf8_lossy(&self.rules.read(raw).text).into_owned();
        let field = self.table.schema.field(column);
        let reason = Reason::Value { text, expected: type_name(field.data_type()) };
        let record = segment.peek_at(record);
        Ok(BadRecord { column: Some(field.name().clone()), ..bad_record(segment, record, reason) })
    }

    fn cause_of(&self, error: Located) -> FailureCause {
        error.into_cause(&self.segments.split().url, self.line)
    }
}

#[derive(Debug)]
enum Look {
    /// It is blank or a comment.
    Skip,
    Read,
    /// It cannot be read.
    Bad(Reason),
}

fn bad_record(segment: &mut Segment, record: Record, reason: Reason) -> BadRecord {
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
