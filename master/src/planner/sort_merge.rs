//! A hash join as a sort-merge join, which spills where the hash join would run out of memory.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::JoinSide;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use datafusion::physical_plan::joins::{HashJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::projection::ProjectionExec;

/// The sort-merge join compares fewer types than the hash join, has no answer for NaN, and passes over a filter without columns.
pub(super) fn can_sort_merge_join(join: &HashJoinExec) -> Result<bool> {
    let left = join.left().schema();
    for (key, _) in join.on() {
        if !is_comparable(&key.data_type(&left)?) {
            return Ok(false);
        }
    }
    let has_odd_filter = join.filter().is_some_and(|filter| filter.column_indices().is_empty());
    Ok(!join.on().is_empty() && !has_odd_filter)
}

/// The same join, sorted by its keys.
pub(super) fn sort_merge_join(join: &HashJoinExec) -> Result<Arc<dyn ExecutionPlan>> {
    let merged: Arc<dyn ExecutionPlan> = Arc::new(SortMergeJoinExec::try_new(
        Arc::clone(join.left()),
        Arc::clone(join.right()),
        join.on().to_vec(),
        join.filter().map(left_first).transpose()?,
        *join.join_type(),
        vec![SortOptions::default(); join.on().len()],
        join.null_equality(),
    )?);
    match &join.projection {
        Some(projection) => project(merged, projection),
        None => Ok(merged),
    }
}

/// The filter with the columns of the left side before those of the right side, each nullable.
///
/// The sort-merge join hands the columns over in this order, whatever the filter says, and among them rows that an outer join
/// filled with NULL.
fn left_first(filter: &JoinFilter) -> Result<JoinFilter> {
    let mut order: Vec<usize> = (0..filter.column_indices().len()).collect();
    order.sort_by_key(|index| filter.column_indices()[*index].side != JoinSide::Left);
    let moved: HashMap<usize, usize> = order.iter().enumerate().map(|(new, old)| (*old, new)).collect();
    let move_column = |expression: Arc<dyn PhysicalExpr>| {
        let column = expression.downcast_ref::<Column>();
        let target =
            column.and_then(|column| moved.get(&column.index()).map(|index| Column::new(column.name(), *index)));
        Ok(match target {
            Some(column) => Transformed::yes(Arc::new(column) as Arc<dyn PhysicalExpr>),
            None => Transformed::no(expression),
        })
    };
    let expression = Arc::clone(filter.expression()).transform_up(move_column)?.data;
    let column_indices: Vec<ColumnIndex> = order.iter().map(|old| filter.column_indices()[*old].clone()).collect();
    let nullable = |old: &usize| -> Field { filter.schema().field(*old).clone().with_nullable(true) };
    let schema = Schema::new(order.iter().map(nullable).collect::<Vec<_>>());
    Ok(JoinFilter::new(expression, column_indices, Arc::new(schema)))
}

fn project(plan: Arc<dyn ExecutionPlan>, columns: &[usize]) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = plan.schema();
    let expressions: Vec<(Arc<dyn PhysicalExpr>, String)> = columns
        .iter()
        .map(|index| {
            let name = schema.field(*index).name();
            (Arc::new(Column::new(name, *index)) as Arc<dyn PhysicalExpr>, name.clone())
        })
        .collect();
    Ok(Arc::new(ProjectionExec::try_new(expressions, plan)?))
}

fn is_comparable(data_type: &DataType) -> bool {
    data_type.is_integer()
        || data_type.is_string()
        || matches!(
            data_type,
            DataType::Boolean
                | DataType::Binary
                | DataType::BinaryView
                | DataType::LargeBinary
                | DataType::FixedSizeBinary(_)
                | DataType::Decimal128(_, _)
                | DataType::Timestamp(_, None)
                | DataType::Date32
                | DataType::Date64
        )
}
