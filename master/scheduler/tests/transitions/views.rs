//! What snapshots see.

use hearth_common::{AttemptCounts, JobState, WorkerState};
use hearth_scheduler::{CommitOutcome, Effect, Event, Millis, TaskStanding, Waiting};

use crate::harness::{Harness, files, fixed, held, job, merged, storage, winner, worker};

fn waiting(harness: &Harness, number: u32) -> (JobState, Option<Waiting>) {
    let view = harness.scheduler.job(job(number)).expect("a job");
    (view.state(), view.waiting_for())
}

#[test]
fn a_job_tells_what_it_waits_for() {
    let config = hearth_scheduler::SchedulerConfig { running_jobs_max: 2, ..Default::default() };
    let mut harness = Harness::new(config);
    for number in 1..=3 {
        harness.submit(number);
    }
    assert_eq!(waiting(&harness, 1), (JobState::Planning, None));
    assert_eq!(waiting(&harness, 3), (JobState::Queued, Some(Waiting::Turn)));
    harness.planned(1, files(vec![fixed(1, &[])]));
    harness.planned(2, files(vec![fixed(1, &[])]));
    assert_eq!(waiting(&harness, 1), (JobState::Running, Some(Waiting::Workers)));
    harness.connect(1, 1, held(&[], &[]));
    assert_eq!(waiting(&harness, 1), (JobState::Running, None));
    assert_eq!(waiting(&harness, 2), (JobState::Running, Some(Waiting::Slots)));
    harness.fail("1/0/0.0@1", storage());
    assert_eq!(waiting(&harness, 1), (JobState::Running, Some(Waiting::Retry)));
    harness.finish_files("2/0/0.0@1");
    assert_eq!(waiting(&harness, 2), (JobState::Committing, None));
}

#[test]
fn a_job_counts_its_attempts() {
    let mut harness = Harness::running(&[1, 1], files(vec![fixed(2, &[]), fixed(1, &[0])]));
    harness.finish("1/0/0.0@1");
    harness.fail("1/0/1.0@2", hearth_common::FailureCause::internal("bug"));
    harness.handle(Event::WorkerGone { worker: worker(1) });
    let view = harness.scheduler.job(job(1)).expect("a job");
    assert_eq!(view.attempts(), AttemptCounts { launched: 4, lost: 2, failed: 1, ..AttemptCounts::default() });
    assert_eq!(view.running(), 1);
}

#[test]
fn stages_and_tasks_are_shown() {
    let mut harness = Harness::running(&[2], files(vec![fixed(2, &[]), merged(&[0])]));
    harness.finish("1/0/0.0@1");
    let view = harness.scheduler.job(job(1)).expect("a job");
    let counts: Vec<_> = view.stages().map(|stage| (stage.task_count(), stage.done(), stage.running())).collect();
    assert_eq!(counts, [(2, 1, 1), (0, 0, 0)]);
    let standings: Vec<_> = view.stages().flat_map(|stage| stage.tasks()).map(|task| task.standing()).collect();
    assert_eq!(standings, [TaskStanding::Done(winner("1/0/0.0@1")), TaskStanding::Running(winner("1/0/1.0@1"))]);
    harness.finish("1/0/1.0@1");
    harness.fail("1/1/0.0@1", storage());
    let view = harness.scheduler.job(job(1)).expect("a job");
    let stage = view.stages().nth(1).expect("a stage");
    let task = stage.task(0).expect("a task");
    assert_eq!((task.partition(), task.attempts(), task.merged()), (0, 1, Some(0..2)));
    assert_eq!(task.standing(), TaskStanding::BackingOff(Millis(500)));
    assert!(stage.inputs().eq([hearth_common::StageId(0)]));
}

#[test]
fn workers_are_shown() {
    let mut harness = Harness::running(&[2], files(vec![fixed(1, &[])]));
    let view = harness.scheduler.worker(worker(1)).expect("a worker");
    assert_eq!((view.state(), view.slots(), view.used()), (WorkerState::Alive, 2, 1));
    assert!(view.running().eq([winner("1/0/0.0@1").attempt]));
    harness.handle(Event::WorkerDraining { worker: worker(1) });
    assert_eq!(harness.scheduler.workers().map(|worker| worker.state()).collect::<Vec<_>>(), [WorkerState::Draining]);
    harness.disconnect(1);
    let view = harness.scheduler.worker(worker(1)).expect("a worker");
    assert_eq!((view.state(), view.lease_end()), (WorkerState::Disconnected, Millis(3_000)));
}

#[test]
fn a_change_is_announced_once_and_not_after_the_end() {
    let mut harness = Harness::running(&[4], files(vec![fixed(4, &[])]));
    let mut announced = |event| {
        let mut effects = Vec::new();
        harness.scheduler.handle(Millis(0), event, &mut effects);
        effects.iter().filter(|effect| matches!(effect, Effect::JobChanged { .. })).count()
    };
    assert_eq!(announced(Event::WorkerGone { worker: worker(1) }), 1);
    assert_eq!(announced(Event::Heartbeat { worker: worker(1) }), 0);
    assert_eq!(announced(Event::CommitEnded { job: job(1), outcome: CommitOutcome::Done }), 0);
    assert_eq!(announced(Event::CancelRequested { job: job(1) }), 0);
}
