//! Column names and types from samples of files.

use std::collections::BTreeSet;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use bytes::Bytes;
use hearth_common::{CsvOptions, ExtraColumns, FailureCause, MissingColumns};

use crate::column::{parse_date, parse_int, parse_timestamp};
use crate::field::FieldRules;
use crate::header::{self, Header, whole_records};
use crate::problem;
use crate::run::Run;
use crate::segment::Segment;

/// Bytes of a file's beginning that are worth giving to [`infer`].
pub const SAMPLE_BYTES_MAX: u64 = 1 << 20;
/// Records of each sample whose values are looked at.
const RECORDS_MAX: usize = 2000;

/// Some bytes of one file.
#[derive(Debug, Clone)]
pub struct Sample {
    /// URL of the file.
    pub file: String,
    /// They are from its beginning; samples from elsewhere follow the one from there.
    pub is_start: bool,
    /// The bytes.
    pub bytes: Bytes,
    /// They reach to its end.
    pub whole: bool,
}

/// What the samples tell.
#[derive(Debug, Clone)]
pub struct Inferred {
    /// Columns in the order of the first file. A column without values is text.
    pub schema: Schema,
    /// Mean length of a record, in bytes; `None` without records.
    pub record_bytes: Option<u64>,
    /// Records that were looked at.
    pub records: u64,
    /// For each column, how many of them it was NULL in.
    pub nulls: Vec<u64>,
}

/// Infers the columns of all samples.
///
/// Records of another length than the header's are not looked at: whoever reads them will tell.
///
/// # Errors
/// [`FailureCause::Task`] for samples without a header or record, and for headers that differ or have duplicate or empty names.
pub fn infer(options: &CsvOptions, samples: &[Sample]) -> Result<Inferred, FailureCause> {
    let mut table = Table::default();
    let mut header = Header { names: None, end: 0, lines: 0 };
    for sample in samples {
        if sample.is_start {
            header = read_header(options, sample)?;
            table.add_columns(&header, (options, &sample.file))?;
        }
        table.add_records(&header, options, sample);
    }
    if table.columns.is_empty() {
        let message = "cannot infer the columns: the files are empty; declare a schema";
        return Err(match samples.first() {
            Some(sample) => problem::of_file(&sample.file, message),
            None => FailureCause::task(message),
        });
    }
    Ok(table.into_inferred())
}

fn read_header(options: &CsvOptions, sample: &Sample) -> Result<Header, FailureCause> {
    if !options.header {
        return Ok(Header { names: None, end: 0, lines: 0 });
    }
    header::parse(&sample.bytes, sample.whole, (options, &sample.file))?.ok_or_else(|| {
        let message = format!(
            "cannot find the end of the CSV header in the first {SAMPLE_BYTES_MAX} bytes; a closing quote may be missing"
        );
        problem::of_file(&sample.file, message)
    })
}

#[derive(Default)]
struct Table {
    columns: Vec<Candidate>,
    /// The first file with a header.
    first: Option<String>,
    records: u64,
    bytes: u64,
}

struct Candidate {
    name: String,
    kind: Option<Kind>,
    nulls: u64,
}

/// What the values of a column have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Int,
    Float,
    Date,
    Timestamp,
    Text,
}

impl Table {
    /// Columns of one more file. They must be those of the first, in any order, unless the job says otherwise.
    fn add_columns(&mut self, header: &Header, (options, file): (&CsvOptions, &str)) -> Result<(), FailureCause> {
        let Some(names) = &header.names else { return Ok(()) };
        let Some(first) = &self.first else {
            self.first = Some(file.to_owned());
            self.columns = names.iter().map(|name| Candidate::new(name.clone())).collect();
            return Ok(());
        };
        let known: BTreeSet<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let found: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let is_missing = options.missing_columns == MissingColumns::Error && !known.is_subset(&found);
        let is_extra = options.extra_columns == ExtraColumns::Error && !found.is_subset(&known);
        if !is_missing && !is_extra {
            return Ok(());
        }
        let known: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let message = format!(
            "the CSV header names `{}`, but {first} names `{}`; mend the file, or set missing_columns = \"null\" or extra_columns = \"ignore\"",
            names.join("`, `"),
            known.join("`, `")
        );
        Err(problem::of_file(file, message))
    }

