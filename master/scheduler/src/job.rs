//! A job as the scheduler knows it: where it is in its life and, once planned, its stages. It decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use hearth_common::{
    AttemptCounts, AttemptId, FailureCause, JobId, JobState, LocalityCounts, Priority, StageId, TaskId, WorkerId,
};

use crate::claim::Ending;
use crate::exclusion::Exclusions;
use crate::graph::{FinalOutput, JobGraph, StageSpec, TaskLayout};
use crate::merge::{group_partitions, limit_for};
use crate::mutation::Mutation;
use crate::reach::Hub;
use crate::stage::{Stage, Urgency};
use crate::task::{Task, TaskKey, TaskState};
use crate::{JobLimits, Millis, Winner};

/// A job that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    /// Its place in the order of submissions.
    pub(crate) sequence: u64,
    /// Its place in the queue.
    pub(crate) turn: Turn,
    /// When it should be done; gone when that time has come.
    pub(crate) deadline: Option<Millis>,
    pub(crate) limits: JobLimits,
    pub(crate) phase: Phase,
    pub(crate) counts: AttemptCounts,
    pub(crate) locality: LocalityCounts,
    /// When stragglers are looked for.
    pub(crate) watch: Option<Millis>,
    /// Its place among the jobs that want a slot.
    pub(crate) demand: Option<Demand>,
    /// Since when it has tasks to run but no worker takes attempts.
    pub(crate) starving_since: Option<Millis>,
}

/// How far a job has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    Queued,
    Planning,
    Executing(Box<Execution>),
}

/// A place in the queue: by the time of submission, moved by the priority, then by the order of submissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn {
    pub(crate) rank: Millis,
    pub(crate) sequence: u64,
}

/// A place among the jobs that want a slot: fewest running attempts for its weight first, then the oldest. One that runs
/// nothing comes before all that do, whatever its priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Demand {
    /// Running attempts, times 1 to 4 by priority.
    pub(crate) share: usize,
    pub(crate) sequence: u64,
    pub(crate) job: JobId,
}

/// Whether the winners of the final stage were handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Running,
    Committing { wish: EndWish },
}

/// Whether a job should have ended when it was too late to stop it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndWish {
    None,
    Cancelled,
    DeadlinePassed,
}

/// The stages of a planned job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Execution {
    pub(crate) progress: Progress,
    pub(crate) final_output: FinalOutput,
    stages: Vec<Stage>,
    /// Open stages with waiting tasks, in the order in which they get slots.
    ready_stages: BTreeSet<(Urgency, StageId)>,
    /// Tasks that run,
    pub(crate) running: BTreeSet<TaskKey>,
    /// and those of them with two attempts.
    pub(crate) doubled: BTreeSet<TaskKey>,
    pub(crate) backing_off: BTreeSet<TaskKey>,
    pub(crate) exclusions: Exclusions,
    /// Where all that it leaves can be read, since no worker could read all it needed.
    pub(crate) hub: Option<Hub>,
    /// Workers that got an attempt, and may hold something of the job.
    pub(crate) workers: BTreeSet<WorkerId>,
    /// A stage became complete or incomplete since stages were last opened.
    pub(crate) is_stale: bool,
}

impl Job {
    pub(crate) fn new(turn: Turn, deadline: Option<Millis>, limits: JobLimits) -> Self {
        Self {
            sequence: turn.sequence,
            turn,
            deadline,
            limits,
            phase: Phase::Queued,
            counts: AttemptCounts::default(),
            locality: LocalityCounts::default(),
            watch: None,
            demand: None,
            starving_since: None,
        }
    }

    pub(crate) fn state(&self) -> JobState {
        match &self.phase {
            Phase::Queued => JobState::Queued,
            Phase::Planning => JobState::Planning,
            Phase::Executing(execution) => match execution.progress {
                Progress::Running => JobState::Running,
                Progress::Committing { .. } => JobState::Committing,
            },
        }
    }

    pub(crate) fn execution(&self) -> Option<&Execution> {
        match &self.phase {
            Phase::Executing(execution) => Some(execution),
            Phase::Queued | Phase::Planning => None,
        }
    }

    pub(crate) fn execution_mut(&mut self) -> Option<&mut Execution> {
        match &mut self.phase {
            Phase::Executing(execution) => Some(execution),
            Phase::Queued | Phase::Planning => None,
        }
    }

    pub(crate) fn task(&self, key: TaskKey) -> Option<&Task> {
        self.execution()?.stage(key.stage)?.task(key.partition)
    }

    pub(crate) fn task_mut(&mut self, key: TaskKey) -> Option<&mut Task> {
        self.execution_mut()?.stage_mut(key.stage)?.task_mut(key.partition)
    }

