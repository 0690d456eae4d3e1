//! Random steps. Half of the reports are about attempts that were launched, the rest about anything.

use std::time::Duration;

use hearth_common::{AttemptId, FailureCause, JobId, LinkScan, OutputLoss, Priority, StageId, TaskId, WorkerId};
use hearth_scheduler::{
    AttemptOutput, CommitOutcome, Event, FinalOutput, Held, HostBytes, InputKind, JobGraph, JobLimits, Launch,
    StageInput, StageSpec, TaskLayout,
};
use proptest::prelude::*;

use crate::scans::{links, random_scans};

/// One step: time passes, and something happens.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) wait_ms: u64,
    what: What,
    job: u128,
    worker: u128,
    /// Chooses among the launched attempts, or makes up one.
    attempt: (bool, usize),
    number: u32,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Submit,
    Planned,
    PlanFailed,
    Refuse,
    Cancel,
    Connect,
    Heartbeat,
    Disconnect,
    Drain,
    Gone,
    Finish,
    Fail,
    CommitDone,
    CommitFailed,
    LostResult,
    Tick,
}

/// Three workers and two jobs to begin with, then anything.
pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let first = |what, id: u128| Step { wait_ms: 0, what, job: id, worker: id, attempt: (false, 0), number: 3 };
    let mut prelude: Vec<_> = (1..=3).map(|id| first(What::Connect, id)).collect();
    for id in 1..=2 {
        prelude.extend([first(What::Submit, id), first(What::Planned, id)]);
    }
    prop::collection::vec(step(), 1..250).prop_map(move |steps| prelude.iter().cloned().chain(steps).collect())
}

fn step() -> impl Strategy<Value = Step> {
    let what = prop_oneof![
        3 => Just(What::Submit),
        3 => Just(What::Planned),
        1 => Just(What::PlanFailed),
        1 => Just(What::Refuse),
        1 => Just(What::Cancel),
        3 => Just(What::Connect),
        6 => Just(What::Heartbeat),
        1 => Just(What::Disconnect),
        1 => Just(What::Drain),
        1 => Just(What::Gone),
        80 => Just(What::Finish),
        8 => Just(What::Fail),
        4 => Just(What::CommitDone),
        1 => Just(What::CommitFailed),
        2 => Just(What::LostResult),
        4 => Just(What::Tick),
    ];
    let wait_ms = prop_oneof![40 => 0..300_u64, 1 => 2_000..15_000_u64];
    (wait_ms, what, 1..6_u128, 1..9_u128, (prop::bool::weighted(0.9), 0..200_usize), 0..8_u32)
        .prop_map(|(wait_ms, what, job, worker, attempt, number)| Step { wait_ms, what, job, worker, attempt, number })
}

impl Step {
    /// The event, given what was launched so far.
    pub(crate) fn event(&self, launched: &[Launch]) -> Event {
        let (job, worker) = (JobId::from_u128(self.job), WorkerId::from_u128(self.worker));
        let (attempt, on) = self.attempt(launched);
        match self.what {
            What::Submit => {
                let slots_max = (self.number > 4).then(|| self.number - 4);
                let deadline = (self.number == 1).then(|| Duration::from_secs(20));
                let priority = Priority::ALL[self.number as usize % 3];
                Event::JobSubmitted { job, limits: JobLimits { slots_max, merge_bytes: 20, deadline, priority } }
            }
            What::Planned => Event::JobPlanned { job, graph: graph(self.job) },
            What::PlanFailed => Event::PlanFailed { job, cause: FailureCause::task("wrong") },
            What::Refuse => Event::InputsRefused { job, cause: FailureCause::task("too many rejects") },
            What::Cancel => Event::CancelRequested { job },
            What::Connect => Event::WorkerConnected {
                worker,
                slots: self.number % 4,
                names: vec![format!("h{}", self.worker % 4)],
                held: held(launched, worker),
            },
            What::Heartbeat => Event::Heartbeat { worker },
            What::Disconnect => Event::WorkerDisconnected { worker },
            What::Drain => Event::WorkerDraining { worker },
            What::Gone => Event::WorkerGone { worker },
            What::Finish => {
                let scans = self.scans(launched, attempt);
                Event::AttemptFinished { attempt, worker: on, output: self.output(attempt), scans }
            }
            What::Fail => {
                let scans = self.scans(launched, attempt);
                Event::AttemptFailed { attempt, worker: on, cause: self.cause(launched), scans }
            }
            What::CommitDone => Event::CommitEnded { job: attempt.task.job, outcome: CommitOutcome::Done },
            What::CommitFailed => {
                Event::CommitEnded { job, outcome: CommitOutcome::Failed { cause: FailureCause::task("exists") } }
            }
            What::LostResult => {
                Event::CommitEnded { job: attempt.task.job, outcome: CommitOutcome::LostResult { attempt, worker: on } }
            }
            What::Tick => Event::Tick,
        }
    }

