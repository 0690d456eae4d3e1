//! An input of a job as a table that `DataFusion` can plan with.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::expr_rewriter::unnormalize_col;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion::physical_plan::ExecutionPlan;
use hearth_common::{InputFormat, InputSplit, OnError};
use hearth_plan::{ScanExec, ScanSpec, csv_filters};

use super::inputs::LoadedInput;

/// A table over the files of one input.
pub(super) struct InputTable {
    input: Arc<LoadedInput>,
}

impl InputTable {
    /// The table of `input`.
    pub(super) const fn new(input: Arc<LoadedInput>) -> Self {
        Self { input }
    }

    /// The input's splits. Where some rows of JSON lines are enough, and no reject asks for its line, their pieces are no links: each
    /// line is a record whatever is before it, and a link would be read to its end.
    fn splits(&self, limit: Option<usize>) -> Arc<Vec<Vec<InputSplit>>> {
        if limit.is_none() || self.input.format != InputFormat::Json || self.input.on_error != OnError::Fail {
            return Arc::clone(&self.input.splits);
        }
        let unlinked = |split: &InputSplit| InputSplit { link: None, ..split.clone() };
        Arc::new(self.input.splits.iter().map(|splits| splits.iter().map(unlinked).collect()).collect())
    }

    /// A filter as a scan of CSV has it; `None` where such a scan cannot take it over.
    fn csv_filter(&self, filter: &Expr) -> Option<Arc<dyn PhysicalExpr>> {
        // The optimizer says of which table a column is, here there is but one.
        let filter = unnormalize_col(filter.clone());
        let schema = &self.input.schema;
        let columns = DFSchema::try_from(Arc::clone(schema)).ok()?;
        let context = PhysicalPlanningContext::default();
        let filter = create_physical_expr(&filter, &columns, &ExecutionProps::new(), &context).ok()?;
        csv_filters(&filter, schema).map(|_| filter)
    }

    /// Filters that DataFusion gives to the scan: they are no others than those that it said it supports.
    fn physical_filters(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<Arc<dyn PhysicalExpr>>> {
        let columns = DFSchema::try_from(Arc::clone(&self.input.schema))?;
        let physical = |filter: &Expr| match self.input.format {
            InputFormat::Parquet => state.create_physical_expr(filter.clone(), &columns),
            InputFormat::Csv(_) | InputFormat::Json => self.csv_filter(filter).ok_or_else(|| {
                DataFusionError::Internal(format!(
                    "the scan of {} cannot take over the filter {filter}",
                    self.input.name
                ))
            }),
        };
        filters.iter().map(physical).collect()
    }
}

impl fmt::Debug for InputTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InputTable").field("name", &self.input.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for InputTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.input.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Parquet skips row groups by filters, but may still give rows that do not pass them. CSV takes over what is simple.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match self.input.format {
            InputFormat::Parquet => TableProviderFilterPushDown::Inexact,
            InputFormat::Csv(_) if self.csv_filter(filter).is_some() => TableProviderFilterPushDown::Exact,
            InputFormat::Csv(_) | InputFormat::Json => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let scan = ScanExec::try_new(ScanSpec {
            leaf: 0,
            table: self.input.name.clone(),
            format: self.input.format.clone(),
            file_schema: Arc::clone(&self.input.schema),
            projection: projection.cloned(),
            filters: self.physical_filters(state, filters)?,
            limit,
            splits: self.splits(limit),
            rows_estimated: self.input.rows_estimated,
            bytes: self.input.bytes,
            on_error: self.input.on_error,
            attempts_url: self.input.attempts_url.clone(),
        })?;
        Ok(Arc::new(scan))
    }
}
