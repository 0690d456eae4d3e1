//! Whole attempts in this process: a program goes in as the master encodes it, a report and its files come out.

use std::fs;
use std::path::Path;

use arrow::array::{Int64Array, StringViewArray};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use datafusion::common::JoinType;
use datafusion::execution::memory_pool::UnboundedMemoryPool;
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{LexOrdering, Partitioning, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use datafusion::physical_plan::joins::{HashJoinExecBuilder, PartitionMode};
use datafusion::physical_plan::sorts::sort::SortExec;
use hearth_common::{
    Compression, JobId, LeafInput, LeafKey, OutputFormat, OutputMode, OutputSpec, ShuffleInput, ShuffleSource, StageId,
    TaskId, TaskInputs, WorkerId,
};
use hearth_plan::{OutputSink, ResultSink, ShuffleSink, StageInputExec, encode_stage};
use tokio::runtime::Handle;

use super::*;
use crate::WorkerConfig;

const WORKER: WorkerId = WorkerId::from_u128(2);

fn attempt(stage: u32) -> AttemptId {
    AttemptId { task: TaskId { job: JobId::from_u128(1), stage: StageId(stage), partition: 0 }, attempt: 0 }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("k", DataType::Utf8View, false), Field::new("n", DataType::Int64, false)]))
}

fn host(directory: &Path, memory: ByteSize) -> Arc<AttemptHost> {
    let config = WorkerConfig { slots: 1, memory, ..WorkerConfig::default() };
    let spill = directory.join("spill");
    fs::create_dir_all(&spill).unwrap();
    Arc::new(AttemptHost {
        memory: AttemptMemory::new(&config, spill).unwrap(),
        storage: Storage::default(),
        store: Arc::new(ShuffleStore::new(WORKER, directory.join("shuffle"))),
        fetcher: Arc::new(Fetcher::new(Handle::current())),
        logs: LogBook::default(),
        metrics: Arc::new(Metrics::new(&config, Storage::default())),
    })
}

/// Leaves a shuffle output of stage 0 with `rows` different keys.
fn leave_input(host: &AttemptHost, rows: i64) {
    let spec = ShuffleSpec { attempt: attempt(0), hash_exprs: vec![], partitions: 1 };
    let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
    let mut writer = ShuffleWriter::create(Arc::clone(&host.store), spec, &pool).unwrap();
    for start in (0..rows).step_by(8192) {
        let numbers: Vec<i64> = (start..rows.min(start + 8192)).map(|n| (n * 7919) % rows).collect();
        let keys = StringViewArray::from_iter_values(numbers.iter().map(|n| format!("user{n:09}@example.com")));
        let columns: Vec<arrow::array::ArrayRef> = vec![Arc::new(keys), Arc::new(Int64Array::from(numbers))];
        writer.push(&RecordBatch::try_new(schema(), columns).unwrap()).unwrap();
    }
    writer.finish().unwrap();
}

fn leaf() -> Arc<dyn ExecutionPlan> {
    Arc::new(StageInputExec::new(0, schema(), Partitioning::UnknownPartitioning(1), None))
}

fn order(plan: Arc<dyn ExecutionPlan>, sink: Sink) -> LaunchOrder {
    let program = encode_stage(&StageProgram { plan, sink }).unwrap();
    let source = ShuffleSource { partition: 0, attempt: 0, worker: WORKER, address: "127.0.0.1:1".into() };
    let input = ShuffleInput { stage: StageId(0), first: 0, end: 1, sources: vec![source] };
    LaunchOrder {
        attempt: attempt(1),
        program_xxh3: xxh3_64(&program),
        program,
        inputs: TaskInputs::from([(LeafKey { leaf: 0, partition: 0 }, LeafInput::Shuffle(input))]),
    }
}

async fn launch(host: &Arc<AttemptHost>, order: LaunchOrder) -> Report {
    let log = host.log_of(order.attempt);
    run_attempt(Arc::clone(host), order, (Arc::new(Progress::new()), log)).await
}

