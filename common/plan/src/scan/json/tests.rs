//! Lines of JSON are read as each of them alone says, whatever the splits, and what cannot be read is told with its place.

use std::path::Path;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use hearth_common::{FileCompression, InputFormat, LinkSpan, RecordStart, SplitLink};
use hearth_storage::{InputFile, list_inputs};

use super::*;

mod oracle;

/// What a file gives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Content {
    rows: Vec<String>,
    /// Each as line, byte, column and record.
    rejects: Vec<(u64, u64, Option<String>, Vec<u8>)>,
    reasons: Vec<String>,
}

/// What one attempt at a split left behind.
struct Attempt {
    outcome: Result<Content, String>,
    scan: LinkScan,
}

struct Case {
    directory: tempfile::TempDir,
    file: InputFile,
    table: JsonTable,
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn schema() -> SchemaRef {
    let columns = [
        ("id", DataType::Int64),
        ("name", DataType::Utf8View),
        ("price", DataType::Decimal128(6, 2)),
        ("flag", DataType::Boolean),
    ];
    Arc::new(Schema::new(columns.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec()))
}

fn show(batch: &RecordBatch, row: usize) -> String {
    let options = FormatOptions::default().with_null("NULL");
    let cell = |column: &ArrayRef| ArrayFormatter::try_new(column.as_ref(), &options).unwrap().value(row).to_string();
    batch.columns().iter().map(cell).collect::<Vec<_>>().join("|")
}

impl Case {
    fn new(text: &[u8], puts_aside: bool) -> Self {
        Self::called("f.json", text, puts_aside)
    }

