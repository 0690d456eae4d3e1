//! Splits of every size give the same records, and what cannot be read is told with its place.

use std::path::Path;

use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use hearth_common::InputFormat;

use super::*;

struct Case {
    text: &'static str,
    columns: &'static [(&'static str, DataType)],
    options: CsvOptions,
    split_bytes: u64,
}

impl Case {
    fn new(text: &'static str, columns: &'static [(&'static str, DataType)]) -> Self {
        Self { text, columns, options: CsvOptions::default(), split_bytes: u64::MAX }
    }

    fn table(&self) -> Arc<CsvTable> {
        let fields: Vec<Field> =
            self.columns.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect();
        let schema = Arc::new(Schema::new(fields));
        Arc::new(CsvTable { options: self.options.clone(), schema, projection: None, batch_rows: 3 })
    }

    fn rows(&self) -> Result<Vec<String>, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f.csv");
        std::fs::write(&path, self.text).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let rows = runtime.block_on(read_all(&self.table(), &path, self.split_bytes));
        rows.map_err(|error| error.to_string().replace(&format!("file://{}", path.display()), "FILE"))
    }

    fn check(&self, expected: &[&str]) {
        assert_eq!(self.rows(), Ok(expected.iter().map(|row| (*row).to_owned()).collect()), "{:?}", self.text);
    }

    fn check_error(&self, expected: &str) {
        assert_eq!(self.rows(), Err(expected.to_owned()), "{:?}", self.text);
    }

    /// The rows are the same for splits of every size.
    fn check_cover(mut self) {
        let whole = self.rows();
        assert!(whole.is_ok(), "{whole:?}");
        for split_bytes in 1..=self.text.len() as u64 {
            self.split_bytes = split_bytes;
            assert_eq!(self.rows(), whole, "{:?} in splits of {split_bytes} bytes", self.text);
        }
    }
}

async fn read_all(table: &Arc<CsvTable>, path: &Path, split_bytes: u64) -> Result<Vec<String>, FailureCause> {
    let paths = [path.display().to_string()];
    let file = hearth_storage::list_inputs(&paths, &InputFormat::Csv(CsvOptions::default())).await?.remove(0);
    let mut rows = Vec::new();
    let mut start = 0;
    while start < file.bytes {
        let end = start.saturating_add(split_bytes).min(file.bytes);
        let split =
            InputSplit { url: file.url.clone(), file_bytes: file.bytes, modified_ms: file.modified_ms, start, end };
        let mut records = table.open(&split, &RuntimeEnv::default()).await?;
        while let Some(batch) = records.next().await? {
            rows.extend((0..batch.num_rows()).map(|row| show_row(&batch, row)));
        }
        start = end;
    }
    Ok(rows)
}

fn show_row(batch: &RecordBatch, row: usize) -> String {
    let options = FormatOptions::default().with_null("NULL");
    let column = |column: &arrow::array::ArrayRef| {
        ArrayFormatter::try_new(column.as_ref(), &options).unwrap().value(row).to_string()
    };
    batch.columns().iter().map(column).collect::<Vec<_>>().join("|")
}

const TEXTS: &[(&str, DataType)] = &[("a", DataType::Utf8View), ("b", DataType::Utf8View)];
const TYPED: &[(&str, DataType)] = &[("id", DataType::Int64), ("name", DataType::Utf8View)];

#[test]
fn reads_what_rfc_4180_allows() {
    Case::new("id,name\r\n1,x\r\n2,\"y, \"\"z\"\"\"\r\n", TYPED).check(&["1|x", "2|y, \"z\""]);
    Case::new("\u{feff}id,name\n1,x", TYPED).check(&["1|x"]);
    Case::new("id,name\n,x\n\n3,\n", TYPED).check(&["NULL|x", "3|NULL"]);
    Case::new("id,name\n", TYPED).check(&[]);
    Case::new("id,name", TYPED).check(&[]);
    Case::new("", TYPED).check(&[]);
    Case::new("a,b\n5\" pipe,x\n", TEXTS).check(&["5\" pipe|x"]);
}

#[test]
fn splits_of_every_size_give_the_same_records() {
    Case::new("id,name\n1,x\n22,yy\n333,zzz\n4,\n", TYPED).check_cover();
    Case::new("id,name\r\n1,x\r\n\r\n22,\"y,\"\"y\"\r\n333,zzz", TYPED).check_cover();
    Case::new("\u{feff}id,name\n1,ünï\n2,코드\n", TYPED).check_cover();
    let mut bare = Case::new("1,x\n2,y\n\n3,z\n", TYPED);
    bare.options.header = false;
    bare.check_cover();
}

#[test]
fn a_header_is_matched_by_name() {
    Case::new("name,id\nx,1\n", TYPED)
        .check_error("the CSV header names `name`, `id`, but the table has `id`, `name` (at FILE)");
    Case::new("id\n1\n", TYPED).check_error("the CSV header names `id`, but the table has `id`, `name` (at FILE)");
    let mut late = Case::new("\n\n\nid,name\n1,x\n", TYPED);
    late.check(&["1|x"]);
    late.split_bytes = 2;
    late.check_error(
        "the CSV header does not begin in the file's first input split; remove the blank lines or comments before it (at FILE)",
    );
}

#[test]
fn a_quoted_line_break_never_gives_wrong_rows() {
    let text = "id,name\n1,x\n2,\"y\n3,z\"\n4,w\n";
    let expected = "a quoted CSV field holds a line break near byte 16, or its closing quote is missing; \
                    set multiline = true for this input if line breaks are meant (at FILE)";
    Case::new(text, TYPED).check_error(expected);
    for split_bytes in 1..text.len() as u64 {
        let case = Case { split_bytes, ..Case::new(text, TYPED) };
        let error = case.rows().unwrap_err();
        assert!(error.starts_with("a quoted CSV field holds a line break"), "{error}");
    }
    let mut case = Case::new(text, TYPED);
    case.options.multiline = true;
    case.check(&["1|x", "2|y\n3,z", "4|w"]);
    case.text = "id,name\n1,\"x\n";
    case.check_error("the last CSV record has a quoted field without its closing quote (at FILE)");
    case.text = text;
    case.split_bytes = 5;
    case.check_error("internal error: FILE was split although its fields may hold line breaks");
}

#[test]
fn a_record_that_cannot_be_read_is_told() {
    Case::new("id,name\n1,x\n2,y,z\n", TYPED).check_error(
        "cannot read a CSV record in bytes 0 to 18 of the file: incorrect number of fields, expected 2 got 3 (at FILE)",
    );
    Case::new("id,name\nx,y\n", TYPED).check_error(
        "cannot read a CSV record in bytes 0 to 12 of the file: Error while parsing value 'x' as type 'Int64'. \
         Row data: '[x,y]'; declare the column's type in the input's schema if it was inferred (at FILE, column `id`)",
    );
}

#[test]
fn no_column_is_a_column_too() {
    let case = Case::new("id,name\n1,x\n2,y\n", TYPED);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.csv");
    std::fs::write(&path, case.text).unwrap();
    let table = Arc::new(CsvTable { projection: Some(Vec::new()), ..case.table().as_ref().clone() });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(read_all(&table, &path, 5)), Ok(vec![String::new(), String::new()]));
}
