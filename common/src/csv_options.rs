//! How the CSV files of an input are written, and which values their options may have.
//!
//! Nothing here reads a file: what the options mean is the reader's to carry out.

use serde::{Deserialize, Serialize};

use crate::{ByteSize, JobError};

/// How a CSV file is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CsvOptions {
    /// The first record names the columns.
    pub header: bool,
    /// Between fields.
    pub delimiter: u8,
    /// Around fields; without it, quotes are plain text.
    pub quote: Option<u8>,
    /// Before a quote inside a quoted field, where it is not doubled.
    pub escape: Option<u8>,
    /// Lines that start with it are skipped.
    pub comment: Option<u8>,
    /// Unquoted fields that are NULL. For columns that are not text, quoted ones too.
    pub null_values: Vec<String>,
    /// Spaces and tabs around unquoted fields are no part of them, and may follow a closing quote.
    pub trim: bool,
    /// How characters become bytes.
    pub encoding: Encoding,
    /// How dates are written, in the signs of `strftime`; ISO 8601 where it is left out.
    pub date_format: Option<String>,
    /// How timestamps are written, in the signs of `strftime`; ISO 8601 where it is left out.
    pub timestamp_format: Option<String>,
    /// What a column of the table that a file's header does not name means.
    pub missing_columns: MissingColumns,
    /// What a column of a file that the table does not have means.
    pub extra_columns: ExtraColumns,
    /// A longer record is an error.
    pub max_record_bytes: ByteSize,
}

/// How characters become bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// ISO 8859-1: every byte is the character of its number.
    #[serde(rename = "latin-1")]
    Latin1,
    /// UTF-16 with a byte order mark, which tells the order of its bytes.
    #[serde(rename = "utf-16")]
    Utf16,
    /// UTF-16, the lower byte of a pair first, with or without a byte order mark.
    #[serde(rename = "utf-16le")]
    Utf16Le,
    /// UTF-16, the higher byte of a pair first, with or without a byte order mark.
    #[serde(rename = "utf-16be")]
    Utf16Be,
}

impl Encoding {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Utf8, Self::Latin1, Self::Utf16, Self::Utf16Le, Self::Utf16Be];

    /// Its name in a job file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Latin1 => "latin-1",
            Self::Utf16 => "utf-16",
            Self::Utf16Le => "utf-16le",
            Self::Utf16Be => "utf-16be",
        }
    }

    /// Whether a file has to be turned into UTF-8 before anything is looked for in it.
    #[must_use]
    pub const fn is_transcoded(self) -> bool {
        match self {
            Self::Utf8 | Self::Latin1 => false,
            Self::Utf16 | Self::Utf16Le | Self::Utf16Be => true,
        }
    }
}

/// What a column of the table that a file's header does not name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingColumns {
    /// The file cannot be read.
    #[default]
    Error,
    /// It is NULL in every record of the file.
    Null,
}

/// What a column of a file that the table does not have means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtraColumns {
    /// The file cannot be read.
    #[default]
    Error,
    /// It is not read.
    Ignore,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            header: true,
            delimiter: b',',
            quote: Some(b'"'),
            escape: None,
            comment: None,
            null_values: vec![String::new()],
            trim: false,
            encoding: Encoding::default(),
            date_format: None,
            timestamp_format: None,
            missing_columns: MissingColumns::default(),
            extra_columns: ExtraColumns::default(),
            max_record_bytes: Self::MAX_RECORD_BYTES,
        }
    }
}

impl CsvOptions {
    /// Length of a record where no limit is given.
    pub const MAX_RECORD_BYTES: ByteSize = ByteSize::mib(16);
    /// A smaller limit would not make anything cheaper.
    pub const MAX_RECORD_BYTES_MIN: ByteSize = ByteSize::mib(1);
    /// A larger one would not fit into a chunk's positions.
    pub const MAX_RECORD_BYTES_MAX: ByteSize = ByteSize::mib(1024);
    /// Most null values.
    pub const NULL_VALUES_MAX: usize = 64;
    /// Longest null value, in bytes.
    pub const NULL_VALUE_BYTES_MAX: usize = 64;
    /// Longest format of dates or timestamps, in characters.
    pub const FORMAT_CHARS_MAX: usize = 64;

