//! The top of a job file: name, query, inputs, output and settings.

use std::collections::BTreeMap;
use std::path::Path;

use hearth_common::{InputSpec, JobSettings, JobSpec, Priority};

use super::document::Table;
use super::input::input_of;
use super::origin::{Source, read_text};
use super::output::output_of;
use super::{JobFileError, JobOrigin};

type Result<T> = std::result::Result<T, JobFileError>;

pub(super) fn job_of(root: &Table<'_>) -> Result<JobSpec> {
    root.check_keys(&["name", "query", "query_file", "inputs", "output", "settings"])?;
    let origin = root.source().origin;
    let job = JobSpec {
        name: root.get("name").map_or_else(|| Ok(name_of(&origin.file)), |name| name.text())?,
        query: query_of(root)?,
        inputs: inputs_of(root)?,
        output: root.get("output").map(|output| output_of(&output.table("[output]".into())?)).transpose()?,
        settings: root.get("settings").map_or_else(
            || Ok(JobSettings::default()),
            |settings| settings_of(&settings.table("[settings]".into())?),
        )?,
    };
    let whole =
        |error: hearth_common::JobError| JobFileError::Job { file: origin.file.clone(), problem: error.to_string() };
    job.validate().map_err(whole)?;
    Ok(job)
}

fn name_of(file: &Path) -> String {
    file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn query_of(root: &Table<'_>) -> Result<String> {
    match (root.get("query"), root.get("query_file")) {
        (Some(query), None) => query.text(),
        (None, Some(file)) => query_in_file(&file.text()?, root.source().origin),
        (Some(_), Some(file)) => Err(file.error("a job has either `query` or `query_file`, not both")),
        (None, None) => Err(root.error("the job has no query; add query = \"SELECT ...\" or query_file = \"PATH\"")),
    }
}

fn query_in_file(path: &str, origin: &JobOrigin) -> Result<String> {
    let file = origin.file.parent().unwrap_or(Path::new("")).join(path);
    let text = read_text(&file)?;
    let origin = JobOrigin { file, ..origin.clone() };
    Source { text: &text, origin: &origin }.fill(&text, 0..text.len())
}

fn inputs_of(root: &Table<'_>) -> Result<BTreeMap<String, InputSpec>> {
    let Some(inputs) = root.get("inputs") else {
        return Ok(BTreeMap::new());
    };
    let mut specs = BTreeMap::new();
    for key in inputs.table("[inputs]".into())?.keys() {
        let table = key.value.table(format!("[inputs.{}]", key.name))?;
        specs.insert(key.name.to_owned(), input_of(key.name, &table)?);
    }
    Ok(specs)
}

fn settings_of(table: &Table<'_>) -> Result<JobSettings> {
    table.check_keys(&[
        "split_bytes",
        "shuffle_partitions",
        "merge_bytes",
        "broadcast_bytes_max",
        "result_bytes_max",
        "deadline_seconds",
        "slots_max",
        "priority",
    ])?;
    let default = JobSettings::default();
    let size = |key: &str| table.get(key).map(|value| value.size()).transpose();
    let number = |key: &str| table.get(key).map(|value| value.number()).transpose();
    Ok(JobSettings {
        split_bytes: size("split_bytes")?,
        shuffle_partitions: number("shuffle_partitions")?,
        merge_bytes: size("merge_bytes")?.unwrap_or(default.merge_bytes),
        broadcast_bytes_max: size("broadcast_bytes_max")?.unwrap_or(default.broadcast_bytes_max),
        result_bytes_max: size("result_bytes_max")?.unwrap_or(default.result_bytes_max),
        deadline_seconds: number("deadline_seconds")?.map(u64::from),
        slots_max: number("slots_max")?,
        priority: match table.get("priority") {
            Some(value) => value.choice(&Priority::ALL.map(|priority| (priority.name(), priority)))?,
            None => default.priority,
        },
    })
}
