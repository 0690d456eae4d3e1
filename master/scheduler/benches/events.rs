//! Task events per second: 100 jobs of 1,000 tasks on 200 workers. An event here is an attempt that finished, with
//! everything that follows from it: the next launches, the next stage, the commit, the end of the job.

use std::collections::VecDeque;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hearth_common::{JobId, StageId, WorkerId};
use hearth_scheduler::{
    AttemptOutput, CommitOutcome, Effect, Event, FinalOutput, Held, InputKind, JobGraph, JobLimits, Millis, Scheduler,
    SchedulerConfig, StageInput, StageSpec, TaskLayout,
};

const JOBS: u128 = 100;
const TASKS_PER_JOB: u32 = 1_000;
const WORKERS: u128 = 200;
const SHUFFLE_PARTITIONS: u32 = 100;

/// 900 tasks that leave shuffle outputs, and 100 that read them.
fn graph() -> JobGraph {
    let map = StageSpec {
        tasks: TaskLayout::Fixed { tasks: TASKS_PER_JOB - SHUFFLE_PARTITIONS },
        inputs: Vec::new(),
        shuffle_partitions: SHUFFLE_PARTITIONS,
        determinate: true,
        links: Vec::new(),
        homes: Vec::new(),
    };
    let reduce = StageSpec {
        tasks: TaskLayout::Merged { partitions: SHUFFLE_PARTITIONS },
        inputs: vec![StageInput { stage: StageId(0), kind: InputKind::Partitioned }],
        shuffle_partitions: 1,
        determinate: true,
        links: Vec::new(),
        homes: Vec::new(),
    };
    JobGraph::new(vec![map, reduce], FinalOutput::Files).unwrap_or_else(|error| unreachable!("{error}"))
}

/// Runs all jobs, each launch answered in order by a report; gives the number of reports.
fn run_jobs() -> u64 {
    let mut scheduler = Scheduler::new(SchedulerConfig { running_jobs_max: 100, ..SchedulerConfig::default() });
    let mut inbox = VecDeque::new();
    for worker in 1..=WORKERS {
        let worker = WorkerId::from_u128(worker);
        inbox.push_back(Event::WorkerConnected { worker, slots: 4, names: Vec::new(), held: Held::default() });
    }
    for job in 1..=JOBS {
        let limits = JobLimits { slots_max: None, merge_bytes: 1, ..JobLimits::default() };
        inbox.push_back(Event::JobSubmitted { job: JobId::from_u128(job), limits });
    }
    let (mut effects, mut reports, mut now) = (Vec::new(), 0, 0);
    while let Some(event) = inbox.pop_front() {
        now += 1;
        reports += u64::from(matches!(event, Event::AttemptFinished { .. }));
        scheduler.handle(Millis(now / 100), event, &mut effects);
        inbox.extend(effects.drain(..).filter_map(answer));
    }
    reports
}

fn answer(effect: Effect) -> Option<Event> {
    match effect {
        Effect::Plan { job } => Some(Event::JobPlanned { job, graph: graph() }),
        Effect::Launch(launch) => {
            let is_map = launch.attempt.task.stage == StageId(0);
            let partition_bytes = vec![10; SHUFFLE_PARTITIONS as usize];
            let output = if is_map { AttemptOutput::Shuffle { partition_bytes } } else { AttemptOutput::Files };
            Some(Event::AttemptFinished { attempt: launch.attempt, worker: launch.worker, output, scans: Vec::new() })
        }
        Effect::Commit { job, .. } => Some(Event::CommitEnded { job, outcome: CommitOutcome::Done }),
        Effect::RejectJob { .. }
        | Effect::CancelAttempt { .. }
        | Effect::DiscardOutput { .. }
        | Effect::RemoveShuffleOutput { .. }
        | Effect::RemoveJobShuffle { .. }
        | Effect::FenceWorker { .. }
        | Effect::ReleaseWorker { .. }
        | Effect::TellReader { .. }
        | Effect::HubChosen { .. }
        | Effect::JobChanged { .. }
        | Effect::JobEnded { .. } => None,
    }
}

fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("events");
    group.throughput(Throughput::Elements(run_jobs())).sample_size(10);
    group.bench_function("100 jobs of 1,000 tasks, 200 workers", |bencher| bencher.iter(|| black_box(run_jobs())));
    group.finish();
}

criterion_group!(benches, measure);
criterion_main!(benches);
