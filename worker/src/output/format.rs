//! The file formats of job outputs, behind one trait.

use std::io::{BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::json::writer::LineDelimited;
use datafusion::error::DataFusionError;
use hearth_common::{Compression, FailureCause, OutputFormat, OutputSpec};
use hearth_plan::cause_of;
use hearth_storage::{FileWriter, StorageError};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression as PageCompression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

/// Rows of a row group.
const ROW_GROUP_ROWS_MAX: usize = 1 << 20;
/// Encoded size of a row group, in bytes.
const ROW_GROUP_BYTES_MAX: usize = 128 << 20;
const BUFFER_BYTES: usize = 256 << 10;

/// One output file that is being written. Dropped before it is finished, it is removed.
pub(super) trait FormatWriter: Send {
    /// Appends rows.
    fn write(&mut self, rows: &RecordBatch) -> Result<(), FailureCause>;
    /// About how large the file would be if it were finished now, in bytes.
    fn file_bytes(&self) -> u64;
    /// Memory that can be given back by [`FormatWriter::relieve`], in bytes.
    fn memory_bytes(&self) -> usize;
    /// Gives memory back, at the price of smaller row groups.
    fn relieve(&mut self) -> Result<(), FailureCause>;
    /// Completes the content of the file.
    fn finish(self: Box<Self>) -> Result<FileWriter, FailureCause>;
}

pub(super) fn extension(format: OutputFormat) -> &'static str {
    match format {
        OutputFormat::Parquet => "parquet",
        OutputFormat::Csv => "csv",
        OutputFormat::Json => "json",
    }
}

/// Begins the content of a file.
pub(super) fn create(
    file: FileWriter,
    spec: &OutputSpec,
    schema: &SchemaRef,
) -> Result<Box<dyn FormatWriter>, FailureCause> {
    Ok(match spec.format {
        OutputFormat::Parquet => Box::new(ParquetFile::create(file, spec, schema)?),
        OutputFormat::Csv => Box::new(CsvFile::create(file, schema)?),
        OutputFormat::Json => Box::new(JsonFile::create(file)),
    })
}

struct ParquetFile {
    writer: ArrowWriter<BufWriter<FileWriter>>,
}

impl ParquetFile {
    fn create(file: FileWriter, spec: &OutputSpec, schema: &SchemaRef) -> Result<Self, FailureCause> {
        let properties = WriterProperties::builder()
            .set_created_by(concat!("hearth ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(page_compression(spec.compression)?)
            .set_dictionary_enabled(true)
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS_MAX))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES_MAX))
            .build();
        // The Arrow schema would tell readers to make text views of strings; Parquet's own types say all that is meant.
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        let writer =
            ArrowWriter::try_new_with_options(file, SchemaRef::clone(schema), options).map_err(parquet_cause)?;
        Ok(Self { writer })
    }
}

fn page_compression(compression: Compression) -> Result<PageCompression, FailureCause> {
    Ok(match compression {
        Compression::Zstd => PageCompression::ZSTD(ZstdLevel::try_new(1).map_err(parquet_cause)?),
        Compression::Snappy => PageCompression::SNAPPY,
        Compression::Lz4 => PageCompression::LZ4_RAW,
        Compression::None => PageCompression::UNCOMPRESSED,
    })
}

fn parquet_cause(error: ParquetError) -> FailureCause {
    cause_of(&DataFusionError::from(error))
}

fn arrow_cause(error: ArrowError) -> FailureCause {
    cause_of(&DataFusionError::from(error))
}

impl FormatWriter for ParquetFile {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), FailureCause> {
        self.writer.write(rows).map_err(parquet_cause)
    }

    fn file_bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    fn memory_bytes(&self) -> usize {
        self.writer.memory_size()
    }

    fn relieve(&mut self) -> Result<(), FailureCause> {
        self.writer.flush().map_err(parquet_cause)
    }

    fn finish(self: Box<Self>) -> Result<FileWriter, FailureCause> {
        finish_file(self.writer.into_inner().map_err(parquet_cause)?)
    }
}

/// Counts what goes into a file whose writer does not tell.
struct Counted {
    file: BufWriter<FileWriter>,
    bytes: Arc<AtomicU64>,
}

impl Counted {
    fn new(file: FileWriter) -> (Self, Arc<AtomicU64>) {
        let bytes = Arc::<AtomicU64>::default();
        (Self { file: BufWriter::with_capacity(BUFFER_BYTES, file), bytes: Arc::clone(&bytes) }, bytes)
    }
}

impl Write for Counted {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(data)?;
        self.bytes.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

struct CsvFile {
    writer: arrow::csv::Writer<Counted>,
    bytes: Arc<AtomicU64>,
}

impl CsvFile {
    fn create(file: FileWriter, schema: &SchemaRef) -> Result<Self, FailureCause> {
        let (file, bytes) = Counted::new(file);
        let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(file);
        // The header comes with the first batch, and a file without rows needs one too.
        writer.write(&RecordBatch::new_empty(SchemaRef::clone(schema))).map_err(arrow_cause)?;
        Ok(Self { writer, bytes })
    }
}

impl FormatWriter for CsvFile {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), FailureCause> {
        self.writer.write(rows).map_err(arrow_cause)
    }

    fn file_bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn memory_bytes(&self) -> usize {
        0
    }

    fn relieve(&mut self) -> Result<(), FailureCause> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<FileWriter, FailureCause> {
        finish_file(self.writer.into_inner().file)
    }
}

struct JsonFile {
    writer: arrow::json::Writer<Counted, LineDelimited>,
    bytes: Arc<AtomicU64>,
}

impl JsonFile {
    fn create(file: FileWriter) -> Self {
        let (file, bytes) = Counted::new(file);
        // A NULL is written: a column without any value would vanish from the data otherwise.
        let writer = arrow::json::WriterBuilder::new().with_explicit_nulls(true).build(file);
        Self { writer, bytes }
    }
}

impl FormatWriter for JsonFile {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), FailureCause> {
        self.writer.write(rows).map_err(arrow_cause)
    }

    fn file_bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn memory_bytes(&self) -> usize {
        0
    }

    fn relieve(&mut self) -> Result<(), FailureCause> {
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<FileWriter, FailureCause> {
        self.writer.finish().map_err(arrow_cause)?;
        finish_file(self.writer.into_inner().file)
    }
}

fn finish_file(file: BufWriter<FileWriter>) -> Result<FileWriter, FailureCause> {
    file.into_inner().map_err(|error| StorageError::from_io("write", "an output file", error.into_error()).into_cause())
}
