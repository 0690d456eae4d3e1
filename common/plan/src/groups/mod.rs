//! A partial aggregation for the most common question, counting rows per text: what `DataFusion`'s operator does, faster.
//!
//! A decoded plan is looked through for partial aggregates that group by columns of text and only count; those are replaced,
//! everything else stays as it is. The rows that come out are partial counts as the final aggregate expects them, so a group may
//! come several times: memory is bounded by handing out what there is, and where nearly every row is a group of its own the
//! rows are handed through.

mod batch;
mod keys;
mod minor;
mod records;
mod table;

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::execution_plan::apply_expression_roots;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, InputOrderMode, PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt, stream};

use keys::Keys;
use table::{Added, GroupTable};

/// Columns to group by at most.
const KEYS_MAX: usize = 4;
/// Whether grouping pays is looked at every time so many rows have come. Fewer would say little: of the first 100,000 rows
/// of 600,000 equally frequent groups, nine of ten are new.
pub(crate) const PROBE_ROWS: usize = 1_000_000;
/// New groups per hundred rows beyond which it does not pay.
const PROBE_PERCENT: usize = 95;

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

/// Which rows an aggregate counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// All.
    Rows,
    /// Those that are not NULL in that column of the input.
    Valid(usize),
}

impl Counted {
    /// The column whose rows are looked at.
    const fn column(self) -> Option<usize> {
        match self {
            Self::Rows => None,
            Self::Valid(column) => Some(column),
        }
    }
}

/// Counts rows per text, as a partial aggregate.
#[derive(Debug, Clone)]
struct TextCountExec {
    input: Arc<dyn ExecutionPlan>,
    /// Columns of the input.
    keys: Vec<usize>,
    counted: Vec<Counted>,
    properties: Arc<PlanProperties>,
    schema: SchemaRef,
}

impl TextCountExec {
    /// The same as `aggregate`; `None` where it is more than this operator can do.
    fn for_aggregate(aggregate: &AggregateExec) -> Option<Self> {
        let groups = aggregate.group_expr();
        let is_plain = *aggregate.mode() == AggregateMode::Partial
            && groups.is_single()
            && aggregate.limit_options().is_none()
            && *aggregate.input_order_mode() == InputOrderMode::Linear
            && aggregate.filter_expr().iter().all(Option::is_none);
        let input_schema = aggregate.input().schema();
        let key = |expression: &Arc<dyn PhysicalExpr>| {
            let column = expression.downcast_ref::<Column>()?.index();
            (*input_schema.field(column).data_type() == DataType::Utf8View).then_some(column)
        };
        let keys = groups.expr().iter().map(|(expression, _)| key(expression)).collect::<Option<Vec<usize>>>()?;
        let counted = aggregate.aggr_expr().iter().map(|function| counted_by(function)).collect::<Option<Vec<_>>>()?;
        let schema = aggregate.schema();
        let is_count = |number: usize| *schema.field(number).data_type() == DataType::Int64;
        let fits = (1..=KEYS_MAX).contains(&keys.len())
            && schema.fields().len() == keys.len() + counted.len()
            && (keys.len()..schema.fields().len()).all(is_count);
        (is_plain && fits).then(|| Self {
            input: Arc::clone(aggregate.input()),
            keys,
            counted,
            properties: Arc::clone(aggregate.properties()),
            schema,
        })
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
        write!(f, "TextCountExec: keys={:?}, counts={:?}", self.keys, self.counted)
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
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let valid: Vec<usize> = self.counted.iter().filter_map(|counted| counted.column()).collect();
        let counting = Counting {
            keys: self.keys.clone(),
            table: GroupTable::new(self.keys.len(), 1 + valid.len()),
            valid,
            counted: self.counted.clone(),
            schema: Arc::clone(&self.schema),
            batch_rows: context.session_config().batch_size(),
            memory: MemoryConsumer::new(format!("TextCountExec[{partition}]")).register(context.memory_pool()),
            window: Window::default(),
            hands_through: false,
        };
        let batches = stream::try_unfold((input, Some(counting)), |(mut input, counting)| async move {
            let Some(mut counting) = counting else { return Ok(None) };
            let next = match input.try_next().await? {
                Some(batch) => (counting.take_in(&batch)?, (input, Some(counting))),
                None => (counting.hand_out()?, (input, None)),
            };
            Ok::<_, DataFusionError>(Some(next))
        });
        let batches = batches.map_ok(|batches| stream::iter(batches).map(Ok::<_, DataFusionError>)).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches)))
    }
}

