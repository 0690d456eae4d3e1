//! One named input: paths, format, and the declared columns.

use hearth_common::{
    ColumnSpec, CsvOptions, InputCompression, InputFormat, InputSpec, OnError, RejectLimit, ValueType,
};

use super::JobFileError;
use super::csv;
use super::document::{Table, Value};
use super::origin::absolute_location;
use crate::nearest;

type Result<T> = std::result::Result<T, JobFileError>;

/// Keys of an input of any format.
const KEYS: [&str; 6] = ["path", "format", "compression", "on_error", "max_rejects", "schema"];
const TYPE_NAMES: [&str; 17] = [
    "string",
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float32",
    "float64",
    "date",
    "timestamp",
    "time",
    "binary",
    "decimal",
];
/// Compressions that may follow a format's extension.
const COMPRESSIONS: [&str; 4] = ["gz", "bz2", "zst", "xz"];

pub(super) fn input_of(name: &str, table: &Table<'_>) -> Result<InputSpec> {
    check_keys(table)?;
    let path =
        table.get("path").ok_or_else(|| table.error(format!("input `{name}` has no path; add path = \"...\"")))?;
    let directory = &table.source().origin.directory;
    let paths: Vec<_> = path.texts()?.iter().map(|path| absolute_location(path, directory)).collect();
    if paths.is_empty() || paths.iter().any(|path| path.trim().is_empty()) {
        return Err(path.error(format!("the path of input `{name}` is empty")));
    }
    let mut format = match table.get("format") {
        Some(format) => {
            format.choice(&[("csv", Kind::Csv), ("json", Kind::Json), ("parquet", Kind::Parquet)])?.format()
        }
        None => format_of_paths(&paths).ok_or_else(|| {
            path.error(format!(
                "the format of input `{name}` is not clear from its path; add format = \"csv\", \"json\" or \"parquet\""
            ))
        })?,
    };
    csv::read_options(table, &mut format)?;
    Ok(InputSpec {
        on_error: on_error_of(table, &format)?,
        paths,
        compression: compression_of(table, &format)?,
        format,
        schema: table.get("schema").map(|schema| schema_of(name, &schema)).transpose()?,
    })
}

fn check_keys(table: &Table<'_>) -> Result<()> {
    if let Some(key) = table.keys().iter().find(|key| key.name == "multiline") {
        return Err(table.source().error_at(key.at, "quoted line breaks are always read; remove `multiline`"));
    }
    table.check_keys(&[KEYS.as_slice(), &csv::KEYS].concat())
}

#[derive(Clone, Copy)]
enum Kind {
    Csv,
    Json,
    Parquet,
}

impl Kind {
    fn format(self) -> InputFormat {
        match self {
            Self::Csv => InputFormat::Csv(CsvOptions::default()),
            Self::Json => InputFormat::Json,
            Self::Parquet => InputFormat::Parquet,
        }
    }
}

/// The format that the extensions of all paths agree on.
#[must_use]
pub fn format_of_paths(paths: &[String]) -> Option<InputFormat> {
    let mut formats = paths.iter().map(|path| format_of_path(path));
    let first = formats.next()??;
    formats.all(|format| format.as_ref() == Some(&first)).then_some(first)
}

fn format_of_path(path: &str) -> Option<InputFormat> {
    let name = path.rsplit('/').next()?.to_ascii_lowercase();
    let (mut stem, mut extension) = name.rsplit_once('.')?;
    if COMPRESSIONS.contains(&extension) {
        (stem, extension) = stem.rsplit_once('.')?;
    }
    match extension {
        _ if stem.is_empty() => None,
        "csv" => Some(InputFormat::Csv(CsvOptions::default())),
        "tsv" => Some(InputFormat::Csv(CsvOptions { delimiter: b'\t', ..CsvOptions::default() })),
        "json" | "jsonl" | "ndjson" => Some(InputFormat::Json),
        "parquet" => Some(InputFormat::Parquet),
        _ => None,
    }
}

