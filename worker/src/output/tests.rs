//! Output files as they are left in staging.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use hearth_common::{ByteSize, Compression, JobId, OutputFormat, OutputMode, OutputSpec, StageId, TaskId};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;

struct Fixture {
    directory: tempfile::TempDir,
    spec: OutputSpec,
}

fn fixture(format: OutputFormat, partition_by: &[&str]) -> Fixture {
    let spec = OutputSpec {
        path: "/unused".into(),
        format,
        mode: OutputMode::Error,
        partition_by: partition_by.iter().map(ToString::to_string).collect(),
        compression: Compression::Zstd,
        file_bytes_max: ByteSize::mib(256),
    };
    Fixture { directory: tempfile::tempdir().unwrap(), spec }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("k", DataType::Utf8View, true), Field::new("n", DataType::Int64, true)]))
}

fn batch(keys: Vec<Option<&str>>, numbers: Vec<Option<i64>>) -> RecordBatch {
    RecordBatch::try_new(schema(), vec![Arc::new(StringViewArray::from(keys)), Arc::new(Int64Array::from(numbers))])
        .unwrap()
}

impl Fixture {
    fn attempts(&self) -> PathBuf {
        self.directory.path().join("attempts")
    }

    fn writer(&self, partition: u32) -> OutputWriter {
        let task = TaskId { job: JobId::from_u128(1), stage: StageId(3), partition };
        let sink =
            OutputSink { attempts_url: format!("file://{}", self.attempts().display()), spec: self.spec.clone() };
        OutputWriter::create(Storage::default(), sink, AttemptId { task, attempt: 2 }, &schema()).unwrap()
    }

    async fn write(&self, partition: u32, batches: &[RecordBatch]) -> Vec<OutputFile> {
        let mut writer = self.writer(partition);
        for batch in batches {
            writer.push(batch).await.unwrap();
        }
        let files = writer.finish().await.unwrap();
        for file in &files {
            assert_eq!(fs::metadata(self.attempts().join(&file.staged)).unwrap().len(), file.bytes);
        }
        files
    }

    fn text(&self, file: &OutputFile) -> String {
        fs::read_to_string(self.attempts().join(&file.staged)).unwrap()
    }
}

fn read_parquet(path: &std::path::Path) -> (SchemaRef, Vec<RecordBatch>) {
    let builder = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap()).unwrap();
    let schema = SchemaRef::clone(builder.schema());
    (schema, builder.build().unwrap().map(Result::unwrap).collect())
}

#[tokio::test]
async fn parquet_says_string_and_names_its_author() {
    let fixture = fixture(OutputFormat::Parquet, &[]);
    let files = fixture.write(7, &[batch(vec![Some("a"), None], vec![Some(1), None])]).await;
    let staged: Vec<_> = files.iter().map(|file| (file.staged.as_str(), file.rows)).collect();
    assert_eq!(staged, [("part-3-00007-2-0.parquet", 2)]);
    let path = fixture.attempts().join(&files[0].staged);
    let builder = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&path).unwrap()).unwrap();
    assert!(builder.metadata().file_metadata().created_by().unwrap().starts_with("hearth "));
    assert!(builder.metadata().file_metadata().key_value_metadata().is_none(), "no Arrow schema is embedded");
    let (found, batches) = read_parquet(&path);
    assert_eq!(found.field(0).data_type(), &DataType::Utf8);
    assert_eq!(batches[0].column(1).as_primitive::<Int64Type>().values()[0], 1);
}

#[tokio::test]
async fn a_large_output_is_several_files() {
    let mut fixture = fixture(OutputFormat::Csv, &[]);
    fixture.spec.file_bytes_max = ByteSize(4000);
    let batches: Vec<_> = (0..30).map(|_| batch(vec![Some("abcdefgh"); 50], vec![Some(1); 50])).collect();
    let files = fixture.write(0, &batches).await;
    assert!(files.len() > 3, "{} files", files.len());
    assert_eq!(files.iter().map(|file| file.rows).sum::<u64>(), 1500);
    for file in &files {
        assert!(fixture.text(file).starts_with("k,n\n"), "each file has a header");
        assert!(file.bytes < 8000);
    }
}

