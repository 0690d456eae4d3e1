//! One line about a stage for people, such as `scan actions, partial aggregate`.

use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use hearth_plan::ScanExec;

/// More steps are not told.
const STEPS_MAX: usize = 8;

/// What the operators of `plan` do, from the leaves up, each named once; then what becomes of the rows.
pub(super) fn describe(plan: &dyn ExecutionPlan, ending: Option<&str>) -> String {
    let mut steps = Vec::new();
    collect_steps(plan, &mut steps);
    if steps.len() > STEPS_MAX {
        let more = steps.len() - STEPS_MAX;
        steps.truncate(STEPS_MAX);
        steps.push(format!("{more} more"));
    }
    steps.extend(ending.map(str::to_owned));
    if steps.is_empty() { "pass on".to_owned() } else { steps.join(", ") }
}

fn collect_steps(plan: &dyn ExecutionPlan, steps: &mut Vec<String>) {
    for child in plan.children() {
        collect_steps(child.as_ref(), steps);
    }
    // Files of text are filtered while they are read.
    let is_filtered_scan = plan.downcast_ref::<ScanExec>().is_some_and(|scan| scan.spec().is_filtered());
    for step in step_of(plan).into_iter().chain(is_filtered_scan.then(|| "filter".to_owned())) {
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
}

fn step_of(plan: &dyn ExecutionPlan) -> Option<String> {
    if let Some(scan) = plan.downcast_ref::<ScanExec>() {
        return Some(format!("scan {}", scan.spec().table));
    }
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        return Some(aggregate_step(*aggregate.mode()).to_owned());
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        let is_broadcast = matches!(join.partition_mode(), PartitionMode::CollectLeft);
        return Some(if is_broadcast { "broadcast join" } else { "hash join" }.to_owned());
    }
    let step = match plan.name() {
        "FilterExec" => "filter",
        "SortMergeJoinExec" => "sort-merge join",
        "NestedLoopJoinExec" => "nested-loop join",
        "CrossJoinExec" => "cross join",
        "SortExec(TopK)" => "top rows",
        "SortExec" => "sort",
        "SortPreservingMergeExec"
            if plan.children().iter().any(|child| child.output_partitioning().partition_count() > 1) =>
        {
            "merge"
        }
        "WindowAggExec" | "BoundedWindowAggExec" => "window",
        "UnionExec" | "InterleaveExec" => "union",
        "UnnestExec" => "unnest",
        "GlobalLimitExec" | "LocalLimitExec" => "limit",
        "DataSourceExec" | "PlaceholderRowExec" | "LazyMemoryExec" => "values",
        _ => return None,
    };
    Some(step.to_owned())
}

const fn aggregate_step(mode: AggregateMode) -> &'static str {
    match mode {
        AggregateMode::Partial | AggregateMode::PartialReduce => "partial aggregate",
        AggregateMode::Final | AggregateMode::FinalPartitioned => "final aggregate",
        AggregateMode::Single | AggregateMode::SinglePartitioned => "aggregate",
    }
}
