//! One attempt from its launch order to its report. It leaves either everything it reports, or nothing.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryPool;
use futures::{FutureExt, StreamExt};
use hearth_common::{AttemptId, AttemptRecords, ByteSize, FailureCause, LinkScan};
use hearth_plan::{
    LinkScans, RecordLog, Sink, StageProgram, TaskBinding, TaskContextParts, cause_of, complete_scans, decode_stage,
    scans_so_far, specialize, task_context,
};
use hearth_proto::convert::control::{LaunchOrder, Report, ReportOutcome};
use hearth_storage::Storage;
use xxhash_rust::xxh3::xxh3_64;

use crate::attempt_log::AttemptLog;
use crate::log_book::LogBook;
use crate::memory::AttemptMemory;
use crate::metrics::Metrics;
use crate::operators::sink_name;
use crate::output::OutputWriter;
use crate::progress::Progress;
use crate::shuffle::{AttemptReader, Fetcher, ShuffleSpec, ShuffleStore, ShuffleWriter};

/// What attempts of one life stand on.
#[derive(Debug)]
pub(crate) struct AttemptHost {
    pub(crate) memory: AttemptMemory,
    pub(crate) storage: Storage,
    pub(crate) store: Arc<ShuffleStore>,
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) logs: LogBook,
    pub(crate) metrics: Arc<Metrics>,
}

impl AttemptHost {
    pub(crate) fn log_of(&self, attempt: AttemptId) -> AttemptLog {
        AttemptLog::new(self.logs.clone(), self.store.worker(), attempt)
    }
}

/// Runs an attempt. Dropping the future stops it where it last yielded, and removes what it wrote so far.
pub(crate) async fn run_attempt(
    host: Arc<AttemptHost>,
    order: LaunchOrder,
    (progress, log): (Arc<Progress>, AttemptLog),
) -> Report {
    let attempt = order.attempt;
    log.started(&order.inputs);
    let running = AssertUnwindSafe(run(&host, order, &progress)).catch_unwind();
    let panicked = |panic: Box<dyn Any + Send>| Ended::failed(FailureCause::internal(panic_text(panic.as_ref())));
    let ended = tokio::select! {
        biased;
        ended = running => ended,
        never = log.tell_waits(&progress.waits) => match never {},
    };
    let Ended { outcome, scans, records } = ended.unwrap_or_else(panicked);
    let metrics = progress.metrics();
    log.ended(&outcome, &metrics, (&scans, &records));
    let operators = match &outcome {
        ReportOutcome::Shuffle { .. } | ReportOutcome::Output { .. } => progress.operators(),
        ReportOutcome::Failed(_) => Vec::new(),
    };
    Report { attempt, metrics, outcome, scans, records, operators }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("the attempt panicked: {}", text.unwrap_or("without a message"))
}

/// How an attempt ended.
struct Ended {
    outcome: ReportOutcome,
    scans: Vec<LinkScan>,
    records: AttemptRecords,
}

impl Ended {
    fn failed(cause: FailureCause) -> Self {
        Self { outcome: ReportOutcome::Failed(cause), scans: Vec::new(), records: AttemptRecords::default() }
    }
}

async fn run(host: &AttemptHost, order: LaunchOrder, progress: &Progress) -> Ended {
    let attempt = order.attempt;
    let storage = host.storage.telling(progress.waits.clone());
    let (program, context) = match prepare((host, &storage), order, progress) {
        Ok(prepared) => prepared,
        Err(cause) => return Ended::failed(cause),
    };
    match run_program((host, storage), attempt, program, (&context, progress)).await {
        Ok(ended) => ended,
        Err(cause) => Ended { scans: scans_so_far(&context), ..Ended::failed(cause) },
    }
}

/// Checks and decodes the program, and binds its inputs.
fn prepare(
    (host, storage): (&AttemptHost, &Storage),
    order: LaunchOrder,
    progress: &Progress,
) -> Result<(StageProgram, Arc<TaskContext>), FailureCause> {
    let attempt = order.attempt;
    let found = xxh3_64(&order.program);
    if found != order.program_xxh3 {
        let expected = order.program_xxh3;
        return Err(FailureCause::internal(format!(
            "the program has checksum {found:016x} instead of {expected:016x}"
        )));
    }
    let runtime = host.memory.runtime(storage)?;
    let pool = Arc::clone(&runtime.memory_pool);
    let reader = AttemptReader {
        job: attempt.task.job,
        store: Arc::clone(&host.store),
        fetcher: Arc::clone(&host.fetcher),
        counters: Arc::clone(&progress.reads),
    };
    let binding = TaskBinding {
        inputs: order.inputs,
        shuffle: Arc::new(reader),
        scans: LinkScans::default(),
        records: RecordLog::new(attempt, storage.clone()),
    };
    let context = task_context(TaskContextParts { runtime, binding, name: attempt.to_string() });
    let StageProgram { plan, sink } = decode_stage(&order.program, &context)?;
    let program = StageProgram { plan: specialize(plan).map_err(|error| cause_of(&error))?, sink };
    progress.follow((Arc::clone(&program.plan), sink_name(&program.sink)), pool);
    Ok((program, context))
}