    /// Attempts that it runs.
    pub(crate) fn slots_held(&self) -> usize {
        self.execution().map_or(0, |execution| execution.running.len() + execution.doubled.len())
    }

    /// Its share of the slots, for the order in which jobs get the next one.
    pub(crate) fn share(&self) -> usize {
        self.slots_held().saturating_mul(match self.limits.priority {
            Priority::High => 1,
            Priority::Normal => 2,
            Priority::Low => 4,
        })
    }

    /// What it fails of when its time is over.
    pub(crate) fn deadline_cause(&self) -> FailureCause {
        FailureCause::DeadlinePassed { limit_seconds: self.limits.deadline.unwrap_or_default().as_secs() }
    }

    /// Attempts it may run at once.
    pub(crate) fn slots_max(&self) -> usize {
        self.limits.slots_max.map_or(usize::MAX, |max| max.max(1) as usize)
    }
}

/// Tasks that a graph has at most.
pub(crate) fn count_tasks(graph: &JobGraph) -> u64 {
    let tasks = |stage: &StageSpec| match stage.tasks {
        TaskLayout::Fixed { tasks } => u64::from(tasks),
        TaskLayout::Merged { partitions } => u64::from(partitions),
    };
    graph.stages().iter().map(tasks).sum()
}

impl Execution {
    pub(crate) fn new(graph: &JobGraph) -> Self {
        let mut consumers: BTreeMap<StageId, BTreeSet<StageId>> = BTreeMap::new();
        for (id, spec) in stage_ids().zip(graph.stages()) {
            for input in &spec.inputs {
                consumers.entry(input.stage).or_default().insert(id);
            }
        }
        let of = |id| consumers.get(&id).into_iter().flatten().copied().collect();
        let mut execution = Self {
            progress: Progress::Running,
            final_output: graph.final_output(),
            stages: stage_ids().zip(graph.stages()).map(|(id, spec)| Stage::new(id, spec, of(id))).collect(),
            ready_stages: BTreeSet::new(),
            running: BTreeSet::new(),
            doubled: BTreeSet::new(),
            backing_off: BTreeSet::new(),
            exclusions: Exclusions::default(),
            hub: None,
            workers: BTreeSet::new(),
            is_stale: true,
        };
        execution.count_bytes_for_merging();
        execution
    }

    fn count_bytes_for_merging(&mut self) {
        let is_merged = |stage: &&Stage| stage.unformed_partitions().is_some();
        let merged: BTreeSet<_> = self.stages.iter().filter(is_merged).flat_map(Stage::partitioned_inputs).collect();
        for id in merged {
            if let Some(stage) = self.stage_mut(id) {
                stage.count_bytes();
            }
        }
    }

    pub(crate) fn stages(&self) -> &[Stage] {
        &self.stages
    }

    pub(crate) fn stages_mut(&mut self) -> &mut [Stage] {
        &mut self.stages
    }

    pub(crate) fn stage(&self, id: StageId) -> Option<&Stage> {
        self.stages.get(id.0 as usize)
    }

    pub(crate) fn stage_mut(&mut self, id: StageId) -> Option<&mut Stage> {
        self.stages.get_mut(id.0 as usize)
    }

    pub(crate) fn final_stage(&self) -> Option<&Stage> {
        self.stages.last()
    }

    pub(crate) fn final_stage_mut(&mut self) -> Option<&mut Stage> {
        self.stages.last_mut()
    }

    pub(crate) fn is_final(&self, stage: StageId) -> bool {
        stage.0 as usize + 1 == self.stages.len()
    }

    /// Winners of that stage leave a shuffle output on their worker.
    pub(crate) fn leaves_shuffle_output(&self, stage: StageId) -> bool {
        !self.is_final(stage) || self.final_output == FinalOutput::Result
    }

    /// The attempt of a task whose shuffle output lies on a worker: its winner, or one that may yet win.
    pub(crate) fn find_output(&self, task: TaskId) -> Option<Winner> {
        let stage = self.stage(task.stage).filter(|stage| self.leaves_shuffle_output(stage.id))?;
        let on = |attempt, worker| Some(Winner { attempt: AttemptId { task, attempt }, worker });
        match stage.task(task.partition)?.state() {
            TaskState::Done { attempt, worker } => on(attempt, worker),
            TaskState::Unproved { attempt, worker } => match stage.claims.get(task.partition)?.ending {
                Ending::Finished { .. } => on(attempt, worker),
                Ending::Failed { .. } => None,
            },
            TaskState::Waiting | TaskState::BackingOff { .. } | TaskState::Running(_) => None,
        }
    }

    /// Open stages with waiting tasks, in the order in which they get slots.
    pub(crate) fn ready_stages(&self) -> impl Iterator<Item = &Stage> {
        self.ready_stages.iter().filter_map(|(_, id)| self.stage(*id))
    }

