//! Scans over real files: every record once, whatever the splits; limits, figures, pruning, and files that changed.

use std::path::Path;

use datafusion::arrow::array::{Int64Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::logical_expr::Operator;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::physical_expr::expressions::{binary, col, lit};
use datafusion::physical_plan::collect;
use hearth_common::CsvOptions;
use hearth_storage::{InputFile, list_inputs};

use super::*;
use crate::cause_of;
use crate::test_link::line_link;

mod filters;

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn file_of(path: &Path, format: &InputFormat) -> InputFile {
    run(list_inputs(&[path.display().to_string()], format)).unwrap().remove(0)
}

/// One file in splits of equal size, all in one partition.
fn spec(path: &Path, format: InputFormat, split_bytes: u64) -> ScanSpec {
    let file = file_of(path, &format);
    let is_text = !matches!(format, InputFormat::Parquet);
    let split = |start: u64| {
        let end = start.saturating_add(split_bytes).min(file.bytes);
        file.split((start, end), is_text.then(|| line_link(path, start)))
    };
    let starts = (0..file.bytes).step_by(usize::try_from(split_bytes).unwrap());
    ScanSpec {
        leaf: 0,
        table: "t".into(),
        format,
        file_schema: Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("name", DataType::Utf8View, true),
        ])),
        projection: None,
        filters: Vec::new(),
        limit: None,
        splits: Arc::new(vec![starts.map(split).collect()]),
        rows_estimated: Some(100),
        bytes: file.bytes,
        on_error: hearth_common::OnError::Fail,
        attempts_url: None,
    }
}

fn rows(spec: ScanSpec) -> Result<Vec<String>, FailureCause> {
    let context = Arc::new(TaskContext::default().with_session_config(crate::session_config(1)));
    let scan: Arc<dyn ExecutionPlan> = Arc::new(ScanExec::try_new(spec).unwrap());
    let batches = run(collect(Arc::clone(&scan), context)).map_err(|error| cause_of(&error))?;
    let count: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let counted = scan.metrics().unwrap().sum_by_name("input_rows").unwrap().as_usize();
    assert!(counted >= count, "{counted} rows were counted, {count} came");
    if scan.schema().fields().is_empty() {
        return Ok(vec![String::new(); count]);
    }
    let text = pretty_format_batches(&batches).unwrap().to_string();
    let cells = |line: &str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join("|");
    Ok(text.lines().filter(|line| line.starts_with('|')).skip(1).map(cells).collect())
}

struct Case {
    directory: tempfile::TempDir,
    format: InputFormat,
}

impl Case {
    fn new(text: &str, format: InputFormat) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("f"), text).unwrap();
        Self { directory, format }
    }

    fn parquet() -> Self {
        let case = Self::new("", InputFormat::Parquet);
        let ids: Vec<i64> = (0..1000).collect();
        let names: Vec<String> = ids.iter().map(|id| format!("n{id}")).collect();
        let fields = vec![Field::new("id", DataType::Int64, false), Field::new("name", DataType::Utf8, false)];
        let columns: Vec<datafusion::arrow::array::ArrayRef> =
            vec![Arc::new(Int64Array::from(ids)), Arc::new(StringArray::from(names))];
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(100)).build();
        let file = std::fs::File::create(case.path()).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        case
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("f")
    }

    fn spec(&self, split_bytes: u64) -> ScanSpec {
        spec(&self.path(), self.format.clone(), split_bytes)
    }

    fn check_cover(&self, sizes: impl Iterator<Item = u64>, expected: usize) {
        let whole = rows(self.spec(1 << 20)).unwrap();
        assert_eq!(whole.len(), expected);
        for split_bytes in sizes {
            let mut found = rows(self.spec(split_bytes)).unwrap();
            found.sort_by_key(|row| whole.iter().position(|known| known == row));
            assert_eq!(found, whole, "splits of {split_bytes} bytes");
        }
    }
}

const JSON: &str =
    "{\"id\": 1, \"name\": \"a\"}\n\n{\"name\": \"b c\", \"id\": 2, \"more\": [1, {}]}\r\n{\"id\": null}\n{\"id\": 4}";

#[test]
fn splits_of_every_size_give_the_same_records() {
    let json = Case::new(JSON, InputFormat::Json);
    json.check_cover(1..=JSON.len() as u64, 4);
    let csv = "id,name\n1,a\n2,b\n3,\n";
    Case::new(csv, InputFormat::Csv(CsvOptions::default())).check_cover(1..=csv.len() as u64, 3);
    let parquet = Case::parquet();
    let bytes = std::fs::metadata(parquet.path()).unwrap().len();
    parquet.check_cover([97, 500, 1000, 3333, bytes - 1, bytes].into_iter(), 1000);
}

#[test]
fn compressed_files_give_the_same_records() {
    let csv = "id,name\n1,a\n2,\"b\nc\"\n3,\n";
    for (text, format) in [(JSON, InputFormat::Json), (csv, InputFormat::Csv(CsvOptions::default()))] {
        let plain = rows(Case::new(text, format.clone()).spec(1 << 20)).unwrap();
        let case = Case::new("", format);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
        std::fs::write(case.path(), encoder.finish().unwrap()).unwrap();
        let mut spec = case.spec(1 << 20);
        let split =
            InputSplit { compression: hearth_common::FileCompression::Gzip, link: None, ..spec.splits[0][0].clone() };
        spec.splits = Arc::new(vec![vec![split]]);
        assert_eq!(rows(spec), Ok(plain));
    }
}

