//! What operators put on disk comes back as it was, or not at all.

use std::os::unix::fs::FileExt;

use arrow::array::{Array, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::config::SpillCompression;
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::physical_plan::SpillManager;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics};
use futures::TryStreamExt;
use hearth_plan::cause_of;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::*;

/// Times that a bit is flipped, or the file cut.
const DAMAGES: u64 = 10_000;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("k", DataType::Utf8View, true), Field::new("n", DataType::Int64, false)]))
}

fn batch(rows: i64) -> RecordBatch {
    let keys: StringViewArray =
        (0..rows).map(|n| (n % 7 != 0).then(|| format!("a key that is not inlined {n}"))).collect();
    RecordBatch::try_new(schema(), vec![Arc::new(keys), Arc::new(Int64Array::from_iter_values(0..rows))]).unwrap()
}

fn environment(directory: &Path, bytes_max: ByteSize) -> Arc<RuntimeEnv> {
    let files = Arc::new(SpillFiles::new(directory.to_owned(), bytes_max));
    let disk = DiskManagerBuilder::default().with_temp_file_factory(files);
    RuntimeEnvBuilder::new().with_disk_manager_builder(disk).build_arc().unwrap()
}

fn spills_in(environment: Arc<RuntimeEnv>) -> SpillManager {
    let metrics = SpillMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
    SpillManager::new(environment, metrics, schema()).with_compression_type(SpillCompression::Lz4Frame)
}

async fn read(spills: &SpillManager, file: &Arc<dyn SpillFile>) -> Result<Vec<RecordBatch>> {
    spills.read_spill_as_stream(Arc::clone(file), None)?.try_collect().await
}

fn left_in(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}

#[tokio::test]
async fn what_is_put_on_disk_comes_back_and_is_gone_with_its_last_user() {
    let directory = tempfile::tempdir().unwrap();
    let spills = spills_in(environment(directory.path(), ByteSize::mib(64)));
    let batches = [batch(100), batch(80_000), batch(1)];
    let file = spills.spill_record_batch_and_finish(&batches, "test").unwrap().unwrap();
    assert!(file.size().unwrap() > 3 * BLOCK_BYTES as u64, "it has several blocks");
    assert_eq!(file.size().unwrap(), fs::metadata(file.path().unwrap()).unwrap().len());
    // Two readers at a time do not disturb each other.
    let (one, two) = tokio::join!(read(&spills, &file), read(&spills, &file));
    assert_eq!(one.unwrap(), batches);
    assert_eq!(two.unwrap(), batches);
    drop(file);
    assert_eq!(left_in(directory.path()), 0);
}

#[tokio::test]
async fn no_damage_is_decoded() {
    let directory = tempfile::tempdir().unwrap();
    let spills = spills_in(environment(directory.path(), ByteSize::mib(64)));
    let spill = |rows: i64| spills.spill_record_batch_and_finish(&[batch(rows)], "test").unwrap().unwrap();
    // Most cases on a short file, so that there can be many.
    let (short, long) = (spill(300), spill(9_000));
    let mut dice = Pcg64Mcg::seed_from_u64(6);
    for seed in 0..DAMAGES {
        let file = if seed % 20 == 0 { &long } else { &short };
        let path = file.path().unwrap();
        let bytes = file.size().unwrap();
        let on_disk = File::options().read(true).write(true).open(path).unwrap();
        let at = dice.random_range(0..bytes);
        let mut rest = vec![0; (bytes - at) as usize];
        on_disk.read_exact_at(&mut rest, at).unwrap();
        if seed % 5 == 0 {
            on_disk.set_len(at).unwrap();
        } else {
            on_disk.write_all_at(&[rest[0] ^ (1 << dice.random_range(0..8))], at).unwrap();
        }
        let error = read(&spills, file).await.unwrap_err();
        let FailureCause::Internal { message } = cause_of(&error) else { panic!("case {seed}: {error}") };
        assert!(message.contains("is damaged at byte") && message.contains(&*path.to_string_lossy()), "{message}");
        on_disk.write_all_at(&rest, at).unwrap();
    }
    assert_eq!(read(&spills, &short).await.unwrap(), [batch(300)]);
    assert_eq!(read(&spills, &long).await.unwrap(), [batch(9_000)]);
}

#[tokio::test]
async fn a_limit_that_is_reached_is_a_full_disk_and_names_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let spills = spills_in(environment(directory.path(), ByteSize(64 << 10)));
    let error = spills.spill_record_batch_and_finish(&[batch(80_000)], "test").err().unwrap();
    let FailureCause::DiskFull { directory: named, message } = cause_of(&error) else { panic!("{error}") };
    assert_eq!(Path::new(&named), directory.path());
    assert!(message.contains("more than 64KiB") && message.contains("spill_bytes_max"), "{message}");
    assert_eq!(left_in(directory.path()), 0);
    // Its room is there again.
    let file = spills.spill_record_batch_and_finish(&[batch(1_000)], "test").unwrap().unwrap();
    assert_eq!(read(&spills, &file).await.unwrap()[0].column(0).len(), 1_000);
}
