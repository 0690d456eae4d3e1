//! Streams the rows of one partition: split by split, with its limit and its figures.

use std::sync::Arc;

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
use hearth_common::{FailureCause, FileCompression, InputFormat, InputSplit, LinkScan, OnError, Place};
use hearth_csv::{ColumnFilter, CsvTable, RejectedRecord};

use super::json::JsonTable;
use super::{ScanExec, ScanSpec, parquet};
use crate::TaskBinding;
use crate::measured::LeafFigures;
use crate::records::ReadRecords;

/// Reads the input splits of one partition.
pub(super) struct SplitReader {
    spec: Arc<ScanSpec>,
    filters: Vec<ColumnFilter>,
    schema: SchemaRef,
    context: Arc<TaskContext>,
    input_rows: Count,
    input_bytes: Count,
    figures: LeafFigures,
}

impl SplitReader {
    /// A reader for one partition of `scan`, which counts what it reads among the scan's metrics.
    ///
    /// # Errors
    /// A filter that the CSV reader cannot take over.
    pub(super) fn try_new(scan: &ScanExec, partition: usize, context: Arc<TaskContext>) -> Result<Self> {
        Ok(Self {
            spec: Arc::new(scan.spec.clone()),
            filters: scan.spec.csv_filters()?,
            schema: scan.schema(),
            context,
            input_rows: MetricBuilder::new(&scan.metrics).counter("input_rows", partition),
            input_bytes: MetricBuilder::new(&scan.metrics).counter("input_bytes", partition),
            figures: LeafFigures::new(&scan.metrics, partition),
        })
    }

    /// The rows of `splits`, one split after the other.
    pub(super) fn read(self, splits: Vec<InputSplit>) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.schema);
        let limit = self.spec.limit.unwrap_or(usize::MAX);
        let input_bytes = self.input_bytes.clone();
        let figures = self.figures.clone();
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
        let rows = figures.measure(take_rows(rows.boxed(), limit));
        Box::pin(cooperative(RecordBatchStreamAdapter::new(schema, rows)))
    }

    fn opener(self) -> Box<dyn Fn(InputSplit) -> BoxStream<'static, Result<RecordBatch>> + Send> {
        let batch_rows = self.context.session_config().batch_size();
        match &self.spec.format {
            InputFormat::Csv(options) => {
                let table = self.spec.csv_table(options, (self.spec.projection.clone(), batch_rows));
                let table = Arc::new(CsvTable { filters: self.filters.clone(), limit: self.spec.limit, ..table });
                Box::new(move |split| {
                    let (table, context) = (Arc::clone(&table), Arc::clone(&self.context));
                    let opened = split.clone();
                    let open = async move { table.open(&opened, &context.runtime_env()).await };
                    TextReading::new(&self, split).read(open)
                })
            }
            InputFormat::Json => {
                let puts_aside = matches!(self.spec.on_error, OnError::Reject(_));
                let table = JsonTable { schema: Arc::clone(&self.schema), batch_rows, puts_aside };
                Box::new(move |split| {
                    let (table, context) = (table.clone(), Arc::clone(&self.context));
                    let opened = split.clone();
                    let open = async move { table.open(opened, &context.runtime_env()).await };
                    TextReading::new(&self, split).read(open)
                })
            }
            InputFormat::Parquet => Box::new(move |split| {
                let rows = parquet::read(Arc::clone(&self.spec), split.clone(), Arc::clone(&self.context));
                self.count_rows(rows, split)
            }),
        }
    }

    /// Counts rows of a format whose records are all used.
    fn count_rows(
        &self,
        rows: BoxStream<'static, Result<RecordBatch>>,
        split: InputSplit,
    ) -> BoxStream<'static, Result<RecordBatch>> {
        let input_rows = self.input_rows.clone();
        let rows = rows.inspect_ok(move |batch| input_rows.add(batch.num_rows()));
        let Some(binding) = TaskBinding::of(&self.context) else { return rows.boxed() };
        let spec = Arc::clone(&self.spec);
        let counted = rows.and_then(move |batch| {
            let rows = batch.num_rows() as u64;
            let read = ReadRecords { spec: &spec, split: &split, records: rows, used: rows, rejects: &[] };
            let noted = binding.records.note(&read).map_err(external);
            futures::future::ready(noted.map(|()| batch))
        });
        counted.boxed()
    }
}

/// A failure cause on its way through DataFusion.
pub(super) fn external(cause: FailureCause) -> DataFusionError {
    DataFusionError::External(Box::new(cause))
}

