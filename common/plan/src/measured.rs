//! What our operators tell of themselves, as `DataFusion`'s do: rows, time, memory. It costs two looks at the clock for a batch.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::Result;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, Gauge, MetricBuilder, Time};
use futures::Stream;
use futures::stream::BoxStream;

/// Name of the time that a leaf waited for what it reads.
pub const WAITED: &str = "waited";

/// The figures of one partition of a leaf.
#[derive(Debug, Clone)]
pub(crate) struct LeafFigures {
    rows: Count,
    compute: Time,
    waited: Time,
}

impl LeafFigures {
    pub(crate) fn new(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        Self {
            rows: MetricBuilder::new(metrics).output_rows(partition),
            compute: MetricBuilder::new(metrics).elapsed_compute(partition),
            waited: MetricBuilder::new(metrics).subset_time(WAITED, partition),
        }
    }

    /// The same rows. Polling them is the leaf's computing, and from a poll that gave nothing to the next one it waited.
    pub(crate) fn measure(
        self,
        rows: BoxStream<'static, Result<RecordBatch>>,
    ) -> BoxStream<'static, Result<RecordBatch>> {
        Box::pin(Measured { rows, figures: self, waits_since: None })
    }
}

struct Measured {
    rows: BoxStream<'static, Result<RecordBatch>>,
    figures: LeafFigures,
    waits_since: Option<Instant>,
}

impl Stream for Measured {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let start = Instant::now();
        if let Some(since) = self.waits_since.take() {
            self.figures.waited.add_duration(start.saturating_duration_since(since));
        }
        let polled = self.rows.as_mut().poll_next(context);
        let end = Instant::now();
        self.figures.compute.add_duration(end.saturating_duration_since(start));
        match &polled {
            Poll::Pending => self.waits_since = Some(end),
            Poll::Ready(Some(Ok(batch))) => self.figures.rows.add(batch.num_rows()),
            Poll::Ready(Some(Err(_)) | None) => {}
        }
        polled
    }
}

/// The figures of one partition of an operator that has an input.
#[derive(Debug, Clone)]
pub(crate) struct OperatorFigures {
    pub(crate) rows: Count,
    /// Its own time: a guard of it must not live while the input is asked.
    pub(crate) compute: Time,
    pub(crate) memory: Gauge,
}

impl OperatorFigures {
    pub(crate) fn new(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        Self {
            rows: MetricBuilder::new(metrics).output_rows(partition),
            compute: MetricBuilder::new(metrics).elapsed_compute(partition),
            memory: MetricBuilder::new(metrics).peak_memory_usage("peak_mem_used", partition),
        }
    }
}
