//! An aggregation for the most common question, counting rows per text: what `DataFusion`'s operator does, faster.
//!
//! A decoded plan is looked through for aggregates that group by columns of text and only count; those are replaced, everything
//! else stays as it is. What comes out of the partial ones is what the final ones of either kind expect, and the other way round.

mod batch;
mod keys;
mod merge;
mod minor;
mod partial;
mod records;
mod short_texts;
mod table;

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Int64Type, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::execution_plan::apply_expression_roots;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet, SpillMetrics};
use datafusion::physical_plan::spill::SpillManager;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, InputOrderMode, Partitioning, PlanProperties, ReplaceChildrenOptions,
};

use crate::StageInputExec;
use crate::measured::OperatorFigures;
use keys::Keys;
pub(crate) use partial::PROBE_ROWS;
pub use short_texts::ShortTexts;
use table::{Amounts, GroupTable};

/// Columns to group by, and counts of a group, at most.
const KEYS_MAX: usize = 4;
const COUNTS_MAX: usize = 16;

/// Replaces the aggregates of `plan` that only count rows per text by an operator that is made for that.
///
/// # Errors
/// What replacing an operator's child says.
pub fn specialize(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let replace = |node: Arc<dyn ExecutionPlan>| {
        let found = node.downcast_ref::<AggregateExec>().and_then(TextCountExec::for_aggregate);
        Ok(match found {
            Some(counts) => Transformed::yes(Arc::new(counts) as Arc<dyn ExecutionPlan>),
            None => Transformed::no(node),
        })
    };
    plan.transform_up(replace).data()
}

/// What a count adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// All rows.
    Rows,
    /// Those that are not NULL in that column of the input.
    Valid(usize),
    /// Partial counts in that column of the input.
    Partial(usize),
}

impl Counted {
    fn amounts(self, batch: &RecordBatch) -> Amounts<'_> {
        match self {
            Self::Rows => Amounts::One,
            Self::Valid(column) => batch.column(column).nulls().map_or(Amounts::One, Amounts::Valid),
            Self::Partial(column) => Amounts::Counted(batch.column(column).as_primitive::<Int64Type>().values()),
        }
    }
}

/// Counts rows per text, as a partial or as a final aggregate.
#[derive(Debug, Clone)]
struct TextCountExec {
    input: Arc<dyn ExecutionPlan>,
    /// Partial, or one of the final ones.
    mode: AggregateMode,
    /// Columns of the input.
    keys: Vec<usize>,
    counted: Vec<Counted>,
    properties: Arc<PlanProperties>,
    schema: SchemaRef,
    metrics: ExecutionPlanMetricsSet,
}