#[test]
fn reads_the_columns_that_are_asked_for() {
    let cases = [Case::new(JSON, InputFormat::Json), Case::parquet()];
    for (case, count) in cases.iter().zip([4, 1000]) {
        let none = ScanSpec { projection: Some(Vec::new()), ..case.spec(1 << 20) };
        assert_eq!(rows(none), Ok(vec![String::new(); count]));
        let turned = ScanSpec { projection: Some(vec![1, 0]), limit: Some(1), ..case.spec(1 << 20) };
        let expected = if count == 4 { "a|1" } else { "n0|0" };
        assert_eq!(rows(turned), Ok(vec![expected.to_owned()]));
    }
}

#[test]
fn a_limit_holds_over_splits() {
    let csv = Case::new("id,name\n1,a\n2,b\n3,c\n", InputFormat::Csv(CsvOptions::default()));
    for (limit, expected) in [(0, 0), (1, 1), (2, 2), (9, 3)] {
        let found = rows(ScanSpec { limit: Some(limit), ..csv.spec(5) }).unwrap();
        assert_eq!(found.len(), expected, "limit {limit}");
    }
}

#[test]
fn row_groups_are_left_out_by_their_statistics() {
    let case = Case::parquet();
    let spec = case.spec(1 << 20);
    let low = binary(col("id", &spec.file_schema).unwrap(), Operator::Lt, lit(150_i64), &spec.file_schema).unwrap();
    assert_eq!(rows(ScanSpec { filters: vec![low], ..spec }).unwrap().len(), 200);
}

#[test]
fn a_changed_file_fails_the_task() {
    for case in [Case::new(JSON, InputFormat::Json), Case::parquet()] {
        let spec = case.spec(1 << 20);
        let before = spec.bytes;
        let mut longer = std::fs::read(case.path()).unwrap();
        longer.push(b'\n');
        std::fs::write(case.path(), &longer).unwrap();
        let expected = format!(
            "file://{} changed while the job ran: {before} bytes when it was planned, {} now; run the job again",
            case.path().display(),
            before + 1
        );
        assert_eq!(rows(spec), Err(FailureCause::task(expected)));
    }
}

fn check_error(text: &str, format: InputFormat, (expected, place): (&str, &str)) {
    let case = Case::new(text, format);
    let found = rows(case.spec(1 << 20)).unwrap_err();
    assert_eq!(found.name(), "task");
    let found = found.to_string().replace(&case.path().display().to_string(), "PATH");
    assert!(found.starts_with(expected) && found.ends_with(&format!("(at file://PATH{place})")), "{found}");
}

#[test]
fn broken_files_are_told() {
    let json = |text: &str, place: &str| {
        check_error(text, InputFormat::Json, ("cannot read a JSON record: ", place));
    };
    json("{\"id\": 1\n", ", line 1, byte 0");
    json("{\"id\": \"x\"}\n", ", line 1, byte 0, column `id`");
    json("no json\n", ", line 1, byte 0");
    json("{\"id\": 1}\n\n{\"id\": 2}\r\n[]\n", ", line 4, byte 22");
    json("{\"id\": 1}{\"id\": \"x\"}\n", ", line 1, byte 0");
    // Behind a batch that was given, in a batch whose last records are missing.
    let good = "{\"id\": 1}\n".repeat(20_000);
    json(&format!("{good}{{\"id\": \"bad\"}}\n{good}"), ", line 20001, byte 200000, column `id`");
    json(&format!("{good}{good}{{\"id\""), ", line 40001, byte 400000");
    check_error("no parquet", InputFormat::Parquet, ("", ""));
}

#[test]
fn a_later_split_tells_the_line() {
    let text = "{\"id\": 1}\n{\"id\": 2}\n{\"id\": \"x\"}\n";
    let case = Case::new(text, InputFormat::Json);
    let found = rows(case.spec(12)).unwrap_err();
    assert!(found.to_string().ends_with(", line 3, byte 20, column `id`)"), "{found}");
    // Where a limit took the links away, nobody knows what is before a split.
    let mut spec = case.spec(12);
    spec.splits = Arc::new(vec![vec![InputSplit { link: None, ..spec.splits[0][1].clone() }]]);
    let found = rows(spec).unwrap_err();
    assert!(found.to_string().ends_with("f, byte 20, column `id`)"), "{found}");
}

#[test]
fn estimates_are_divided_among_partitions() {
    let case = Case::new("id,name\n", InputFormat::Csv(CsvOptions::default()));
    let mut spec = case.spec(1 << 20);
    spec.splits = Arc::new(vec![Vec::new(); 4]);
    spec.bytes = 800;
    spec.projection = Some(vec![0]);
    let scan = ScanExec::try_new(spec).unwrap();
    let rows_of = |arguments: StatisticsArgs| {
        let statistics = scan.statistics_from_inputs(&[], &arguments).unwrap();
        (statistics.num_rows, statistics.total_byte_size)
    };
    assert_eq!(rows_of(StatisticsArgs::new()), (Precision::Inexact(100), Precision::Inexact(400)));
    let one = StatisticsArgs::new().with_partition(Some(1));
    assert_eq!(rows_of(one), (Precision::Inexact(25), Precision::Inexact(100)));
}
