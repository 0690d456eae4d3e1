//! Random jobs: a graph of stages, and what is bound to go wrong with it.

use std::collections::BTreeMap;
use std::time::Duration;

use hearth_common::{JobId, Priority, StageId};
use hearth_scheduler::{
    FinalOutput, HostBytes, InputKind, JobGraph, JobLimits, Link, StageInput, StageSpec, TaskLayout,
};

use crate::input::Input;
use crate::rng::{Rng, mix_all};

/// What happens to a job besides the faults of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    /// Nothing: it must be done.
    Normal,
    /// Its reads fail often, but not too often.
    FlakyReads,
    /// Its commits fail to fetch the result a few times.
    FlakyCommit,
    /// The planner refuses it.
    PlanFails,
    /// A task fails for good.
    TaskError(StageId),
    /// Some records of a stage's files cannot be read.
    BadRecords(StageId),
    /// A task fails with an internal error each time.
    InternalForever(StageId),
    /// A task meets storage trouble each time.
    StorageForever(StageId),
    /// A task runs out of memory each time.
    ExhaustedForever(StageId),
    /// A task kills its worker each time.
    Killer(StageId),
    /// A task kills its worker now and then, but never so often in a row that it is poison.
    FlakyKiller(StageId),
    /// The outputs of a stage cannot be read by anybody.
    UnreadableForever(StageId),
    /// The first attempt of a task never ends, though its worker lives.
    Straggler(StageId),
    /// Somebody cancels it while its commit runs.
    CancelDuringCommit,
    /// The commit fails.
    CommitFails,
    /// Somebody cancels it that many milliseconds after it was submitted.
    Cancel(u64),
}

/// A job of the simulation.
#[derive(Debug, Clone)]
pub(crate) struct JobPlan {
    pub(crate) id: JobId,
    pub(crate) graph: JobGraph,
    /// The files that stages with links read.
    pub(crate) inputs: BTreeMap<StageId, Input>,
    pub(crate) script: Script,
    pub(crate) limits: JobLimits,
    pub(crate) submit_at: u64,
    salt: u64,
}

impl JobPlan {
    pub(crate) fn random(rng: &mut Rng, number: u64) -> Self {
        let (graph, mut inputs) = random_graph(rng);
        let stages = graph.stages().len() as u64;
        let mut script = random_script(rng, stages, graph.final_output());
        if let Script::BadRecords(stage) = script
            && !inputs.get_mut(&stage).is_some_and(|input| input.spoil(rng))
        {
            script = Script::Normal;
        }
        let slots_max = if rng.percent(20) { Some(rng.between(1, 3) as u32) } else { None };
        if slots_max == Some(1) && matches!(script, Script::Straggler(_)) {
            // A second attempt may not take a slot that the job does not have.
            script = Script::Normal;
        }
        let limits = JobLimits {
            slots_max,
            merge_bytes: rng.between(1, 400),
            deadline: rng.percent(10).then(|| Duration::from_secs(rng.between(1, 60))),
            priority: *rng.pick(&Priority::ALL).expect("a priority"),
        };
        Self {
            id: JobId::from_u128(u128::from(number) + 1),
            graph,
            inputs,
            script,
            limits,
            submit_at: rng.between(0, 15_000),
            salt: rng.next(),
        }
    }

    pub(crate) fn stage(&self, id: StageId) -> &StageSpec {
        &self.graph.stages()[id.0 as usize]
    }

    /// The links of a task, with their numbers.
    pub(crate) fn links_of(&self, stage: StageId, partition: u32) -> impl Iterator<Item = (u32, &Link)> {
        (0..).zip(&self.stage(stage).links).filter(move |(_, link)| link.task == partition)
    }

    /// What the records of a stage's files add to its value.
    pub(crate) fn records_total(&self, stage: StageId) -> u64 {
        self.inputs.get(&stage).map_or(0, Input::total)
    }

    pub(crate) fn final_stage(&self) -> StageId {
        StageId(self.graph.stages().len() as u32 - 1)
    }

    /// What one shuffle partition, or the input splits of one task, add to the value of a stage.
    pub(crate) fn base(&self, stage: StageId, index: u32) -> u64 {
        mix_all(&[self.salt, 1, u64::from(stage.0), u64::from(index)])
    }

    /// By what the values of an input are multiplied where that index of a stage reads it. Odd, so that nothing is lost.
    pub(crate) fn key(&self, stage: StageId, input: StageInput, index: u32) -> u64 {
        let kind = u64::from(input.kind == InputKind::Partitioned);
        mix_all(&[self.salt, 2, u64::from(stage.0), u64::from(input.stage.0), kind, u64::from(index)]) | 1
    }

    /// Bytes of each shuffle partition of a task's output.
    pub(crate) fn partition_bytes(&self, stage: StageId, partition: u32) -> Vec<u64> {
        let bytes = |index: u32| {
            let random = mix_all(&[self.salt, 3, u64::from(stage.0), u64::from(partition), u64::from(index)]);
            if random.is_multiple_of(4) { 0 } else { random % 100 }
        };
        (0..self.stage(stage).shuffle_partitions).map(bytes).collect()
    }
}

