//! What a job's page shows besides its status, as JSON.

use hearth_common::{Asked, FailedAttempt, InputDetails, JobDetails, OutputEntry, PlanTexts};

use super::time;
use crate::http::described::described;

described! {
    /// What a page shows of a job besides its status.
    pub(super) struct DetailsJson {
        /// The states it went through, in order.
        states: Vec<StateJson>,
        /// What its inputs are.
        input_files: Vec<InputFilesJson>,
        /// The first files of its output, once it is done.
        output_files: Vec<OutputFileJson>,
        /// The attempt whose failure ended it.
        failed_in: Option<FailedInJson>,
        /// Attempts that are not known any more.
        attempts_left_out: u64,
    }
}

described! {
    /// A state, and since when.
    struct StateJson {
        state: &'static str,
        since_at: String,
    }
}

described! {
    /// The files of an input.
    struct InputFilesJson {
        input: String,
        paths: Vec<String>,
        /// csv, json or parquet.
        format: &'static str,
        /// Null before they are listed.
        files: Option<u64>,
        /// Input splits.
        splits: Option<u64>,
        bytes: Option<u64>,
    }
}

described! {
    /// An output file.
    struct OutputFileJson {
        /// Below the output directory.
        path: String,
        rows: u64,
        bytes: u64,
    }
}

described! {
    /// The attempt whose failure ended a job.
    struct FailedInJson {
        stage: u32,
        partition: u32,
        attempt: u32,
        worker: String,
        host: Option<String>,
        /// The input splits it read.
        reads: String,
    }
}

described! {
    /// How a job is carried out, as text, and what was asked for.
    pub(in crate::http) struct PlanJson {
        logical: String,
        physical: String,
        /// The part of the physical plan that each stage runs.
        stages: Vec<String>,
        /// What was asked for: inputs, output and settings, as the master understood them.
        configuration: serde_json::Value,
    }
}

impl DetailsJson {
    pub(super) fn new(details: &JobDetails) -> Self {
        Self {
            states: details
                .states
                .iter()
                .map(|change| StateJson { state: change.state.name(), since_at: time(change.since_ms) })
                .collect(),
            input_files: input_files(details),
            output_files: details.output_files.iter().map(output_file).collect(),
            failed_in: details.failed_in.as_ref().map(|failed| failed_in(failed, details)),
            attempts_left_out: details.attempts_left_out,
        }
    }
}

impl PlanJson {
    pub(in crate::http) fn new(details: &JobDetails) -> Self {
        let PlanTexts { logical, physical, stages } = details.plan.clone();
        Self { logical, physical, stages, configuration: configuration(details.asked.as_ref()) }
    }
}

/// What was asked for, as JSON.
fn configuration(asked: Option<&Asked>) -> serde_json::Value {
    serde_json::to_value(asked).unwrap_or_default()
}

/// The inputs that were asked for, with what was found of them.
fn input_files(details: &JobDetails) -> Vec<InputFilesJson> {
    use hearth_common::InputFormat::{Csv, Json, Parquet};
    let asked = details.asked.iter().flat_map(|asked| &asked.inputs);
    let described = asked.map(|(name, spec)| {
        let found: Option<&InputDetails> = details.inputs.iter().find(|found| found.input == *name);
        InputFilesJson {
            input: name.clone(),
            paths: spec.paths.clone(),
            format: match spec.format {
                Csv(_) => "csv",
                Json => "json",
                Parquet => "parquet",
            },
            files: found.map(|found| found.files),
            splits: found.map(|found| found.splits),
            bytes: found.map(|found| found.bytes),
        }
    });
    described.collect()
}

fn output_file(file: &OutputEntry) -> OutputFileJson {
    let OutputEntry { path, rows, bytes } = file.clone();
    OutputFileJson { path, rows, bytes }
}

fn failed_in(failed: &FailedAttempt, details: &JobDetails) -> FailedInJson {
    FailedInJson {
        stage: failed.stage.0,
        partition: failed.partition,
        attempt: failed.attempt,
        worker: failed.worker.to_string(),
        host: details.hosts.get(&failed.worker).cloned(),
        reads: failed.reads.clone(),
    }
}
