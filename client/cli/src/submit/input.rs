//! One input as flags describe it.

use hearth_client::job_file::{format_of_paths, parse_schema};
use hearth_client::nearest;
use hearth_common::{ColumnSpec, CsvOptions, InputCompression, InputFormat, InputSpec, OnError, RejectLimit};

use crate::exit::CliError;

/// Words of `--on-error`.
const ON_ERROR: [&str; 2] = ["fail", "reject"];
const COMPRESSIONS: [(&str, InputCompression); 5] = [
    ("auto", InputCompression::Auto),
    ("none", InputCompression::None),
    ("gzip", InputCompression::Gzip),
    ("bzip2", InputCompression::Bzip2),
    ("zstd", InputCompression::Zstd),
];

/// What flags say about an input; what they leave out has its default.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct InputChoices<'f> {
    pub(crate) format: Option<&'f str>,
    pub(crate) schema: Option<&'f str>,
    pub(crate) compression: Option<&'f str>,
    pub(crate) on_error: Option<&'f str>,
    pub(crate) max_rejects: Option<&'f str>,
}

/// An input of these files; format and columns are found out where they are not given.
pub(crate) fn input_of(name: &str, paths: Vec<String>, choices: InputChoices<'_>) -> Result<InputSpec, CliError> {
    let format = format_of(name, &paths, choices.format)?;
    let schema = choices.schema.map(schema_of).transpose()?;
    let compression = choices.compression.map_or(Ok(InputCompression::Auto), compression_of)?;
    if format == InputFormat::Parquet && choices.compression.is_some() {
        return Err(CliError::usage("Parquet is compressed inside; leave --compression out"));
    }
    Ok(InputSpec { on_error: on_error_of(&format, choices)?, paths, format, compression, schema })
}

fn compression_of(text: &str) -> Result<InputCompression, CliError> {
    let known = COMPRESSIONS.iter().find(|(name, _)| *name == text);
    known
        .map(|(_, compression)| *compression)
        .ok_or_else(|| unknown(text, "compression", &COMPRESSIONS.map(|(name, _)| name)))
}

fn on_error_of(format: &InputFormat, choices: InputChoices<'_>) -> Result<OnError, CliError> {
    let limit = choices.max_rejects.map(|text| text.parse::<RejectLimit>().map_err(CliError::usage)).transpose()?;
    match (choices.on_error.unwrap_or("fail"), limit) {
        ("fail", None) => Ok(OnError::Fail),
        ("fail", Some(_)) => Err(CliError::usage("--max-rejects needs --on-error reject")),
        ("reject", _) if *format == InputFormat::Parquet => {
            Err(CliError::usage("parquet inputs cannot reject records").hint("leave --on-error out"))
        }
        ("reject", limit) => Ok(OnError::Reject(limit.unwrap_or(RejectLimit::DEFAULT))),
        (odd, _) => Err(unknown(odd, "way to treat records that cannot be read", &ON_ERROR)),
    }
}

fn format_of(name: &str, paths: &[String], format: Option<&str>) -> Result<InputFormat, CliError> {
    match format {
        Some("csv") => Ok(match format_of_paths(paths) {
            Some(InputFormat::Csv(options)) => InputFormat::Csv(options),
            Some(InputFormat::Json | InputFormat::Parquet) | None => InputFormat::Csv(CsvOptions::default()),
        }),
        Some("json") => Ok(InputFormat::Json),
        Some("parquet") => Ok(InputFormat::Parquet),
        Some(odd) => Err(unknown(odd, "format", &["csv", "json", "parquet"])),
        None => format_of_paths(paths).ok_or_else(|| {
            CliError::usage(format!("the format of input `{name}` is not clear from its path"))
                .hint("add --format csv, json or parquet")
        }),
    }
}

fn schema_of(text: &str) -> Result<Vec<ColumnSpec>, CliError> {
    parse_schema(text)
        .map_err(|problem| CliError::usage(problem).hint("write --schema 'email string, amount decimal(12,2)'"))
}

fn unknown(text: &str, what: &str, known: &[&str]) -> CliError {
    let error = CliError::usage(format!("`{text}` is not a {what}"));
    match nearest(text, known.iter().copied()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!("use {}", known.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(path: &str, choices: InputChoices<'_>) -> Result<InputSpec, String> {
        input_of("t", vec![path.to_owned()], choices).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn flags_say_what_keys_of_a_job_file_say() {
        let all = InputChoices {
            compression: Some("gzip"),
            on_error: Some("reject"),
            max_rejects: Some("0.5%"),
            ..InputChoices::default()
        };
        let spec = input("/a.csv", all).unwrap();
        assert_eq!(spec.compression, InputCompression::Gzip);
        assert_eq!(spec.on_error, OnError::Reject(RejectLimit::Millionths(5000)));
        let spec = input("/a.csv", InputChoices { max_rejects: None, ..all }).unwrap();
        assert_eq!(spec.on_error, OnError::Reject(RejectLimit::DEFAULT));
        let spec = input("/a.csv", InputChoices::default()).unwrap();
        assert_eq!((spec.compression, spec.on_error), (InputCompression::Auto, OnError::Fail));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let check = |path: &str, choices: InputChoices<'_>, expected: &str| {
            let error = input(path, choices).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        let none = InputChoices::default();
        check("/a.csv", InputChoices { compression: Some("gzp"), ..none }, "did you mean `gzip`?");
        check("/a.csv", InputChoices { max_rejects: Some("5"), ..none }, "needs --on-error reject");
        let rejecting = InputChoices { on_error: Some("reject"), ..none };
        check("/a.csv", InputChoices { max_rejects: Some("many"), ..rejecting }, "many");
        check("/a.parquet", rejecting, "parquet inputs cannot reject records");
        check("/a.csv", InputChoices { on_error: Some("regect"), ..none }, "did you mean `reject`?");
        check("/a.parquet", InputChoices { compression: Some("zstd"), ..none }, "compressed inside");
    }
}
