//! Finds out what the inputs of a job are: their files, their columns, and how they are split. All of the planner's I/O is here.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::execution::runtime_env::RuntimeEnv;
use futures::{StreamExt, TryStreamExt, stream};
use hearth_common::{ByteSize, FailureCause, InferredInput, InputFormat, InputSpec, InputSplit, OnError};
use hearth_plan::{Inference, inspect_input};
use hearth_storage::{InputFile, Storage};

use super::PlanRequest;
use super::splits::{auto_split_bytes, pack_splits};

/// Inputs that are looked at in parallel.
const PARALLEL_INPUTS: usize = 8;

/// An input, ready to be planned with.
#[derive(Debug)]
pub(super) struct LoadedInput {
    /// Name of its table.
    pub(super) name: String,
    /// Format of its files.
    pub(super) format: InputFormat,
    /// Its columns.
    pub(super) schema: SchemaRef,
    /// Its input splits, one list per partition of a scan.
    pub(super) splits: Arc<Vec<Vec<InputSplit>>>,
    /// About the size of all its files, in bytes, were they not compressed.
    pub(super) bytes: u64,
    /// About how many rows they have.
    pub(super) rows_estimated: Option<u64>,
    /// What to do with a record that cannot be read.
    pub(super) on_error: OnError,
    /// Where attempts leave their rejects; `None` where they leave none.
    pub(super) attempts_url: Option<String>,
    /// What was inferred about its columns.
    pub(super) inferred: Option<InferredInput>,
}

/// Looks at every input of a job, in the order of their names.
///
/// # Errors
/// Missing or unreadable files, and columns that cannot be used, each with the name of the input.
pub(super) async fn load_inputs(
    runtime: &Arc<RuntimeEnv>,
    request: &PlanRequest,
) -> Result<Vec<Arc<LoadedInput>>, FailureCause> {
    let PlanRequest { spec, slots, attempts_url, storage, .. } = request;
    let reading = Reading { runtime, storage, split_bytes: spec.settings.split_bytes, slots: *slots };
    let rejects_url = spec.output.is_some().then_some(attempts_url);
    stream::iter(&spec.inputs)
        .map(|(name, input)| async move {
            let loaded = load_input(reading, name, input).await;
            let loaded = loaded.map(|loaded| LoadedInput {
                attempts_url: rejects_url.filter(|_| input.on_error != OnError::Fail).cloned(),
                ..loaded
            });
            loaded.map(Arc::new).map_err(|cause| in_input(name, cause))
        })
        .buffered(PARALLEL_INPUTS)
        .try_collect()
        .await
}

/// How inputs are looked at and split.
#[derive(Clone, Copy)]
struct Reading<'a> {
    runtime: &'a RuntimeEnv,
    storage: &'a Storage,
    split_bytes: Option<ByteSize>,
    slots: u32,
}

async fn load_input(reading: Reading<'_>, name: &str, input: &InputSpec) -> Result<LoadedInput, FailureCause> {
    let Reading { runtime, storage, split_bytes, slots } = reading;
    let files = storage.list_input(input).await.map_err(FailureCause::from)?;
    let bytes = files.iter().map(|file| file.bytes).sum();
    let content_bytes = files.iter().map(InputFile::content_bytes_estimated).sum();
    let shape = inspect_input(input, &files, runtime).await?;
    check_columns(&shape.schema).map_err(FailureCause::task)?;
    let split_bytes = split_bytes.map_or_else(|| auto_split_bytes(bytes, slots), |size| size.0);
    let splits = pack_splits(&files, &input.format, split_bytes).map_err(FailureCause::task)?;
    Ok(LoadedInput {
        name: name.to_owned(),
        format: input.format.clone(),
        schema: shape.schema,
        splits: Arc::new(splits),
        bytes: content_bytes,
        rows_estimated: shape.rows_estimated,
        on_error: input.on_error,
        attempts_url: None,
        inferred: shape.inferred.map(|Inference { records, columns }| InferredInput {
            input: name.to_owned(),
            records,
            columns,
        }),
    })
}

fn check_columns(schema: &Schema) -> Result<(), String> {
    if schema.fields().is_empty() {
        return Err("has no columns: its files are empty; give it a schema, or leave the input out".to_owned());
    }
    let mut seen = BTreeSet::new();
    match schema.fields().iter().find(|field| !seen.insert(field.name())) {
        Some(field) => Err(format!("has two columns called `{}`; rename one of them", field.name())),
        None => Ok(()),
    }
}

/// Says which input a failure is about.
fn in_input(name: &str, cause: FailureCause) -> FailureCause {
    match cause {
        FailureCause::Task { message, place } => {
            FailureCause::Task { message: format!("input `{name}`: {message}"), place }
        }
        FailureCause::Storage { message } => FailureCause::Storage { message: format!("input `{name}`: {message}") },
        other @ (FailureCause::LostShuffleOutput { .. }
        | FailureCause::OutOfMemory { .. }
        | FailureCause::DiskFull { .. }
        | FailureCause::Internal { .. }
        | FailureCause::WorkerLost { .. }
        | FailureCause::Poison { .. }
        | FailureCause::NoWorkers { .. }
        | FailureCause::DeadlinePassed { .. }
        | FailureCause::Cancelled
        | FailureCause::WorkerDrains) => other,
    }
}