    /// Checks the options of the input `name`.
    pub(crate) fn validate(&self, name: &str) -> Result<(), JobError> {
        self.check_marks(name)?;
        self.check_null_values(name)?;
        check_format(name, "date_format", self.date_format.as_deref())?;
        check_format(name, "timestamp_format", self.timestamp_format.as_deref())?;
        let (min, max) = (Self::MAX_RECORD_BYTES_MIN, Self::MAX_RECORD_BYTES_MAX);
        if (min..=max).contains(&self.max_record_bytes) {
            return Ok(());
        }
        Err(JobError::Invalid(format!("max_record_bytes of input `{name}` must be from {min} to {max}")))
    }

    fn check_marks(&self, name: &str) -> Result<(), JobError> {
        let marks = [
            ("delimiter", Some(self.delimiter)),
            ("quote", self.quote),
            ("escape", self.escape),
            ("comment", self.comment),
        ];
        let given = || marks.iter().filter_map(|(option, mark)| mark.map(|mark| (*option, mark)));
        for (option, mark) in given() {
            if !mark.is_ascii() || is_line_break(char::from(mark)) || mark == 0 {
                let problem = "must be one ASCII character other than a line break";
                return Err(JobError::Invalid(format!("the {option} of input `{name}` {problem}")));
            }
            // An escape equal to the quote is the doubling of RFC 4180, which is always read.
            let same = given().find(|(other, value)| *value == mark && *other != option && *other != "escape");
            if let (Some((other, _)), true) = (same, option != "escape" || Some(mark) != self.quote) {
                return Err(JobError::Invalid(format!("the {option} and the {other} of input `{name}` are the same")));
            }
        }
        if self.escape.is_some() && self.quote.is_none() {
            let problem = "has an escape but no quote, and nothing outside quotes is escaped; remove the escape";
            return Err(JobError::Invalid(format!("input `{name}` {problem}")));
        }
        Ok(())
    }

    fn check_null_values(&self, name: &str) -> Result<(), JobError> {
        let (count, max) = (self.null_values.len(), Self::NULL_VALUES_MAX);
        if count > max {
            let problem = format!("has {count} null values, at most {max} are allowed; turn the rest into NULL");
            return Err(JobError::Invalid(format!("input `{name}` {problem} with nullif() in the query")));
        }
        let marks = [Some(self.delimiter), self.quote];
        let cannot_be = |c: char| is_line_break(c) || marks.iter().flatten().any(|mark| char::from(*mark) == c);
        for value in &self.null_values {
            if value.len() > Self::NULL_VALUE_BYTES_MAX {
                let (found, max) = (value.len(), Self::NULL_VALUE_BYTES_MAX);
                let problem = format!("has a null value of {found} bytes; shorten it to at most {max}");
                return Err(JobError::Invalid(format!("input `{name}` {problem}")));
            }
            if value.contains(cannot_be) {
                let problem = format!("cannot have the null value {value:?}, because an unquoted field holds no");
                let problem = format!("{problem} line break, delimiter or quote; remove it");
                return Err(JobError::Invalid(format!("input `{name}` {problem}")));
            }
        }
        Ok(())
    }
}

fn check_format(name: &str, option: &str, format: Option<&str>) -> Result<(), JobError> {
    let max = CsvOptions::FORMAT_CHARS_MAX;
    let problem = match format.map(|format| format.chars().count()) {
        None | Some(1..=CsvOptions::FORMAT_CHARS_MAX) => return Ok(()),
        Some(0) => "is empty; leave it out for ISO 8601".to_owned(),
        Some(found) => format!("has {found} characters; shorten it to at most {max}"),
    };
    Err(JobError::Invalid(format!("{option} of input `{name}` {problem}")))
}