    fn called(name: &str, bytes: &[u8], puts_aside: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let file = run(list_inputs(&[path.display().to_string()], &InputFormat::Json)).unwrap().remove(0);
        Self { directory, file, table: JsonTable { schema: schema(), batch_rows: 5, puts_aside } }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn attempt(&self, range: (u64, u64), link: Option<SplitLink>) -> Attempt {
        let split = self.file.split(range, link);
        let table = self.table.clone();
        run(async {
            let mut records = table.open(split, &RuntimeEnv::default()).await.unwrap();
            let mut content = Content::default();
            let outcome = loop {
                let batch = records.next().await;
                for reject in records.take_rejects() {
                    content.rejects.push((reject.line, reject.byte, reject.column, reject.raw));
                    content.reasons.push(reject.reason);
                }
                match batch {
                    Ok(Some(batch)) => content.rows.extend((0..batch.num_rows()).map(|row| show(&batch, row))),
                    Ok(None) => {
                        assert_eq!(records.counts().0, (content.rows.len() + content.rejects.len()) as u64);
                        break Ok(content);
                    }
                    Err(error) => {
                        break Err(error.to_string().replace(&format!("file://{}/", self.path().display()), ""));
                    }
                }
            };
            let none = LinkScan { link: 0, read: LinkSpan { start: 0, end: None }, quoted: None };
            Attempt { outcome, scan: records.scan().unwrap_or(none) }
        })
    }

    /// Reads the file as the scheduler has it read: each split without knowing its start, and again with it.
    fn read(&self, split_bytes: u64) -> Result<Content, String> {
        let mut content = Content::default();
        let mut known = RecordStart { byte: 0, line: 1 };
        for (number, start) in (0..).zip((0..self.file.bytes).step_by(usize::try_from(split_bytes).unwrap())) {
            let range = (start, start.saturating_add(split_bytes).min(self.file.bytes));
            let told = self.attempt(range, Some(SplitLink { number, known: Some(known) }));
            let guessed = self.attempt(range, Some(SplitLink { number, known: None }));
            let is_empty = known.byte >= range.1;
            assert!(
                guessed.scan.read.start == known.byte || is_empty && guessed.scan.read.start >= range.1,
                "{:?} starts at {known:?}",
                guessed.scan
            );
            if !is_empty {
                assert_eq!(guessed.scan.read, told.scan.read, "a line's start needs no proof");
            }
            let (told, guessed) = match (told, guessed.outcome) {
                (Attempt { outcome: Ok(read), scan }, Ok(guessed)) => ((read, scan), guessed),
                (Attempt { outcome: Err(error), .. }, Err(_)) => return Err(error),
                (Attempt { outcome, .. }, other) => panic!("told {outcome:?}, guessed {other:?}"),
            };
            assert_eq!(guessed.rows, told.0.rows);
            assert_eq!(guessed.reasons, told.0.reasons);
            let from_line = |mut reject: (u64, u64, Option<String>, Vec<u8>)| {
                reject.0 += known.line - 1;
                reject
            };
            let lines: Vec<_> = guessed.rejects.into_iter().map(from_line).collect();
            assert_eq!(lines, told.0.rejects);
            content.rows.extend(told.0.rows);
            content.rejects.extend(told.0.rejects);
            content.reasons.extend(told.0.reasons);
            let end = told.1.read.end.expect("a split without errors has an end");
            known = RecordStart { byte: end.byte, line: known.line + end.lines };
        }
        Ok(content)
    }

    fn check_splits(&self) -> Result<Content, String> {
        let whole = self.read(u64::MAX >> 1);
        for split_bytes in 1..=self.file.bytes {
            assert_eq!(self.read(split_bytes), whole, "splits of {split_bytes} bytes");
        }
        whole
    }
}

/// What is put aside of `text`: each as line, byte, column and reason.
fn check_rejects(text: &[u8], expected: &[(u64, u64, &str, &str)], rows: usize) {
    let content = Case::new(text, true).check_splits().unwrap();
    let rejects = content.rejects.iter().zip(&content.reasons);
    let found: Vec<_> = rejects
        .map(|((line, byte, column, _), reason)| (*line, *byte, column.as_deref().unwrap_or_default(), reason.as_str()))
        .collect();
    assert_eq!(found, expected, "{}", String::from_utf8_lossy(text));
    assert_eq!(content.rows.len(), rows);
    let (line, byte, column, reason) = expected[0];
    let column = if column.is_empty() { String::new() } else { format!(", column `{column}`") };
    let error = Case::new(text, false).check_splits().unwrap_err();
    assert!(error.starts_with(&format!("cannot read a JSON record: {reason}; the record is `")), "{error}");
    assert!(error.ends_with(&format!("(at f.json, line {line}, byte {byte}{column})")), "{error}");
}

#[test]
fn what_is_no_object_is_told_with_its_place() {
    let missing = |what: &str, at: usize| {
        format!("each line must be one JSON object, but {what} is missing at byte {at} of this record")
    };
    check_rejects(
        b"{\"id\":1}\n\n[1]\r\n{\"id\":2}{\"id\":3}\n{\"id\":4\n{\"id\":5,}\nnull\n{\"id\":6}",
        &[
            (3, 10, "", &missing("`{`", 0)),
            (4, 15, "", &missing("the end of the line", 8)),
            (5, 32, "", &missing("`,` or `}`", 7)),
            (6, 40, "", &missing("a name in double quotes", 8)),
            (7, 50, "", &missing("`{`", 0)),
        ],
        2,
    );
    check_rejects(b"{\"name\":\"\xff\"}\n", &[(1, 0, "", "byte 0xff is not UTF-8, as JSON has to be")], 0);
    check_rejects(b"{\"name\":\"\\ud800\"}", &[(1, 0, "", &missing("the other half of a surrogate pair", 15))], 0);
    check_rejects(b"{\"more\":01}", &[(1, 0, "", &missing("`,` or `}`", 9))], 0);
}

#[test]
fn values_that_do_not_fit_are_told_with_their_column() {
    let value = |text: &str, expected: &str| {
        format!("`{text}` is not of type {expected}; declare the column in the input's schema if its type was inferred")
    };
    check_rejects(
        b"{\"id\":1.5}\n{\"id\":\"x\",\"name\":2}\n{\"name\":7}\n{\"price\":1.005}\n{\"id\":1,\"id\":2}\n{\"id\":[]}\n{}\n{\"\\u0069d\":null}\n",
        &[
            (1, 0, "id", &value("1.5", "int64")),
            (2, 11, "id", &value("\\\"x\\\"", "int64")),
            (3, 31, "name", &value("7", "string")),
            (4, 42, "price", &value("1.005", "decimal(6,2)")),
            (5, 58, "id", "the record names the column twice"),
            (6, 74, "id", &value("[]", "int64")),
        ],
        2,
    );
}

#[test]
fn bad_lines_are_found_among_many() {
    let bad = [0, 7, 8, 100, 299, 300, 4000, 4095, 4999];
    let line = |id: usize| if bad.contains(&id) { "{\"id\":\"x\"}\n".to_owned() } else { format!("{{\"id\":{id}}}\n") };
    let text: String = (0..5000).map(line).collect();
    let mut case = Case::new(text.as_bytes(), true);
    case.table.batch_rows = 8192;
    for split_bytes in [1 << 40, 20_011] {
        let content = case.read(split_bytes).unwrap();
        let found: Vec<u64> = content.rejects.iter().map(|reject| reject.0 - 1).collect();
        assert_eq!(found, bad.map(|id| id as u64));
        let ids = (0..5000).filter(|id| !bad.contains(id));
        assert_eq!(content.rows, ids.map(|id| format!("{id}|NULL|NULL|NULL")).collect::<Vec<_>>());
    }
}

#[test]
fn a_scan_is_complete_behind_the_last_line_alone() {
    let case = Case::new(&b"{\"id\":1}\n\n".repeat(30), true);
    let split = case.file.split((5, 205), Some(SplitLink { number: 3, known: None }));
    let expected = LinkSpan { start: 9, end: Some(hearth_common::LinkEnd { byte: 209, lines: 40 }) };
    run(async {
        let mut records = case.table.clone().open(split.clone(), &RuntimeEnv::default()).await.unwrap();
        assert_eq!(records.next().await.unwrap().unwrap().num_rows(), 5);
        assert_eq!(records.scan().unwrap().read, LinkSpan { end: None, ..expected });
        records.finish().await.unwrap();
        assert_eq!(records.scan().unwrap().read, expected);
        assert_eq!(scan_link(&split, &RuntimeEnv::default()).await.unwrap().unwrap().read, expected);
    });
}

#[test]
fn long_lines_go_over_chunks_and_splits() {
    let long = "x".repeat(300_000);
    let text = format!("{{\"name\":\"{long}\"}}\n[\"{long}\"]\n{{\"id\":3}}\n");
    let whole = Case::new(text.as_bytes(), true).read(1 << 40).unwrap();
    assert_eq!((whole.rows.len(), whole.rejects.len(), whole.rejects[0].0), (2, 1, 2));
    for split_bytes in [100_000, 131_072, 299_999, 300_012, 400_000] {
        assert_eq!(Case::new(text.as_bytes(), true).read(split_bytes), Ok(whole.clone()), "{split_bytes}");
    }
}

#[test]
fn a_line_without_an_end_is_put_aside_in_part() {
    let just = format!("{{\"id\":1,\"name\":\"{}\"}}", "x".repeat(lines::LINE_BYTES_MAX - 18));
    assert_eq!(just.len(), lines::LINE_BYTES_MAX);
    let text = format!("{just}\r\n{just} \r\n{{\"id\":2}}\n");
    for split_bytes in [1 << 40, 10 << 20] {
        let content = Case::new(text.as_bytes(), true).read(split_bytes).unwrap();
        assert_eq!(content.rows.len(), 2);
        let (line, byte, column, raw) = &content.rejects[0];
        assert_eq!((*line, *byte, column, raw.len()), (2, just.len() as u64 + 2, &None, lines::LINE_BYTES_MAX));
        assert_eq!(content.reasons[0], "the record is longer than 16777216 bytes: a line end may be missing");
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_record() {
    let content = Case::new(b"\xef\xbb\xbf{\"id\":1}\n{\"id\":2}\n", true).check_splits().unwrap();
    assert_eq!(content.rows, ["1|NULL|NULL|NULL", "2|NULL|NULL|NULL"]);
}

#[test]
fn compressed_lines_are_counted_too() {
    let text = b"{\"id\":1}\n\n{\"id\":x}\n{\"id\":2}";
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, text).unwrap();
    let case = Case::called("f.json.gz", &encoder.finish().unwrap(), true);
    assert_eq!(case.file.compression, FileCompression::Gzip);
    let content = case.attempt((0, case.file.bytes), None).outcome.unwrap();
    assert_eq!(content.rows.len(), 2);
    assert_eq!((content.rejects[0].0, content.rejects[0].1), (3, 10));
}

/// What was read before trouble with the storage is told before it: the trouble may be far behind it.
#[test]
fn records_are_told_before_trouble_behind_them() {
    let text = b"{\"id\":1}\nx\n".repeat(50_000);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, &text).unwrap();
    let mut bytes = encoder.finish().unwrap();
    bytes.truncate(bytes.len() - 4);
    let error = |puts_aside| {
        let case = Case::called("f.json.gz", &bytes, puts_aside);
        case.attempt((0, case.file.bytes), None).outcome.unwrap_err()
    };
    assert!(error(false).ends_with("(at f.json.gz, line 2, byte 9)"), "{}", error(false));
    assert!(error(true).contains("truncated"), "{}", error(true));
}