fn compression_of(table: &Table<'_>, format: &InputFormat) -> Result<InputCompression> {
    let Some(value) = table.get("compression") else { return Ok(InputCompression::Auto) };
    if *format == InputFormat::Parquet {
        return Err(value.error("Parquet is compressed inside; remove `compression`"));
    }
    value.choice(&[
        ("auto", InputCompression::Auto),
        ("none", InputCompression::None),
        ("gzip", InputCompression::Gzip),
        ("bzip2", InputCompression::Bzip2),
        ("zstd", InputCompression::Zstd),
    ])
}

fn on_error_of(table: &Table<'_>, format: &InputFormat) -> Result<OnError> {
    let choices = [("fail", OnError::Fail), ("reject", OnError::Reject(RejectLimit::DEFAULT))];
    let chosen = table.get("on_error").map(|value| Ok((value.choice(&choices)?, value))).transpose()?;
    match (chosen, table.get("max_rejects")) {
        (Some((OnError::Reject(_), value)), _) if *format == InputFormat::Parquet => {
            Err(value.error("parquet inputs cannot reject records; write \"fail\""))
        }
        (Some((OnError::Reject(_), _)), Some(limit)) => Ok(OnError::Reject(limit.count_or_share()?)),
        (Some((OnError::Fail, _)) | None, Some(limit)) => Err(limit.error("`max_rejects` needs on_error = \"reject\"")),
        (Some((on_error, _)), None) => Ok(on_error),
        (None, None) => Ok(OnError::Fail),
    }
}

/// A table of name and type, or a list of tables with `name` and `type`.
fn schema_of(input: &str, value: &Value<'_>) -> Result<Vec<ColumnSpec>> {
    let columns = match value.items() {
        Some(items) => items.iter().map(|item| listed_column(input, item)).collect::<Result<Vec<_>>>()?,
        None => {
            let table = value.table(format!("[inputs.{input}.schema]"))?;
            let column =
                |name: &str, value: &Value<'_>| Ok(ColumnSpec { name: name.to_owned(), value_type: type_of(value)? });
            table.keys().iter().map(|key| column(key.name, &key.value)).collect::<Result<Vec<_>>>()?
        }
    };
    if columns.is_empty() {
        return Err(value.error(format!("the schema of input `{input}` has no columns; leave it out to infer it")));
    }
    match twice(&columns) {
        Some(name) => Err(value.error(format!("the schema of input `{input}` has column `{name}` twice"))),
        None => Ok(columns),
    }
}

fn twice(columns: &[ColumnSpec]) -> Option<&str> {
    let mut names = std::collections::BTreeSet::new();
    columns.iter().map(|column| column.name.as_str()).find(|name| !names.insert(*name))
}

fn listed_column(input: &str, item: &Value<'_>) -> Result<ColumnSpec> {
    let table = item.table(format!("a column of [inputs.{input}.schema]"))?;
    table.check_keys(&["name", "type"])?;
    let get = |key: &str| table.get(key).ok_or_else(|| item.error(format!("a column of the schema has no {key}")));
    Ok(ColumnSpec { name: get("name")?.text()?, value_type: type_of(&get("type")?)? })
}

fn type_of(value: &Value<'_>) -> Result<ValueType> {
    let text = value.text()?;
    text.parse::<ValueType>().map_err(|error| match nearest(&text, TYPE_NAMES) {
        Some(near) => value.error(format!("`{text}` is not a type; did you mean `{near}`?")),
        None => value.error(error),
    })
}

/// Reads columns as a command line has them: `email string, amount decimal(12,2)`.
///
/// # Errors
/// What is wrong, for people.
pub fn parse_schema(text: &str) -> std::result::Result<Vec<ColumnSpec>, String> {
    let mut columns = Vec::new();
    for column in split_columns(text) {
        let (name, value_type) = column
            .trim()
            .split_once(char::is_whitespace)
            .ok_or_else(|| format!("`{}` is not a column; write NAME TYPE, NAME TYPE", column.trim()))?;
        let value_type = value_type.parse().map_err(|error: hearth_common::ValueTypeError| error.to_string())?;
        columns.push(ColumnSpec { name: name.to_owned(), value_type });
    }
    match twice(&columns) {
        Some(name) => Err(format!("column `{name}` stands twice in the schema")),
        None => Ok(columns),
    }
}

/// Splits at commas outside of parentheses.
fn split_columns(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    text.split(|c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .collect()
}
