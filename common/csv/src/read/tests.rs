//! Splits of every size give the same records, lines and errors, and what cannot be read is told with its place.

use std::path::Path;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use hearth_common::{ExtraColumns, InputFormat, LinkSpan, MissingColumns, RecordStart, SplitLink};

use super::*;

mod held;
mod random;
mod utf16;

struct Case {
    text: Vec<u8>,
    columns: Vec<(&'static str, DataType)>,
    options: CsvOptions,
    split_bytes: u64,
    puts_aside: bool,
}

/// Rows and rejects, as text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Content {
    rows: Vec<String>,
    /// Each as `line:byte:column: reason: record`.
    rejects: Vec<String>,
}

impl Case {
    fn new(text: impl Into<Vec<u8>>, columns: &[(&'static str, DataType)]) -> Self {
        Self {
            text: text.into(),
            columns: columns.to_vec(),
            options: CsvOptions::default(),
            split_bytes: u64::MAX,
            puts_aside: false,
        }
    }

    fn with(mut self, change: impl FnOnce(&mut CsvOptions)) -> Self {
        change(&mut self.options);
        self
    }

    /// What cannot be read is put aside.
    fn putting_aside(mut self) -> Self {
        self.puts_aside = true;
        self
    }

    fn table(&self) -> Arc<CsvTable> {
        let fields: Vec<Field> =
            self.columns.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect();
        let schema = Arc::new(Schema::new(fields));
        Arc::new(CsvTable {
            options: self.options.clone(),
            schema,
            projection: None,
            filters: Vec::new(),
            limit: None,
            batch_rows: 3,
            puts_aside: self.puts_aside,
        })
    }

    fn rows(&self) -> Result<Vec<String>, String> {
        self.content().map(|content| content.rows)
    }

    fn content(&self) -> Result<Content, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f.csv");
        std::fs::write(&path, &self.text).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let content = runtime.block_on(read_all(&self.table(), &path, self.split_bytes));
        content.map_err(|error| error.to_string().replace(&format!("file://{}", path.display()), "FILE"))
    }

    fn check(&self, expected: &[&str]) {
        let expected = expected.iter().map(|row| (*row).to_owned()).collect();
        assert_eq!(self.rows(), Ok(expected), "{:?}", String::from_utf8_lossy(&self.text));
    }

    /// What becomes rows, and what is put aside, whatever the splits.
    fn check_rejects(mut self, rows: &[&str], rejects: &[&str]) {
        self.puts_aside = true;
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let expected = Content { rows: owned(rows), rejects: owned(rejects) };
        assert_eq!(self.content(), Ok(expected), "{:?}", String::from_utf8_lossy(&self.text));
        self.check_splits();
    }

    fn check_error(mut self, expected: &str) {
        assert_eq!(self.rows(), Err(expected.to_owned()), "{:?}", String::from_utf8_lossy(&self.text));
        self.check_splits();
    }

    /// The outcome is the same for splits of every size.
    fn check_splits(&mut self) {
        self.split_bytes = u64::MAX;
        let whole = self.content();
        for split_bytes in 1..=self.text.len() as u64 {
            self.split_bytes = split_bytes;
            let text = String::from_utf8_lossy(&self.text);
            assert_eq!(self.content(), whole, "{text:?} in splits of {split_bytes} bytes");
        }
    }
}

/// What one attempt at a split left behind.
struct Attempt {
    outcome: Result<Content, FailureCause>,
    scan: LinkScan,
}

async fn attempt(table: &Arc<CsvTable>, split: &InputSplit, lines_before: u64) -> Result<Attempt, FailureCause> {
    let mut records = table.open(split, &RuntimeEnv::default()).await?;
    let mut content = Content::default();
    let outcome = loop {
        let batch = records.next().await;
        // The lines of a guess are counted from its start.
        let base = if split.link.is_some_and(|link| link.known.is_none()) { lines_before } else { 0 };
        content.rejects.extend(records.take_rejects().iter().map(|reject| show_reject(reject, base)));
        match batch {
            Ok(Some(batch)) => content.rows.extend((0..batch.num_rows()).map(|row| show_row(&batch, row))),
            Ok(None) => break Ok(content),
            Err(error) => break Err(error),
        }
    };
    let outcome = match outcome {
        Ok(content) => {
            assert_eq!(records.records(), (content.rows.len() + content.rejects.len()) as u64, "{content:?}");
            records.finish().await.map(|()| content)
        }
        Err(error) => Err(error),
    };
    Ok(Attempt { scan: records.scan().unwrap(), outcome })
}

/// Reads a file as the scheduler would: guesses first, proof from the front, wrong guesses once more.
async fn read_all(table: &Arc<CsvTable>, path: &Path, split_bytes: u64) -> Result<Content, FailureCause> {
    let paths = [path.display().to_string()];
    let file = hearth_storage::list_inputs(&paths, &InputFormat::Csv(CsvOptions::default())).await?.remove(0);
    let mut content = Content::default();
    let mut known = RecordStart { byte: 0, line: 1 };
    for (number, start) in (0..file.bytes).step_by(usize::try_from(split_bytes).unwrap_or(usize::MAX)).enumerate() {
        let end = start.saturating_add(split_bytes).min(file.bytes);
        let split = |known| file.split((start, end), Some(SplitLink { number: u32::try_from(number).unwrap(), known }));
        let guessed = attempt(table, &split((start == 0).then_some(known)), known.line - 1).await?;
        let right = attempt(table, &split(Some(known)), 0).await?;
        let true_end = right.scan.read.end;
        check_guess(&guessed, &right, (known, end));
        let right = right.outcome?;
        content.rows.extend(right.rows);
        content.rejects.extend(right.rejects);
        let found = true_end.expect("a split without errors has an end");
        known = RecordStart { byte: found.byte, line: known.line + found.lines };
    }
    Ok(content)
}

/// A guess that was right has read the same; whatever it says about the true start is true.
fn check_guess(guessed: &Attempt, right: &Attempt, (known, split_end): (RecordStart, u64)) {
    let is_same = |span: LinkSpan| span.start == known.byte || span.start >= split_end && known.byte >= split_end;
    if let Some(span) = guessed.scan.quoted
        && known.byte < split_end
        && span.start == known.byte
    {
        assert_eq!(span.end, right.scan.read.end, "inside quotes, from {known:?}");
    }
    if !is_same(guessed.scan.read) {
        return;
    }
    match (&guessed.outcome, &right.outcome) {
        (Ok(guessed), Ok(right)) => assert_eq!(guessed, right),
        (Err(_), Err(_)) => {}
        (guessed, right) => panic!("a right guess gave {guessed:?}, the known start {right:?}"),
    }
    if known.byte < split_end {
        assert_eq!(guessed.scan.read.end, right.scan.read.end);
    }
}

fn show_reject(reject: &RejectedRecord, lines_before: u64) -> String {
    let RejectedRecord { byte, line, column, reason, raw } = reject;
    let reason = reason.split([';', ':']).next().unwrap();
    let column = column.as_deref().unwrap_or_default();
    format!("{}:{byte}:{column}: {reason}: {}", line + lines_before, String::from_utf8_lossy(raw))
}

fn show_row(batch: &RecordBatch, row: usize) -> String {
    let options = FormatOptions::default().with_null("NULL");
    let column = |column: &ArrayRef| ArrayFormatter::try_new(column.as_ref(), &options).unwrap().value(row).to_string();
    batch.columns().iter().map(column).collect::<Vec<_>>().join("|")
}

const TEXTS: &[(&str, DataType)] = &[("a", DataType::Utf8View), ("b", DataType::Utf8View)];
const TYPED: &[(&str, DataType)] = &[("id", DataType::Int64), ("name", DataType::Utf8View)];

#[test]
fn reads_what_rfc_4180_allows() {
    Case::new("id,name\r\n1,x\r\n2,\"y, \"\"z\"\"\"\r\n", TYPED).check(&["1|x", "2|y, \"z\""]);
    Case::new("\u{feff}id,name\n1,x", TYPED).check(&["1|x"]);
    Case::new("id,name\n,x\n\n3,\n4,\"\"\n\"\",y", TYPED).check(&["NULL|x", "3|NULL", "4|", "NULL|y"]);
    Case::new("id,name\n", TYPED).check(&[]);
    Case::new("id,name", TYPED).check(&[]);
    Case::new("a,b\n5\" pipe,x\n", TEXTS).check(&["5\" pipe|x"]);
    Case::new("a,b\n\"x\ny\",\"\r\n\"\r\n", TEXTS).check(&["x\ny|\r\n"]);
    Case::new("a,b\na string that no view holds,\"another \"\"quoted\"\" string\"\n", TEXTS)
        .check(&["a string that no view holds|another \"quoted\" string"]);
}

#[test]
fn splits_of_every_size_give_the_same_records() {
    for text in [
        "id,name\n1,x\n22,yy\n333,zzz\n4,\n",
        "id,name\r\n1,x\r\n\r\n22,\"y,\"\"y\"\r\n333,zzz",
        "\u{feff}id,name\n1,ünï\n2,코드\n",
        "\n\n\nid,name\n1,x\n\n\n\n2,y\n\n",
        "id,name\n1,\"x\n2,y\n3,z\"\n4,\"\n\n\n\"\n",
        "id,name\n1,\"\"\"\"\n2,\"\"\"\n\"\"\"\n3,\"\"\"\"\"\"\n",
        "name,id\n\"a\r\n\r\nb\",1\r\n\"\",2",
    ] {
        let mut case = Case::new(text, TYPED);
        assert!(case.rows().is_ok(), "{text:?}: {:?}", case.rows());
        case.check_splits();
    }
    let mut bare = Case::new("1,x\n2,\"y\n\"\n\n3,z\n", TYPED).with(|options| options.header = false);
    bare.check(&["1|x", "2|y\n", "3|z"]);
    bare.check_splits();
}

#[test]
fn every_option_has_its_effect() {
    let check = |case: Case, expected: &[&str]| {
        case.check(expected);
        let mut case = case;
        case.check_splits();
    };
    check(
        Case::new("# it's \"odd\nid;name\n# x\n1;'y;#'\n", TYPED).with(|options| {
            (options.delimiter, options.quote, options.comment) = (b';', Some(b'\''), Some(b'#'));
        }),
        &["1|y;#"],
    );
    check(Case::new("a,b\n\"x\\\"\ny\",z\\\n", TEXTS).with(|options| options.escape = Some(b'\\')), &["x\"\ny|z\\"]);
    check(Case::new("a,b\n\"x,\"\n", TEXTS).with(|options| options.quote = None), &["\"x|\""]);
    check(
        Case::new("id,name\n 1 ,\" x \"\n\t,  \n", TYPED).with(|options| options.trim = true),
        &["1| x ", "NULL|NULL"],
    );
    check(
        Case::new("id,name\n\"1\" ,\"x, \ny\"\t \r\n\"2\"\t,z\n", TYPED).with(|options| options.trim = true),
        &["1|x, \ny", "2|z"],
    );
    check(
        Case::new("id,name\nNA,NA\n1,\"NA\"\n-,\n", TYPED)
            .with(|options| options.null_values = vec!["NA".into(), "-".into()]),
        &["NULL|NULL", "1|NA", "NULL|"],
    );
    check(
        Case::new(b"a,b\ncaf\xe9,\"\xfc\n\"\n".as_slice(), TEXTS).with(|options| options.encoding = Encoding::Latin1),
        &["café|ü\n"],
    );
    check(
        Case::new("name,x\ny,z\n", TYPED).with(|options| {
            (options.missing_columns, options.extra_columns) = (MissingColumns::Null, ExtraColumns::Ignore);
        }),
        &["NULL|y"],
    );
}

#[test]
fn a_header_is_matched_by_name() {
    Case::new("name,id\nx,1\n", TYPED).check(&["1|x"]);
    Case::new("id\n1\n", TYPED).check_error(
        "the CSV header names `id`, but not `name`; mend the file or the schema, or set missing_columns = \"null\" to read NULL (at FILE)",
    );
    Case::new("id,name,\"c\nd\"\n1,x,\n", TYPED).check_error(
        "the CSV header names `c\\nd`, which the table does not have; add it to the schema, or set extra_columns = \"ignore\" \
         to leave it out (at FILE)",
    );
    Case::new("id,id\n", TYPED).check_error("the CSV header names `id` twice; rename one (at FILE)");
}

#[test]
fn a_record_that_cannot_be_read_is_told_with_its_place() {
    Case::new("id,name\n1,x\n2,y,z\n", TYPED).check_error(
        "cannot read a CSV record: the record has 3 fields, expected 2; the record is `2,y,z` (at FILE, line 3, byte 12)",
    );
    Case::new("id,name\n1,\"x\n\"\nx,y\n", TYPED).check_error(
        "cannot read a CSV record: `x` is not of type int64; declare the column in the input's schema if its type was \
         inferred; the record is `x,y` (at FILE, line 4, byte 15, column `id`)",
    );
    Case::new("a,b\n\"x\"y,z\n", TEXTS).check_error(
        "cannot read a CSV record: text follows the closing quote of a field; double the quotes inside it, or set the option \
         quote or escape; the record is `\\\"x\\\"y,z` (at FILE, line 2, byte 4)",
    );
    Case::new("a,b\nx\ry,z\n", TEXTS).check_error(
        "cannot read a CSV record: a carriage return stands alone outside quotes; lines end with LF or CRLF; the record is \
         `x\\ry,z` (at FILE, line 2, byte 4)",
    );
    Case::new("a,b\n1,2\n\"x,\ny", TEXTS).check_error(
        "cannot read a CSV record: a quoted field has no closing quote; the record is `\\\"x,\\ny` (at FILE, line 3, byte 8)",
    );
    Case::new(b"a,b\n1,2\n\nx,\xe9\n".as_slice(), TEXTS).check_error(
        "cannot read a CSV record: byte 0xe9 is not UTF-8; set encoding = \"latin-1\" if the file is written in ISO 8859-1; \
         the record is `x,\u{fffd}` (at FILE, line 4, byte 9)",
    );
}

#[test]
fn a_record_that_cannot_be_read_is_put_aside() {
    let fields = |found: usize| format!("the record has {found} fields, expected 2");
    Case::new("id,name\n1,x\n2,y,z\n3\n\n4,w", TYPED).check_rejects(
        &["1|x", "4|w"],
        &[&format!("3:12:: {}: 2,y,z", fields(3)), "4:18:: the record has 1 field, expected 2: 3"],
    );
    Case::new("id,name\n1,\"x\n\"\nx,y\n2,\"\n\"\n,\n-,\"\r\n\"\r\n3,z\n", TYPED).check_rejects(
        &["1|x\n", "2|\n", "NULL|NULL", "3|z"],
        &["4:15:id: `x` is not of type int64: x,y", "8:27:id: `-` is not of type int64: -,\"\r\n\""],
    );
    Case::new("a,b\n\"x\"y,z\n1,2\nx\ry,z\n3,4\n", TEXTS).check_rejects(
        &["1|2", "3|4"],
        &[
            "2:4:: text follows the closing quote of a field: \"x\"y,z",
            "4:15:: a carriage return stands alone outside quotes: x\ry,z",
        ],
    );
    Case::new(b"a,b\n1,2\n\nx,\xe9\n3,4\n".as_slice(), TEXTS)
        .check_rejects(&["1|2", "3|4"], &["4:9:: byte 0xe9 is not UTF-8: x,\u{fffd}"]);
    let all = "2:3:id: `x` is not of type int64: x";
    Case::new("id\nx\ny\n", &TYPED[..1]).check_rejects(&[], &[all, "3:5:id: `y` is not of type int64: y"]);
    Case::new("# it's\nid,name\n#x,y,z\nx,y\n", TYPED)
        .with(|options| options.comment = Some(b'#'))
        .check_rejects(&[], &["4:22:id: `x` is not of type int64: x,y"]);
    let text_after = "text follows the closing quote of a field";
    Case::new("a,b\n\"x\" \"y\",z\n\"x\" y,z\n1,\"2\" ", TEXTS).with(|options| options.trim = true).check_rejects(
        &["1|2"],
        &[&format!("2:4:: {text_after}: \"x\" \"y\",z"), &format!("3:14:: {text_after}: \"x\" y,z")],
    );
}

#[test]
fn the_first_bad_column_is_told_and_no_value_of_the_record_is_kept() {
    let columns = [("a", DataType::Int32), ("s", DataType::Utf8View), ("b", DataType::Boolean)];
    let text = "s,b,a\nok,true,1\nlost,maybe,2\nalso lost,maybe,x\nfine,false,\nlonger than a view holds,no,3\n";
    Case::new(text, &columns).check_rejects(
        &["1|ok|true", "NULL|fine|false", "3|longer than a view holds|false"],
        &["3:16:b: `maybe` is not of type bool: lost,maybe,2", "4:29:a: `x` is not of type int32: also lost,maybe,x"],
    );
}

#[test]
fn only_columns_that_are_read_reject() {
    let case = Case::new("id,name\n1,x\ny,y\n2,y,z\n", TYPED).putting_aside();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.csv");
    std::fs::write(&path, &case.text).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (projection, rows) in [(vec![1], ["x", "y"]), (vec![], ["", ""])] {
        let table = Arc::new(CsvTable { projection: Some(projection), ..case.table().as_ref().clone() });
        let content = runtime.block_on(read_all(&table, &path, 5)).unwrap();
        assert_eq!(content.rows, rows);
        assert_eq!(content.rejects, ["4:16:: the record has 3 fields, expected 2: 2,y,z"]);
    }
}

#[test]
fn what_makes_the_rest_doubtful_is_never_put_aside() {
    let unclosed = "cannot read a CSV record: a quoted field has no closing quote; the record is `\\\"x,\\ny` (at FILE, line 3, byte 8)";
    Case::new("a,b\n1,2\n\"x,\ny", TEXTS).putting_aside().check_error(unclosed);
}

#[test]
fn records_have_a_longest_length() {
    let mut text = b"a,b\n1,\"".to_vec();
    text.resize((1 << 20) + 50, b'x');
    text.extend_from_slice(b"\"\n2,y\n");
    let case = Case::new(text, TEXTS).with(|options| options.max_record_bytes = hearth_common::ByteSize::mib(1));
    for split_bytes in [u64::MAX, 700_000, 100_000] {
        let case = Case { split_bytes, options: case.options.clone(), ..Case::new(case.text.clone(), TEXTS) };
        let error = case.rows().unwrap_err();
        assert_eq!(Case { puts_aside: true, ..case }.rows().unwrap_err(), error, "nothing after it can be trusted");
        let expected = "cannot read a CSV record: the record is longer than 1048576 bytes: a closing quote may be missing; \
                        else raise max_record_bytes; the record is `1,\\\"xxx";
        assert!(error.starts_with(expected), "{error}");
        assert!(error.ends_with("(at FILE, line 2, byte 4)"), "{error}");
    }
}

#[test]
fn every_type_is_read() {
    let columns = [
        ("b", DataType::Boolean),
        ("i", DataType::Int32),
        ("u", DataType::UInt8),
        ("f", DataType::Float64),
        ("d", DataType::Decimal128(10, 2)),
        ("day", DataType::Date32),
        ("t", DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None)),
        ("s", DataType::Utf8View),
    ];
    let text = "b,i,u,f,d,day,t,s\ntrue,-5,255,1.5,-10.5,2026-01-15,2026-01-15T10:20:30Z,x\n,,,,,,,\n\"F\",\"7\",\"0\",\"2\",\"3\",\"2026-01-16\",\"2026-01-16 01:02:03.5\",\"y\"\n";
    Case::new(text, &columns).check(&[
        "true|-5|255|1.5|-10.50|2026-01-15|2026-01-15T10:20:30|x",
        "NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL",
        "false|7|0|2.0|3.00|2026-01-16|2026-01-16T01:02:03.500|y",
    ]);
}

#[test]
fn no_column_is_a_column_too() {
    let case = Case::new("id,name\n1,x\n2,y\n", TYPED);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.csv");
    std::fs::write(&path, &case.text).unwrap();
    let table = Arc::new(CsvTable { projection: Some(Vec::new()), ..case.table().as_ref().clone() });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(
        runtime.block_on(read_all(&table, &path, 5)),
        Ok(Content { rows: vec![String::new(), String::new()], rejects: vec![] })
    );
}
