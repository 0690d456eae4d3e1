//! Streams the rows of one partition: split by split, with its limit and its figures.

use std::sync::Arc;

use crate::TaskBinding;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::metrics::{Count, MetricBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use hearth_common::{FailureCause, InputFormat, InputSplit};
use hearth_csv::CsvTable;

use super::json::JsonTable;
use super::{ScanExec, ScanSpec, parquet};

/// Reads the input splits of one partition.
pub(super) struct SplitReader {
    spec: ScanSpec,
    schema: SchemaRef,
    context: Arc<TaskContext>,
    input_rows: Count,
    input_bytes: Count,
}

impl SplitReader {
    /// A reader for one partition of `scan`, which counts what it reads among the scan's metrics.
    pub(super) fn new(scan: &ScanExec, partition: usize, context: Arc<TaskContext>) -> Self {
        Self {
            spec: scan.spec.clone(),
            schema: scan.schema(),
            context,
            input_rows: MetricBuilder::new(&scan.metrics).counter("input_rows", partition),
            input_bytes: MetricBuilder::new(&scan.metrics).counter("input_bytes", partition),
        }
    }

    /// The rows of `splits`, one split after the other.
    pub(super) fn read(self, splits: Vec<InputSplit>) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.schema);
        let limit = self.spec.limit.unwrap_or(usize::MAX);
        let input_bytes = self.input_bytes.clone();
        let input_rows = self.input_rows.clone();
        let open = self.opener();
        let rows = stream::iter(splits).flat_map(move |split| {
            let bytes = usize::try_from(split.end.saturating_sub(split.start)).unwrap_or(usize::MAX);
            let input_bytes = input_bytes.clone();
            let finished = stream::once(async move {
                input_bytes.add(bytes);
                None
            });
            open(split).map(Some).chain(finished).filter_map(futures::future::ready)
        });
        let rows = rows.inspect_ok(move |batch| input_rows.add(batch.num_rows()));
        let rows = take_rows(rows.boxed(), limit);
        Box::pin(cooperative(RecordBatchStreamAdapter::new(schema, rows)))
    }

    fn opener(self) -> Box<dyn Fn(InputSplit) -> BoxStream<'static, Result<RecordBatch>> + Send> {
        let batch_rows = self.context.session_config().batch_size();
        match &self.spec.format {
            InputFormat::Csv(options) => {
                let table = self.spec.csv_table(options, (self.spec.projection.clone(), batch_rows));
                let table = Arc::new(table);
                Box::new(move |split| read_csv(Arc::clone(&table), split, Arc::clone(&self.context)))
            }
            InputFormat::Json => {
                let table = Arc::new(JsonTable { schema: Arc::clone(&self.schema), batch_rows });
                Box::new(move |split| table.read(split, Arc::clone(&self.context)))
            }
            InputFormat::Parquet => {
                let spec = Arc::new(self.spec);
                Box::new(move |split| parquet::read(Arc::clone(&spec), split, Arc::clone(&self.context)))
            }
        }
    }
}

/// A failure cause on its way through DataFusion.
pub(super) fn external(cause: FailureCause) -> DataFusionError {
    DataFusionError::External(Box::new(cause))
}

fn read_csv(
    table: Arc<CsvTable>,
    split: InputSplit,
    context: Arc<TaskContext>,
) -> BoxStream<'static, Result<RecordBatch>> {
    let opened = async move {
        let records = table.open(&split, &context.runtime_env()).await.map_err(external)?;
        let binding = TaskBinding::of(&context);
        let batches = stream::try_unfold((records, binding), |(mut records, binding)| async move {
            let batch = match records.next().await {
                Ok(None) => records.finish().await.map(|()| None),
                batch => batch,
            };
            if let (Some(binding), Some(scan)) = (&binding, records.scan()) {
                binding.scans.note(scan);
            }
            Ok(batch.map_err(external)?.map(|batch| (batch, (records, binding))))
        });
        Ok::<_, DataFusionError>(batches)
    };
    stream::once(opened).try_flatten().boxed()
}

/// The first `limit` rows.
fn take_rows(rows: BoxStream<'static, Result<RecordBatch>>, limit: usize) -> BoxStream<'static, Result<RecordBatch>> {
    let taken = stream::try_unfold((rows, limit), |(mut rows, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let Some(batch) = rows.try_next().await? else {
            return Ok(None);
        };
        let batch = if batch.num_rows() > left { batch.slice(0, left) } else { batch };
        let left = left - batch.num_rows();
        Ok(Some((batch, (rows, left))))
    });
    taken.boxed()
}
