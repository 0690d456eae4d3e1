//! Small tables in files of their own, and jobs over them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use hearth_common::{ByteSize, FailureCause, InputFormat, InputSpec, JobId, JobSettings, JobSpec, OnError, OutputSpec};
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::planner::thread::on_planning_thread;
use crate::planner::{PlanRequest, PlannedJob, Tuning, plan_on_this_thread};

/// Tables in files, and the same tables in memory.
pub(super) struct Tables {
    _directory: TempDir,
    inputs: BTreeMap<String, InputSpec>,
    batches: BTreeMap<String, Vec<RecordBatch>>,
}

/// How a query is planned.
#[derive(Debug, Clone)]
pub(super) struct Variant {
    pub(super) name: &'static str,
    pub(super) settings: JobSettings,
    pub(super) build_bytes_max: u64,
    /// Neighbouring shuffle partitions of one task.
    pub(super) group: u32,
}

impl Variant {
    pub(super) fn new(name: &'static str, shuffle_partitions: u32, group: u32) -> Self {
        let settings = JobSettings {
            shuffle_partitions: Some(shuffle_partitions),
            split_bytes: Some(ByteSize(4096)),
            ..JobSettings::default()
        };
        Self { name, settings, build_bytes_max: u64::MAX, group }
    }

    /// No side of a join is sent whole, unless nothing else is right.
    pub(super) fn without_broadcast(mut self) -> Self {
        self.settings.broadcast_bytes_max = ByteSize(0);
        self
    }

    /// Large sides are sorted.
    pub(super) fn with_sort_merge(mut self) -> Self {
        self.build_bytes_max = 0;
        self.without_broadcast()
    }
}

/// Plans `spec` on a cluster of two slots.
pub(super) async fn plan(spec: JobSpec, variant: &Variant) -> Result<PlannedJob, FailureCause> {
    let attempts_url = "file:///tmp/staging/attempts".to_owned();
    let request = PlanRequest {
        job: JobId::from_u128(1),
        spec,
        slots: 2,
        attempts_url,
        storage: hearth_storage::Storage::default(),
        hosts: std::collections::BTreeSet::new(),
    };
    let tuning = Tuning { build_bytes_max: variant.build_bytes_max };
    let handle = Handle::current();
    on_planning_thread(move || plan_on_this_thread(&request, tuning, &handle)).await
}

impl Tables {
    /// The tables of these tests: actions of users, users, and keys with NULLs.
    pub(super) fn new() -> Self {
        let mut tables =
            Self { _directory: tempfile::tempdir().unwrap(), inputs: BTreeMap::new(), batches: BTreeMap::new() };
        tables.add("actions", (0..3).map(|file| actions(file * 150, 150)).collect());
        tables.add("users", (0..2).map(|file| users(file * 30, 30)).collect());
        tables.add("few", vec![keys(&[Some(1), Some(2), Some(2), None, Some(5)])]);
        tables.add("many", vec![keys(&[Some(2), Some(3), None]), keys(&[Some(5), Some(5), Some(7)]), keys(&[None])]);
        tables.add("whole", vec![keys(&[Some(2), Some(5)]), keys(&[Some(9)])]);
        tables
    }

    fn add(&mut self, name: &str, batches: Vec<RecordBatch>) {
        let directory = self._directory.path().join(name);
        fs::create_dir(&directory).unwrap();
        for (index, batch) in batches.iter().enumerate() {
            write_parquet(&directory.join(format!("{index}.parquet")), batch);
        }
        let paths = vec![directory.to_str().unwrap().to_owned()];
        let (format, compression) = (InputFormat::Parquet, hearth_common::InputCompression::Auto);
        let input = InputSpec { paths, format, compression, schema: None, on_error: OnError::Fail };
        self.inputs.insert(name.to_owned(), input);
        self.batches.insert(name.to_owned(), batches);
    }

    /// A job over the tables.
    pub(super) fn job(&self, query: &str, variant: &Variant, output: Option<OutputSpec>) -> JobSpec {
        JobSpec {
            name: "test".to_owned(),
            query: query.to_owned(),
            inputs: self.inputs.clone(),
            output,
            settings: variant.settings.clone(),
        }
    }

    /// The rows that `DataFusion` gives for `query` in one process.
    pub(super) async fn expected(&self, query: &str) -> Vec<RecordBatch> {
        let context = SessionContext::new();
        for (name, batches) in &self.batches {
            let table = MemTable::try_new(batches[0].schema(), vec![batches.clone()]).unwrap();
            context.register_table(name.as_str(), Arc::new(table)).unwrap();
        }
        context.sql(query).await.unwrap().collect().await.unwrap()
    }
}

fn write_parquet(path: &Path, batch: &RecordBatch) {
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

fn actions(first: i64, count: i64) -> RecordBatch {
    let numbers: Vec<i64> = (first..first + count).collect();
    let text = |value: &dyn Fn(i64) -> Option<String>| {
        Arc::new(numbers.iter().map(|number| value(*number)).collect::<StringArray>()) as ArrayRef
    };
    RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from(numbers.clone())) as ArrayRef),
        ("email", text(&|number| (number % 17 != 0).then(|| format!("user{}@example.com", number * 7 % 40)))),
        (
            "action",
            text(&|number| {
                Some(["view", "click", "buy", "leave"][usize::try_from(number * number % 4).unwrap()].to_owned())
            }),
        ),
        ("at", Arc::new(numbers.iter().map(|number| number * 37 % 101).collect::<Int64Array>()) as ArrayRef),
        (
            "amount",
            Arc::new(
                numbers
                    .iter()
                    .map(|number| (number % 9 != 0).then_some(0.25 * (number % 50) as f64))
                    .collect::<Float64Array>(),
            ),
        ),
    ])
    .unwrap()
}

fn users(first: i64, count: i64) -> RecordBatch {
    let numbers: Vec<i64> = (first..first + count).collect();
    let email = |number: &i64| (number % 11 != 0).then(|| format!("user{number}@example.com"));
    let country = |number: &i64| (number % 7 != 0).then(|| ["de", "fr", "nl"][usize::try_from(number % 3).unwrap()]);
    RecordBatch::try_from_iter([
        ("email", Arc::new(numbers.iter().map(email).collect::<StringArray>()) as ArrayRef),
        ("country", Arc::new(numbers.iter().map(country).collect::<StringArray>())),
        ("age", Arc::new(numbers.iter().map(|number| 18 + number % 40).collect::<Int64Array>())),
    ])
    .unwrap()
}

fn keys(keys: &[Option<i64>]) -> RecordBatch {
    let tags: StringArray = keys.iter().enumerate().map(|(index, _)| Some(format!("t{index}"))).collect();
    RecordBatch::try_from_iter([
        ("k", Arc::new(Int64Array::from(keys.to_vec())) as ArrayRef),
        ("tag", Arc::new(tags) as ArrayRef),
    ])
    .unwrap()
}
