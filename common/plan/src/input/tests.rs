//! Inference over real files.

use std::fs::File;

use datafusion::arrow::array::{Int64Array, StringArray};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;
use hearth_common::{CsvOptions, OnError};
use hearth_storage::list_inputs;

use super::*;

fn write_parquet(path: &std::path::Path, text: bool) {
    let mut fields = vec![Field::new("id", DataType::Int64, false)];
    let mut columns: Vec<datafusion::arrow::array::ArrayRef> = vec![Arc::new(Int64Array::from(vec![1, 2, 3]))];
    if text {
        fields.push(Field::new("name", DataType::Utf8, true));
        columns.push(Arc::new(StringArray::from(vec!["a", "b", "c"])));
    }
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

async fn inspect(directory: &std::path::Path, format: InputFormat) -> Result<String, String> {
    let paths = vec![directory.display().to_string()];
    let files = list_inputs(&paths, &format).await.unwrap();
    let compression = hearth_common::InputCompression::Auto;
    let input = InputSpec { paths, format, compression, schema: None, on_error: OnError::Fail };
    let shape = inspect_input(&input, &files, &RuntimeEnv::default()).await;
    let shape = shape.map_err(|cause| cause.to_string().replace(&format!("file://{}/", directory.display()), ""))?;
    let columns = shape.schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type()));
    Ok(format!("{}; {:?} rows", columns.collect::<Vec<_>>().join(", "), shape.rows_estimated))
}

#[tokio::test]
async fn parquet_columns_come_from_every_file() {
    let directory = tempfile::tempdir().unwrap();
    write_parquet(&directory.path().join("a.parquet"), false);
    write_parquet(&directory.path().join("b.parquet"), true);
    let found = inspect(directory.path(), InputFormat::Parquet).await;
    assert_eq!(found, Ok("id Int64, name Utf8View; Some(6) rows".into()));
    std::fs::write(directory.path().join("c.parquet"), "no parquet").unwrap();
    let found = inspect(directory.path(), InputFormat::Parquet).await.unwrap_err();
    assert!(found.starts_with("cannot read the Parquet footer: ") && found.ends_with("(at c.parquet)"), "{found}");
}

#[tokio::test]
async fn text_columns_come_from_samples() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a"), "{\"id\": 1, \"name\": \"x\"}\n\n").unwrap();
    std::fs::write(directory.path().join("b"), "{\"id\": 1.5, \"tags\": [1]}\n").unwrap();
    let found = inspect(directory.path(), InputFormat::Json).await;
    assert_eq!(found, Ok("id Float64, name Utf8View, tags List(Int64); Some(2) rows".into()));
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a"), "id,at\n1,2026-01-15T10:00:00\n2,\n").unwrap();
    let found = inspect(directory.path(), InputFormat::Csv(CsvOptions::default())).await;
    assert_eq!(found, Ok("id Int64, at Timestamp(µs); Some(2) rows".into()));
}

#[test]
fn declared_columns_are_checked() {
    let column = |name: &str, value_type: ValueType| ColumnSpec { name: name.into(), value_type };
    let csv = InputFormat::Csv(CsvOptions::default());
    let check = |columns: &[ColumnSpec], expected: &str| {
        assert_eq!(declared_schema(columns, &csv).unwrap_err().to_string(), expected);
    };
    check(&[column("a", ValueType::Binary)], "CSV cannot hold column `a` of type binary; use string");
    check(&[column("a", ValueType::Int8), column("a", ValueType::Int8)], "the schema declares column `a` twice");
}

#[test]
fn types_have_the_names_of_job_files() {
    for value_type in ValueType::without_arguments().chain([ValueType::Decimal { precision: 12, scale: 2 }]) {
        assert_eq!(type_name(&data_type_of(value_type)), value_type.to_string());
    }
    assert_eq!(type_name(&DataType::Utf8), "string");
    assert_eq!(
        type_name(&DataType::new_list(DataType::Int64, true)),
        DataType::new_list(DataType::Int64, true).to_string()
    );
}
