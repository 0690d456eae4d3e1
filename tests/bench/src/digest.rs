//! A digest of a Parquet data set that does not depend on the order of its rows, nor on how its files were cut.

use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::path::Path;

use anyhow::{Context, Result};
use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use hearth_tests::part_files;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Number of rows and the sum of their hashes: equal sets of rows have equal digests, whatever their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Digest {
    /// Number of rows.
    pub(crate) rows: u64,
    /// Sum of the hashes of all rows.
    pub(crate) hashes: u128,
}

/// Digest of every Parquet file in a directory.
pub(crate) fn digest(directory: &Path) -> Result<Digest> {
    let mut digest = Digest::default();
    for path in
        part_files(directory)?.into_iter().filter(|path| path.extension().is_some_and(|found| found == "parquet"))
    {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path)?)?.build();
        for batch in reader.with_context(|| format!("read {}", path.display()))? {
            add(&mut digest, &batch?)?;
        }
    }
    Ok(digest)
}

fn add(digest: &mut Digest, batch: &RecordBatch) -> Result<()> {
    let columns = batch.columns().iter().map(|column| cast(column, &DataType::Utf8));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let columns: Vec<&StringArray> = columns.iter().map(|column| column.as_string()).collect();
    for row in 0..batch.num_rows() {
        let mut hasher = DefaultHasher::new();
        for column in &columns {
            let text = if column.is_null(row) { "\0" } else { column.value(row) };
            hasher.write(text.as_bytes());
            hasher.write_u8(0xff);
        }
        digest.hashes += u128::from(hasher.finish());
    }
    digest.rows += batch.num_rows() as u64;
    Ok(())
}
