//! Rows as text: read from committed output, or computed by plain DataFusion in this process, and compared whatever their order.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::prelude::{CsvReadOptions, SessionContext};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// A result, every value as text; a missing value is `NULL`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows {
    /// Names and types of the columns.
    pub columns: Vec<(String, DataType)>,
    /// The rows, in the order in which they were read.
    pub rows: Vec<Vec<String>>,
}

impl Rows {
    /// Adds the rows of a batch.
    ///
    /// # Errors
    /// The batch has other columns, or a value has no text.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.add_columns(&batch.schema())?;
        let options = FormatOptions::new().with_null("NULL");
        let formatters = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
        let formatters = formatters.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            self.rows.push(formatters.iter().map(|formatter| formatter.value(row).to_string()).collect());
        }
        Ok(())
    }

    fn add_columns(&mut self, schema: &Schema) -> Result<()> {
        let fields = schema.fields().iter();
        let columns: Vec<_> = fields.map(|field| (field.name().clone(), field.data_type().clone())).collect();
        let same = self.columns.is_empty() || self.columns == columns;
        ensure!(same, "columns differ between files: {:?} and {columns:?}", self.columns);
        self.columns = columns;
        Ok(())
    }

    /// The rows in an order that depends on nothing but the rows.
    #[must_use]
    pub fn sorted(&self) -> Vec<Vec<String>> {
        let mut rows = self.rows.clone();
        rows.sort_unstable();
        rows
    }

    /// Names of the columns.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Both have the same rows, in whatever order.
    ///
    /// # Errors
    /// The first difference.
    pub fn check_equal(&self, expected: &Self) -> Result<()> {
        ensure!(self.names() == expected.names(), "expected columns {:?}, found {:?}", expected.names(), self.names());
        let (found, expected) = (self.sorted(), expected.sorted());
        let difference = found.iter().zip(&expected).find(|(found, expected)| found != expected);
        ensure!(
            found == expected,
            "expected {} rows, found {}; first difference (found, expected): {difference:?}",
            expected.len(),
            found.len()
        );
        Ok(())
    }
}

/// The data files below an output directory, sorted; markers and hidden files are left out.
///
/// # Errors
/// The directory cannot be read.
pub fn part_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = std::fs::read_dir(directory).with_context(|| format!("read {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(['.', '_']) {
            continue;
        }
        if path.is_dir() {
            files.extend(part_files(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads every Parquet file of a committed output, in the order of their names.
///
/// # Errors
/// A file is not Parquet or cannot be read.
pub fn read_parquet_dir(directory: &Path) -> Result<Rows> {
    let mut rows = Rows::default();
    for path in part_files(directory)? {
        let file = std::fs::File::open(&path)?;
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(file).with_context(|| format!("open {}", path.display()))?;
        // A file without rows has columns too.
        rows.add_columns(reader.schema())?;
        for batch in reader.build()? {
            rows.add(&batch?)?;
        }
    }
    Ok(rows)
}

/// Number of rows in the Parquet files of a committed output, from their footers.
///
/// # Errors
/// A file is not Parquet.
pub fn count_parquet_rows(directory: &Path) -> Result<u64> {
    let mut rows = 0;
    for path in part_files(directory)? {
        let file = std::fs::File::open(&path)?;
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(file).with_context(|| format!("open {}", path.display()))?;
        rows += u64::try_from(reader.metadata().file_metadata().num_rows())?;
    }
    Ok(rows)
}

/// Runs a query over CSV files with plain DataFusion, as the answer to compare with.
///
/// # Errors
/// The files or the query are wrong.
pub fn sql_in_one_process(query: &str, tables: &[(&str, &Path)]) -> Result<Rows> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let context = SessionContext::new();
        for (name, path) in tables {
            context.register_csv(*name, path.to_string_lossy(), CsvReadOptions::new()).await?;
        }
        let frame = context.sql(query).await?;
        let mut rows = Rows::default();
        for batch in frame.collect().await? {
            rows.add(&batch)?;
        }
        Ok(rows)
    })
}