/// Rows since grouping was last looked at, and the new groups among them.
#[derive(Debug, Default)]
struct Window {
    rows: usize,
    new_groups: usize,
}

impl Window {
    /// Takes in the figures of a batch. True at the end of a window in which nearly every row was a new group.
    fn is_hopeless(&mut self, rows: usize, new_groups: usize) -> bool {
        self.rows += rows;
        self.new_groups += new_groups;
        if self.rows < PROBE_ROWS {
            return false;
        }
        let Self { rows, new_groups } = std::mem::take(self);
        new_groups * 100 > rows * PROBE_PERCENT
    }
}

/// The work on one partition.
struct Counting {
    keys: Vec<usize>,
    counted: Vec<Counted>,
    /// The columns whose valid rows are counted, one for each counter of the table but the first.
    valid: Vec<usize>,
    schema: SchemaRef,
    batch_rows: usize,
    table: GroupTable,
    memory: MemoryReservation,
    window: Window,
    /// Nearly every row is a group of its own.
    hands_through: bool,
}

impl Counting {
    /// Counts the rows of a batch. Gives what has to be handed out because there is no room for it.
    fn take_in(&mut self, batch: &RecordBatch) -> Result<Vec<RecordBatch>> {
        if self.hands_through {
            return Ok(vec![self.hand_through(batch)?]);
        }
        let columns: Vec<_> = self.keys.iter().map(|column| batch.column(*column).as_string_view()).collect();
        let keys = Keys::new(&columns);
        let valid: Vec<_> = self.valid.iter().map(|column| batch.column(*column).nulls()).collect();
        let (mut handed_out, mut new_groups, mut first) = (Vec::new(), 0, 0);
        loop {
            let before = self.table.groups();
            let added = self.table.add(&keys, &valid, first);
            new_groups += self.table.groups() - before;
            match added {
                Added::All => break,
                Added::Before(row) => first = row,
            }
            handed_out.extend(self.hand_out()?);
        }
        let is_hopeless = self.window.is_hopeless(batch.num_rows(), new_groups);
        if is_hopeless || self.table.is_full() || self.memory.try_resize(self.table.bytes()).is_err() {
            handed_out.extend(self.hand_out()?);
        }
        self.hands_through = is_hopeless;
        Ok(handed_out)
    }

    /// All groups so far.
    fn hand_out(&mut self) -> Result<Vec<RecordBatch>> {
        let batches = self.table.take(self.batch_rows)?;
        self.memory.free();
        let batch = |mut columns: Vec<ArrayRef>| {
            let counters = columns.split_off(self.keys.len());
            let mut valid = counters.iter().skip(1);
            let counts = self.counted.iter().filter_map(|counted| match counted {
                Counted::Rows => counters.first(),
                Counted::Valid(_) => valid.next(),
            });
            columns.extend(counts.map(Arc::clone));
            Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
        };
        batches.into_iter().map(batch).collect()
    }

    /// The rows of a batch as groups of one row each.
    fn hand_through(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let keys = self.keys.iter().map(|column| Arc::clone(batch.column(*column)));
        let counts = self.counted.iter().map(|counted| {
            let count = |row: usize| match counted {
                Counted::Rows => 1,
                Counted::Valid(column) => i64::from(batch.column(*column).is_valid(row)),
            };
            Arc::new((0..batch.num_rows()).map(count).collect::<Int64Array>()) as ArrayRef
        });
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), keys.chain(counts).collect())?)
    }
}

#[cfg(test)]
mod tests;
