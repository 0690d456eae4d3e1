//! Cuts an optimized plan at its exchanges. What is below an exchange becomes a stage of its own, and what is above it reads
//! that stage's shuffle outputs instead.
//!
//! | exchange | rows go to | the reader's leaf |
//! |---|---|---|
//! | hash repartitioning | the shuffle partition of their key | partition `k` reads shuffle partition `k` of every task |
//! | coalescing | one shuffle partition | one partition that reads everything |
//! | merging of sorted partitions | one shuffle partition, in order | partition `k` reads task `k` |
//! | left side that every task builds whole | one shuffle partition | one partition that reads everything |

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::{LexOrdering, Partitioning, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PartitionMode};
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, ExecutionPlan, ExecutionPlanProperties, ReplaceChildrenOptions,
};
use hearth_common::{InputSplit, StageId};
use hearth_plan::{ScanExec, StageInputExec};
use serde::{Deserialize, Serialize};

use super::gather::GatherExec;
use super::joins::check_cut_join;
use super::operators::{is_cheap_to_repeat, refuse_unsupported};

/// Most stages of a job.
const STAGES_MAX: usize = 1000;

/// A plan cut into stages. Stage `i` is at index `i` and reads only earlier ones; the last one gives the job's rows.
#[derive(Debug)]
pub(super) struct CutPlan {
    /// The stages.
    pub(super) stages: Vec<CutStage>,
    /// What each leaf reads. Leaves are numbered through the whole job.
    pub(super) leaves: BTreeMap<u32, LeafSource>,
}

/// One stage.
#[derive(Debug)]
pub(super) struct CutStage {
    /// Its plan; every leaf in it that reads anything is in [`CutPlan::leaves`].
    pub(super) plan: Arc<dyn ExecutionPlan>,
    /// Where its rows go; `None` for the last stage.
    pub(super) exchange: Option<Exchange>,
}

/// Where the rows of a stage go.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    /// Rows with equal values go to one shuffle partition. Empty: there is only one.
    pub(super) hash_exprs: Vec<Arc<dyn PhysicalExpr>>,
    /// Number of shuffle partitions.
    pub(super) partitions: usize,
}

/// What a leaf reads.
#[derive(Debug, Clone)]
pub(super) enum LeafSource {
    /// Input splits, one list per partition.
    Splits(Arc<Vec<Vec<InputSplit>>>),
    /// The shuffle outputs of a stage.
    Stage {
        /// The stage.
        stage: StageId,
        /// Which part of them.
        part: ShufflePart,
    },
}

/// The part of a stage's shuffle outputs that one partition of a leaf reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ShufflePart {
    /// The shuffle partition with the leaf partition's number, of every task.
    Hashed,
    /// Everything.
    Everything,
    /// Everything of the task with the leaf partition's number.
    OneTask,
}

/// Cuts `plan`.
///
/// # Errors
/// Operators that cannot run in stages, and plans that would give a wrong answer in them.
pub(super) fn cut_plan(plan: &Arc<dyn ExecutionPlan>) -> Result<CutPlan> {
    let mut cutter = Cutter { stages: Vec::new(), leaves: BTreeMap::new() };
    let plan = cutter.cut(plan)?;
    cutter.stages.push(CutStage { plan, exchange: None });
    Ok(CutPlan { stages: cutter.stages, leaves: cutter.leaves })
}

struct Cutter {
    stages: Vec<CutStage>,
    leaves: BTreeMap<u32, LeafSource>,
}

/// How a leaf over a stage is seen from above.
struct Reading {
    part: ShufflePart,
    partitioning: Partitioning,
    ordering: Option<LexOrdering>,
}

impl Cutter {
    fn cut(&mut self, plan: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        refuse_unsupported(plan.as_ref())?;
        if let Some(scan) = plan.downcast_ref::<ScanExec>() {
            let leaf = self.add_leaf(LeafSource::Splits(Arc::clone(&scan.spec().splits)))?;
            return Ok(Arc::new(scan.with_leaf(leaf)));
        }
        if let Some(gather) = plan.downcast_ref::<GatherExec>() {
            return self.cut(gather.input());
        }
        let children = plan.children().into_iter().map(|child| self.cut(child)).collect::<Result<Vec<_>>>()?;
        match children.as_slice() {
            [] => Ok(Arc::clone(plan)),
            [input] => self.cut_above(plan, input),
            _ => self.rebuild(plan, children),
        }
    }

    /// `plan` is an exchange over the already cut `input`, or an ordinary operator.
    fn cut_above(
        &mut self,
        plan: &Arc<dyn ExecutionPlan>,
        input: &Arc<dyn ExecutionPlan>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let is_spread = partition_count(input) > 1;
        if let Some(repartition) = plan.downcast_ref::<RepartitionExec>() {
            self.cut_repartition(repartition, input)
        } else if is_spread && plan.is::<CoalescePartitionsExec>() {
            let gathered = self.gather(limited(input, plan.fetch()))?;
            Ok(plan
                .fetch()
                .map_or(Arc::clone(&gathered), |rows| Arc::new(GlobalLimitExec::new(gathered, 0, Some(rows)))))
        } else if let Some(merge) = plan.downcast_ref::<SortPreservingMergeExec>().filter(|_| is_spread) {
            self.cut_merge(merge, input)
        } else {
            self.rebuild(plan, vec![Arc::clone(input)])
        }
    }

