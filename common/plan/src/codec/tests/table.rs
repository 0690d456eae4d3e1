//! Tables over small CSV and JSON files, planned as the master does it and bound as a worker does it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::collect;
use datafusion::prelude::SessionContext;
use hearth_common::{
    AttemptId, CsvOptions, InputFormat, InputSplit, JobId, LeafInput, LeafKey, OnError, ShuffleInput, StageId, TaskId,
    TaskInputs,
};
use hearth_storage::{InputFile, Storage, list_inputs};

use super::*;
use crate::test_link::line_link;
use crate::{
    LinkScans, RecordLog, ScanExec, ScanSpec, ShuffleReader, TaskBinding, TaskContextParts, infer_schema,
    session_config, task_context,
};

const T: &str = "id,name,price,day\n1,n1,1.5,2026-01-01\n2,n2,2.5,2026-01-02\n3,n1,,2026-01-03\n4,n3,4.5,2026-01-04\n\
                 5,n2,5.5,2026-01-05\n6,n1,0.5,2026-01-06\n";
const U: &str = "{\"id\": 1, \"name\": \"n1\", \"price\": 2.5}\n{\"id\": 3, \"name\": \"n4\", \"price\": 0.1}\n\
                 {\"id\": 5, \"name\": \"n2\", \"price\": 9.5}\n{\"id\": 5, \"name\": \"n5\"}\n";

/// A session with the tables `t` (CSV) and `u` (JSON lines).
pub(super) struct Tables {
    _directory: tempfile::TempDir,
    session: SessionContext,
}

impl Tables {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let session = SessionContext::new_with_config(session_config(3));
        let leaves = Arc::new(AtomicU32::new(0));
        for (name, text, format) in [("t", T, InputFormat::Csv(CsvOptions::default())), ("u", U, InputFormat::Json)] {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            let table = Table::new(name, &path.display().to_string(), format, Arc::clone(&leaves));
            session.register_table(name, Arc::new(table)).unwrap();
        }
        Self { _directory: directory, session }
    }

    pub(super) fn prefer_sort_merge_join(&mut self) {
        self.session.state_ref().write().config_mut().options_mut().optimizer.prefer_hash_join = false;
    }

    pub(super) async fn plan(&self, sql: &str) -> Arc<dyn ExecutionPlan> {
        self.session.sql(sql).await.unwrap().create_physical_plan().await.unwrap()
    }

    pub(super) fn empty_context(&self) -> Arc<TaskContext> {
        bind(TaskInputs::new())
    }

    /// A context that binds the inputs of every scan of `plan`.
    pub(super) fn context(&self, plan: &Arc<dyn ExecutionPlan>) -> Arc<TaskContext> {
        let mut inputs = BTreeMap::new();
        plan.apply(|node| {
            if let Some(scan) = node.downcast_ref::<ScanExec>() {
                for (partition, splits) in scan.spec().splits.iter().enumerate() {
                    let key = LeafKey { leaf: scan.spec().leaf, partition: u32::try_from(partition).unwrap() };
                    inputs.insert(key, LeafInput::Splits(splits.clone()));
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .unwrap();
        bind(inputs)
    }
}

fn bind(inputs: TaskInputs) -> Arc<TaskContext> {
    let task = TaskId { job: JobId::from_u128(1), stage: StageId(0), partition: 0 };
    let records = RecordLog::new(AttemptId { task, attempt: 0 }, Storage::default());
    let binding = TaskBinding { inputs, shuffle: Arc::new(NoShuffle), scans: LinkScans::default(), records };
    task_context(TaskContextParts { runtime: Arc::new(RuntimeEnv::default()), binding, name: "test".into() })
}

/// The rows of all partitions, sorted, each as text.
pub(super) async fn rows(plan: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> Vec<String> {
    let batches = collect(plan, context).await.unwrap();
    let text = pretty_format_batches(&batches).unwrap().to_string();
    let mut rows: Vec<String> = text.lines().filter(|line| line.starts_with('|')).skip(1).map(str::to_owned).collect();
    rows.sort();
    rows
}

struct NoShuffle;

impl ShuffleReader for NoShuffle {
    fn read(&self, _input: &ShuffleInput, _schema: SchemaRef) -> Result<SendableRecordBatchStream> {
        Err(malformed("no shuffle here"))
    }
}

#[derive(Debug)]
struct Table {
    name: String,
    format: InputFormat,
    schema: SchemaRef,
    file: InputFile,
    leaves: Arc<AtomicU32>,
}

impl Table {
    fn new(name: &str, path: &str, format: InputFormat, leaves: Arc<AtomicU32>) -> Self {
        let (file, schema) = std::thread::scope(|scope| {
            let inspect = scope.spawn(|| {
                runtime().block_on(async {
                    let files = list_inputs(&[path.to_owned()], &format).await.unwrap();
                    let schema = infer_schema(&format, &files, &RuntimeEnv::default()).await.unwrap();
                    (files[0].clone(), schema)
                })
            });
            inspect.join().unwrap()
        });
        Self { name: name.to_owned(), format, schema, file, leaves }
    }

    /// Two partitions of two splits each.
    fn splits(&self) -> Vec<Vec<InputSplit>> {
        let quarter = self.file.bytes / 4;
        let split = |index: u64| InputSplit {
            url: self.file.url.clone(),
            file_bytes: self.file.bytes,
            modified_ms: self.file.modified_ms,
            compression: self.file.compression,
            start: index * quarter,
            end: if index == 3 { self.file.bytes } else { (index + 1) * quarter },
            link: match &self.format {
                InputFormat::Csv(_) => {
                    Some(line_link(Path::new(self.file.url.strip_prefix("file://").unwrap()), index * quarter))
                }
                InputFormat::Json | InputFormat::Parquet => None,
            },
        };
        vec![vec![split(0), split(1)], vec![split(2), split(3)]]
    }
}

#[async_trait]
impl TableProvider for Table {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(ScanExec::try_new(ScanSpec {
            leaf: self.leaves.fetch_add(1, Ordering::Relaxed),
            table: self.name.clone(),
            format: self.format.clone(),
            file_schema: Arc::clone(&self.schema),
            projection: projection.cloned(),
            filters: Vec::new(),
            limit,
            splits: Arc::new(self.splits()),
            rows_estimated: Some(6),
            bytes: self.file.bytes,
            on_error: OnError::Fail,
            attempts_url: None,
        })?))
    }
}