    pub(crate) fn has_ready_tasks(&self) -> bool {
        !self.ready_stages.is_empty()
    }

    /// Every stage computed from that one, however far.
    pub(crate) fn readers(&self, of: StageId) -> BTreeSet<StageId> {
        let mut readers = BTreeSet::new();
        let mut next = vec![of];
        while let Some(stage) = next.pop().and_then(|id| self.stage(id)) {
            next.extend(stage.consumers.iter().filter(|id| readers.insert(**id)));
        }
        readers
    }

    /// Finds out which stages are needed to end the job: those whose readers are both needed and incomplete.
    pub(crate) fn mark_wanted(&mut self) {
        let mut is_missing = vec![false; self.stages.len()];
        for index in (0..self.stages.len()).rev() {
            let Some(stage) = self.stages.get_mut(index) else { continue };
            let is_read = |id: &StageId| is_missing.get(id.0 as usize).copied().unwrap_or(false);
            stage.is_wanted = index + 1 == is_missing.len() || stage.consumers.iter().any(is_read);
            if let Some(missing) = is_missing.get_mut(index) {
                *missing = stage.is_wanted && !stage.is_complete();
            }
        }
    }

    /// An indeterminate stage that has to run again although its lost output was read.
    pub(crate) fn find_lost_version(&self) -> Option<StageId> {
        self.stages.iter().find(|stage| stage.has_lost_version && stage.is_wanted).map(|stage| stage.id)
    }

    /// Forms the groups of merged stages whose inputs are all there, and opens the stages that can run.
    ///
    /// Groups are of at most `merge_bytes`, and so small that there is one for each of the slots.
    pub(crate) fn open_stages(&mut self, (merge_bytes, slots): (u64, u64), mutation: Option<Mutation>) {
        for id in stage_ids().take(self.stages.len()) {
            let can_run = self.stage(id).is_some_and(|stage| stage.is_wanted && self.has_inputs(stage, mutation));
            if can_run {
                self.form_groups(id, (merge_bytes, slots), mutation);
            }
            if let Some(stage) = self.stage_mut(id) {
                stage.is_open = can_run;
            }
            self.list_ready(id);
        }
    }

    fn has_inputs(&self, stage: &Stage, mutation: Option<Mutation>) -> bool {
        let is_there = |input: &Stage| match mutation {
            Some(Mutation::StartStageEarly) => input.done() > 0,
            _ => input.is_complete(),
        };
        stage.inputs.iter().all(|input| self.stage(input.stage).is_some_and(is_there))
    }

    fn form_groups(&mut self, id: StageId, (merge_bytes, slots): (u64, u64), mutation: Option<Mutation>) {
        let Some(partitions) = self.stage(id).and_then(Stage::unformed_partitions) else { return };
        let mut sums = vec![0_u64; partitions as usize];
        for input in self.stage(id).into_iter().flat_map(Stage::partitioned_inputs).filter_map(|id| self.stage(id)) {
            for (sum, bytes) in sums.iter_mut().zip(input.partition_bytes()) {
                *sum = sum.saturating_add(*bytes);
            }
        }
        if mutation == Some(Mutation::DropLastPartition) && sums.len() > 1 {
            sums.pop();
        }
        if let Some(stage) = self.stage_mut(id) {
            stage.form(group_partitions(&sums, limit_for(&sums, slots, merge_bytes)));
        }
    }

    /// Brings the list of ready stages up to date after a stage or one of its tasks changed.
    pub(crate) fn list_ready(&mut self, id: StageId) {
        let Some(stage) = self.stages.get_mut(id.0 as usize) else { return };
        let urgency = if stage.is_open { stage.urgency() } else { None };
        let before = std::mem::replace(&mut stage.listed, urgency);
        if before == urgency {
            return;
        }
        if let Some(before) = before {
            self.ready_stages.remove(&(before, id));
        }
        if let Some(urgency) = urgency {
            self.ready_stages.insert((urgency, id));
        }
    }

    /// Compares counters and lists with a recount; for tests.
    pub(crate) fn check(&self) -> Result<(), String> {
        for stage in &self.stages {
            stage.check()?;
            let listed = self.ready_stages.iter().find(|(_, id)| *id == stage.id).map(|(urgency, _)| *urgency);
            let expected = if stage.is_open { stage.urgency() } else { None };
            if listed != expected || stage.listed != expected {
                return Err(format!("stage {} is listed as {listed:?}, but is {expected:?}", stage.id));
            }
            if !stage.is_wanted && stage.running() > 0 {
                return Err(format!("stage {} is not wanted, but {} attempts run", stage.id, stage.running()));
            }
        }
        Ok(())
    }
}

fn stage_ids() -> impl Iterator<Item = StageId> {
    (0..).map(StageId)
}
