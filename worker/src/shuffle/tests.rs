//! Whole shuffle outputs: what goes in comes out, from the disk and over the network, and no damage goes unnoticed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool, UnboundedMemoryPool};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::col;
use datafusion::physical_plan::metrics::Time;
use datafusion::physical_plan::repartition::BatchPartitioner;
use futures::TryStreamExt;
use hearth_common::{
    AttemptId, FailureCause, JobId, OutputLoss, ShuffleInput, ShuffleSource, StageId, TaskId, WorkerId,
};
use hearth_plan::{ShuffleReader, cause_of};
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

mod coded;
mod hanging;

use super::fetch::Patience;
use super::read::LocalFrames;
use super::*;
use crate::WorkerConfig;
use crate::metrics::Metrics;
use crate::progress::ReadCounters;

const JOB: JobId = JobId::from_u128(1);
const WORKER: WorkerId = WorkerId::from_u128(2);

fn attempt(partition: u32) -> AttemptId {
    AttemptId { task: TaskId { job: JOB, stage: StageId(0), partition }, attempt: 0 }
}

fn schema() -> SchemaRef {
    let fields = vec![Field::new("k", DataType::Utf8View, true), Field::new("n", DataType::Int64, false)];
    Arc::new(Schema::new(fields))
}

fn batch(rows: impl IntoIterator<Item = (Option<String>, i64)>) -> RecordBatch {
    let (keys, numbers): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    RecordBatch::try_new(schema(), vec![Arc::new(StringViewArray::from(keys)), Arc::new(Int64Array::from(numbers))])
        .unwrap()
}

fn numbered(range: std::ops::Range<i64>) -> RecordBatch {
    batch(range.map(|n| (Some(format!("a key that is not inlined {n}")), n)))
}

fn rows(batches: &[RecordBatch]) -> Vec<(Option<String>, i64)> {
    let row = |batch: &RecordBatch| {
        let (keys, numbers) =
            (batch.column(0).as_string_view().clone(), batch.column(1).as_primitive::<Int64Type>().clone());
        (0..keys.len())
            .map(move |at| (keys.is_valid(at).then(|| keys.value(at).to_owned()), numbers.value(at)))
            .collect::<Vec<_>>()
    };
    batches.iter().flat_map(row).collect()
}

fn key() -> Vec<Arc<dyn PhysicalExpr>> {
    vec![col("k", &schema()).unwrap()]
}

fn unbounded() -> Arc<dyn MemoryPool> {
    Arc::new(UnboundedMemoryPool::default())
}

struct Fixture {
    directory: tempfile::TempDir,
    store: Arc<ShuffleStore>,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(ShuffleStore::new(WORKER, directory.path().to_owned()));
        Self { directory, store }
    }

    fn write(&self, partition: u32, partitions: u32, batches: &[RecordBatch]) -> Vec<u64> {
        let mut writer = self.writer(attempt(partition), partitions, &unbounded());
        batches.iter().for_each(|batch| writer.push(batch).unwrap());
        writer.finish().unwrap()
    }

    fn writer(&self, attempt: AttemptId, partitions: u32, pool: &Arc<dyn MemoryPool>) -> ShuffleWriter {
        let spec = ShuffleSpec { attempt, hash_exprs: key(), partitions };
        ShuffleWriter::create(Arc::clone(&self.store), spec, pool).unwrap()
    }

    fn path(&self, partition: u32) -> std::path::PathBuf {
        self.store.path(attempt(partition))
    }

    /// Reads partitions of one output the way an attempt on this worker does.
    fn read(&self, range: std::ops::Range<u32>) -> Result<Vec<RecordBatch>, String> {
        let file = self.store.open(attempt(0)).map_err(|error| error.to_string())?;
        let mut frames = LocalFrames::new(file, range)?;
        let mut batches = Vec::new();
        while let Some(payload) = frames.next_payload().map_err(|error| error.to_string())? {
            batches.extend(super::frame::decode(payload, &schema()).map_err(|error| error.to_string())?);
        }
        Ok(batches)
    }

    fn reader(&self) -> AttemptReader {
        self.reader_with(Patience::default())
    }

    fn reader_with(&self, patience: Patience) -> AttemptReader {
        AttemptReader {
            job: JOB,
            store: Arc::clone(&self.store),
            fetcher: Arc::new(Fetcher::with_patience(Handle::current(), patience)),
            counters: Arc::new(ReadCounters::default()),
        }
    }
}

