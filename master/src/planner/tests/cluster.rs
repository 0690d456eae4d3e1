//! A cluster for tests: runs the stages of a planned job one after the other, each task from its encoded program, with shuffle
//! outputs in memory. It merges shuffle partitions as the scheduler would, only by number.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::common::collect;
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::metrics::Time;
use datafusion::physical_plan::repartition::BatchPartitioner;
use hearth_common::{
    AttemptId, JobId, LinkScan, RecordStart, ShuffleInput, ShuffleSource, StageId, TaskId, TaskInputs, WorkerId,
};
use hearth_plan::{
    LinkScans, RecordLog, ShuffleReader, Sink, TaskBinding, TaskContextParts, complete_scans, decode_stage,
    task_context,
};
use hearth_scheduler::{KnownStart, Link, TaskLayout};
use hearth_storage::Storage;

use crate::planner::{PlannedJob, PlannedStage};

/// The record batches of each shuffle partition of one task.
type ShuffleOutput = Vec<Vec<RecordBatch>>;

/// Shuffle outputs by stage and task.
#[derive(Default)]
struct MemoryShuffle {
    outputs: Mutex<BTreeMap<(StageId, u32), ShuffleOutput>>,
}

impl ShuffleReader for MemoryShuffle {
    fn read(&self, input: &ShuffleInput, schema: SchemaRef) -> Result<SendableRecordBatchStream> {
        let outputs = self.outputs.lock().unwrap();
        let mut batches = Vec::new();
        for source in &input.sources {
            let output = &outputs[&(input.stage, source.partition)];
            for partition in &output[input.first as usize..input.end as usize] {
                batches.extend(partition.iter().cloned());
            }
        }
        Ok(Box::pin(MemoryStream::try_new(batches, schema, None)?))
    }
}

/// One task: which partition of the stage's plan it runs, and its merged shuffle partitions.
struct Task {
    partition: u32,
    merged: Option<Range<u32>>,
}

/// Runs `job`, with `group` neighbouring shuffle partitions to a task, and returns the rows of each task of the final stage.
pub(super) async fn run(job: &PlannedJob, group: u32) -> Result<Vec<Vec<RecordBatch>>, String> {
    let runtime = Arc::new(RuntimeEnv::default());
    let shuffle = Arc::new(MemoryShuffle::default());
    let mut sources: BTreeMap<StageId, Vec<ShuffleSource>> = BTreeMap::new();
    let mut last = Vec::new();
    for (index, stage) in job.stages.iter().enumerate() {
        let id = StageId(u32::try_from(index).unwrap());
        let spec = &job.graph.stages()[index];
        let read: BTreeMap<_, _> =
            spec.inputs.iter().map(|input| (input.stage, sources[&input.stage].clone())).collect();
        let tasks = tasks_of(spec.tasks, group);
        last.clear();
        let mut starts = first_starts(&spec.links);
        for task in &tasks {
            let inputs = stage.task_inputs(task.partition, (task.merged.as_ref(), &starts), &read);
            let output = run_task(stage, task.partition, inputs, (&runtime, &shuffle)).await;
            let (output, scans) = output.map_err(|error| format!("stage {id} ({}): {error}", stage.label))?;
            follow_scans(&spec.links, &scans, &mut starts);
            assert_eq!(output.len(), spec.shuffle_partitions as usize);
            shuffle.outputs.lock().unwrap().insert((id, task.partition), output.clone());
            last.push(output.into_iter().flatten().collect());
        }
        sources.insert(id, tasks.iter().map(|task| source(task.partition)).collect());
    }
    Ok(last)
}

/// Where the records of a file's first link start.
fn first_starts(links: &[Link]) -> Vec<KnownStart> {
    let first = (0..).zip(links).filter(|(_, link)| !link.follows);
    first.map(|(number, link)| KnownStart { link: number, start: RecordStart { byte: link.start, line: 1 } }).collect()
}

/// Tasks run one after the other here, so that every link is told its start by the one before it.
fn follow_scans(links: &[Link], scans: &[LinkScan], starts: &mut Vec<KnownStart>) {
    for scan in scans {
        let own = starts.iter().find(|known| known.link == scan.link).unwrap().start;
        let end = scan.read.end.unwrap();
        if links.get(scan.link as usize + 1).is_some_and(|next| next.follows) {
            let start = RecordStart { byte: end.byte, line: own.line + end.lines };
            starts.push(KnownStart { link: scan.link + 1, start });
        }
    }
}

fn tasks_of(layout: TaskLayout, group: u32) -> Vec<Task> {
    match layout {
        TaskLayout::Fixed { tasks } => (0..tasks).map(|partition| Task { partition, merged: None }).collect(),
        TaskLayout::Merged { partitions } => (0..partitions.div_ceil(group))
            .map(|partition| {
                let first = partition * group;
                Task { partition, merged: Some(first..(first + group).min(partitions)) }
            })
            .collect(),
    }
}

fn source(partition: u32) -> ShuffleSource {
    ShuffleSource { partition, attempt: 0, worker: WorkerId::from_u128(1), address: "127.0.0.1:1".to_owned() }
}

/// Every task decodes its stage's program anew, as on a worker of its own.
async fn run_task(
    stage: &PlannedStage,
    partition: u32,
    inputs: TaskInputs,
    (runtime, shuffle): (&Arc<RuntimeEnv>, &Arc<MemoryShuffle>),
) -> Result<(ShuffleOutput, Vec<LinkScan>)> {
    let shuffle: Arc<dyn ShuffleReader> = Arc::<MemoryShuffle>::clone(shuffle);
    let task = TaskId { job: JobId::from_u128(1), stage: StageId(0), partition };
    let attempt = AttemptId { task, attempt: 0 };
    let context = task_context(TaskContextParts {
        runtime: Arc::clone(runtime),
        binding: TaskBinding {
            inputs,
            shuffle,
            scans: LinkScans::default(),
            records: RecordLog::new(attempt, Storage::default()),
        },
        name: format!("test/{partition}"),
    });
    let program = decode_stage(&stage.program, &context).unwrap_or_else(|error| panic!("{}: {error}", stage.label));
    let stream = program.plan.execute(partition as usize, Arc::clone(&context))?;
    let batches = collect(stream).await?;
    let scans = complete_scans(&program.plan, &context).await.unwrap();
    let Sink::Shuffle(sink) = program.sink else { return Ok((vec![batches], scans)) };
    if sink.hash_exprs.is_empty() {
        assert_eq!(sink.partitions, 1);
        return Ok((vec![batches], scans));
    }
    let mut partitions = vec![Vec::new(); sink.partitions as usize];
    let mut partitioner =
        BatchPartitioner::new_hash_partitioner(sink.hash_exprs, sink.partitions as usize, Time::new())?;
    for batch in batches {
        let keep = |index: usize, part: RecordBatch| {
            partitions[index].push(part);
            Ok(())
        };
        partitioner.partition(batch, keep)?;
    }
    Ok((partitions, scans))
}
