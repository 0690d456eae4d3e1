//! The job that the flags of `submit` describe.

use std::collections::BTreeMap;
use std::path::Path;

use hearth_client::job_file::{absolute_location, format_of_paths, parse_schema, read_job};
use hearth_client::nearest;
use hearth_common::{
    ColumnSpec, Compression, CsvOptions, InputCompression, InputFormat, InputSpec, JobSettings, JobSpec, OnError,
    OutputFormat, OutputMode, OutputSpec,
};

use super::JobFlags;
use crate::exit::CliError;

/// Splits `NAME=VALUE`.
pub(crate) fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("write NAME=VALUE".to_owned()),
    }
}

/// Reads the job file, or puts the job together from flags.
pub(super) fn job_of(flags: &JobFlags) -> Result<JobSpec, CliError> {
    let mut job = match &flags.file {
        Some(file) => read_job(file, &flags.set.iter().cloned().collect())?,
        None => job_of_flags(flags)?,
    };
    if let Some(name) = &flags.name {
        job.name.clone_from(name);
    }
    job.validate().map_err(CliError::usage)?;
    Ok(job)
}

fn job_of_flags(flags: &JobFlags) -> Result<JobSpec, CliError> {
    let directory =
        std::env::current_dir().map_err(|error| CliError::usage(format!("find the current directory: {error}")))?;
    let query = match (&flags.sql, &flags.sql_file) {
        (Some(sql), _) => sql.clone(),
        (None, Some(file)) => std::fs::read_to_string(file)
            .map_err(|error| CliError::usage(format!("cannot read {}: {error}", file.display())))?,
        (None, None) => {
            let missing = CliError::usage("there is nothing to submit");
            return Err(missing.hint("give a job file, or --input NAME=PATH --sql 'SELECT ...'"));
        }
    };
    if !flags.set.is_empty() {
        return Err(CliError::usage("--set fills the variables of a job file, and there is none"));
    }
    let inputs = inputs_of(flags, &directory)?;
    let output = flags.output.as_ref().map(|path| output_of(flags, path, &directory)).transpose()?;
    let name = match &flags.sql_file {
        Some(file) => file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default(),
        None => "sql".to_owned(),
    };
    Ok(JobSpec { name, query, inputs, output, settings: JobSettings::default() })
}

fn inputs_of(flags: &JobFlags, directory: &Path) -> Result<BTreeMap<String, InputSpec>, CliError> {
    let mut paths: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, path) in &flags.input {
        paths.entry(name).or_default().push(absolute_location(path, directory));
    }
    let names: Vec<_> = paths.keys().copied().collect();
    let formats = by_input("--format", &flags.format, &names)?;
    let schemas = by_input("--schema", &flags.schema, &names)?;
    if names.len() > 1 && schemas.contains_key("") {
        let many = CliError::usage("--schema does not say which input it is for");
        return Err(many.hint(format!("write --schema {}='...'", names.first().unwrap_or(&""))));
    }
    let input = |(name, paths): (&str, Vec<String>)| {
        let format = formats.get(name).or_else(|| formats.get(""));
        let schema = schemas.get(name).or_else(|| schemas.get(""));
        let input = input_of(name, paths, (format.copied(), schema.copied()))?;
        Ok((name.to_owned(), input))
    };
    paths.into_iter().map(input).collect()
}

/// An input of these files; format and columns are found out where they are not given.
pub(crate) fn input_of(
    name: &str,
    paths: Vec<String>,
    (format, schema): (Option<&str>, Option<&str>),
) -> Result<InputSpec, CliError> {
    let format = format_of(name, &paths, format)?;
    let schema = schema.map(schema_of).transpose()?;
    Ok(InputSpec { paths, format, compression: InputCompression::Auto, schema, on_error: OnError::Fail })
}

/// Values written as `[NAME=]VALUE`, by name; the one without a name under the empty name.
fn by_input<'f>(flag: &str, values: &'f [String], names: &[&str]) -> Result<BTreeMap<&'f str, &'f str>, CliError> {
    let mut found = BTreeMap::new();
    for text in values {
        let (name, value) = text.split_once('=').unwrap_or(("", text));
        if !name.is_empty() && !names.contains(&name) {
            let odd = CliError::usage(format!("{flag} {text}: there is no input `{name}`"));
            return Err(match nearest(name, names.iter().copied()) {
                Some(near) => odd.hint(format!("did you mean `{near}`?")),
                None => odd,
            });
        }
        if found.insert(name, value).is_some() {
            return Err(CliError::usage(format!("{flag} {text} is given twice")));
        }
    }
    Ok(found)
}

fn format_of(name: &str, paths: &[String], format: Option<&str>) -> Result<InputFormat, CliError> {
    match format {
        Some("csv") => Ok(match format_of_paths(paths) {
            Some(InputFormat::Csv(options)) => InputFormat::Csv(options),
            Some(InputFormat::Json | InputFormat::Parquet) | None => InputFormat::Csv(CsvOptions::default()),
        }),
        Some("json") => Ok(InputFormat::Json),
        Some("parquet") => Ok(InputFormat::Parquet),
        Some(odd) => {
            let error = CliError::usage(format!("`{odd}` is not a format"));
            Err(match nearest(odd, ["csv", "json", "parquet"]) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint("use csv, json or parquet"),
            })
        }
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

fn output_of(flags: &JobFlags, path: &str, directory: &Path) -> Result<OutputSpec, CliError> {
    let (mode, format) = (flags.mode.as_deref(), flags.output_format.as_deref());
    let unknown = |what: &str| CliError::usage(format!("`{what}` is not known"));
    Ok(OutputSpec {
        path: absolute_location(path, directory),
        format: match format.unwrap_or("parquet") {
            "parquet" => OutputFormat::Parquet,
            "csv" => OutputFormat::Csv,
            "json" => OutputFormat::Json,
            odd => return Err(unknown(odd)),
        },
        mode: match mode.unwrap_or("error") {
            "error" => OutputMode::Error,
            "overwrite" => OutputMode::Overwrite,
            "append" => OutputMode::Append,
            odd => return Err(unknown(odd)),
        },
        partition_by: flags.partition_by.clone(),
        compression: Compression::default(),
        file_bytes_max: OutputSpec::FILE_BYTES_MAX,
    })
}
