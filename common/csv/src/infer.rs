//! Column names and types from the beginnings of files.

use std::io::Cursor;

use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use hearth_common::{CsvOptions, FailureCause};

use crate::header::{self, HEADER_BYTES_MAX};
use crate::problem;
use crate::structure::{first_record, has_content, whole_records};

/// Bytes of a file's beginning that are worth giving to [`infer`].
pub const SAMPLE_BYTES_MAX: u64 = 1 << 20;
/// Records of each sample whose values are looked at.
const RECORDS_MAX: usize = 2000;

/// The beginning of one file.
#[derive(Debug, Clone)]
pub struct Sample {
    /// URL of the file.
    pub file: String,
    /// Its first bytes.
    pub bytes: Bytes,
    /// They are the whole file.
    pub whole: bool,
}

/// What the samples tell.
#[derive(Debug, Clone)]
pub struct Inferred {
    /// Columns in the order of the files. A column without values is text.
    pub schema: Schema,
    /// Mean length of a record, in bytes; `None` without records.
    pub record_bytes: Option<u64>,
}

/// Infers the columns that all samples share.
///
/// # Errors
/// [`FailureCause::Task`] for samples without a record, with different headers, with duplicate or empty names, and for
/// records of different lengths.
pub fn infer(options: &CsvOptions, samples: &[Sample]) -> Result<Inferred, FailureCause> {
    let mut names: Option<(Vec<String>, String)> = None;
    let mut body = Vec::new();
    let mut records = 0;
    for sample in samples {
        let bytes = sample.bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&sample.bytes);
        if !has_content(bytes, options) {
            continue;
        }
        check_encoding(bytes, &sample.file)?;
        let (header, rest) = split_header(bytes, options, sample)?;
        if options.header {
            agree(&mut names, header::names(header, options, &sample.file)?, &sample.file)?;
        }
        let rest = cut(rest, options, sample);
        records += count_records(rest, options, &sample.file)?;
        body.extend_from_slice(rest);
        if !rest.is_empty() && !rest.ends_with(b"\n") {
            body.push(b'\n');
        }
    }
    let file = samples.first().map_or("", |sample| sample.file.as_str());
    let (inferred, _) = header::format(options)
        .infer_schema(Cursor::new(&body), None)
        .map_err(|error| problem::of_file(file, format!("cannot infer the columns: {error}")))?;
    let names = match names {
        Some((names, _)) => names,
        None => inferred.fields().iter().map(|field| field.name().clone()).collect(),
    };
    if names.is_empty() {
        return Err(problem::of_file(file, "cannot infer the columns: the files are empty; declare a schema"));
    }
    let record_bytes = (body.len() as u64).checked_div(records as u64).map(|bytes| bytes.max(1));
    Ok(Inferred { schema: with_names(&inferred, names), record_bytes })
}

/// Whether a CSV column can have this type.
#[must_use]
pub fn supports(data_type: &DataType) -> bool {
    !matches!(data_type, DataType::Binary | DataType::BinaryView | DataType::Null) && !data_type.is_nested()
}

fn check_encoding(bytes: &[u8], file: &str) -> Result<(), FailureCause> {
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Err(problem::of_file(file, "the file is UTF-16; convert it to UTF-8"));
    }
    Ok(())
}

fn split_header<'a>(
    bytes: &'a [u8],
    options: &CsvOptions,
    sample: &Sample,
) -> Result<(&'a [u8], &'a [u8]), FailureCause> {
    if !options.header {
        return Ok((&[], bytes));
    }
    let end = match first_record(bytes, options) {
        Some(end) => end,
        None if sample.whole => bytes.len(),
        None => {
            let message = format!("cannot find the end of the CSV header in the first {HEADER_BYTES_MAX} bytes");
            return Err(problem::of_file(&sample.file, message));
        }
    };
    Ok(bytes.split_at(end))
}

