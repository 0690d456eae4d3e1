//! Header lines: which columns a file has, and where the table's columns are among them. By name, never by position.

use std::collections::HashMap;

use arrow::datatypes::Schema;
use bytes::Bytes;
use datafusion_execution::runtime_env::RuntimeEnv;
use hearth_common::{CsvOptions, ExtraColumns, FailureCause, MissingColumns};
use hearth_scan::{Index, Scanner, State};
use hearth_storage::{InputFile, read_start};

use crate::dialect;
use crate::field::FieldRules;
use crate::problem::{self, Reason};
use crate::segment::Segment;

/// Bytes in which most headers end.
const HEADER_BYTES: u64 = 64 << 10;
/// Longest header, with the blank lines and comments before it.
const HEADER_BYTES_MAX: u64 = 1 << 20;
const SHOWN_MAX: usize = 20;
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What a file begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// The columns; `None` where files have no header, or this one has no record.
    pub(crate) names: Option<Vec<String>>,
    /// First byte after it.
    pub(crate) end: u64,
    /// Line feeds in it.
    pub(crate) lines: u64,
}

/// Where the columns of a table are in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Fields of a record.
    pub(crate) fields: usize,
    /// For each column of the table, its field; `None` where the file does not have it.
    pub(crate) field_of: Vec<Option<usize>>,
}

/// Reads the header of a file, where files have one.
pub(crate) async fn read(options: &CsvOptions, file: &InputFile, runtime: &RuntimeEnv) -> Result<Header, FailureCause> {
    if !options.header {
        return Ok(Header { names: None, end: 0, lines: 0 });
    }
    for bytes_max in [HEADER_BYTES, HEADER_BYTES_MAX] {
        let start = read_start(runtime, file, bytes_max).await?;
        if let Some(header) = parse(&start.bytes, start.is_whole, (options, &file.url))? {
            return Ok(header);
        }
    }
    let message = format!(
        "cannot find the end of the CSV header in the first {HEADER_BYTES_MAX} bytes; a closing quote may be missing"
    );
    Err(problem::of_file(&file.url, message))
}

/// The header in the first bytes of a file; `None` where it does not end in them.
pub(crate) fn parse(
    bytes: &Bytes,
    is_whole: bool,
    (options, file): (&CsvOptions, &str),
) -> Result<Option<Header>, FailureCause> {
    check_encoding(bytes, file)?;
    let mark = byte_order_mark(bytes);
    let rest = bytes.slice(mark..);
    let mut segment = whole_records(rest, is_whole, options);
    let rules = FieldRules::new(options);
    while let Some(record) = segment.peek() {
        let bytes = &segment.bytes[record.start..record.end];
        let is_comment = options.comment.is_some() && bytes.first() == options.comment.as_ref();
        if !bytes.is_empty() && !is_comment {
            if let Some(kind) = segment.problem_of_next() {
                return Err(broken(file, &Reason::from(kind)));
            }
            let separators = &segment.index.separators()[record.entry..=record.entry + record.fields];
            let fields = separators.windows(2).map(|pair| {
                let start = pair[0].wrapping_add(1) as usize;
                &segment.bytes[start..(pair[1] as usize).min(record.end).max(start)]
            });
            let names: Option<Vec<String>> =
                fields.map(|raw| String::from_utf8(rules.read(raw).text.into_owned()).ok()).collect();
            let Some(names) = names else {
                return Err(problem::of_file(
                    file,
                    "the CSV header is not UTF-8; set encoding = \"latin-1\" if it is ISO 8859-1",
                ));
            };
            check_names(&names, file)?;
            let end = segment.bytes.len().min(record.end + line_end(&segment.bytes[record.end..]));
            let lines = segment.lines_before(end);
            return Ok(Some(Header { names: Some(names), end: (mark + end) as u64, lines }));
        }
        segment.pass(1);
    }
    // What is left of a whole file is a record that does not end.
    if is_whole && segment.has_rest() {
        return Err(broken(file, &Reason::UnclosedQuote));
    }
    Ok(is_whole.then(|| Header { names: None, end: bytes.len() as u64, lines: 0 }))
}

