//! Decides how each join runs when its tasks are separate processes. An optimizer rule, before exchanges are placed.
//!
//! - One side small: it is built whole in every task (`CollectLeft`), the other side stays where it is.
//! - Both large: both are shuffled by key. In memory (hash join) where a partition of the build side surely fits, with spilling
//!   (sort-merge join) where it may not.
//!
//! Invariant: no task of a join that builds its left side whole gives rows for *unmatched or marked* left rows unless it is the
//! only task, because each task sees only its part of the right side. `DataFusion` shares that knowledge between the
//! partitions of one process; we have none to share.

use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PartitionMode};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use super::estimate::bytes_max;
use super::gather::GatherExec;
use super::sort_merge::{can_sort_merge_join, sort_merge_join};

/// The rule.
#[derive(Debug)]
pub(super) struct DistributeJoins {
    /// A side that is estimated at most this large is sent whole to every task, in bytes.
    pub(super) broadcast_bytes_max: u64,
    /// Largest build side of a shuffled hash join, in bytes per shuffle partition. A build side cannot spill.
    pub(super) build_bytes_max: u64,
    /// Shuffle partitions of an exchange.
    pub(super) shuffle_partitions: u32,
}

impl PhysicalOptimizerRule for DistributeJoins {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(plan.transform_up(|plan| self.distribute(plan))?.data)
    }

    fn name(&self) -> &'static str {
        "distribute_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Rows of the left side are given when no row of the right side, or any at all, matched: only one task may say so.
pub(super) const fn needs_whole_right(join_type: JoinType) -> bool {
    match join_type {
        JoinType::Left | JoinType::Full | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => true,
        JoinType::Inner | JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => false,
    }
}

impl DistributeJoins {
    fn distribute(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
        let distributed = if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
            self.distribute_hash_join(join)?
        } else if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
            self.distribute_nested_loop_join(join)?
        } else if let Some(join) = plan.downcast_ref::<CrossJoinExec>() {
            if bytes_max(join.right()) < bytes_max(join.left()) { Some(join.swap_inputs()?) } else { None }
        } else {
            None
        };
        Ok(distributed.map_or_else(|| Transformed::no(plan), Transformed::yes))
    }

    fn distribute_hash_join(&self, join: &HashJoinExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if join.null_aware {
            return gather_null_aware(join).map(Some);
        }
        let (left, right) = (bytes_max(join.left()), bytes_max(join.right()));
        let join_type = *join.join_type();
        let fits_left = left <= self.broadcast_bytes_max && !needs_whole_right(join_type);
        let fits_right = right <= self.broadcast_bytes_max && !needs_whole_right(join_type.swap());
        let distributed = match (fits_left, fits_right) {
            (true, true) if right < left => join.swap_inputs(PartitionMode::CollectLeft)?,
            (true, _) => with_mode(join, PartitionMode::CollectLeft)?,
            (false, true) => join.swap_inputs(PartitionMode::CollectLeft)?,
            (false, false) => self.shuffle_both(join, left, right)?,
        };
        Ok(Some(distributed))
    }

    fn shuffle_both(&self, join: &HashJoinExec, left: u64, right: u64) -> Result<Arc<dyn ExecutionPlan>> {
        let build_bytes = left.min(right) / u64::from(self.shuffle_partitions.max(1));
        if build_bytes > self.build_bytes_max && can_sort_merge_join(join)? {
            return sort_merge_join(join);
        }
        if right < left {
            join.swap_inputs(PartitionMode::Partitioned)
        } else {
            with_mode(join, PartitionMode::Partitioned)
        }
    }

    /// Without equal keys nothing can be shuffled: the left side is built whole, wherever the right side is.
    fn distribute_nested_loop_join(&self, join: &NestedLoopJoinExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let (left, right) = (bytes_max(join.left()), bytes_max(join.right()));
        let join_type = *join.join_type();
        match (needs_whole_right(join_type), needs_whole_right(join_type.swap())) {
            (false, false) if right < left => join.swap_inputs().map(Some),
            (false, _) => Ok(None),
            (true, false) if right <= left.max(self.broadcast_bytes_max) => join.swap_inputs().map(Some),
            (true, _) => {
                let right: Arc<dyn ExecutionPlan> = Arc::new(GatherExec::new(Arc::clone(join.right())));
                let left = Arc::clone(join.left());
                let projection = join.projection().as_ref().map(|projection| projection.to_vec());
                let gathered =
                    NestedLoopJoinExec::try_new(left, right, join.filter().cloned(), &join_type, projection)?;
                Ok(Some(Arc::new(gathered)))
            }
        }
    }
}

/// `NOT IN` must know whether any NULL, or anything at all, is on the right side: one task sees all of it.
fn gather_null_aware(join: &HashJoinExec) -> Result<Arc<dyn ExecutionPlan>> {
    let right: Arc<dyn ExecutionPlan> = Arc::new(GatherExec::new(Arc::clone(join.right())));
    join.builder()
        .with_new_children(vec![Arc::clone(join.left()), right])?
        .with_partition_mode(PartitionMode::CollectLeft)
        .recompute_properties()
        .build_exec()
}

fn with_mode(join: &HashJoinExec, mode: PartitionMode) -> Result<Arc<dyn ExecutionPlan>> {
    join.builder().with_partition_mode(mode).recompute_properties().build_exec()
}

/// Refuses a plan in which a join would break the invariant of this file.
pub(super) fn check_cut_join(plan: &dyn ExecutionPlan) -> Result<(), String> {
    let (join_type, right) = if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        match join.partition_mode() {
            PartitionMode::CollectLeft => (*join.join_type(), join.right()),
            PartitionMode::Partitioned => return Ok(()),
            PartitionMode::Auto => return Err("a hash join has no mode".to_owned()),
        }
    } else if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
        (*join.join_type(), join.right())
    } else {
        return Ok(());
    };
    let partitions = right.output_partitioning().partition_count();
    if needs_whole_right(join_type) && partitions > 1 {
        return Err(format!("a {join_type} join would be answered by {partitions} tasks that each see a part of it"));
    }
    Ok(())
}