fn unfinished_files(directory: &Path) -> usize {
    fs::read_dir(directory.join(JOB.to_string())).map_or(0, Iterator::count)
}

#[test]
fn equal_keys_meet_where_datafusion_would_put_them() {
    let fixture = Fixture::new();
    let input = batch((0..5000).map(|n| ((n % 7 != 0).then(|| format!("user{}", n % 301)), n)));
    let bytes = fixture.write(0, 13, std::slice::from_ref(&input));
    assert_eq!(bytes.len(), 13);
    let mut expected = BTreeMap::<usize, Vec<_>>::new();
    let mut partitioner = BatchPartitioner::new_hash_partitioner(key(), 13, Time::default()).unwrap();
    partitioner
        .partition(input, |partition, batch| {
            expected.entry(partition).or_default().extend(rows(&[batch]));
            Ok(())
        })
        .unwrap();
    for partition in 0..13 {
        let found = rows(&fixture.read(partition..partition + 1).unwrap());
        assert_eq!(found, expected.remove(&(partition as usize)).unwrap_or_default(), "partition {partition}");
    }
}

#[test]
fn a_small_output_is_one_run_per_partition() {
    let fixture = Fixture::new();
    fixture.write(0, 4, &[numbered(0..1000), numbered(1000..2000)]);
    let index = fixture.store.open(attempt(0)).unwrap().index;
    assert!(index.partitions.iter().all(|entry| entry.extents.len() == 1), "{index:?}");
    assert_eq!(index.extents(0..4).unwrap().len(), 1, "neighbours are read in one go");
    assert_eq!(index.partitions.iter().map(|entry| entry.rows).sum::<u64>(), 2000);
}

#[test]
fn shared_buffers_are_not_written_again_and_again() {
    let fixture = Fixture::new();
    let giant = numbered(0..100_000);
    let slices: Vec<_> = (0..100).map(|at| giant.slice(at * 1000, 1000)).collect();
    let bytes: u64 = fixture.write(0, 8, &slices).iter().sum();
    assert!(bytes < 6_000_000, "{bytes} bytes");
    assert_eq!(fixture.read(0..8).unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(), 100_000);
}

#[test]
fn no_memory_means_smaller_runs_and_the_same_rows() {
    let fixture = Fixture::new();
    let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100_000));
    let batches: Vec<_> = (0..20).map(|at| numbered(at * 1000..(at + 1) * 1000)).collect();
    let mut writer = fixture.writer(attempt(0), 4, &pool);
    batches.iter().for_each(|batch| writer.push(batch).unwrap());
    writer.finish().unwrap();
    let mut found: Vec<i64> = rows(&fixture.read(0..4).unwrap()).into_iter().map(|(_, n)| n).collect();
    found.sort_unstable();
    assert_eq!(found, (0..20_000).collect::<Vec<_>>());
    assert_eq!(pool.reserved(), 0, "all memory is given back");
}

#[test]
fn rows_for_many_partitions_go_out_before_their_frames_are_full() {
    let fixture = Fixture::new();
    let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(256 << 20));
    let mut writer = fixture.writer(attempt(0), 500, &pool);
    let (long, rows_each) = ("x".repeat(500), 1000);
    let mut reserved_max = 0;
    for first in (0..200_000).step_by(rows_each) {
        let row = |n: i64| (Some(format!("{n}{long}")), n);
        writer.push(&batch((first..first + rows_each as i64).map(row))).unwrap();
        reserved_max = reserved_max.max(pool.reserved());
    }
    assert!(writer.bytes_written() > 0, "nothing went out");
    assert!(reserved_max < 128 << 20, "{reserved_max} bytes held");
    writer.finish().unwrap();
    assert_eq!(pool.reserved(), 0);
    let mut found: Vec<i64> = rows(&fixture.read(0..500).unwrap()).into_iter().map(|(_, number)| number).collect();
    found.sort_unstable();
    assert_eq!(found, (0..200_000).collect::<Vec<i64>>());
}

