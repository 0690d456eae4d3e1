//! Files of rejects: what an attempt leaves in staging, and what the commit makes of the winners' files.
//!
//! A staged file says of each reject from which link its line is counted, where that link's start was guessed; in the published
//! file every line is that of the input file. Both are Parquet. Nothing here is read into memory whole.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, StringArray, UInt32Array};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, UInt32Type};
use datafusion::error::DataFusionError;
use hearth_common::{FailureCause, RejectsFile};
use hearth_csv::RejectedRecord;
use hearth_storage::{FileWriter, Location, StorageError};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::cause_of;

/// Encoded size of a row group, in bytes.
const ROW_GROUP_BYTES_MAX: usize = 16 << 20;
/// Rows that are read at once.
const BATCH_ROWS: usize = 1024;
/// Position of the column with the lines.
const LINE: usize = 2;
/// Position of the column with the links, in staged files.
const LINK: usize = 7;

/// The columns that people see: input, file, line, byte, column, reason, raw.
fn published_schema() -> SchemaRef {
    let field = |name: &str, data_type: DataType| Field::new(name, data_type, false);
    Arc::new(Schema::new(vec![
        field("input", DataType::Utf8),
        field("file", DataType::Utf8),
        field("line", DataType::Int64),
        field("byte", DataType::Int64),
        Field::new("column", DataType::Utf8, true),
        field("reason", DataType::Utf8),
        field("raw", DataType::Binary),
    ]))
}

fn staged_schema() -> SchemaRef {
    let mut fields = published_schema().fields().to_vec();
    fields.push(Arc::new(Field::new("link", DataType::UInt32, true)));
    Arc::new(Schema::new(fields))
}

/// Where rejects come from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RejectOrigin<'a> {
    pub(crate) input: &'a str,
    pub(crate) file: &'a str,
    /// The link from which lines are counted.
    pub(crate) link: Option<u32>,
}

/// Writes one file of rejects. Dropped before it is finished, it leaves nothing.
pub(crate) struct RejectsWriter {
    writer: ArrowWriter<BufWriter<FileWriter>>,
    rows: u64,
}

impl RejectsWriter {
    /// Begins the staged file of an attempt.
    pub(crate) fn create(url: &str) -> Result<Self, FailureCause> {
        Self::with_schema(url, staged_schema())
    }

    fn with_schema(url: &str, schema: SchemaRef) -> Result<Self, FailureCause> {
        let file = BufWriter::new(FileWriter::create(url).map_err(StorageError::into_cause)?);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).map_err(parquet_cause)?))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES_MAX))
            .build();
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(file, schema, options).map_err(parquet_cause)?;
        Ok(Self { writer, rows: 0 })
    }

    pub(crate) fn put(&mut self, origin: RejectOrigin<'_>, rejects: &[RejectedRecord]) -> Result<(), FailureCause> {
        let each = || rejects.iter();
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(each().map(|_| origin.input))),
            Arc::new(StringArray::from_iter_values(each().map(|_| origin.file))),
            Arc::new(Int64Array::from_iter_values(each().map(|reject| number(reject.line)))),
            Arc::new(Int64Array::from_iter_values(each().map(|reject| number(reject.byte)))),
            Arc::new(each().map(|reject| reject.column.as_deref()).collect::<StringArray>()),
            Arc::new(StringArray::from_iter_values(each().map(|reject| &reject.reason))),
            Arc::new(BinaryArray::from_iter_values(each().map(|reject| &reject.raw))),
            Arc::new(each().map(|_| origin.link).collect::<UInt32Array>()),
        ];
        let batch = RecordBatch::try_new(staged_schema(), columns);
        self.write(&batch.map_err(|error| FailureCause::internal(error.to_string()))?)
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), FailureCause> {
        self.rows += batch.num_rows() as u64;
        self.writer.write(batch).map_err(parquet_cause)
    }

    /// Completes the file. Answers with its path, rows and size.
    pub(crate) fn finish(self) -> Result<(PathBuf, u64, u64), FailureCause> {
        let buffered = self.writer.into_inner().map_err(parquet_cause)?;
        let file = buffered
            .into_inner()
            .map_err(|error| StorageError::from_io("write", "a file of rejects", error.into_error()).into_cause())?;
        let path = file.path().to_path_buf();
        Ok((path, self.rows, file.finish().map_err(StorageError::into_cause)?))
    }
}

/// The staged rejects of a winner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WinnerRejects {
    /// As its attempt reported it.
    pub file: RejectsFile,
    /// Lines before the first record of each link from which lines of it are counted.
    pub lines_before: BTreeMap<u32, u64>,
}

/// Writes the rejects of all winners to one file, with the lines of their input files. `attempts_url` is where theirs are.
/// Blocks.
///
/// # Errors
/// A file is missing or is not as it was reported, and trouble of the storage.
pub fn gather_rejects(
    attempts_url: &str,
    winners: &[WinnerRejects],
    target: &str,
) -> Result<RejectsFile, FailureCause> {
    let attempts = Location::parse(attempts_url).map_err(StorageError::into_cause)?;
    let mut writer = RejectsWriter::with_schema(&attempts.join(target).url(), published_schema())?;
    for winner in winners {
        let rows_before = writer.rows;
        copy_rejects(&attempts.join(&winner.file.staged), winner, &mut writer)?;
        let found = writer.rows - rows_before;
        if found != winner.file.rows {
            return Err(unlike(winner, format!("it has {found} rows, {} were reported", winner.file.rows)));
        }
    }
    let (_, rows, bytes) = writer.finish()?;
    Ok(RejectsFile { staged: target.to_owned(), rows, bytes })
}

