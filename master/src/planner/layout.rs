//! Which task of a stage reads which partition of which leaf, and how the tasks of a stage come about.

use std::ops::Range;
use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use hearth_plan::{ScanExec, StageInputExec};
use hearth_scheduler::TaskLayout;
use serde::{Deserialize, Serialize};

use super::cut::{CutPlan, LeafSource, ShufflePart, builds_left_whole};

/// The tasks of a stage that read a leaf, and what of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LeafReach {
    /// The leaf; `None` for one that needs no input.
    pub(super) leaf: Option<u32>,
    /// Number of its partitions.
    pub(super) partitions: u32,
    /// The tasks that read it.
    pub(super) tasks: Range<u32>,
    /// What each of them reads.
    pub(super) spread: Spread,
}

/// What the tasks that read a leaf read of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Spread {
    /// The first task reads the first partition, and so on.
    OneEach,
    /// Each reads all partitions.
    AllEach,
}

/// The leaves that the tasks of a stage with this plan reach.
pub(super) fn reach_leaves(plan: &Arc<dyn ExecutionPlan>) -> Result<Vec<LeafReach>> {
    let mut found = Vec::new();
    walk(plan, 0..partition_count(plan)?, Spread::OneEach, &mut found)?;
    Ok(found)
}

fn walk(plan: &Arc<dyn ExecutionPlan>, tasks: Range<u32>, spread: Spread, found: &mut Vec<LeafReach>) -> Result<()> {
    let children = plan.children();
    if children.is_empty() {
        found.push(LeafReach { leaf: leaf_number(plan.as_ref()), partitions: partition_count(plan)?, tasks, spread });
        return Ok(());
    }
    if plan.is::<UnionExec>() {
        return walk_union(&children, tasks, spread, found);
    }
    let gathers = plan.is::<CoalescePartitionsExec>() || plan.is::<SortPreservingMergeExec>();
    for (index, child) in children.into_iter().enumerate() {
        if gathers || (index == 0 && builds_left_whole(plan.as_ref())) {
            walk(child, tasks.clone(), Spread::AllEach, found)?;
        } else if partition_count(child)? == partition_count(plan)? {
            walk(child, tasks.clone(), spread, found)?;
        } else {
            return Err(DataFusionError::Internal(format!(
                "{} changes the number of partitions inside a stage",
                plan.name()
            )));
        }
    }
    Ok(())
}

/// The partitions of a union are those of its inputs, one input after the other.
fn walk_union(
    inputs: &[&Arc<dyn ExecutionPlan>],
    tasks: Range<u32>,
    spread: Spread,
    found: &mut Vec<LeafReach>,
) -> Result<()> {
    let mut first = tasks.start;
    for input in inputs {
        match spread {
            Spread::AllEach => walk(input, tasks.clone(), spread, found)?,
            Spread::OneEach => {
                let end = first + partition_count(input)?;
                walk(input, first..end, spread, found)?;
                first = end;
            }
        }
    }
    Ok(())
}

fn leaf_number(plan: &dyn ExecutionPlan) -> Option<u32> {
    let scan = plan.downcast_ref::<ScanExec>().map(|scan| scan.spec().leaf);
    scan.or_else(|| plan.downcast_ref::<StageInputExec>().map(StageInputExec::leaf))
}

/// The tasks of a stage can be formed by actual bytes only where each reads nothing but its own shuffle partitions, beside
/// what all tasks read: then any neighbours may be joined into one task.
pub(super) fn lay_out(plan: &Arc<dyn ExecutionPlan>, reach: &[LeafReach], cut: &CutPlan) -> Result<TaskLayout> {
    let tasks = partition_count(plan)?;
    let mut own = reach.iter().filter(|leaf| leaf.spread == Spread::OneEach).peekable();
    let has_own = own.peek().is_some();
    let is_merged = has_own && own.all(|leaf| leaf.tasks == (0..tasks) && is_hashed(leaf, cut));
    Ok(if is_merged { TaskLayout::Merged { partitions: tasks } } else { TaskLayout::Fixed { tasks } })
}

/// The leaf reads shuffle partitions by number.
pub(super) fn is_hashed(reach: &LeafReach, cut: &CutPlan) -> bool {
    let source = reach.leaf.and_then(|leaf| cut.leaves.get(&leaf));
    matches!(source, Some(LeafSource::Stage { part: ShufflePart::Hashed, .. }))
}

fn partition_count(plan: &Arc<dyn ExecutionPlan>) -> Result<u32> {
    let count = plan.output_partitioning().partition_count();
    u32::try_from(count).map_err(|_| DataFusionError::Internal(format!("{} has {count} partitions", plan.name())))
}
