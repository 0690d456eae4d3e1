//! An input of a job as a table that `DataFusion` can plan with.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use hearth_common::InputFormat;
use hearth_plan::{ScanExec, ScanSpec};

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

    fn uses_filters(&self) -> bool {
        match self.input.format {
            InputFormat::Parquet => true,
            InputFormat::Csv(_) | InputFormat::Json => false,
        }
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

    /// Parquet skips row groups by filters, but may still give rows that do not pass them.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = if self.uses_filters() {
            TableProviderFilterPushDown::Inexact
        } else {
            TableProviderFilterPushDown::Unsupported
        };
        Ok(vec![support; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = DFSchema::try_from(Arc::clone(&self.input.schema))?;
        let filters = filters
            .iter()
            .filter(|_| self.uses_filters())
            .map(|filter| state.create_physical_expr(filter.clone(), &schema))
            .collect::<Result<Vec<Arc<dyn PhysicalExpr>>>>()?;
        let scan = ScanExec::try_new(ScanSpec {
            leaf: 0,
            table: self.input.name.clone(),
            format: self.input.format.clone(),
            file_schema: Arc::clone(&self.input.schema),
            projection: projection.cloned(),
            filters,
            limit,
            splits: Arc::clone(&self.input.splits),
            rows_estimated: self.input.rows_estimated,
            bytes: self.input.bytes,
            on_error: self.input.on_error,
            attempts_url: self.input.attempts_url.clone(),
        })?;
        Ok(Arc::new(scan))
    }
}