#[test]
fn rows_without_columns_keep_their_number() {
    let fixture = Fixture::new();
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(42));
    let none = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
    let spec = ShuffleSpec { attempt: attempt(0), hash_exprs: vec![], partitions: 1 };
    let mut writer = ShuffleWriter::create(Arc::clone(&fixture.store), spec, &unbounded()).unwrap();
    writer.push(&none).unwrap();
    writer.push(&none).unwrap();
    writer.finish().unwrap();
    let mut frames = LocalFrames::new(fixture.store.open(attempt(0)).unwrap(), 0..1).unwrap();
    let payload = frames.next_payload().unwrap().unwrap();
    let batches = super::frame::decode(payload, &Arc::new(Schema::empty())).unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 84);
}

#[test]
fn an_unfinished_output_leaves_nothing() {
    let fixture = Fixture::new();
    let mut writer = fixture.writer(attempt(0), 2, &unbounded());
    writer.push(&numbered(0..10)).unwrap();
    drop(writer);
    assert_eq!(unfinished_files(fixture.directory.path()), 0);
    assert!(fixture.store.is_empty());
    assert!(fixture.read(0..1).unwrap_err().contains("does not hold it"));
}

#[test]
fn forgotten_outputs_are_removed() {
    let fixture = Fixture::new();
    fixture.write(0, 1, &[numbered(0..10)]);
    fixture.write(1, 1, &[numbered(0..10)]);
    fixture.store.forget(attempt(0)).unwrap().remove();
    assert!(!fixture.path(0).exists() && fixture.path(1).exists());
    fixture.store.forget_job(JOB).remove();
    assert_eq!(unfinished_files(fixture.directory.path()), 0);
    assert!(fixture.store.is_empty());
}

/// Times that a bit is flipped, or the file cut.
const DAMAGES: u64 = 10_000;

#[test]
fn no_damage_goes_unnoticed() {
    let fixture = Fixture::new();
    fixture.write(0, 3, &[numbered(0..400)]);
    let whole = fs::read(fixture.path(0)).unwrap();
    let index = fixture.store.open(attempt(0)).unwrap().index;
    let frames_end = index.extents(0..3).unwrap().iter().map(|run| run.offset + run.bytes).max().unwrap() as usize;
    assert!(count_frames(&whole[..frames_end]).unwrap() >= 3);
    let on_disk = File::options().write(true).open(fixture.path(0)).unwrap();
    let mut dice = Pcg64Mcg::seed_from_u64(6);
    for case in 0..DAMAGES {
        let at = dice.random_range(0..whole.len());
        if case % 5 == 0 {
            // A transfer that is cut is told by its length: see below.
            on_disk.set_len(at as u64).unwrap();
        } else {
            let flipped = whole[at] ^ (1 << dice.random_range(0..8));
            on_disk.write_all_at(&[flipped], at as u64).unwrap();
            // The same bytes over a network, which different code reads. The index is not sent.
            let mut sent = whole[..frames_end].to_vec();
            if let Some(byte) = sent.get_mut(at) {
                *byte = flipped;
                assert!(count_frames(&sent).is_err(), "case {case}, at {at}: the bytes were taken for frames");
            }
        }
        assert!(fixture.read(0..3).is_err(), "case {case}, at {at}: the file was read");
        on_disk.write_all_at(&whole[at..], at as u64).unwrap();
    }
    assert_eq!(fixture.read(0..3).unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(), 400);
}

