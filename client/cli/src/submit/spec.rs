//! The job that the flags of `submit` describe.

use std::collections::BTreeMap;
use std::path::Path;

use hearth_client::job_file::{absolute_location, read_job};
use hearth_client::nearest;
use hearth_common::{Compression, InputSpec, JobSettings, JobSpec, OutputFormat, OutputMode, OutputSpec};

use super::JobFlags;
use super::input::{InputChoices, input_of};
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

fn inputs_of<'a>(flags: &'a JobFlags, directory: &Path) -> Result<BTreeMap<String, InputSpec>, CliError> {
    let mut paths: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, path) in &flags.input {
        paths.entry(name).or_default().push(absolute_location(path, directory));
    }
    let names: Vec<_> = paths.keys().copied().collect();
    let schemas = by_input("--schema", &flags.schema, &names)?;
    if names.len() > 1 && schemas.contains_key("") {
        let many = CliError::usage("--schema does not say which input it is for");
        return Err(many.hint(format!("write --schema {}='...'", names.first().unwrap_or(&""))));
    }
    let formats = by_input("--format", &flags.format, &names)?;
    let compressions = by_input("--compression", &flags.compression, &names)?;
    let on_errors = by_input("--on-error", &flags.on_error, &names)?;
    let limits = by_input("--max-rejects", &flags.max_rejects, &names)?;
    let input = |(name, paths): (&str, Vec<String>)| {
        let chosen = |values: &BTreeMap<&str, &'a str>| values.get(name).or_else(|| values.get("")).copied();
        let choices = InputChoices {
            format: chosen(&formats),
            schema: chosen(&schemas),
            compression: chosen(&compressions),
            on_error: chosen(&on_errors),
            max_rejects: chosen(&limits),
        };
        Ok((name.to_owned(), input_of(name, paths, choices)?))
    };
    paths.into_iter().map(input).collect()
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