/// Runs a program to its end: the rows are written, every link is scanned, and the rejects are put aside.
async fn run_program(
    (host, storage): (&AttemptHost, Storage),
    attempt: AttemptId,
    StageProgram { plan, sink }: StageProgram,
    (context, progress): (&Arc<TaskContext>, &Progress),
) -> Result<Ended, FailureCause> {
    let pool = context.memory_pool();
    let partition = plan_partition(attempt, plan.properties().output_partitioning().partition_count())?;
    let mut rows = RowSink::create(host, attempt, sink, SinkParts { schema: plan.schema(), pool, storage })?;
    let mut batches = plan.execute(partition, Arc::clone(context)).map_err(|error| cause_of(&error))?;
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(|error| cause_of(&error))?;
        progress.sink_times.measure(rows.push(&batch)).await?;
        progress.add_output_rows(batch.num_rows());
        progress.set_output_bytes(rows.bytes_written());
        // Plans whose operators never wait would keep their thread from everything else, cancellation included.
        tokio::task::consume_budget().await;
    }
    drop(batches);
    let scans = complete_scans(&plan, context).await?;
    let log = TaskBinding::of(context).map(|binding| binding.records.clone());
    let records = match &log {
        Some(log) => log.finish().await?,
        None => AttemptRecords::default(),
    };
    let (outcome, bytes) = progress.sink_times.measure(rows.finish()).await?;
    log.iter().for_each(RecordLog::keep);
    progress.set_output_bytes(bytes);
    Ok(Ended { outcome, scans, records })
}

fn plan_partition(attempt: AttemptId, partitions: usize) -> Result<usize, FailureCause> {
    let partition = attempt.task.partition as usize;
    if partition < partitions {
        return Ok(partition);
    }
    Err(FailureCause::internal(format!("the plan has {partitions} partitions, and no partition {partition}")))
}

/// Where an attempt's rows go.
enum RowSink {
    Shuffle(ShuffleWriter),
    Output(Box<OutputWriter>),
    Result { writer: ShuffleWriter, schema: SchemaRef, rows: u64, bytes: u64, bytes_max: u64 },
}

struct SinkParts<'a> {
    schema: SchemaRef,
    pool: &'a Arc<dyn MemoryPool>,
    storage: Storage,
}

impl RowSink {
    fn create(host: &AttemptHost, attempt: AttemptId, sink: Sink, parts: SinkParts<'_>) -> Result<Self, FailureCause> {
        let shuffle = |hash_exprs, partitions| {
            let spec = ShuffleSpec { attempt, hash_exprs, partitions };
            ShuffleWriter::create(Arc::clone(&host.store), spec, parts.pool)
        };
        Ok(match sink {
            Sink::Shuffle(sink) => Self::Shuffle(shuffle(sink.hash_exprs, sink.partitions)?),
            Sink::Output(sink) => {
                Self::Output(Box::new(OutputWriter::create(parts.storage, sink, attempt, &parts.schema)?))
            }
            Sink::Result(sink) => Self::Result {
                writer: shuffle(Vec::new(), 1)?,
                schema: parts.schema,
                rows: 0,
                bytes: 0,
                bytes_max: sink.bytes_max,
            },
        })
    }

    async fn push(&mut self, batch: &RecordBatch) -> Result<(), FailureCause> {
        match self {
            Self::Shuffle(writer) => writer.push(batch),
            Self::Output(writer) => writer.push(batch).await,
            Self::Result { writer, rows, bytes, bytes_max, .. } => {
                *rows += batch.num_rows() as u64;
                *bytes += crate::shuffle::row_bytes(batch) as u64;
                if *bytes > *bytes_max {
                    let limit = ByteSize(*bytes_max);
                    return Err(FailureCause::task(format!(
                        "the result is larger than {limit}; give the job an output"
                    )));
                }
                writer.push(batch)
            }
        }
    }

    fn bytes_written(&self) -> u64 {
        match self {
            Self::Shuffle(writer) | Self::Result { writer, .. } => writer.bytes_written(),
            Self::Output(writer) => writer.bytes_written(),
        }
    }

    /// Completes everything. Answers with what is reported, and its bytes.
    async fn finish(self) -> Result<(ReportOutcome, u64), FailureCause> {
        match self {
            Self::Shuffle(writer) => shuffle_outcome(writer),
            Self::Result { mut writer, schema, rows, .. } => {
                if rows == 0 {
                    writer.write_schema(&schema)?;
                }
                shuffle_outcome(writer)
            }
            Self::Output(writer) => {
                let files = writer.finish().await?;
                let bytes = files.iter().map(|file| file.bytes).sum();
                Ok((ReportOutcome::Output { files }, bytes))
            }
        }
    }
}

fn shuffle_outcome(writer: ShuffleWriter) -> Result<(ReportOutcome, u64), FailureCause> {
    let partition_bytes = writer.finish()?;
    let bytes = partition_bytes.iter().sum();
    Ok((ReportOutcome::Shuffle { partition_bytes }, bytes))
}

#[cfg(test)]
mod tests;