    fn attempt(&self, launched: &[Launch]) -> (AttemptId, WorkerId) {
        let (is_real, index) = self.attempt;
        // Late launches first: most of them still run.
        let real = launched.iter().rev().nth(index % launched.len().max(1) / 4);
        match real.filter(|_| is_real) {
            Some(launch) => (launch.attempt, launch.worker),
            None => {
                let task =
                    TaskId { job: JobId::from_u128(self.job), stage: StageId(self.number), partition: self.number };
                (AttemptId { task, attempt: self.number }, WorkerId::from_u128(self.worker))
            }
        }
    }

    fn scans(&self, launched: &[Launch], attempt: AttemptId) -> Vec<LinkScan> {
        // Another number than that of the output, so that a wrong output does not always come with the same report.
        let number = (self.number + self.attempt.1 as u32) % 32;
        random_scans(launched.iter().find(|launch| launch.attempt == attempt), number)
    }

    /// What the attempt should leave, most of the time.
    fn output(&self, attempt: AttemptId) -> AttemptOutput {
        let job = (1..6).find(|job| JobId::from_u128(*job) == attempt.task.job).unwrap_or(1);
        let graph = graph(job);
        let is_final = attempt.task.stage.0 == 2;
        let bytes = u64::from(self.number);
        match (self.number, is_final, graph.final_output()) {
            (7, _, _) => AttemptOutput::Files,
            (0, _, _) => AttemptOutput::Shuffle { partition_bytes: vec![bytes; 2] },
            (_, true, FinalOutput::Files) => AttemptOutput::Files,
            (_, true, FinalOutput::Result) => AttemptOutput::Shuffle { partition_bytes: vec![bytes] },
            (_, false, _) => AttemptOutput::Shuffle { partition_bytes: vec![bytes, 10, 10] },
        }
    }

    fn cause(&self, launched: &[Launch]) -> FailureCause {
        let message = String::new();
        let lost = launched.iter().rev().nth(self.attempt.1 % 20);
        match (self.number, lost) {
            (0, _) => FailureCause::Internal { message },
            (1, _) => FailureCause::Storage { message },
            (2, _) => FailureCause::OutOfMemory { message },
            (3, _) => FailureCause::Cancelled,
            (4, _) if self.attempt.1 > 100 => FailureCause::Task { message, place: None },
            (_, Some(Launch { worker, attempt, .. })) => FailureCause::LostShuffleOutput {
                stage: attempt.task.stage,
                partition: attempt.task.partition,
                attempt: attempt.attempt,
                worker: *worker,
                loss: if attempt.attempt.is_multiple_of(2) { OutputLoss::Gone } else { OutputLoss::Unreached },
                message,
            },
            (_, None) => FailureCause::WorkerLost { worker: WorkerId::from_u128(self.worker) },
        }
    }
}

fn held(launched: &[Launch], worker: WorkerId) -> Held {
    let on = |launch: &&Launch| launch.worker == worker;
    let attempts = launched.iter().filter(on).step_by(2).map(|launch| launch.attempt).collect();
    let shuffle_outputs = launched.iter().filter(on).skip(1).step_by(3).map(|launch| launch.attempt).collect();
    Held { attempts, shuffle_outputs }
}

/// Hosts for the first tasks of a stage; no worker is on the last of them.
fn homes(job: u128) -> Vec<Vec<HostBytes>> {
    let host = |number: u128| HostBytes { host: format!("h{}", number % 5), bytes: 10 };
    vec![vec![host(job), host(job + 1)], vec![host(4)]]
}

/// The graph of a job: a broadcast source, merged stages, and by its number files or a result, determinate or not.
fn graph(job: u128) -> JobGraph {
    let input = |stage, kind| StageInput { stage: StageId(stage), kind };
    let determinate = job.is_multiple_of(2);
    let stage = |tasks, inputs| StageSpec {
        tasks,
        inputs,
        shuffle_partitions: 3,
        determinate,
        links: Vec::new(),
        homes: Vec::new(),
    };
    let source = StageSpec { links: links(), homes: homes(job), ..stage(TaskLayout::Fixed { tasks: 3 }, Vec::new()) };
    let middle = stage(TaskLayout::Merged { partitions: 3 }, vec![input(0, InputKind::Partitioned)]);
    let inputs = vec![input(0, InputKind::Other), input(1, InputKind::Partitioned)];
    let mut last = stage(TaskLayout::Merged { partitions: 3 }, inputs);
    let final_output = if job.is_multiple_of(3) { FinalOutput::Result } else { FinalOutput::Files };
    if final_output == FinalOutput::Result {
        last.shuffle_partitions = 1;
    }
    JobGraph::new(vec![source, middle, last], final_output).expect("a graph")
}