fn copy_rejects(from: &Location, winner: &WinnerRejects, writer: &mut RejectsWriter) -> Result<(), FailureCause> {
    let trouble = |error| StorageError::from_io("read", from.to_string(), error).into_cause();
    let file = File::open(from.local_path()).map_err(trouble)?;
    let bytes = file.metadata().map_err(trouble)?.len();
    if bytes != winner.file.bytes {
        return Err(unlike(winner, format!("it has {bytes} bytes, {} were reported", winner.file.bytes)));
    }
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(parquet_cause)?;
    for batch in reader.with_batch_size(BATCH_ROWS).build().map_err(parquet_cause)? {
        let batch = batch.map_err(|error| cause_of(&DataFusionError::from(error)))?;
        writer.write(&with_true_lines(&batch, winner)?)?;
    }
    Ok(())
}

fn with_true_lines(batch: &RecordBatch, winner: &WinnerRejects) -> Result<RecordBatch, FailureCause> {
    let types = |schema: &Schema| schema.fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>();
    if types(&batch.schema()) != types(&staged_schema()) {
        return Err(unlike(winner, "it has other columns".to_owned()));
    }
    let lines = batch.column(LINE).as_primitive::<Int64Type>();
    let links = batch.column(LINK).as_primitive::<UInt32Type>();
    let true_lines = lines.iter().zip(links).map(|(line, link)| {
        let before = match link {
            Some(link) => winner.lines_before.get(&link).copied()?,
            None => 0,
        };
        line?.checked_add(i64::try_from(before).ok()?)
    });
    let true_lines = true_lines.collect::<Option<Vec<i64>>>();
    let true_lines = true_lines.ok_or_else(|| unlike(winner, "it has lines of an unknown link".to_owned()))?;
    let mut columns = batch.columns()[..LINK].to_vec();
    columns[LINE] = Arc::new(Int64Array::from(true_lines));
    RecordBatch::try_new(published_schema(), columns).map_err(|error| FailureCause::internal(error.to_string()))
}

fn unlike(winner: &WinnerRejects, problem: String) -> FailureCause {
    FailureCause::internal(format!("rejects `{}` are not as they were reported: {problem}", winner.file.staged))
}

fn parquet_cause(error: ParquetError) -> FailureCause {
    cause_of(&DataFusionError::from(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reject(line: u64, column: Option<&str>) -> RejectedRecord {
        let (reason, column) = ("bad".to_owned(), column.map(ToOwned::to_owned));
        RejectedRecord { byte: 10 * line, line, column, reason, raw: vec![b'x', 0xff] }
    }

    fn stage(directory: &tempfile::TempDir, name: &str, links: &[Option<u32>]) -> RejectsFile {
        let mut writer = RejectsWriter::create(&directory.path().join(name).display().to_string()).unwrap();
        for link in links {
            let origin = RejectOrigin { input: "t", file: "file:///f.csv", link: *link };
            writer.put(origin, &[reject(1, None), reject(3, Some("a"))]).unwrap();
        }
        let (_, rows, bytes) = writer.finish().unwrap();
        RejectsFile { staged: name.to_owned(), rows, bytes }
    }

    fn gather(directory: &tempfile::TempDir, winners: &[WinnerRejects]) -> Result<RejectsFile, FailureCause> {
        gather_rejects(&directory.path().display().to_string(), winners, "all.parquet")
    }

    #[test]
    fn lines_become_those_of_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let one = stage(&directory, "one", &[None, Some(4)]);
        let other = stage(&directory, "other", &[Some(5)]);
        let winners = [
            WinnerRejects { file: one, lines_before: BTreeMap::from([(4, 100)]) },
            WinnerRejects { file: other, lines_before: BTreeMap::from([(5, 1000), (6, 7)]) },
        ];
        let gathered = gather(&directory, &winners).unwrap();
        assert_eq!(gathered.rows, 6);
        let file = File::open(directory.path().join("all.parquet")).unwrap();
        assert_eq!(file.metadata().unwrap().len(), gathered.bytes);
        let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let batch = reader.next().unwrap().unwrap();
        let names: Vec<_> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["input", "file", "line", "byte", "column", "reason", "raw"]);
        assert_eq!(batch.column(LINE).as_primitive::<Int64Type>().values(), &[1, 3, 101, 103, 1001, 1003]);
        assert_eq!(batch.column(6).as_binary::<i32>().value(5), [b'x', 0xff]);
    }

    #[test]
    fn what_was_not_reported_is_not_published() {
        let directory = tempfile::tempdir().unwrap();
        let file = stage(&directory, "one", &[Some(4)]);
        let lines_before = BTreeMap::from([(4, 100)]);
        let check = |file: RejectsFile, lines_before: &BTreeMap<u32, u64>, expected: &str| {
            let winner = WinnerRejects { file, lines_before: lines_before.clone() };
            let error = gather(&directory, &[winner]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!directory.path().join("all.parquet").exists());
        };
        check(RejectsFile { rows: 3, ..file.clone() }, &lines_before, "it has 2 rows, 3 were reported");
        check(RejectsFile { bytes: 3, ..file.clone() }, &lines_before, "bytes, 3 were reported");
        check(RejectsFile { staged: "none".into(), ..file.clone() }, &lines_before, "none");
        check(file, &BTreeMap::new(), "lines of an unknown link");
    }
}
