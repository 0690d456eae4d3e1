//! Makes a job's stages of its plan: cuts it, encodes each stage's program, and tells the scheduler how they hang together.

use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use hearth_common::{FailureCause, JobSpec, PlanTexts};
use hearth_plan::{OutputSink, ResultSink, ShuffleSink, Sink, StageProgram, encode_stage};
use hearth_scheduler::{FinalOutput, HostBytes, InputKind, JobGraph, StageInput, StageSpec, TaskLayout};
use xxhash_rust::xxh3::xxh3_64;

use super::cut::{CutPlan, CutStage, Exchange, LeafSource, cut_plan};
use super::homes::Homes;
use super::label::describe;
use super::layout::{LeafReach, is_hashed, lay_out, reach_leaves};
use super::operators::is_determinate;
use super::planned::{PlannedJob, PlannedStage, StageLeaf};
use super::texts::physical_text;

/// Cuts `plan` into the stages of a job.
///
/// # Errors
/// [`FailureCause::Internal`] for a plan that cannot run in stages.
pub(super) fn build_stages(
    plan: &Arc<dyn ExecutionPlan>,
    spec: &JobSpec,
    attempts_url: &str,
    homes: &Homes,
) -> Result<PlannedJob, FailureCause> {
    let last = last_sink(spec, attempts_url);
    let cut = cut_for(plan, &last).map_err(|error| internal(&error))?;
    let mut specs = Vec::with_capacity(cut.stages.len());
    let mut stages = Vec::with_capacity(cut.stages.len());
    for stage in &cut.stages {
        let (mut spec, planned) = build_stage(stage, &cut, &last)?;
        spec.homes = homes_of(spec.tasks, &planned.leaves, homes);
        specs.push(spec);
        stages.push(planned);
    }
    let final_output = if spec.output.is_some() { FinalOutput::Files } else { FinalOutput::Result };
    let graph = JobGraph::new(specs, final_output).map_err(|error| FailureCause::internal(error.to_string()))?;
    let texts = cut.stages.iter().map(|stage| physical_text(stage.plan.as_ref())).collect();
    let texts = PlanTexts { stages: texts, ..PlanTexts::default() };
    Ok(PlannedJob { graph, stages, inferred: Vec::new(), inputs: Vec::new(), texts })
}

fn last_sink(spec: &JobSpec, attempts_url: &str) -> Sink {
    match &spec.output {
        Some(output) => Sink::Output(OutputSink { attempts_url: attempts_url.to_owned(), spec: output.clone() }),
        None => Sink::Result(ResultSink { bytes_max: spec.settings.result_bytes_max.0 }),
    }
}

/// A result is the shuffle output of one task; output files may come from many.
fn cut_for(plan: &Arc<dyn ExecutionPlan>, last: &Sink) -> Result<CutPlan> {
    let is_one_task = match last {
        Sink::Result(_) => true,
        Sink::Output(_) | Sink::Shuffle(_) => false,
    };
    if is_one_task && plan.output_partitioning().partition_count() > 1 {
        let gathered: Arc<dyn ExecutionPlan> = Arc::new(CoalescePartitionsExec::new(Arc::clone(plan)));
        return cut_plan(&gathered);
    }
    cut_plan(plan)
}

fn build_stage(stage: &CutStage, cut: &CutPlan, last: &Sink) -> Result<(StageSpec, PlannedStage), FailureCause> {
    let mut spec = spec_of(stage, cut).map_err(|error| internal(&error))?;
    let mut leaves = leaves_of(stage, cut).map_err(|error| internal(&error))?;
    leaves.iter_mut().for_each(|leaf| leaf.number_links(&mut spec.links));
    let (sink, ending) = match &stage.exchange {
        Some(exchange) => (Sink::Shuffle(shuffle_sink(exchange)?), None),
        None => (last.clone(), Some(ending_of(last))),
    };
    let program = StageProgram { plan: Arc::clone(&stage.plan), sink };
    let program = encode_stage(&program).map_err(FailureCause::from)?;
    let planned =
        PlannedStage { label: describe(stage.plan.as_ref(), ending), program_xxh3: xxh3_64(&program), program, leaves };
    Ok((spec, planned))
}

/// The hosts that the tasks of a stage prefer. What every task reads makes none of them special.
fn homes_of(tasks: TaskLayout, leaves: &[StageLeaf], homes: &Homes) -> Vec<Vec<HostBytes>> {
    let TaskLayout::Fixed { tasks } = tasks else { return Vec::new() };
    let of_task = |task| homes.of_task(leaves.iter().flat_map(|leaf| leaf.own_splits(task)));
    let mut found: Vec<Vec<HostBytes>> = (0..tasks).map(of_task).collect();
    let used = found.iter().rposition(|hosts| !hosts.is_empty()).map_or(0, |last| last + 1);
    found.truncate(used);
    found
}

const fn ending_of(last: &Sink) -> &'static str {
    match last {
        Sink::Output(_) => "write output",
        Sink::Result(_) | Sink::Shuffle(_) => "keep result",
    }
}

fn shuffle_sink(exchange: &Exchange) -> Result<ShuffleSink, FailureCause> {
    let partitions = u32::try_from(exchange.partitions)
        .map_err(|_| FailureCause::internal("an exchange has too many partitions"))?;
    Ok(ShuffleSink { hash_exprs: exchange.hash_exprs.clone(), partitions })
}

fn spec_of(stage: &CutStage, cut: &CutPlan) -> Result<StageSpec> {
    let reach = reach_leaves(&stage.plan)?;
    let tasks = lay_out(&stage.plan, &reach, cut)?;
    let inputs = reach.iter().filter_map(|leaf| stage_input(leaf, tasks, cut)).collect();
    let hash_exprs = stage.exchange.iter().flat_map(|exchange| &exchange.hash_exprs);
    let is_volatile = hash_exprs.into_iter().any(datafusion::physical_expr_common::physical_expr::is_volatile);
    let shuffle_partitions = stage.exchange.as_ref().map_or(1, |exchange| exchange.partitions);
    Ok(StageSpec {
        tasks,
        inputs,
        shuffle_partitions: u32::try_from(shuffle_partitions)
            .map_err(|_| DataFusionError::Internal("an exchange has too many partitions".to_owned()))?,
        links: Vec::new(),
        homes: Vec::new(),
        determinate: !is_volatile && is_determinate(stage.plan.as_ref())?,
    })
}

fn stage_input(reach: &LeafReach, tasks: TaskLayout, cut: &CutPlan) -> Option<StageInput> {
    let LeafSource::Stage { stage, .. } = cut.leaves.get(&reach.leaf?)? else { return None };
    let kind = match tasks {
        TaskLayout::Merged { .. } if is_hashed(reach, cut) => InputKind::Partitioned,
        TaskLayout::Merged { .. } | TaskLayout::Fixed { .. } => InputKind::Other,
    };
    Some(StageInput { stage: *stage, kind })
}

fn leaves_of(stage: &CutStage, cut: &CutPlan) -> Result<Vec<StageLeaf>> {
    let leaf = |reach: LeafReach| {
        let leaf = reach.leaf?;
        let source = cut.leaves.get(&leaf)?.clone();
        Some(StageLeaf { leaf, source, reach })
    };
    Ok(reach_leaves(&stage.plan)?.into_iter().filter_map(leaf).collect())
}

fn internal(error: &DataFusionError) -> FailureCause {
    FailureCause::internal(format!("the query cannot run in stages: {}", error.strip_backtrace()))
}
