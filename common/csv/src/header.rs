//! Header lines: which columns a file names, and whether they are the table's.
//!
//! Columns are never matched by position: a file whose header differs is an error.

use std::io::Cursor;

use arrow::csv::reader::Format;
use arrow::datatypes::Schema;
use hearth_common::{CsvOptions, FailureCause};

use crate::problem;

/// Longest header, with the blank lines and comments before it.
pub(crate) const HEADER_BYTES_MAX: usize = 1 << 20;
const SHOWN_MAX: usize = 20;

/// The column names in a header line.
pub(crate) fn names(line: &[u8], options: &CsvOptions, file: &str) -> Result<Vec<String>, FailureCause> {
    let (schema, _) = format(options)
        .with_header(true)
        .infer_schema(Cursor::new(line), Some(0))
        .map_err(|error| problem::of_file(file, format!("cannot read the CSV header: {error}")))?;
    Ok(schema.fields().iter().map(|field| field.name().clone()).collect())
}

/// Checks that a file's header names the table's columns in their order.
pub(crate) fn check(line: &[u8], options: &CsvOptions, schema: &Schema, file: &str) -> Result<(), FailureCause> {
    let found = names(line, options, file)?;
    let expected: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    if found == expected {
        return Ok(());
    }
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    Err(problem::of_file(file, format!("the CSV header names {}, but the table has {}", show(&found), show(&expected))))
}

/// Names that SQL could not tell apart, or could not say.
pub(crate) fn check_names(names: &[String], file: &str) -> Result<(), FailureCause> {
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

/// The decoder's settings for these options.
pub(crate) fn format(options: &CsvOptions) -> Format {
    let mut format = Format::default().with_header(false).with_delimiter(options.delimiter).with_quote(options.quote);
    if let Some(escape) = options.escape {
        format = format.with_escape(escape);
    }
    if let Some(comment) = options.comment {
        format = format.with_comment(comment);
    }
    format
}

fn show(names: &[&str]) -> String {
    let shown = names[..names.len().min(SHOWN_MAX)].join("`, `");
    let more = if names.len() > SHOWN_MAX { format!(" and {} more", names.len() - SHOWN_MAX) } else { String::new() };
    format!("`{shown}`{more}")
}