    fn cut_repartition(
        &mut self,
        plan: &RepartitionExec,
        input: &Arc<dyn ExecutionPlan>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Partitioning::Hash(hash_exprs, partitions) = plan.partitioning() else {
            let partitioning = plan.partitioning();
            return Err(DataFusionError::Internal(format!(
                "the plan repartitions by {partitioning}, which no stage can do"
            )));
        };
        let exchange = Exchange { hash_exprs: hash_exprs.clone(), partitions: *partitions };
        let partitioning = plan.partitioning().clone();
        let read = self.exchange(
            Arc::clone(input),
            exchange,
            Reading { part: ShufflePart::Hashed, partitioning, ordering: None },
        )?;
        // Rows of several tasks arrive one task after the other: an order that the operators above count on is made again.
        Ok(match plan.properties().output_ordering() {
            Some(ordering) => Arc::new(SortExec::new(ordering.clone(), read).with_preserve_partitioning(true)),
            None => read,
        })
    }

    fn cut_merge(
        &mut self,
        merge: &SortPreservingMergeExec,
        input: &Arc<dyn ExecutionPlan>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let partitioning = Partitioning::UnknownPartitioning(partition_count(input));
        let ordering = Some(merge.expr().clone());
        let exchange = Exchange { hash_exprs: Vec::new(), partitions: 1 };
        let reading = Reading { part: ShufflePart::OneTask, partitioning, ordering };
        let read = self.exchange(limited(input, merge.fetch()), exchange, reading)?;
        Ok(Arc::new(SortPreservingMergeExec::new(merge.expr().clone(), read).with_fetch(merge.fetch())))
    }

    /// `plan` with cut children. A left side that several tasks would each build is built from a shuffle output.
    fn rebuild(
        &mut self,
        plan: &Arc<dyn ExecutionPlan>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if builds_left_whole(plan.as_ref())
            && let [left, right] = children.as_mut_slice()
        {
            if partition_count(left) != 1 {
                return Err(DataFusionError::Internal(format!("the left side of {} is not whole", plan.name())));
            }
            if partition_count(right) > 1 && !is_cheap_to_repeat(left.as_ref())? {
                *left = self.gather(Arc::clone(left))?;
            }
        }
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        let rebuilt = Arc::clone(plan).replace_children(children, options)?;
        check_cut_join(rebuilt.as_ref()).map_err(DataFusionError::Internal)?;
        Ok(rebuilt)
    }

    fn gather(&mut self, input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let exchange = Exchange { hash_exprs: Vec::new(), partitions: 1 };
        let partitioning = Partitioning::UnknownPartitioning(1);
        self.exchange(input, exchange, Reading { part: ShufflePart::Everything, partitioning, ordering: None })
    }

    fn exchange(
        &mut self,
        plan: Arc<dyn ExecutionPlan>,
        exchange: Exchange,
        reading: Reading,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if self.stages.len() + 1 >= STAGES_MAX {
            return Err(DataFusionError::Plan(format!(
                "the query needs more than {STAGES_MAX} stages; make it smaller"
            )));
        }
        let schema = plan.schema();
        let stage = StageId(to_u32(self.stages.len())?);
        self.stages.push(CutStage { plan, exchange: Some(exchange) });
        let leaf = self.add_leaf(LeafSource::Stage { stage, part: reading.part })?;
        Ok(Arc::new(StageInputExec::new(leaf, schema, reading.partitioning, reading.ordering)))
    }

    fn add_leaf(&mut self, source: LeafSource) -> Result<u32> {
        let leaf = to_u32(self.leaves.len())?;
        self.leaves.insert(leaf, source);
        Ok(leaf)
    }
}

/// One build of the left side answers for every partition of the right side.
pub(super) fn builds_left_whole(plan: &dyn ExecutionPlan) -> bool {
    plan.is::<CrossJoinExec>()
        || plan.is::<NestedLoopJoinExec>()
        || plan
            .downcast_ref::<HashJoinExec>()
            .is_some_and(|join| matches!(join.partition_mode(), PartitionMode::CollectLeft))
}

/// No task needs to give more rows than all of them together may.
fn limited(input: &Arc<dyn ExecutionPlan>, fetch: Option<usize>) -> Arc<dyn ExecutionPlan> {
    match fetch {
        Some(rows) if input.fetch().is_none_or(|known| known > rows) => {
            Arc::new(LocalLimitExec::new(Arc::clone(input), rows))
        }
        Some(_) | None => Arc::clone(input),
    }
}

fn partition_count(plan: &Arc<dyn ExecutionPlan>) -> usize {
    plan.output_partitioning().partition_count()
}

fn to_u32(index: usize) -> Result<u32> {
    u32::try_from(index).map_err(|_| DataFusionError::Plan("the query has too many parts".to_owned()))
}
