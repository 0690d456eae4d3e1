//! The keys of an input that say how its CSV files are written.

use hearth_common::{CsvOptions, Encoding, ExtraColumns, InputFormat, MissingColumns};

use super::JobFileError;
use super::document::{Table, Value};

type Result<T> = std::result::Result<T, JobFileError>;

pub(super) const KEYS: [&str; 13] = [
    "header",
    "delimiter",
    "quote",
    "escape",
    "comment",
    "null_values",
    "trim",
    "encoding",
    "date_format",
    "timestamp_format",
    "missing_columns",
    "extra_columns",
    "max_record_bytes",
];

/// Takes the keys over where the format is CSV, and refuses them for others.
pub(super) fn read_options(table: &Table<'_>, format: &mut InputFormat) -> Result<()> {
    match format {
        InputFormat::Csv(options) => {
            read_marks(table, options)?;
            read_values(table, options)?;
            read_limits(table, options)
        }
        InputFormat::Json | InputFormat::Parquet => match table.keys().iter().find(|key| KEYS.contains(&key.name)) {
            Some(key) => Err(table.source().error_at(key.at, format!("`{}` is for csv inputs alone", key.name))),
            None => Ok(()),
        },
    }
}

/// What stands between and around fields.
fn read_marks(table: &Table<'_>, options: &mut CsvOptions) -> Result<()> {
    let mark = |key: &str| table.get(key).map(|value| mark_of(key, &value)).transpose();
    options.delimiter = mark("delimiter")?.unwrap_or(options.delimiter);
    options.quote = table.get("quote").map_or(Ok(options.quote), |value| quote_of(&value))?;
    options.escape = mark("escape")?;
    options.comment = mark("comment")?;
    Ok(())
}

/// What fields mean.
fn read_values(table: &Table<'_>, options: &mut CsvOptions) -> Result<()> {
    let encodings = Encoding::ALL.map(|encoding| (encoding.name(), encoding));
    let format = |key: &str| table.get(key).map(|value| value.text()).transpose();
    if let Some(values) = table.get("null_values") {
        options.null_values = values.texts()?;
    }
    options.trim = table.get("trim").map_or(Ok(options.trim), |value| value.flag())?;
    options.encoding = table.get("encoding").map_or(Ok(options.encoding), |value| value.choice(&encodings))?;
    options.date_format = format("date_format")?;
    options.timestamp_format = format("timestamp_format")?;
    Ok(())
}

/// Which columns and records a file may have.
fn read_limits(table: &Table<'_>, options: &mut CsvOptions) -> Result<()> {
    let missing = [("error", MissingColumns::Error), ("null", MissingColumns::Null)];
    let extra = [("error", ExtraColumns::Error), ("ignore", ExtraColumns::Ignore)];
    options.header = table.get("header").map_or(Ok(options.header), |value| value.flag())?;
    options.missing_columns =
        table.get("missing_columns").map_or(Ok(options.missing_columns), |value| value.choice(&missing))?;
    options.extra_columns =
        table.get("extra_columns").map_or(Ok(options.extra_columns), |value| value.choice(&extra))?;
    options.max_record_bytes =
        table.get("max_record_bytes").map_or(Ok(options.max_record_bytes), |value| value.size())?;
    Ok(())
}

fn mark_of(key: &str, value: &Value<'_>) -> Result<u8> {
    let problem = || value.error(format!("`{key}` must be one ASCII character, such as \",\", or \"tab\""));
    mark_in(&value.text()?).ok_or_else(problem)
}

fn quote_of(value: &Value<'_>) -> Result<Option<u8>> {
    let problem = || value.error("`quote` must be one ASCII character, or \"none\" where quotes are plain text");
    match value.text()?.as_str() {
        "" | "none" => Ok(None),
        text => mark_in(text).map(Some).ok_or_else(problem),
    }
}

fn mark_in(text: &str) -> Option<u8> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Some(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, 0 | b'\n' | b'\r') => Some(*byte),
        _ => None,
    }
}
