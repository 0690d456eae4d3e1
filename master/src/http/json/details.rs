//! What a job's page shows besides its status, as JSON.

use hearth_common::{Asked, FailedAttempt, InputDetails, JobDetails, OutputEntry, PlanTexts};

use super::time;
use crate::http::described::described;

described! {
    /// What a page shows of a job besides its status.
    pub(super) struct DetailsJson {
        /// The states it went through, in order.
        states: Vec<StateJson>,
        /// What its inputs are; empty before it is planned.
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
        files: u64,
        /// Input splits.
        splits: u64,
        bytes: u64,
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
            input_files: details.inputs.iter().map(|input| input_files(input, details.asked.as_ref())).collect(),
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

fn input_files(input: &InputDetails, asked: Option<&Asked>) -> InputFilesJson {
    use hearth_common::InputFormat::{Csv, Json, Parquet};
    let spec = asked.and_then(|asked| asked.inputs.get(&input.input));
    let format = match spec.map(|spec| &spec.format) {
        Some(Csv(_)) => "csv",
        Some(Json) => "json",
        Some(Parquet) => "parquet",
        None => "",
    };
    InputFilesJson {
        input: input.input.clone(),
        paths: spec.map(|spec| spec.paths.clone()).unwrap_or_default(),
        format,
        files: input.files,
        splits: input.splits,
        bytes: input.bytes,
    }
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