    fn add_records(&mut self, header: &Header, options: &CsvOptions, sample: &Sample) {
        let Some(mut segment) = records_of(header, options, sample) else { return };
        if self.columns.is_empty() {
            let fields = first_length(&segment, options);
            let name = |number: usize| format!("column_{}", number + 1);
            self.columns = (0..fields).map(|number| Candidate::new(name(number))).collect();
        }
        let fields = header.names.as_ref().map_or(self.columns.len(), Vec::len);
        let field_of: Vec<Option<usize>> = match &header.names {
            Some(names) => {
                self.columns.iter().map(|column| names.iter().position(|name| *name == column.name)).collect()
            }
            None => (0..fields).map(Some).collect(),
        };
        let rules = FieldRules::new(options);
        let mut seen = 0;
        while let Some(record) = segment.peek()
            && seen < RECORDS_MAX
        {
            let is_blank = record.start == record.end;
            let is_comment = options.comment.is_some() && segment.bytes.get(record.start) == options.comment.as_ref();
            if !is_blank && !is_comment && segment.regular(fields, 1, options.comment) == 1 {
                let run = Run::new(&segment, fields, 1);
                for (column, field) in self.columns.iter_mut().zip(&field_of) {
                    column.look_at(field.map(|field| run.field(0, field).1), (&rules, options));
                }
                seen += 1;
                self.bytes += (record.end - record.start) as u64 + 1;
            }
            segment.pass(1);
        }
        self.records += seen as u64;
    }

    fn into_inferred(self) -> Inferred {
        let nulls = self.columns.iter().map(|column| column.nulls).collect();
        let fields: Vec<Field> =
            self.columns.into_iter().map(|column| Field::new(column.name, data_type_of(column.kind), true)).collect();
        let record_bytes = self.bytes.checked_div(self.records).map(|bytes| bytes.max(1));
        Inferred { schema: Schema::new(fields), record_bytes, records: self.records, nulls }
    }
}

impl Candidate {
    const fn new(name: String) -> Self {
        Self { name, kind: None, nulls: 0 }
    }

    fn look_at(&mut self, raw: Option<&[u8]>, (rules, options): (&FieldRules, &CsvOptions)) {
        let Some(field) = raw.map(|raw| rules.read(raw)) else {
            self.nulls += 1;
            return;
        };
        if rules.is_null(&field.text) {
            // A quoted field of text that is empty is not NULL; of another type, it is.
            self.nulls += u64::from(!field.was_quoted);
            return;
        }
        let kind = kind_of(&field.text, options);
        self.kind = Some(self.kind.map_or(kind, |known| join(known, kind)));
    }
}

/// The whole records of a sample. One that is not from its file's beginning starts behind its first line feed; if that is not
/// between records, the lengths of its records show it, and none is looked at.
fn records_of(header: &Header, options: &CsvOptions, sample: &Sample) -> Option<Segment> {
    if sample.is_start {
        let from =
            usize::try_from(header.end).ok()?.max(header::byte_order_mark(&sample.bytes)).min(sample.bytes.len());
        return Some(whole_records(sample.bytes.slice(from..), sample.whole, options));
    }
    let from = sample.bytes.iter().position(|byte| *byte == b'\n')? + 1;
    let mut segment = whole_records(sample.bytes.slice(from..), false, options);
    let fields = header.names.as_ref().map_or_else(|| first_length(&segment, options), Vec::len);
    let mut odd = 0;
    while let Some(record) = segment.peek() {
        let is_comment = options.comment.is_some() && segment.bytes.get(record.start) == options.comment.as_ref();
        let is_content = record.start < record.end && !is_comment;
        odd += usize::from(is_content && segment.regular(fields, 1, None) == 0);
        segment.pass(1);
    }
    (odd == 0).then(|| whole_records(sample.bytes.slice(from..), false, options))
}

/// Fields of the first record that is neither blank nor a comment.
fn first_length(segment: &Segment, options: &CsvOptions) -> usize {
    segment.first_content(options.comment).map_or(0, |record| record.fields)
}

/// The narrowest kind of one value.
fn kind_of(text: &[u8], options: &CsvOptions) -> Kind {
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    if digits.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.') {
        // A number with leading zeros is a code; one that does not fit loses digits as a fraction. Both stay text.
        let has_zeros = digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit();
        if digits.iter().all(u8::is_ascii_digit) {
            return if !has_zeros && parse_int::<i64>(text).is_some() { Kind::Int } else { Kind::Text };
        }
        if options.date_format.is_none() && parse_date(text).is_some() {
            return Kind::Date;
        }
        if options.timestamp_format.is_none() && parse_timestamp(text).is_some() {
            return Kind::Timestamp;
        }
        let is_number = std::str::from_utf8(text).is_ok_and(|text| text.parse::<f64>().is_ok());
        return if is_number && !has_zeros { Kind::Float } else { Kind::Text };
    }
    if text.eq_ignore_ascii_case(b"true") || text.eq_ignore_ascii_case(b"false") { Kind::Bool } else { Kind::Text }
}

