//! The leaf that reads an earlier stage's shuffle outputs. What it reads comes with the task.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, Partitioning, PhysicalExpr};
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, EmptyRecordBatchStream, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use hearth_common::{FailureCause, LeafInput};

use crate::TaskBinding;

/// Leaf of a stage's plan: partition `p` gives the rows of the shuffle partitions that the task binds to it.
#[derive(Debug, Clone)]
pub struct StageInputExec {
    leaf: u32,
    ordering: Option<LexOrdering>,
    properties: Arc<PlanProperties>,
}

impl StageInputExec {
    /// A leaf with rows of `schema`, spread over `partitioning`. Within each partition the rows come in `ordering`.
    #[must_use]
    pub fn new(leaf: u32, schema: SchemaRef, partitioning: Partitioning, ordering: Option<LexOrdering>) -> Self {
        let equivalence = EquivalenceProperties::new_with_orderings(schema, ordering.clone());
        let properties =
            PlanProperties::new(equivalence, partitioning, EmissionType::Incremental, Boundedness::Bounded)
                .with_scheduling_type(SchedulingType::Cooperative);
        Self { leaf, ordering, properties: Arc::new(properties) }
    }

    /// Number of the leaf in its stage's plan.
    #[must_use]
    pub const fn leaf(&self) -> u32 {
        self.leaf
    }

    /// Order of the rows within a partition, where it is known.
    #[must_use]
    pub const fn ordering(&self) -> Option<&LexOrdering> {
        self.ordering.as_ref()
    }
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
        let internal = |message: String| DataFusionError::External(Box::new(FailureCause::internal(message)));
        let Some(binding) = TaskBinding::of(&context) else {
            return Err(internal(format!("leaf {} runs outside an attempt", self.leaf)));
        };
        let partition = u32::try_from(partition).map_err(|error| internal(error.to_string()))?;
        match binding.input(self.leaf, partition) {
            None => Ok(Box::pin(EmptyRecordBatchStream::new(self.schema()))),
            Some(LeafInput::Shuffle(input)) => {
                let rows = binding.shuffle.read(input, self.schema())?;
                Ok(Box::pin(cooperative(RecordBatchStreamAdapter::new(self.schema(), rows))))
            }
            Some(LeafInput::Splits(_)) => {
                Err(internal(format!("leaf {} reads a stage, but the task gives it input splits", self.leaf)))
            }
        }
    }
}