fn agree(names: &mut Option<(Vec<String>, String)>, found: Vec<String>, file: &str) -> Result<(), FailureCause> {
    match names {
        None => {
            header::check_names(&found, file)?;
            *names = Some((found, file.to_owned()));
            Ok(())
        }
        Some((names, _)) if *names == found => Ok(()),
        Some((names, first)) => {
            let message =
                format!("the CSV header names `{}`, but {first} names `{}`", found.join("`, `"), names.join("`, `"));
            Err(problem::of_file(file, message))
        }
    }
}

/// The records to look at; a last one that the sample cuts off is not among them.
fn cut<'a>(bytes: &'a [u8], options: &CsvOptions, sample: &Sample) -> &'a [u8] {
    let end = whole_records(bytes, options, RECORDS_MAX);
    let only_last_missing = whole_records(&bytes[end..], options, 1) == 0;
    if sample.whole && only_last_missing { bytes } else { &bytes[..end] }
}

/// Counts the records of one sample, so that a ragged one is told with its file.
fn count_records(bytes: &[u8], options: &CsvOptions, file: &str) -> Result<usize, FailureCause> {
    let counted = header::format(options).infer_schema(Cursor::new(bytes), None);
    counted
        .map(|(_, records)| records)
        .map_err(|error| problem::of_file(file, format!("cannot read a CSV record: {error}")))
}

fn with_names(inferred: &Schema, names: Vec<String>) -> Schema {
    let data_type = |index: usize| match inferred.fields().get(index).map(|field| field.data_type().clone()) {
        None | Some(DataType::Utf8 | DataType::Null) => DataType::Utf8View,
        Some(data_type) => data_type,
    };
    Schema::new(
        names.into_iter().enumerate().map(|(index, name)| Field::new(name, data_type(index), true)).collect::<Vec<_>>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(texts: &[&str]) -> Vec<Sample> {
        let sample = |(index, text): (usize, &&str)| Sample {
            file: format!("f{index}"),
            bytes: Bytes::copy_from_slice(text.as_bytes()),
            whole: true,
        };
        texts.iter().enumerate().map(sample).collect()
    }

    fn check(texts: &[&str], expected: Result<&str, &str>) {
        let found = infer(&CsvOptions::default(), &samples(texts)).map(|inferred| {
            let columns =
                inferred.schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type()));
            columns.collect::<Vec<_>>().join(", ")
        });
        assert_eq!(found.map_err(|error| error.to_string()), expected.map(str::to_owned).map_err(str::to_owned));
    }

    #[test]
    fn infers_over_all_samples() {
        check(&["a,b\n1,x\n"], Ok("a Int64, b Utf8View"));
        check(&["a,b\n1,x\n", "a,b\n1.5,\n"], Ok("a Float64, b Utf8View"));
        check(&["a\n1", "a\nx"], Ok("a Utf8View"));
        check(&["\u{feff}a,b\r\n,2026-01-15\r\n"], Ok("a Utf8View, b Date32"));
        check(&["a,\"b\nc\"\n1,\"x\ny\"\n"], Ok("a Int64, b\nc Utf8View"));
        check(&["", "a\ntrue\n"], Ok("a Boolean"));
        check(&["a,b\n"], Ok("a Utf8View, b Utf8View"));
    }

    #[test]
    fn refuses_what_has_no_columns() {
        check(&[""], Err("cannot infer the columns: the files are empty; declare a schema (at f0)"));
        check(&["a,a\n1,2\n"], Err("the CSV header names `a` twice; rename one (at f0)"));
        check(&["a,\n1,2\n"], Err("column 2 of the CSV header has no name; name it, or set header = false (at f0)"));
        check(&["a,b\n", "b,a\n"], Err("the CSV header names `b`, `a`, but f0 names `a`, `b` (at f1)"));
    }

    #[test]
    fn a_cut_record_is_not_looked_at() {
        let sample = Sample { file: "f".into(), bytes: Bytes::from_static(b"a\n12\n3x"), whole: false };
        let inferred = infer(&CsvOptions::default(), &[sample]).unwrap();
        assert_eq!(inferred.schema.field(0).data_type(), &DataType::Int64);
        assert_eq!(inferred.record_bytes, Some(3));
    }
}
