//! Planning a job off the event loop, and making its staging, so that an unwritable destination fails before any work.

use std::collections::BTreeMap;
use std::time::Duration;

use hearth_common::{FailureCause, LeafInput, OutputMode};
use hearth_scheduler::TaskLayout;

use crate::commit::{self, CommitError, Staging};
use crate::planner::{PlanRequest, PlannedJob, plan_job};

/// Longest planning; listing very many files takes most of it.
const PLANNING_MAX: Duration = Duration::from_secs(600);

pub(super) async fn plan(request: PlanRequest, staging: Option<Staging>) -> Result<PlannedJob, FailureCause> {
    let output = staging.map(|staging| (request.storage.commit_fs(staging.destination()), staging));
    let mode = request.spec.output.as_ref().map(|output| output.mode);
    let planning = async {
        if let Some((fs, _)) = &output {
            // The storage may not have answered when the job was submitted, and somebody may have been there since.
            commit::check_destination(&**fs, &request.spec).await.map_err(CommitError::into_cause)?;
        }
        plan_job(request).await
    };
    let planned = tokio::time::timeout(PLANNING_MAX, planning).await.map_err(|_| {
        FailureCause::internal(format!("planning took longer than {} s and was given up", PLANNING_MAX.as_secs()))
    })??;
    if let Some((fs, staging)) = output {
        if mode == Some(OutputMode::Overwrite) {
            check_inputs(&planned, &staging)?;
        }
        commit::prepare(&*fs, &staging).await.map_err(CommitError::into_cause)?;
    }
    Ok(planned)
}

/// Globs may find files below the destination although their fixed part is elsewhere.
fn check_inputs(planned: &PlannedJob, staging: &Staging) -> Result<(), FailureCause> {
    let none = BTreeMap::new();
    for (spec, stage) in planned.graph.stages().iter().zip(&planned.stages) {
        let tasks = match spec.tasks {
            TaskLayout::Fixed { tasks } => tasks,
            TaskLayout::Merged { partitions } => partitions,
        };
        let urls =
            (0..tasks).flat_map(|task| stage.task_inputs(task, (None, &[]), &none).into_values()).flat_map(urls_of);
        if let Some(path) = commit::finds_input_below(staging.destination(), urls) {
            let output = staging.destination().to_string();
            return Err(CommitError::OverInput { output, path }.into_cause());
        }
    }
    Ok(())
}

fn urls_of(input: LeafInput) -> Vec<String> {
    match input {
        LeafInput::Splits(splits) => splits.into_iter().map(|split| split.url).collect(),
        LeafInput::Shuffle(_) => Vec::new(),
    }
}