impl TextCountExec {
    /// The same as `aggregate`; `None` where it is more than this operator can do.
    fn for_aggregate(aggregate: &AggregateExec) -> Option<Self> {
        let groups = aggregate.group_expr();
        let mode = *aggregate.mode();
        let is_final = match mode {
            AggregateMode::Partial => false,
            AggregateMode::Final | AggregateMode::FinalPartitioned => true,
            AggregateMode::Single | AggregateMode::SinglePartitioned | AggregateMode::PartialReduce => return None,
        };
        let is_plain = groups.is_single()
            && aggregate.limit_options().is_none()
            && *aggregate.input_order_mode() == InputOrderMode::Linear
            && aggregate.filter_expr().iter().all(Option::is_none);
        let (input_schema, schema) = (aggregate.input().schema(), aggregate.schema());
        let key = |expression: &Arc<dyn PhysicalExpr>| {
            let column = expression.downcast_ref::<Column>()?.index();
            (*input_schema.field(column).data_type() == DataType::Utf8View).then_some(column)
        };
        let keys = groups.expr().iter().map(|(expression, _)| key(expression)).collect::<Option<Vec<usize>>>()?;
        let is_count = |schema: &Schema, number: usize| *schema.field(number).data_type() == DataType::Int64;
        let counted = aggregate.aggr_expr().iter().enumerate().map(|(number, function)| {
            let counted = counted_by(function)?;
            let column = keys.len() + number;
            let partial = column < input_schema.fields().len() && is_count(&input_schema, column);
            if is_final { partial.then_some(Counted::Partial(column)) } else { Some(counted) }
        });
        let counted = counted.collect::<Option<Vec<Counted>>>()?;
        let fits = (1..=KEYS_MAX).contains(&keys.len())
            && counted.len() <= COUNTS_MAX
            && schema.fields().len() == keys.len() + counted.len()
            && (keys.len()..schema.fields().len()).all(|number| is_count(&schema, number))
            // Earlier counts stand behind the keys, and those in their order.
            && (!is_final || keys.iter().copied().eq(0..keys.len()));
        (is_plain && fits).then(|| Self {
            input: Arc::clone(aggregate.input()),
            mode,
            keys,
            counted,
            properties: Arc::clone(aggregate.properties()),
            schema,
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }

    fn is_final(&self) -> bool {
        self.mode != AggregateMode::Partial
    }

    /// The input, where it is an exchange that keeps the rows of a group together.
    fn exchange(&self) -> Option<&StageInputExec> {
        let leaf = self.input.downcast_ref::<StageInputExec>()?;
        let Partitioning::Hash(expressions, _) = leaf.properties().output_partitioning() else { return None };
        let is_key = |expression: &Arc<dyn PhysicalExpr>| {
            expression.downcast_ref::<Column>().is_some_and(|column| self.keys.contains(&column.index()))
        };
        (self.mode == AggregateMode::FinalPartitioned && expressions.iter().all(is_key)).then_some(leaf)
    }

    fn with_input(&self, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let (Some(input), true) = (children.pop(), children.is_empty()) else {
            return Err(DataFusionError::Internal("TextCountExec has one input".into()));
        };
        Ok(Arc::new(Self { input, ..self.clone() }))
    }
}

fn counted_by(function: &AggregateFunctionExpr) -> Option<Counted> {
    let is_count = function.fun().name() == "count" && !function.is_distinct() && function.order_bys().is_empty();
    let arguments = function.expressions();
    let [argument] = arguments.as_slice() else { return None };
    if !is_count {
        return None;
    }
    if let Some(column) = argument.downcast_ref::<Column>() {
        return Some(Counted::Valid(column.index()));
    }
    argument.downcast_ref::<Literal>().filter(|literal| !literal.value().is_null()).map(|_| Counted::Rows)
}

impl DisplayAs for TextCountExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TextCountExec: mode={:?}, keys={:?}, counts={:?}", self.mode, self.keys, self.counted)
    }
}

impl ExecutionPlan for TextCountExec {
    fn name(&self) -> &'static str {
        "TextCountExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        apply_expression_roots(&[] as &[Arc<dyn PhysicalExpr>], visit)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.with_input(children)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.with_input(children)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut inputs = match self.exchange() {
            // Each part has groups of its own, which take up less of the processor's cache.
            Some(leaf) => leaf.execute_parts(partition, &context)?,
            None => vec![self.input.execute(partition, Arc::clone(&context))?],
        };
        let work = Work {
            keys: self.keys.clone(),
            counted: self.counted.clone(),
            schema: Arc::clone(&self.schema),
            batch_rows: context.session_config().batch_size(),
            figures: OperatorFigures::new(&self.metrics, partition),
        };
        let memory = MemoryConsumer::new(format!("TextCountExec[{partition}]")).with_can_spill(self.is_final());
        let memory = memory.register(context.memory_pool());
        if !self.is_final()
            && let Some(input) = inputs.pop()
        {
            return Ok(partial::stream(input, work, memory));
        }
        let spills =
            SpillManager::new(context.runtime_env(), SpillMetrics::new(&self.metrics, partition), self.input.schema())
                .with_compression_type(context.session_config().spill_compression());
        Ok(merge::stream(inputs, work, (memory, spills)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// What one partition is to do.
struct Work {
    /// Columns of the input.
    keys: Vec<usize>,
    counted: Vec<Counted>,
    /// Of the rows that come out.
    schema: SchemaRef,
    batch_rows: usize,
    figures: OperatorFigures,
}

impl Work {
    /// An empty table. Where nothing is counted it counts rows, to know which groups there are.
    fn table(&self) -> GroupTable {
        GroupTable::new(self.keys.len(), self.counted.len().max(1))
    }

    fn keys<'a>(&self, batch: &'a RecordBatch) -> Keys<'a> {
        Keys::new(&self.keys.iter().map(|column| batch.column(*column).as_string_view()).collect::<Vec<_>>())
    }

    fn amounts<'a>(&self, batch: &'a RecordBatch) -> Vec<Amounts<'a>> {
        match self.counted.as_slice() {
            [] => vec![Amounts::One],
            counted => counted.iter().map(|counted| counted.amounts(batch)).collect(),
        }
    }

    /// Columns of a table as a batch.
    fn batch(&self, mut columns: Vec<ArrayRef>) -> Result<RecordBatch> {
        columns.truncate(self.schema.fields().len());
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        self.figures.rows.add(batch.num_rows());
        Ok(batch)
    }
}

#[cfg(test)]
mod tests;