const fn is_line_break(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spoils the default options, and checks the error.
    fn check(expected: &str, spoil: impl FnOnce(&mut CsvOptions)) {
        let mut options = CsvOptions::default();
        spoil(&mut options);
        let found = options.validate("t").map_err(|error| error.to_string());
        assert_eq!(found, if expected.is_empty() { Ok(()) } else { Err(expected.to_owned()) });
    }

    #[test]
    fn marks_differ_and_are_ascii() {
        check("", |_| {});
        check("", |options| options.quote = None);
        check("", |options| options.escape = Some(b'"'));
        check("", |options| (options.escape, options.comment) = (Some(b'\\'), Some(b'#')));
        check("the delimiter and the quote of input `t` are the same", |options| options.delimiter = b'"');
        check("the delimiter and the comment of input `t` are the same", |options| options.comment = Some(b','));
        check("the escape and the delimiter of input `t` are the same", |options| options.escape = Some(b','));
        check("the escape and the comment of input `t` are the same", |options| {
            (options.escape, options.comment) = (Some(b'#'), Some(b'#'));
        });
        for mark in [0, b'\n', b'\r', 0x80, 0xFF] {
            check("the quote of input `t` must be one ASCII character other than a line break", |options| {
                options.quote = Some(mark);
            });
        }
        let useless = "input `t` has an escape but no quote, and nothing outside quotes is escaped; remove the escape";
        check(useless, |options| (options.quote, options.escape) = (None, Some(b'\\')));
    }

    #[test]
    fn null_values_are_few_short_and_possible() {
        check("", |options| options.null_values.clear());
        check("", |options| options.null_values = vec!["é".repeat(32); 64]);
        let problem =
            "input `t` has 65 null values, at most 64 are allowed; turn the rest into NULL with nullif() in the query";
        check(problem, |options| options.null_values = vec!["NA".into(); 65]);
        let problem = "input `t` has a null value of 66 bytes; shorten it to at most 64";
        check(problem, |options| options.null_values = vec!["NA".into(), "é".repeat(33)]);
        for (value, shown) in [("a\nb", r"a\nb"), ("\r", r"\r"), ("a,b", "a,b"), ("\"\"", r#"\"\""#)] {
            let problem = format!(
                "input `t` cannot have the null value \"{shown}\", because an unquoted field holds no line break, \
                 delimiter or quote; remove it"
            );
            check(&problem, |options| options.null_values = vec![value.into()]);
        }
        check("", |options| (options.quote, options.null_values) = (None, vec!["\"\"".into()]));
    }

    #[test]
    fn formats_are_short() {
        check("", |options| options.date_format = Some("é".repeat(64)));
        let problem = "date_format of input `t` has 65 characters; shorten it to at most 64";
        check(problem, |options| options.date_format = Some("%".repeat(65)));
        let problem = "timestamp_format of input `t` is empty; leave it out for ISO 8601";
        check(problem, |options| options.timestamp_format = Some(String::new()));
    }

    #[test]
    fn records_have_a_limit_that_is_useful() {
        for size in [CsvOptions::MAX_RECORD_BYTES_MIN, CsvOptions::MAX_RECORD_BYTES_MAX] {
            check("", |options| options.max_record_bytes = size);
        }
        for size in [0, CsvOptions::MAX_RECORD_BYTES_MIN.0 - 1, CsvOptions::MAX_RECORD_BYTES_MAX.0 + 1] {
            let problem = "max_record_bytes of input `t` must be from 1MiB to 1GiB";
            check(problem, |options| options.max_record_bytes = ByteSize(size));
        }
    }

    #[test]
    fn options_are_kept_as_they_are_written() {
        for encoding in Encoding::ALL {
            assert_eq!(serde_json::to_value(encoding).unwrap(), encoding.name());
        }
        let text = r#"{"quote": null, "encoding": "latin-1", "missing_columns": "null", "extra_columns": "ignore",
                       "null_values": ["", "NA"], "date_format": "%d.%m.%Y", "max_record_bytes": "2MiB"}"#;
        let options = CsvOptions {
            quote: None,
            encoding: Encoding::Latin1,
            missing_columns: MissingColumns::Null,
            extra_columns: ExtraColumns::Ignore,
            null_values: vec![String::new(), "NA".into()],
            date_format: Some("%d.%m.%Y".into()),
            max_record_bytes: ByteSize::mib(2),
            ..CsvOptions::default()
        };
        assert_eq!(serde_json::from_str::<CsvOptions>(text).unwrap(), options);
        let kept = serde_json::to_string(&options).unwrap();
        assert_eq!(serde_json::from_str::<CsvOptions>(&kept).unwrap(), options);
        assert!(serde_json::from_str::<CsvOptions>(r#"{"multiline": true}"#).is_err());
    }
}
