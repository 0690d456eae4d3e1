//! The leaf that reads input files. Which input splits a partition reads comes with the task.

mod filter;
mod json;
mod parquet;
mod rows;

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType, apply_expression_roots};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions};
use hearth_common::{CsvOptions, FailureCause, InputFormat, InputSplit, LeafInput, OnError};
use hearth_csv::{ColumnFilter, CsvTable};

use crate::TaskBinding;
pub use filter::csv_filters;
pub(crate) use json::{is_json_object, scan_link};
use rows::SplitReader;

/// Share of the rows that filters are taken to let pass, in percent: as DataFusion's filters take it.
const PASSING_PERCENT: u64 = 20;

/// What a [`ScanExec`] reads, and how.
#[derive(Debug, Clone)]
pub struct ScanSpec {
    /// Number of the leaf in its stage's plan.
    pub leaf: u32,
    /// Name of the table, for people.
    pub table: String,
    /// Format of the files.
    pub format: InputFormat,
    /// Every column of the files.
    pub file_schema: SchemaRef,
    /// Columns to read, by position in `file_schema`; all where it is `None`.
    pub projection: Option<Vec<usize>>,
    /// Predicates over `file_schema`. CSV: only rows that pass come; each is one that [`csv_filters`] takes. Parquet: parts of files are
    /// left out by them, and rows that do not pass may still come.
    pub filters: Vec<Arc<dyn PhysicalExpr>>,
    /// Rows that a partition gives at most.
    pub limit: Option<usize>,
    /// One list per partition. Only the master knows them: tasks carry theirs, and the encoding has their number alone.
    pub splits: Arc<Vec<Vec<InputSplit>>>,
    /// About how many rows all files have.
    pub rows_estimated: Option<u64>,
    /// Size of all files, in bytes.
    pub bytes: u64,
    /// What to do with a record that cannot be read.
    pub on_error: OnError,
    /// URL of the `attempts/` directory in the job's staging, for rejects; `None` without an output: they are counted only.
    pub attempts_url: Option<String>,
}

impl ScanSpec {
    /// The table of a scan of CSV, without filters and limit.
    pub(crate) fn csv_table(
        &self,
        options: &CsvOptions,
        (projection, batch_rows): (Option<Vec<usize>>, usize),
    ) -> CsvTable {
        let puts_aside = matches!(self.on_error, OnError::Reject(_));
        let schema = Arc::clone(&self.file_schema);
        let options = options.clone();
        CsvTable { options, schema, projection, filters: Vec::new(), limit: None, batch_rows, puts_aside }
    }

    /// Its filters as the CSV reader has them; none for other formats.
    fn csv_filters(&self) -> Result<Vec<ColumnFilter>> {
        let InputFormat::Csv(_) = self.format else { return Ok(Vec::new()) };
        let mut filters = Vec::new();
        for predicate in &self.filters {
            let taken = csv_filters(predicate, &self.file_schema);
            let unfit = || internal(&format!("a scan of CSV cannot take over the filter {predicate}"));
            filters.extend(taken.ok_or_else(unfit)?);
        }
        Ok(filters)
    }

    /// Every row that comes passes the filters, and there are some.
    #[must_use]
    pub const fn is_filtered(&self) -> bool {
        matches!(self.format, InputFormat::Csv(_)) && !self.filters.is_empty()
    }
}