/// Says what the line and the byte of a place count in a file that is decoded while it is read.
pub(super) fn in_content(
    mut cause: FailureCause,
    (format, compression): (&InputFormat, FileCompression),
) -> FailureCause {
    let is_transcoded = matches!(format, InputFormat::Csv(options) if options.encoding.is_transcoded());
    if let FailureCause::Task { message, place: Some(Place { byte: Some(_), .. }) } = &mut cause {
        match (compression.is_some(), is_transcoded) {
            (_, true) => message.push_str("; the byte counts the file's text as UTF-8"),
            (true, false) => message.push_str("; line and byte count the decompressed data"),
            (false, false) => {}
        }
    }
    cause
}

/// The records of one split of a text format.
pub(super) trait Records: Send + 'static {
    /// The next ones; `None` behind the last one. A batch has no rows where there are rejects alone.
    ///
    /// # Errors
    /// What the storage says, and the first record that cannot be read: one that is put aside is none.
    fn next(&mut self) -> impl Future<Output = std::result::Result<Option<RecordBatch>, FailureCause>> + Send;

    /// Passes over what has not been read, so that [`Records::scan`] is complete.
    fn finish(&mut self) -> impl Future<Output = std::result::Result<(), FailureCause>> + Send;

    /// What was found out about the split, if it is a link.
    fn scan(&self) -> Option<LinkScan>;

    /// Records that were read so far, and of them those that could be read and that filters left out.
    fn counts(&self) -> (u64, u64);

    /// The records that were put aside since the last call, in their order.
    fn take_rejects(&mut self) -> Vec<RejectedRecord>;
}

impl Records for hearth_csv::SplitRecords {
    async fn next(&mut self) -> std::result::Result<Option<RecordBatch>, FailureCause> {
        self.next().await
    }

    async fn finish(&mut self) -> std::result::Result<(), FailureCause> {
        self.finish().await
    }

    fn scan(&self) -> Option<LinkScan> {
        self.scan()
    }

    fn counts(&self) -> (u64, u64) {
        (self.records(), self.left_out())
    }

    fn take_rejects(&mut self) -> Vec<RejectedRecord> {
        self.take_rejects()
    }
}

/// One split of a text format that is being read.
struct TextReading {
    spec: Arc<ScanSpec>,
    split: InputSplit,
    binding: Option<Arc<TaskBinding>>,
    input_rows: Count,
}

impl TextReading {
    fn new(reader: &SplitReader, split: InputSplit) -> Self {
        let (spec, input_rows) = (Arc::clone(&reader.spec), reader.input_rows.clone());
        Self { spec, split, binding: TaskBinding::of(&reader.context), input_rows }
    }

    fn read<R: Records>(
        self,
        open: impl Future<Output = std::result::Result<R, FailureCause>> + Send + 'static,
    ) -> BoxStream<'static, Result<RecordBatch>> {
        let opened = async move {
            let records = open.await.map_err(external)?;
            let batches = stream::try_unfold((records, self), |(mut records, reading)| async move {
                let batch = reading.next(&mut records).await.map_err(external)?;
                Ok(batch.map(|batch| (batch, (records, reading))))
            });
            Ok::<_, DataFusionError>(batches)
        };
        let batches = stream::once(opened).try_flatten();
        // A batch may have been rejects alone, or nothing that passes the filters.
        batches.try_filter(|batch| futures::future::ready(batch.num_rows() > 0)).boxed()
    }

    /// The next batch, with its link and its records noted.
    async fn next<R: Records>(&self, records: &mut R) -> std::result::Result<Option<RecordBatch>, FailureCause> {
        let (records_before, left_out_before) = records.counts();
        let batch = match records.next().await {
            Ok(None) => records.finish().await.map(|()| None),
            batch => batch,
        };
        if let (Some(binding), Some(scan)) = (&self.binding, records.scan()) {
            binding.scans.note(scan);
        }
        let batch = batch.map_err(|cause| in_content(cause, (&self.spec.format, self.split.compression)))?;
        // What the query's filters leave out was used: it could be read, and the query decided about it.
        let rows = batch.as_ref().map_or(0, RecordBatch::num_rows) as u64;
        let (records_now, left_out) = records.counts();
        let used = rows + left_out - left_out_before;
        self.input_rows.add(usize::try_from(used).unwrap_or(usize::MAX));
        let (rejects, records) = (records.take_rejects(), records_now - records_before);
        let read = ReadRecords { spec: &self.spec, split: &self.split, records, used, rejects: &rejects };
        match &self.binding {
            Some(binding) => binding.records.note(&read)?,
            None if rejects.is_empty() => {}
            None => return Err(FailureCause::internal("records were rejected outside of an attempt")),
        }
        Ok(batch)
    }
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