/// The narrowest kind that both fit into.
fn join(a: Kind, b: Kind) -> Kind {
    match (a, b) {
        _ if a == b => a,
        (Kind::Int, Kind::Float) | (Kind::Float, Kind::Int) => Kind::Float,
        (Kind::Date, Kind::Timestamp) | (Kind::Timestamp, Kind::Date) => Kind::Timestamp,
        _ => Kind::Text,
    }
}

fn data_type_of(kind: Option<Kind>) -> DataType {
    match kind {
        Some(Kind::Bool) => DataType::Boolean,
        Some(Kind::Int) => DataType::Int64,
        Some(Kind::Float) => DataType::Float64,
        Some(Kind::Date) => DataType::Date32,
        Some(Kind::Timestamp) => DataType::Timestamp(TimeUnit::Microsecond, None),
        Some(Kind::Text) | None => DataType::Utf8View,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(texts: &[&str]) -> Vec<Sample> {
        let sample = |(index, text): (usize, &&str)| Sample {
            file: format!("f{index}"),
            is_start: true,
            bytes: Bytes::copy_from_slice(text.as_bytes()),
            whole: true,
        };
        texts.iter().enumerate().map(sample).collect()
    }

    fn check(texts: &[&str], expected: Result<&str, &str>) {
        let found = infer(&CsvOptions::default(), &samples(texts)).map(|inferred| show(&inferred.schema));
        assert_eq!(found.map_err(|error| error.to_string()), expected.map(str::to_owned).map_err(str::to_owned));
    }

    fn show(schema: &Schema) -> String {
        let column =
            |field: &std::sync::Arc<Field>| format!("{} {}", field.name(), crate::column::type_name(field.data_type()));
        schema.fields().iter().map(column).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn infers_over_all_samples() {
        check(&["a,b\n1,x\n"], Ok("a int64, b string"));
        check(&["a,b\n1,x\n", "b,a\n,1.5\n"], Ok("a float64, b string"));
        check(&["a\n1", "a\nx"], Ok("a string"));
        check(&["\u{feff}a,b\r\n,2026-01-15\r\n"], Ok("a string, b date"));
        check(&["a,\"b\nc\"\n1,\"x\ny\"\n"], Ok("a int64, b\nc string"));
        check(&["", "a\ntrue\n"], Ok("a bool"));
        check(&["a,b\n"], Ok("a string, b string"));
        check(&["t\n2026-01-15\n2026-01-15 10:00:00\n"], Ok("t timestamp"));
        check(&["\n\na\n\n1\n"], Ok("a int64"));
    }

    #[test]
    fn codes_and_large_numbers_stay_text() {
        check(&["zip\n01234\n"], Ok("zip string"));
        check(&["n\n99999999999999999999\n"], Ok("n string"));
        check(&["n\nnan\n"], Ok("n string"));
        check(&["n\n0\n0.5\n-0.5\n"], Ok("n float64"));
    }

    #[test]
    fn refuses_what_has_no_columns() {
        check(&[""], Err("cannot infer the columns: the files are empty; declare a schema (at f0)"));
        check(&["a,a\n1,2\n"], Err("the CSV header names `a` twice; rename one (at f0)"));
        check(&["a,\n1,2\n"], Err("column 2 of the CSV header has no name; name it, or set header = false (at f0)"));
        check(
            &["a,b\n", "b,c\n"],
            Err(
                "the CSV header names `b`, `c`, but f0 names `a`, `b`; mend the file, or set missing_columns = \"null\" \
                 or extra_columns = \"ignore\" (at f1)",
            ),
        );
    }

    #[test]
    fn a_cut_record_is_not_looked_at() {
        let sample = Sample { file: "f".into(), is_start: true, bytes: Bytes::from_static(b"a\n12\n3x"), whole: false };
        let inferred = infer(&CsvOptions::default(), &[sample]).unwrap();
        assert_eq!(inferred.schema.field(0).data_type(), &DataType::Int64);
        assert_eq!((inferred.record_bytes, inferred.records, inferred.nulls), (Some(3), 1, vec![0]));
        let inferred = infer(&CsvOptions::default(), &samples(&["a,b\n1,\n2,x\n,\n"])).unwrap();
        assert_eq!((inferred.records, inferred.nulls), (3, vec![1, 2]));
    }

    #[test]
    fn samples_from_the_middle_count_where_they_are_records() {
        let middle = |text: &'static str| {
            let mut all = samples(&["a,b\n1,2\n"]);
            all.push(Sample {
                file: "f0".into(),
                is_start: false,
                bytes: Bytes::from_static(text.as_bytes()),
                whole: false,
            });
            show(&infer(&CsvOptions::default(), &all).unwrap().schema)
        };
        assert_eq!(middle("9,8\n5,x\n6,"), "a int64, b string");
        assert_eq!(middle("quoted\nstill, quoted\",7\n5,x\n"), "a int64, b int64");
    }
}
