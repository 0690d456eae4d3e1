//! Rows by the directory they belong to, as Hive names it: `name=value`, one level per `partition_by` column.

use std::collections::BTreeMap;
use std::fmt::Write;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{CastOptions, cast_with_options, take_record_batch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use hearth_common::FailureCause;

/// Stands for NULL, and for the empty text, which no directory can be named by.
const NULL_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";
/// Longest name of a directory, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// How rows are told apart by directory.
#[derive(Debug)]
pub(super) struct Directories {
    names: Vec<String>,
    columns: Vec<usize>,
    kept: Vec<usize>,
    file_schema: SchemaRef,
}

impl Directories {
    /// `partition_by` are columns of `schema`, outermost first.
    pub(super) fn new(schema: &Schema, partition_by: &[String]) -> Result<Self, FailureCause> {
        let columns = partition_by
            .iter()
            .map(|name| schema.index_of(name).map_err(|error| FailureCause::task(error.to_string())))
            .collect::<Result<Vec<_>, _>>()?;
        let kept: Vec<usize> = (0..schema.fields().len()).filter(|column| !columns.contains(column)).collect();
        if kept.is_empty() {
            return Err(FailureCause::task("partition_by names every column; at least one must be left for the files"));
        }
        let file_schema = schema.project(&kept).map_err(|error| FailureCause::internal(error.to_string()))?;
        let names = partition_by.iter().map(|name| escape(name)).collect();
        Ok(Self { names, columns, kept, file_schema: file_schema.into() })
    }

    /// Schema of the files: the partition columns are in the directories' names alone.
    pub(super) fn file_schema(&self) -> &SchemaRef {
        &self.file_schema
    }

    /// The rows of each directory.
    pub(super) fn group(&self, batch: &RecordBatch) -> Result<BTreeMap<String, RecordBatch>, FailureCause> {
        let rows_of = self.rows_by_directory(batch)?;
        let fail = |error: ArrowError| FailureCause::internal(error.to_string());
        let file_rows = batch.project(&self.kept).map_err(fail)?;
        rows_of
            .into_iter()
            .map(|(directory, rows)| {
                let rows = take_record_batch(&file_rows, &UInt32Array::from(rows)).map_err(fail)?;
                Ok((directory, rows))
            })
            .collect()
    }

    fn rows_by_directory(&self, batch: &RecordBatch) -> Result<BTreeMap<String, Vec<u32>>, FailureCause> {
        let values = self
            .columns
            .iter()
            .map(|column| text_of(batch.column(*column), batch.schema_ref().field(*column).name()))
            .collect::<Result<Vec<_>, _>>()?;
        let mut rows_of = BTreeMap::<String, Vec<u32>>::new();
        let mut directory = String::new();
        for row in 0..batch.num_rows() {
            directory.clear();
            for (name, values) in self.names.iter().zip(&values) {
                append_level(&mut directory, name, values.is_valid(row).then(|| values.value(row)))?;
            }
            let row = u32::try_from(row).map_err(|error| FailureCause::internal(error.to_string()))?;
            match rows_of.get_mut(&directory) {
                Some(rows) => rows.push(row),
                None => drop(rows_of.insert(directory.clone(), vec![row])),
            }
        }
        Ok(rows_of)
    }
}

fn text_of(values: &ArrayRef, column: &str) -> Result<StringArray, FailureCause> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let texts = cast_with_options(values, &DataType::Utf8, &options).map_err(|error| {
        FailureCause::task(format!("cannot use column `{column}` in partition_by, as its values are no text: {error}"))
    })?;
    Ok(texts.as_string::<i32>().clone())
}

fn append_level(directory: &mut String, name: &str, value: Option<&str>) -> Result<(), FailureCause> {
    if !directory.is_empty() {
        directory.push('/');
    }
    let start = directory.len();
    directory.push_str(name);
    directory.push('=');
    match value {
        Some(value) if !value.is_empty() => append_escaped(directory, value),
        Some(_) | None => directory.push_str(NULL_VALUE),
    }
    if directory.len() - start > NAME_BYTES_MAX {
        let text = value.unwrap_or_default();
        let shown: String = text.chars().take(40).collect();
        return Err(FailureCause::task(format!(
            "value `{shown}...` of `{name}` is too long to name a directory; take it out of partition_by"
        )));
    }
    Ok(())
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    append_escaped(&mut escaped, text);
    escaped
}

/// The characters that Hive and Spark escape.
fn append_escaped(target: &mut String, text: &str) {
    for c in text.chars() {
        if c.is_ascii_control() || "\"#%'*/:=?\\{}[]^".contains(c) {
            // Writing to a string cannot fail.
            let _ = write!(target, "%{:02X}", u32::from(c));
        } else {
            target.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: Option<&str>, expected: &str) {
        let mut directory = String::new();
        append_level(&mut directory, "k", value).unwrap();
        assert_eq!(directory, expected);
    }

    #[test]
    fn values_become_names_that_any_reader_knows() {
        check(Some("2026-01-15"), "k=2026-01-15");
        check(Some("a/b"), "k=a%2Fb");
        check(Some("../.."), "k=..%2F..");
        check(Some("x=1 y"), "k=x%3D1 y");
        check(Some("100%"), "k=100%25");
        check(Some("a\0\n"), "k=a%00%0A");
        check(Some("Zürich 東京"), "k=Zürich 東京");
        check(Some(""), "k=__HIVE_DEFAULT_PARTITION__");
        check(None, "k=__HIVE_DEFAULT_PARTITION__");
        let long = "x".repeat(300);
        let error = append_level(&mut String::new(), "k", Some(&long)).unwrap_err();
        assert!(error.to_string().contains("too long to name a directory"), "{error}");
    }
}
