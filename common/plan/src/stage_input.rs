//! The leaf that reads an earlier stage's shuffle outputs. What it reads comes with the task.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, Partitioning, PhysicalExpr};
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, EmptyRecordBatchStream, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::StreamExt;
use hearth_common::{FailureCause, LeafInput, ShuffleInput};

use crate::TaskBinding;
use crate::measured::LeafFigures;

/// Parts of a partition at most, and reads that all of them together may take, one for each source.
const PARTS_MAX: u32 = 16;
const READS_MAX: u32 = 64;

/// Leaf of a stage's plan: partition `p` gives the rows of the shuffle partitions that the task binds to it.
#[derive(Debug, Clone)]
pub struct StageInputExec {
    leaf: u32,
    ordering: Option<LexOrdering>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl StageInputExec {
    /// A leaf with rows of `schema`, spread over `partitioning`. Within each partition the rows come in `ordering`.
    #[must_use]
    pub fn new(leaf: u32, schema: SchemaRef, partitioning: Partitioning, ordering: Option<LexOrdering>) -> Self {
        let equivalence = EquivalenceProperties::new_with_orderings(schema, ordering.clone());
        let properties =
            PlanProperties::new(equivalence, partitioning, EmissionType::Incremental, Boundedness::Bounded)
                .with_scheduling_type(SchedulingType::Cooperative);
        Self { leaf, ordering, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }

    /// Number of the leaf in its stage's plan.
    #[must_use]
    pub const fn leaf(&self) -> u32 {
        self.leaf
    }

    /// The rows of a partition in several streams, those of some shuffle partitions in each: rows that an exchange by hash keeps
    /// together are in the same one.
    ///
    /// # Errors
    /// As [`ExecutionPlan::execute`].
    pub fn execute_parts(
        &self,
        partition: usize,
        context: &Arc<TaskContext>,
    ) -> Result<Vec<SendableRecordBatchStream>> {
        let (binding, input) = self.input(partition, context)?;
        let Some(input) = input.filter(|input| input.first < input.end) else {
            return Ok(vec![Box::pin(EmptyRecordBatchStream::new(self.schema()))]);
        };
        let figures = LeafFigures::new(&self.metrics, partition);
        let read = |part: Range<u32>| {
            let input = ShuffleInput { first: part.start, end: part.end, ..input.clone() };
            self.read(&binding, &input, figures.clone())
        };
        divide(input.first..input.end, input.sources.len()).map(read).collect()
    }

    /// What a partition reads; `None` where it is empty.
    fn input(&self, partition: usize, context: &TaskContext) -> Result<(Arc<TaskBinding>, Option<ShuffleInput>)> {
        let internal = |message: String| DataFusionError::External(Box::new(FailureCause::internal(message)));
        let Some(binding) = TaskBinding::of(context) else {
            return Err(internal(format!("leaf {} runs outside an attempt", self.leaf)));
        };
        let partition = u32::try_from(partition).map_err(|error| internal(error.to_string()))?;
        let input = match binding.input(self.leaf, partition) {
            None => None,
            Some(LeafInput::Shuffle(input)) => Some(input.clone()),
            Some(LeafInput::Splits(_)) => {
                return Err(internal(format!("leaf {} reads a stage, but the task gives it input splits", self.leaf)));
            }
        };
        Ok((binding, input))
    }

    fn read(
        &self,
        binding: &TaskBinding,
        input: &ShuffleInput,
        figures: LeafFigures,
    ) -> Result<SendableRecordBatchStream> {
        let rows = figures.measure(binding.shuffle.read(input, self.schema())?.boxed());
        Ok(Box::pin(cooperative(RecordBatchStreamAdapter::new(self.schema(), rows))))
    }

    /// Order of the rows within a partition, where it is known.
    #[must_use]
    pub const fn ordering(&self) -> Option<&LexOrdering> {
        self.ordering.as_ref()
    }
}

/// Ranges of shuffle partitions, as many as may be read one after the other.
fn divide(partitions: Range<u32>, sources: usize) -> impl Iterator<Item = Range<u32>> {
    let reads = u32::try_from(sources.max(1)).unwrap_or(u32::MAX);
    let count = partitions.end - partitions.start;
    let parts = (READS_MAX / reads).clamp(1, PARTS_MAX).min(count);
    let (whole, rest) = (count.checked_div(parts).unwrap_or(0), count.checked_rem(parts).unwrap_or(0));
    let start = move |part: u32| partitions.start + part * whole + part.min(rest);
    (0..parts).map(move |part| start(part)..start(part + 1))
}

impl DisplayAs for StageInputExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StageInputExec: leaf={}, {}", self.leaf, self.properties.partitioning)?;
        match &self.ordering {
            Some(ordering) => write!(f, ", ordering=[{ordering}]"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for StageInputExec {
    fn name(&self) -> &'static str {
        "StageInputExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        match self.input(partition, &context)? {
            (_, None) => Ok(Box::pin(EmptyRecordBatchStream::new(self.schema()))),
            (binding, Some(input)) => self.read(&binding, &input, LeafFigures::new(&self.metrics, partition)),
        }
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_partition_is_in_one_part(first in 0..1000_u32, count in 0..1000_u32, sources in 0..200_usize) {
            let parts: Vec<Range<u32>> = divide(first..first + count, sources).collect();
            prop_assert!(parts.iter().cloned().flatten().eq(first..first + count));
            prop_assert!(parts.iter().all(|part| !part.is_empty()));
            prop_assert!(parts.len() <= 16 && (parts.len() <= 1 || parts.len() * sources <= 64));
        }
    }
}
