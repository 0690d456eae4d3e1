//! Files of rejects: what an attempt leaves in staging, and what the commit makes of the winners' files.
//!
//! A staged file says of each reject from which link its line is counted, where that link's start was guessed; in the published
//! file every line is that of the input file. Both are Parquet. Nothing here is read into memory whole.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, StringArray, UInt32Array};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, UInt32Type};
use datafusion::error::DataFusionError;
use hearth_common::{FailureCause, RejectsFile};
use hearth_csv::RejectedRecord;
use hearth_storage::{FileWriter, LocalCopy, Location, Storage, StorageError, StoredFile};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::cause_of;

/// Encoded size of a row group, in bytes.
const ROW_GROUP_BYTES_MAX: usize = 16 << 20;
/// Rows that are read at once, and their bytes, about.
const BATCH_ROWS: u64 = 1024;
const BATCH_BYTES: u64 = 16 << 20;
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
    pub(crate) fn create(storage: &Storage, url: &str) -> Result<Self, FailureCause> {
        Self::with_schema(storage, url, staged_schema())
    }

    fn with_schema(storage: &Storage, url: &str, schema: SchemaRef) -> Result<Self, FailureCause> {
        let file = BufWriter::new(storage.create_file(url).map_err(StorageError::into_cause)?);
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

    /// Completes the file. Answers with it and its rows.
    pub(crate) async fn finish(self) -> Result<(StoredFile, u64), FailureCause> {
        let buffered = self.writer.into_inner().map_err(parquet_cause)?;
        let file = buffered
            .into_inner()
            .map_err(|error| StorageError::from_io("write", "a file of rejects", error.into_error()).into_cause())?;
        Ok((file.finish().await.map_err(StorageError::into_cause)?, self.rows))
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
///
/// # Errors
/// A file is missing or is not as it was reported, and trouble of the storage.
pub async fn gather_rejects(
    storage: &Storage,
    attempts_url: &str,
    winners: Vec<WinnerRejects>,
    target: &str,
) -> Result<RejectsFile, FailureCause> {
    let attempts = Location::parse(attempts_url).map_err(StorageError::into_cause)?;
    let mut writer = RejectsWriter::with_schema(storage, &attempts.join(target).url(), published_schema())?;
    for winner in winners {
        let from = storage.local_copy(&attempts.join(&winner.file.staged)).await.map_err(StorageError::into_cause)?;
        let copying = tokio::task::spawn_blocking(move || copy_rejects(&from, &winner, writer));
        let broke_off = |error| FailureCause::internal(format!("gathering rejects broke off: {error}"));
        writer = copying.await.map_err(broke_off)??;
    }
    let (file, rows) = writer.finish().await?;
    Ok(RejectsFile { staged: target.to_owned(), rows, bytes: file.bytes() })
}

/// Adds the rejects of one winner to those that `writer` has.
fn copy_rejects(
    from: &LocalCopy,
    winner: &WinnerRejects,
    mut writer: RejectsWriter,
) -> Result<RejectsWriter, FailureCause> {
    let trouble = |error| StorageError::from_io("read", from.path().display().to_string(), error).into_cause();
    let rows_before = writer.rows;
    let file = File::open(from.path()).map_err(trouble)?;
    let bytes = file.metadata().map_err(trouble)?.len();
    if bytes != winner.file.bytes {
        return Err(unlike(winner, format!("it has {bytes} bytes, {} were reported", winner.file.bytes)));
    }
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(parquet_cause)?;
    let bytes = reader.metadata().row_groups().iter().map(|group| group.total_byte_size()).sum::<i64>();
    let rows = rows_at_once(winner.file.rows, u64::try_from(bytes).unwrap_or_default());
    for batch in reader.with_batch_size(rows).build().map_err(parquet_cause)? {
        let batch = batch.map_err(|error| cause_of(&DataFusionError::from(error)))?;
        writer.write(&with_true_lines(&batch, winner)?)?;
    }
    let found = writer.rows - rows_before;
    if found != winner.file.rows {
        return Err(unlike(winner, format!("it has {found} rows, {} were reported", winner.file.rows)));
    }
    Ok(writer)
}

/// So many of `rows` rejects of `bytes` bytes: the records in them may be long.
fn rows_at_once(rows: u64, bytes: u64) -> usize {
    let of_bytes = BATCH_BYTES / (bytes / rows.max(1)).max(1);
    usize::try_from(of_bytes.clamp(1, BATCH_ROWS)).unwrap_or(1)
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

    async fn stage(directory: &tempfile::TempDir, name: &str, links: &[Option<u32>]) -> RejectsFile {
        let url = directory.path().join(name).display().to_string();
        let mut writer = RejectsWriter::create(&Storage::default(), &url).unwrap();
        for link in links {
            let origin = RejectOrigin { input: "t", file: "file:///f.csv", link: *link };
            writer.put(origin, &[reject(1, None), reject(3, Some("a"))]).unwrap();
        }
        let (file, rows) = writer.finish().await.unwrap();
        RejectsFile { staged: name.to_owned(), rows, bytes: file.bytes() }
    }

    async fn gather(directory: &tempfile::TempDir, winners: Vec<WinnerRejects>) -> Result<RejectsFile, FailureCause> {
        let attempts = directory.path().display().to_string();
        gather_rejects(&Storage::default(), &attempts, winners, "all.parquet").await
    }

    #[tokio::test]
    async fn lines_become_those_of_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let one = stage(&directory, "one", &[None, Some(4)]).await;
        let other = stage(&directory, "other", &[Some(5)]).await;
        let winners = vec![
            WinnerRejects { file: one, lines_before: BTreeMap::from([(4, 100)]) },
            WinnerRejects { file: other, lines_before: BTreeMap::from([(5, 1000), (6, 7)]) },
        ];
        let gathered = gather(&directory, winners).await.unwrap();
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
    fn long_records_are_read_few_at_once() {
        for (rows, bytes, expected) in
            [(0, 0, 1024), (10, 1000, 1024), (1000, 1000 << 20, 16), (2, 64 << 20, 1), (1, u64::MAX, 1)]
        {
            assert_eq!(rows_at_once(rows, bytes), expected, "{rows} {bytes}");
        }
    }

    #[tokio::test]
    async fn what_was_not_reported_is_not_published() {
        let directory = tempfile::tempdir().unwrap();
        let file = stage(&directory, "one", &[Some(4)]).await;
        let lines_before = BTreeMap::from([(4, 100)]);
        let check = async |file: RejectsFile, lines_before: &BTreeMap<u32, u64>, expected: &str| {
            let winner = WinnerRejects { file, lines_before: lines_before.clone() };
            let error = gather(&directory, vec![winner]).await.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!directory.path().join("all.parquet").exists());
        };
        check(RejectsFile { rows: 3, ..file.clone() }, &lines_before, "it has 2 rows, 3 were reported").await;
        check(RejectsFile { bytes: 3, ..file.clone() }, &lines_before, "bytes, 3 were reported").await;
        check(RejectsFile { staged: "none".into(), ..file.clone() }, &lines_before, "none").await;
        check(file, &BTreeMap::new(), "lines of an unknown link").await;
    }
}
