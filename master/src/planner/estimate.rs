//! How many bytes an operator gives at most, roughly: enough to tell a side that fits every task's memory from one that does not.
//!
//! Input files are the only known sizes. Filters and projections are not believed to shrink anything, because a side that is
//! wrongly thought small costs a failed job, and one that is wrongly thought large only some network.

use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::union::{InterleaveExec, UnionExec};
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use hearth_common::InputFormat;
use hearth_plan::ScanExec;

/// Guessed size of one row, in bytes, where only the number of rows is known.
const ROW_BYTES: u64 = 256;
/// Parquet in memory, compared with its file.
const PARQUET_EXPANSION: u64 = 4;
/// An unnested list, compared with its row.
const UNNEST_EXPANSION: u64 = 8;

/// Upper bound of the bytes that `plan` gives over all its partitions; `u64::MAX` where nothing is known.
pub(super) fn bytes_max(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let by_kind = of_kind(plan);
    match plan.fetch() {
        Some(rows) => by_kind.min(rows_bytes(rows).saturating_mul(partition_count(plan))),
        None => by_kind,
    }
}

fn of_kind(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    if let Some(scan) = plan.downcast_ref::<ScanExec>() {
        return scan_bytes(scan);
    }
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        let is_one_group = aggregate.group_expr().is_empty();
        let groups = if is_one_group { ROW_BYTES.saturating_mul(partition_count(plan)) } else { u64::MAX };
        return groups.min(bytes_max(aggregate.input()));
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        return equi_join_bytes(*join.join_type(), bytes_max(join.left()), bytes_max(join.right()));
    }
    if let Some(join) = plan.downcast_ref::<SortMergeJoinExec>() {
        return equi_join_bytes(join.join_type(), bytes_max(join.left()), bytes_max(join.right()));
    }
    if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
        let (left, right) = (bytes_max(join.left()), bytes_max(join.right()));
        return preserved_bytes(*join.join_type(), left, right).unwrap_or_else(|| product_bytes(left, right));
    }
    if let Some(join) = plan.downcast_ref::<CrossJoinExec>() {
        return product_bytes(bytes_max(join.left()), bytes_max(join.right()));
    }
    if plan.is::<UnionExec>() || plan.is::<InterleaveExec>() {
        return plan.children().into_iter().fold(0, |sum, child| sum.saturating_add(bytes_max(child)));
    }
    if plan.is::<EmptyExec>() || plan.is::<PlaceholderRowExec>() {
        return ROW_BYTES;
    }
    match plan.children().as_slice() {
        [] => leaf_bytes(plan),
        [input] if plan.is::<UnnestExec>() => bytes_max(input).saturating_mul(UNNEST_EXPANSION),
        [input] => bytes_max(input),
        _ => u64::MAX,
    }
}

/// A Parquet scan reads only its columns; text is read whole, but only its columns are kept.
fn scan_bytes(scan: &ScanExec) -> u64 {
    let spec = scan.spec();
    let columns = spec.file_schema.fields().len().max(1) as u64;
    let projected = spec.projection.as_ref().map_or(columns, |projection| projection.len() as u64).max(1);
    let bytes = match spec.format {
        InputFormat::Parquet => spec.bytes.saturating_mul(PARQUET_EXPANSION),
        InputFormat::Csv(_) | InputFormat::Json => spec.bytes,
    };
    let kept = u128::from(bytes) * u128::from(projected.min(columns)) / u128::from(columns);
    // Columns differ in width: half of the columns may well hold most of the bytes.
    u64::try_from(kept.saturating_mul(2)).unwrap_or(u64::MAX).min(bytes)
}

fn leaf_bytes(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let Ok(statistics) = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new()) else {
        return u64::MAX;
    };
    let bytes = statistics.total_byte_size.get_value().map(|bytes| *bytes as u64);
    bytes.or_else(|| statistics.num_rows.get_value().map(|rows| rows_bytes(*rows))).unwrap_or(u64::MAX)
}

/// Keys are taken to be nearly unique on one side, as they mostly are.
fn equi_join_bytes(join_type: JoinType, left: u64, right: u64) -> u64 {
    preserved_bytes(join_type, left, right).unwrap_or_else(|| left.saturating_add(right))
}

/// Joins that only pick rows of one side.
const fn preserved_bytes(join_type: JoinType, left: u64, right: u64) -> Option<u64> {
    match join_type {
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => Some(left),
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => Some(right),
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => None,
    }
}

fn product_bytes(left: u64, right: u64) -> u64 {
    let rows = |bytes: u64| bytes.div_ceil(ROW_BYTES).max(1);
    left.saturating_mul(rows(right)).saturating_add(right.saturating_mul(rows(left)))
}

const fn rows_bytes(rows: usize) -> u64 {
    (rows as u64).saturating_mul(ROW_BYTES)
}

fn partition_count(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    plan.output_partitioning().partition_count() as u64
}