fn failure(report: Report) -> FailureCause {
    match report.outcome {
        ReportOutcome::Failed(cause) => cause,
        outcome @ (ReportOutcome::Shuffle { .. } | ReportOutcome::Output { .. }) => panic!("{outcome:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_pass_from_stage_to_stage() {
    let directory = tempfile::tempdir().unwrap();
    let host = host(directory.path(), ByteSize::mib(64));
    leave_input(&host, 20_000);
    let sink = Sink::Shuffle(ShuffleSink { hash_exprs: vec![col("n", &schema()).unwrap()], partitions: 5 });
    let report = launch(&host, order(leaf(), sink)).await;
    let ReportOutcome::Shuffle { partition_bytes } = &report.outcome else { panic!("{report:?}") };
    assert_eq!(partition_bytes.len(), 5);
    assert_eq!(report.metrics.shuffle_read_rows, 20_000);
    assert_eq!(report.metrics.output_rows, 20_000);
    assert_eq!(report.metrics.output_bytes, partition_bytes.iter().sum::<u64>());
    assert!(report.metrics.shuffle_local_bytes > 0);
    assert_eq!(host.store.held(), [attempt(0), attempt(1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sort_beyond_memory_spills() {
    let directory = tempfile::tempdir().unwrap();
    let host = host(directory.path(), ByteSize::mib(24));
    leave_input(&host, 600_000);
    let by = PhysicalSortExpr::new(col("n", &schema()).unwrap(), SortOptions::default());
    let plan = Arc::new(SortExec::new(LexOrdering::new([by]).unwrap(), leaf()));
    let sink = Sink::Shuffle(ShuffleSink { hash_exprs: vec![], partitions: 1 });
    let report = launch(&host, order(plan, sink)).await;
    assert!(matches!(report.outcome, ReportOutcome::Shuffle { .. }), "{report:?}");
    assert!(report.metrics.spilled_bytes > 0, "{:?}", report.metrics);
    assert_eq!(report.metrics.output_rows, 600_000);
    let told: Vec<(&str, u32, u64)> =
        report.operators.iter().map(|operator| (operator.name.as_str(), operator.depth, operator.work.rows)).collect();
    let expected = [("ShuffleWrite", 0), ("SortExec", 1), ("StageInputExec", 2)];
    assert_eq!(told, expected.map(|(name, depth)| (name, depth, 600_000)));
    let sort = report.operators[1].work;
    assert_eq!(sort.spilled_bytes, report.metrics.spilled_bytes);
    assert!(sort.spills > 0, "{sort:?}");
    assert!(report.operators.iter().all(|operator| operator.work.compute_us > 0), "{:?}", report.operators);
    assert_eq!(files_below(&directory.path().join("spill")), 0, "spilled data is removed");
}

/// `DataFusion` counts what computes a join's first input for the join too.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_join_waits_for_is_not_its_own_time() {
    let directory = tempfile::tempdir().unwrap();
    let host = host(directory.path(), ByteSize::gib(1));
    leave_input(&host, 300_000);
    let by = PhysicalSortExpr::new(col("k", &schema()).unwrap(), SortOptions::default());
    let sorted = Arc::new(SortExec::new(LexOrdering::new([by]).unwrap(), leaf()));
    let column = || col("n", &schema()).unwrap();
    let on = vec![(column(), column())];
    let join = HashJoinExecBuilder::new(sorted, leaf(), on, JoinType::RightSemi)
        .with_partition_mode(PartitionMode::CollectLeft)
        .build()
        .unwrap();
    let sink = Sink::Shuffle(ShuffleSink { hash_exprs: vec![], partitions: 1 });
    let report = launch(&host, order(Arc::new(join), sink)).await;
    let times: Vec<(&str, u64)> =
        report.operators.iter().map(|operator| (operator.name.as_str(), operator.work.compute_us)).collect();
    assert_eq!((times[1].0, times[2].0), ("HashJoinExec", "SortExec"), "{times:?}");
    let computed: u64 = times.iter().map(|(_, us)| us).sum();
    let elapsed_us = (report.metrics.elapsed_ms + 1) * 1000;
    assert!(times[2].1 > 0 && computed <= elapsed_us, "{computed} us were computed in {elapsed_us} us: {times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_by_beyond_memory_spills() {
    let directory = tempfile::tempdir().unwrap();
    let host = host(directory.path(), ByteSize::mib(24));
    leave_input(&host, 600_000);
    let group_by = PhysicalGroupBy::new_single(vec![(col("k", &schema()).unwrap(), "k".to_owned())]);
    let plan = AggregateExec::try_new(AggregateMode::Single, group_by, vec![], vec![], leaf(), schema()).unwrap();
    let sink = Sink::Shuffle(ShuffleSink { hash_exprs: vec![], partitions: 1 });
    let report = launch(&host, order(Arc::new(plan), sink)).await;
    assert!(matches!(report.outcome, ReportOutcome::Shuffle { .. }), "{report:?}");
    assert!(report.metrics.spilled_bytes > 0, "{:?}", report.metrics);
    assert_eq!(report.metrics.output_rows, 600_000);
}

fn files_below(directory: &Path) -> usize {
    let count = |entry: fs::DirEntry| if entry.path().is_dir() { files_below(&entry.path()) } else { 1 };
    fs::read_dir(directory).unwrap().map(|entry| count(entry.unwrap())).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_become_files_in_staging() {
    let directory = tempfile::tempdir().unwrap();
    let host = host(directory.path(), ByteSize::mib(64));
    leave_input(&host, 100);
    let spec = OutputSpec {
        path: "/unused".into(),
        format: OutputFormat::Parquet,
        mode: OutputMode::Error,
        partition_by: vec![],
        compression: Compression::Zstd,
        file_bytes_max: ByteSize::mib(64),
    };
    let attempts = directory.path().join("attempts");
    let sink = OutputSink { attempts_url: format!("file://{}", attempts.display()), spec };
    let report = launch(&host, order(leaf(), Sink::Output(sink))).await;
    let ReportOutcome::Output { files } = &report.outcome else { panic!("{report:?}") };
    assert_eq!(files.iter().map(|file| file.rows).collect::<Vec<_>>(), [100]);
    assert_eq!(files_below(&attempts), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_has_a_limit_and_always_a_schema() {
    let directory = tempfile::tempdir().unwrap();
    let host = host(directory.path(), ByteSize::mib(64));
    leave_input(&host, 100_000);
    let sink = Sink::Result(ResultSink { bytes_max: 1 << 20 });
    let cause = failure(launch(&host, order(leaf(), sink.clone())).await);
    assert_eq!(cause, FailureCause::task("the result is larger than 1MiB; give the job an output"));
    let mut empty = order(leaf(), sink);
    empty.inputs.clear();
    let report = launch(&host, empty).await;
    let ReportOutcome::Shuffle { partition_bytes } = &report.outcome else { panic!("{report:?}") };
    assert!(partition_bytes[0] > 0, "a frame without rows tells the columns");
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_and_absence_are_typed() {
    let directory = tempfile::tempdir().unwrap();
    let host = host(directory.path(), ByteSize::mib(64));
    let sink = Sink::Shuffle(ShuffleSink { hash_exprs: vec![], partitions: 1 });
    let good = order(leaf(), sink);
    let damaged = LaunchOrder { program_xxh3: good.program_xxh3 ^ 1, ..good.clone() };
    assert_eq!(failure(launch(&host, damaged).await).name(), "internal");
    let program = Bytes::from_static(b"no program");
    let hostile = LaunchOrder { program_xxh3: xxh3_64(&program), program, ..good.clone() };
    assert_eq!(failure(launch(&host, hostile).await).name(), "internal");
    let mut beyond = good.clone();
    beyond.attempt.task.partition = 9;
    assert_eq!(failure(launch(&host, beyond).await).name(), "internal");
    assert_eq!(failure(launch(&host, good).await).name(), "lost_shuffle_output");
    assert!(host.store.is_empty());
    assert_eq!(files_below(&directory.path().join("shuffle")), 0);
}