#[tokio::test]
async fn rows_go_to_the_directory_of_their_values() {
    let fixture = fixture(OutputFormat::Json, &["k"]);
    let keys = vec![Some("a/b"), None, Some("Zürich"), Some("a/b"), Some("")];
    let files = fixture.write(0, &[batch(keys, vec![Some(1), Some(2), Some(3), Some(4), None])]).await;
    let mut found: Vec<_> = files.iter().map(|file| (file.directory.clone(), fixture.text(file))).collect();
    found.sort();
    let expected = [
        ("k=Zürich", "{\"n\":3}\n"),
        ("k=__HIVE_DEFAULT_PARTITION__", "{\"n\":2}\n{\"n\":null}\n"),
        ("k=a%2Fb", "{\"n\":1}\n{\"n\":4}\n"),
    ];
    assert_eq!(found, expected.map(|(directory, text)| (directory.to_owned(), text.to_owned())));
}

#[tokio::test]
async fn many_directories_need_few_open_files() {
    let fixture = fixture(OutputFormat::Parquet, &["k"]);
    let names: Vec<String> = (0..300).map(|n| format!("v{n}")).collect();
    let keys: Vec<_> = names.iter().map(|name| Some(name.as_str())).collect();
    let mut writer = fixture.writer(0);
    for _ in 0..2 {
        writer.push(&batch(keys.clone(), vec![Some(1); 300])).await.unwrap();
        assert!(writer.open.len() <= OPEN_FILES_MAX);
    }
    let files = writer.finish().await.unwrap();
    assert_eq!(files.iter().map(|file| file.rows).sum::<u64>(), 600);
    let directories: std::collections::BTreeSet<_> = files.iter().map(|file| &file.directory).collect();
    assert_eq!(directories.len(), 300);
    let (schema, _) = read_parquet(&fixture.attempts().join(&files[0].staged));
    assert_eq!(schema.fields().len(), 1, "the partition column is not in the files");
}

#[tokio::test]
async fn an_empty_result_has_a_schema_once() {
    let plain = fixture(OutputFormat::Parquet, &[]);
    let files = plain.write(0, &[]).await;
    assert_eq!(files.iter().map(|file| file.rows).collect::<Vec<_>>(), [0]);
    let (schema, _) = read_parquet(&plain.attempts().join(&files[0].staged));
    assert_eq!(schema.fields().len(), 2);
    assert_eq!(plain.write(1, &[]).await, [], "only the first task writes it");
    assert_eq!(fixture(OutputFormat::Parquet, &["k"]).write(0, &[]).await, []);
}

#[tokio::test]
async fn an_attempt_that_does_not_finish_leaves_nothing() {
    let mut fixture = fixture(OutputFormat::Csv, &[]);
    fixture.spec.file_bytes_max = ByteSize(100);
    let mut writer = fixture.writer(0);
    for _ in 0..10 {
        writer.push(&batch(vec![Some("abcdefgh"); 50], vec![Some(1); 50])).await.unwrap();
    }
    assert!(fs::read_dir(fixture.attempts()).unwrap().count() > 0);
    drop(writer);
    assert_eq!(fs::read_dir(fixture.attempts()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_of_another_attempt_is_never_overwritten() {
    let fixture = fixture(OutputFormat::Csv, &[]);
    fs::create_dir_all(fixture.attempts()).unwrap();
    fs::write(fixture.attempts().join("part-3-00000-2-0.csv"), "mine").unwrap();
    let error = fixture.writer(0).push(&batch(vec![None], vec![None])).await.unwrap_err();
    assert!(error.to_string().contains("exists already"), "{error}");
    assert_eq!(fs::read_to_string(fixture.attempts().join("part-3-00000-2-0.csv")).unwrap(), "mine");
}