/// Takes bytes for frames, as the reader of another worker's output does.
fn count_frames(bytes: &[u8]) -> Result<usize, hearth_plan::frame::FrameError> {
    let mut splitter = hearth_plan::frame::FrameSplitter::default();
    splitter.push(bytes);
    let mut payloads = 0;
    while splitter.next_payload()?.is_some() {
        payloads += 1;
    }
    splitter.finish().map(|()| payloads)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_goes_in_comes_out(
        input in proptest::collection::vec(
            proptest::collection::vec((proptest::option::of(".{0,40}"), any::<i64>()), 0..200), 0..6),
        partitions in 1_u32..40,
    ) {
        let fixture = Fixture::new();
        let batches: Vec<_> = input.iter().map(|rows| batch(rows.clone())).collect();
        fixture.write(0, partitions, &batches);
        let mut expected: Vec<_> = input.into_iter().flatten().collect();
        let mut found = rows(&fixture.read(0..partitions).unwrap());
        expected.sort();
        found.sort();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn decoding_hostile_bytes_is_an_error_and_no_panic(
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
        tail in any::<proptest::sample::Index>(),
        is_coded in any::<bool>(),
    ) {
        let mut payload = Vec::new();
        let rows = if is_coded { coded::numbers((0..50).map(|n| n % 7), 7) } else { numbered(0..50) };
        super::frame::encode(&rows, &super::frame::write_options().unwrap(), &mut payload).unwrap();
        let (at, tail) = (at.index(payload.len()), tail.index(payload.len()));
        payload[at] = byte;
        let whole = arrow::buffer::Buffer::from(payload.as_slice());
        let _ = super::frame::decode(whole, &schema());
        prop_assert!(super::frame::decode(arrow::buffer::Buffer::from(&payload[..tail]), &schema()).is_err());
    }
}

async fn serve_store(store: &Arc<ShuffleStore>) -> (String, CurrentStore, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (current, stop) = (CurrentStore::default(), CancellationToken::new());
    current.set(Some(Arc::clone(store)));
    let metrics = Arc::new(Metrics::new(&WorkerConfig::default(), hearth_storage::Storage::default()));
    tokio::spawn(serve(listener, current.clone(), (metrics, stop.clone())));
    (address, current, stop)
}

fn input(address: &str, workers: &[WorkerId]) -> ShuffleInput {
    let source = |(partition, worker): (usize, &WorkerId)| ShuffleSource {
        partition: u32::try_from(partition).unwrap(),
        attempt: 0,
        worker: *worker,
        address: address.to_owned(),
    };
    ShuffleInput { stage: StageId(0), first: 0, end: 4, sources: workers.iter().enumerate().map(source).collect() }
}

async fn collect(reader: &AttemptReader, input: &ShuffleInput) -> Result<Vec<RecordBatch>, FailureCause> {
    reader.read(input, schema()).unwrap().try_collect().await.map_err(|error| cause_of(&error))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn remote_and_local_sources_come_in_order() {
    let here = Fixture::new();
    let there_worker = WorkerId::from_u128(9);
    let directory = tempfile::tempdir().unwrap();
    let there = Fixture { store: Arc::new(ShuffleStore::new(there_worker, directory.path().to_owned())), directory };
    for partition in 0..12 {
        let from = i64::from(partition) * 20_000;
        let fixture = if partition % 3 == 0 { &here } else { &there };
        fixture.write(partition, 4, &[numbered(from..from + 20_000)]);
    }
    let (address, ..) = serve_store(&there.store).await;
    let workers: Vec<_> = (0..12).map(|partition| if partition % 3 == 0 { WORKER } else { there_worker }).collect();
    let reader = here.reader();
    let batches = collect(&reader, &input(&address, &workers)).await.unwrap();
    let found: Vec<i64> = rows(&batches).into_iter().map(|(_, n)| n).collect();
    let sources: Vec<i64> = found.iter().map(|n| n / 20_000).collect();
    assert!(sources.is_sorted(), "the order of sources is kept");
    assert_eq!(found.len(), 240_000);
    assert_eq!(reader.counters.rows.load(Ordering::Relaxed), 240_000);
    assert!(reader.counters.remote_bytes.load(Ordering::Relaxed) > reader.counters.local_bytes.load(Ordering::Relaxed));
}

/// One connection carries the transfers of a whole job, many times as many as it bears that are dropped before their end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_transfers_over_one_connection() {
    const SOURCES: u32 = 40;
    let (here, there) = (Fixture::new(), WorkerId::from_u128(9));
    let directory = tempfile::tempdir().unwrap();
    let remote = Fixture { store: Arc::new(ShuffleStore::new(there, directory.path().to_owned())), directory };
    for partition in 0..SOURCES {
        remote.write(partition, 4, &[numbered(0..10)]);
    }
    let (address, _current, _stop) = serve_store(&remote.store).await;
    let (reader, input) = (here.reader(), input(&address, &[there; SOURCES as usize]));
    for _ in 0..500 {
        let rows = collect(&reader, &input).await.unwrap().iter().map(RecordBatch::num_rows).sum::<usize>();
        assert_eq!(rows, 10 * SOURCES as usize);
    }
}

async fn check_lost(reader: &AttemptReader, input: &ShuffleInput, expected: &str) {
    check_loss(reader, input, (OutputLoss::Gone, expected)).await;
}

async fn check_loss(reader: &AttemptReader, input: &ShuffleInput, (how, expected): (OutputLoss, &str)) {
    let cause = collect(reader, input).await.unwrap_err();
    let FailureCause::LostShuffleOutput { stage: StageId(0), partition: 0, attempt: 0, worker, loss, message } = cause
    else {
        panic!("{cause:?}")
    };
    assert_eq!(worker, input.sources[0].worker);
    assert_eq!(loss, how, "{message}");
    assert!(message.contains(expected), "`{expected}` is not in: {message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_wrong_with_a_source_is_its_loss() {
    let (here, there) = (Fixture::new(), WorkerId::from_u128(9));
    let directory = tempfile::tempdir().unwrap();
    let remote = Fixture { store: Arc::new(ShuffleStore::new(there, directory.path().to_owned())), directory };
    let (address, current, _stop) = serve_store(&remote.store).await;
    let reader = here.reader();
    check_lost(&reader, &input(&address, &[WORKER]), "does not hold it").await;
    check_lost(&reader, &input(&address, &[there]), "does not hold it").await;
    check_lost(&reader, &input(&address, &[WorkerId::from_u128(77)]), "is not here any more").await;
    check_loss(&reader, &input("127.0.0.1:1", &[there]), (OutputLoss::Unreached, "unavailable")).await;
    remote.write(0, 4, &[numbered(0..30_000)]);
    assert_eq!(
        collect(&reader, &input(&address, &[there])).await.unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(),
        30_000
    );
    let mut bytes = fs::read(remote.path(0)).unwrap();
    bytes[5000] ^= 1;
    fs::write(remote.path(0), &bytes).unwrap();
    check_lost(&reader, &input(&address, &[there]), "damaged").await;
    let too_many = ShuffleInput { end: 5, ..input(&address, &[there]) };
    check_lost(&reader, &too_many, "no partitions").await;
    current.set(None);
    check_lost(&reader, &input(&address, &[there]), "is not here any more").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_takes_connections_and_says_nothing_is_not_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            drop(connection);
        }
    });
    // How that is told depends on who notices first.
    let input = input(&address, &[WorkerId::from_u128(9)]);
    check_loss(&Fixture::new().reader(), &input, (OutputLoss::Unreached, "")).await;
}