/// Indices over which the value of a stage is a sum: its shuffle partitions where it merges them, else its tasks.
pub(crate) fn index_count(stage: &StageSpec) -> u32 {
    match stage.tasks {
        TaskLayout::Fixed { tasks } => tasks,
        TaskLayout::Merged { partitions } => partitions,
    }
}

fn random_graph(rng: &mut Rng) -> (JobGraph, BTreeMap<StageId, Input>) {
    let stages = rng.between(1, 5) as u32;
    let partitions = rng.between(2, 6) as u32;
    let final_output = if rng.percent(35) { FinalOutput::Result } else { FinalOutput::Files };
    let mut specs: Vec<StageSpec> = Vec::new();
    let mut unread: Vec<StageId> = Vec::new();
    let mut files = BTreeMap::new();
    for index in 0..stages {
        let is_final = index + 1 == stages;
        let mut inputs = if is_final { unread.clone() } else { random_inputs(rng, index) };
        inputs.sort();
        inputs.dedup();
        unread.retain(|stage| !inputs.contains(stage));
        unread.push(StageId(index));
        let is_result = is_final && final_output == FinalOutput::Result;
        let shuffle_partitions = if is_result { 1 } else { partitions };
        let mut stage = random_stage(rng, &inputs, (partitions, shuffle_partitions));
        if let TaskLayout::Fixed { tasks } = stage.tasks
            && rng.percent(if inputs.is_empty() { 80 } else { 40 })
        {
            let (input, links) = Input::random(rng, tasks);
            stage.links = links;
            files.insert(StageId(index), input);
        }
        if let TaskLayout::Fixed { tasks } = stage.tasks {
            stage.homes = random_homes(rng, tasks);
        }
        specs.push(stage);
    }
    (JobGraph::new(specs, final_output).expect("a valid graph"), files)
}

/// Hosts that tasks prefer: some, none, or one that has no worker.
fn random_homes(rng: &mut Rng, tasks: u32) -> Vec<Vec<HostBytes>> {
    if rng.percent(50) {
        return Vec::new();
    }
    let home = |rng: &mut Rng| HostBytes { host: host_name(rng.between(0, 5)), bytes: rng.between(1, 3) };
    (0..tasks).map(|_| (0..rng.between(0, 3)).map(|_| home(rng)).collect()).collect()
}

/// The name of a host's number.
pub(crate) fn host_name(host: u64) -> String {
    format!("h{host}")
}

fn random_inputs(rng: &mut Rng, index: u32) -> Vec<StageId> {
    if index == 0 || rng.percent(25) {
        return Vec::new();
    }
    let count = rng.between(1, 2);
    (0..count).map(|_| StageId(rng.between(0, u64::from(index) - 1) as u32)).collect()
}

fn random_stage(rng: &mut Rng, inputs: &[StageId], (partitions, shuffle_partitions): (u32, u32)) -> StageSpec {
    let inputs: Vec<_> = inputs
        .iter()
        .map(|&stage| {
            let kind = if rng.percent(70) { InputKind::Partitioned } else { InputKind::Other };
            StageInput { stage, kind }
        })
        .collect();
    let is_partitioned = inputs.iter().any(|input| input.kind == InputKind::Partitioned);
    let tasks = match (is_partitioned, rng.percent(60)) {
        (true, true) => TaskLayout::Merged { partitions },
        (true, false) => TaskLayout::Fixed { tasks: partitions },
        (false, _) => TaskLayout::Fixed { tasks: rng.between(1, 6) as u32 },
    };
    StageSpec { tasks, inputs, shuffle_partitions, determinate: rng.percent(60), links: Vec::new(), homes: Vec::new() }
}

fn random_script(rng: &mut Rng, stages: u64, final_output: FinalOutput) -> Script {
    let stage = StageId(rng.between(0, stages - 1) as u32);
    match rng.between(0, 99) {
        0..=2 => Script::PlanFails,
        3..=5 => Script::TaskError(stage),
        6..=8 => Script::InternalForever(stage),
        9..=10 => Script::StorageForever(stage),
        11..=13 => Script::ExhaustedForever(stage),
        14..=16 => Script::Killer(stage),
        17..=18 if stages > 1 => Script::UnreadableForever(StageId(rng.between(0, stages - 2) as u32)),
        19..=21 => Script::CommitFails,
        22..=29 => Script::Cancel(rng.between(0, 20_000)),
        30..=33 => Script::CancelDuringCommit,
        34..=48 => Script::FlakyReads,
        49..=58 if final_output == FinalOutput::Result => Script::FlakyCommit,
        59..=63 => Script::FlakyKiller(stage),
        64..=71 => Script::BadRecords(stage),
        72..=77 => Script::Straggler(stage),
        _ => Script::Normal,
    }
}