/// Leaf of a stage's plan: partition `p` gives the records of the input splits that the task binds to it.
///
/// Outside an attempt it reads the splits of its own spec.
#[derive(Debug, Clone)]
pub struct ScanExec {
    spec: ScanSpec,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl ScanExec {
    /// A scan of `spec`.
    ///
    /// # Errors
    /// A projection that does not fit the file schema, and a filter that the CSV reader cannot take over.
    pub fn try_new(spec: ScanSpec) -> Result<Self> {
        spec.csv_filters()?;
        let schema = match &spec.projection {
            Some(columns) => Arc::new(spec.file_schema.project(columns)?),
            None => Arc::clone(&spec.file_schema),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(spec.splits.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let properties = Arc::new(properties.with_scheduling_type(SchedulingType::Cooperative));
        Ok(Self { spec, properties, metrics: ExecutionPlanMetricsSet::new() })
    }

    /// What it reads.
    #[must_use]
    pub const fn spec(&self) -> &ScanSpec {
        &self.spec
    }

    /// The same scan under another number.
    #[must_use]
    pub fn with_leaf(&self, leaf: u32) -> Self {
        let spec = ScanSpec { leaf, ..self.spec.clone() };
        Self { spec, properties: Arc::clone(&self.properties), metrics: ExecutionPlanMetricsSet::new() }
    }

    /// The splits that partition `partition` reads.
    fn splits(&self, partition: usize, context: &TaskContext) -> Result<Vec<InputSplit>> {
        let Some(binding) = TaskBinding::of(context) else {
            return Ok(self.spec.splits.get(partition).cloned().unwrap_or_default());
        };
        let partition = u32::try_from(partition).map_err(|error| internal(&error))?;
        match binding.input(self.spec.leaf, partition) {
            None => Ok(Vec::new()),
            Some(LeafInput::Splits(splits)) => Ok(splits.clone()),
            Some(LeafInput::Shuffle(_)) => {
                Err(internal(&format!("leaf {} reads files, but the task gives it a stage", self.spec.leaf)))
            }
        }
    }

    /// Size of the rows that come out, by the share of the columns that are read.
    fn output_bytes(&self) -> u64 {
        let all = self.spec.file_schema.fields().len().max(1) as u64;
        self.spec.bytes / all * self.schema().fields().len() as u64
    }
}

fn internal(message: &dyn fmt::Display) -> DataFusionError {
    DataFusionError::External(Box::new(FailureCause::internal(message.to_string())))
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = match &self.spec.format {
            InputFormat::Csv(_) => "csv",
            InputFormat::Json => "json",
            InputFormat::Parquet => "parquet",
        };
        let parts = self.spec.splits.len();
        let noun = if parts == 1 { "partition" } else { "partitions" };
        write!(f, "ScanExec: {}, {format}, {parts} {noun}, columns=[{}]", self.spec.table, names(&self.schema()))?;
        if !self.spec.filters.is_empty() {
            let filters: Vec<String> = self.spec.filters.iter().map(ToString::to_string).collect();
            let effect = if self.spec.is_filtered() { "filtered by" } else { "pruned by" };
            write!(f, ", {effect}=[{}]", filters.join(" AND "))?;
        }
        match self.spec.limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }
}

fn names(schema: &Schema) -> String {
    schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ")
}

impl ExecutionPlan for ScanExec {
    fn name(&self) -> &'static str {
        "ScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        apply_expression_roots(&self.spec.filters, visit)
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
        let splits = self.splits(partition, &context)?;
        Ok(SplitReader::try_new(self, partition, context)?.read(splits))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(
        &self,
        _inputs: &[Arc<Statistics>],
        arguments: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let parts = if arguments.partition().is_some() { self.spec.splits.len().max(1) as u64 } else { 1 };
        let percent = if self.spec.is_filtered() { PASSING_PERCENT } else { 100 };
        let passing = |count: u64| u64::try_from(u128::from(count) * u128::from(percent) / 100).unwrap_or(count);
        let inexact = |count: u64| Precision::Inexact(usize::try_from(passing(count) / parts).unwrap_or(usize::MAX));
        Ok(Arc::new(Statistics {
            num_rows: self.spec.rows_estimated.map_or(Precision::Absent, inexact),
            total_byte_size: inexact(self.output_bytes()),
            column_statistics: vec![ColumnStatistics::new_unknown(); self.schema().fields().len()],
        }))
    }
}

#[cfg(test)]
mod tests;