/// A file in an encoding that was not declared may say so in its first bytes.
pub(crate) fn check_encoding(start: &[u8], file: &str) -> Result<(), FailureCause> {
    if start.starts_with(b"\xFF\xFE") || start.starts_with(b"\xFE\xFF") {
        return Err(problem::of_file(file, "the file is UTF-16; set encoding = \"utf-16\""));
    }
    Ok(())
}

/// Length of the byte order mark at the start of a file.
#[must_use]
pub fn byte_order_mark(start: &[u8]) -> usize {
    if start.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 }
}

fn broken(file: &str, reason: &Reason) -> FailureCause {
    problem::of_file(file, format!("cannot read the CSV header: {reason}"))
}

/// The records that end in `bytes`, which begin with one; with what is left as the last one of a whole file.
pub(crate) fn whole_records(bytes: Bytes, is_whole: bool, options: &CsvOptions) -> Segment {
    let mut index = Index::new();
    let mut scanner = Scanner::new(dialect::of(options), State::RecordStart);
    scanner.scan(&bytes, &mut index);
    if is_whole && scanner.state() != State::RecordStart && !scanner.state().is_in_quotes() {
        index.end_record(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    }
    let records = index.record_ends().len();
    Segment::new(bytes, index, (0, 0), (0, records))
}

fn line_end(rest: &[u8]) -> usize {
    match rest {
        [b'\r', b'\n', ..] => 2,
        [b'\n' | b'\r', ..] => 1,
        _ => 0,
    }
}

impl Layout {
    /// Finds the columns of the table in a file.
    pub(crate) fn find(
        header: &Header,
        schema: &Schema,
        (options, file): (&CsvOptions, &str),
    ) -> Result<Self, FailureCause> {
        let Some(names) = &header.names else {
            let columns = schema.fields().len();
            return Ok(Self { fields: columns, field_of: (0..columns).map(Some).collect() });
        };
        let numbers: HashMap<&str, usize> = names.iter().map(String::as_str).zip(0..).collect();
        let field_of: Vec<Option<usize>> =
            schema.fields().iter().map(|field| numbers.get(field.name().as_str()).copied()).collect();
        let missing: Vec<&str> = (schema.fields().iter().zip(&field_of))
            .filter_map(|(field, number)| number.is_none().then_some(field.name().as_str()))
            .collect();
        if options.missing_columns == MissingColumns::Error && !missing.is_empty() {
            let message = format!(
                "the CSV header names {}, but not {}; mend the file or the schema, or set missing_columns = \"null\" to read NULL",
                show(names.iter().map(String::as_str)),
                show(missing.into_iter())
            );
            return Err(problem::of_file(file, message));
        }
        let extra: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| schema.column_with_name(name).is_none()).collect();
        if options.extra_columns == ExtraColumns::Error && !extra.is_empty() {
            let message = format!(
                "the CSV header names {}, which the table does not have; add it to the schema, or set extra_columns = \"ignore\" to leave it out",
                show(extra.into_iter())
            );
            return Err(problem::of_file(file, message));
        }
        Ok(Self { fields: names.len(), field_of })
    }
}

/// Names that SQL could not tell apart, or could not say.
fn check_names(names: &[String], file: &str) -> Result<(), FailureCause> {
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort();
    if let Some(position) = names.iter().position(String::is_empty) {
        let message = format!("column {} of the CSV header has no name; name it, or set header = false", position + 1);
        return Err(problem::of_file(file, message));
    }
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(problem::of_file(file, format!("the CSV header names `{}` twice; rename one", pair[0]))),
        None => Ok(()),
    }
}

fn show<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let count = names.len();
    let shown: Vec<String> = names.take(SHOWN_MAX).map(|name| format!("`{}`", name.escape_debug())).collect();
    let more = if count > SHOWN_MAX { format!(" and {} more", count - SHOWN_MAX) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
