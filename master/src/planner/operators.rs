//! What the planner must know about operators: which cannot run in stages, which give other rows when they run again, and
//! which are so cheap that every task may run them for itself.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::memory::LazyMemoryExec;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use hearth_plan::{ScanExec, StageInputExec};

/// Operators that share state between partitions, run a plan again, or do something beside giving rows.
const UNSUPPORTED: [&str; 11] = [
    "AnalyzeExec",
    "AsyncFuncExec",
    "DataSinkExec",
    "ExplainExec",
    "PiecewiseMergeJoinExec",
    "RecursiveQueryExec",
    "ScalarSubqueryExec",
    "StreamingTableExec",
    "SymmetricHashJoinExec",
    "WorkTableExec",
    "BufferExec",
];

/// Aggregates whose value depends on the order of their rows, which an exchange does not keep.
const ORDER_SENSITIVE: [&str; 9] = [
    "approx_median",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "array_agg",
    "first_value",
    "last_value",
    "nth_value",
    "any_value",
    "string_agg",
];

/// Refuses operators that would be wrong in separate tasks, and leaves whose input a task would not get.
pub(super) fn refuse_unsupported(plan: &dyn ExecutionPlan) -> Result<()> {
    let is_known_leaf = plan.is::<ScanExec>()
        || plan.is::<StageInputExec>()
        || plan.is::<EmptyExec>()
        || plan.is::<PlaceholderRowExec>()
        || plan.is::<LazyMemoryExec>()
        || is_memory(plan);
    if UNSUPPORTED.contains(&plan.name()) || (plan.children().is_empty() && !is_known_leaf) {
        return Err(DataFusionError::Internal(format!("{} cannot run in stages", plan.name())));
    }
    Ok(())
}

/// Every task may run `plan` for itself: it reads little or nothing, and gives the same rows every time.
pub(super) fn is_cheap_to_repeat(plan: &dyn ExecutionPlan) -> Result<bool> {
    if has_volatile_expression(plan)? {
        return Ok(false);
    }
    if plan.is::<ProjectionExec>() || plan.is::<CooperativeExec>() {
        return plan
            .children()
            .into_iter()
            .try_fold(true, |cheap, child| Ok(cheap && is_cheap_to_repeat(child.as_ref())?));
    }
    Ok(plan.is::<StageInputExec>() || plan.is::<EmptyExec>() || plan.is::<PlaceholderRowExec>() || is_memory(plan))
}

/// Running `plan` again on the same rows, in whatever order they come, gives the same rows.
///
/// Not so for: a limit (any rows will do), windows (ties in their order), aggregates that depend on the order of their rows, and
/// functions such as `random()`. Sums of floating-point numbers count as the same, though their last digits may differ.
pub(super) fn is_determinate(plan: &dyn ExecutionPlan) -> Result<bool> {
    let is_choosy = plan.fetch().is_some()
        || plan.is::<GlobalLimitExec>()
        || plan.is::<LocalLimitExec>()
        || plan.is::<WindowAggExec>()
        || plan.is::<BoundedWindowAggExec>()
        || plan.name() == "PartitionedTopKExec"
        || plan.downcast_ref::<ScanExec>().is_some_and(|scan| scan.spec().limit.is_some())
        || plan.downcast_ref::<AggregateExec>().is_some_and(is_order_sensitive);
    if is_choosy || has_volatile_expression(plan)? {
        return Ok(false);
    }
    plan.children().into_iter().try_fold(true, |so_far, child| Ok(so_far && is_determinate(child.as_ref())?))
}

fn is_order_sensitive(aggregate: &AggregateExec) -> bool {
    aggregate.limit_options().is_some()
        || aggregate.aggr_expr().iter().any(|function| ORDER_SENSITIVE.contains(&function.fun().name()))
}

fn has_volatile_expression(plan: &dyn ExecutionPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_expressions(&mut |expression| {
        found |= is_volatile(expression);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

fn is_memory(plan: &dyn ExecutionPlan) -> bool {
    plan.downcast_ref::<DataSourceExec>().is_some_and(|source| source.data_source().is::<MemorySourceConfig>())
}