/// Serves some bytes of an output, and then ends the stream as if that were all.
struct Cutter;

#[tonic::async_trait]
impl hearth_proto::wire::shuffle_service_server::ShuffleService for Cutter {
    type FetchStream = futures::stream::Iter<std::vec::IntoIter<Result<hearth_proto::wire::FetchChunk, tonic::Status>>>;

    async fn fetch(
        &self,
        _: tonic::Request<hearth_proto::wire::FetchRequest>,
    ) -> Result<tonic::Response<Self::FetchStream>, tonic::Status> {
        let mut payload = Vec::new();
        super::frame::encode(&numbered(0..10), &super::frame::write_options().unwrap(), &mut payload).unwrap();
        let header = hearth_plan::frame::frame_header(&payload).unwrap();
        let data = [header.as_slice(), &payload].concat().into();
        let chunks = vec![Ok(hearth_proto::wire::FetchChunk { data, total_bytes: None })];
        Ok(tonic::Response::new(futures::stream::iter(chunks)))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_stream_is_not_taken_for_a_short_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let service = hearth_proto::wire::shuffle_service_server::ShuffleServiceServer::new(Cutter);
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
    let fixture = Fixture::new();
    let input = input(&address, &[WorkerId::from_u128(9)]);
    check_lost(&fixture.reader(), &input, "ended before its last bytes").await;
}
