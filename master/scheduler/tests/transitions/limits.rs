//! A job's deadline, and its priority beside other jobs.

use std::time::Duration;

use hearth_common::{ByteSize, JobSettings, Priority};
use hearth_scheduler::{CommitOutcome, Event, JobGraph, JobLimits, SchedulerConfig};

use crate::harness::{Harness, check, files, fixed, held, job, result, winner};

const LATE: &str = "failed 1: not done within 60 s, its deadline";

fn with_deadline(graph: JobGraph) -> Harness {
    let mut harness = Harness::new(SchedulerConfig::default());
    harness.connect(1, 2, held(&[], &[]));
    let limits = JobLimits { merge_bytes: 100, deadline: Some(Duration::from_secs(60)), ..JobLimits::default() };
    harness.handle(Event::JobSubmitted { job: job(1), limits });
    harness.planned(1, graph);
    harness
}

fn submit(harness: &mut Harness, number: u32, priority: Priority) -> Vec<String> {
    let limits = JobLimits { merge_bytes: 100, priority, ..JobLimits::default() };
    harness.handle(Event::JobSubmitted { job: job(number), limits })
}

#[test]
fn limits_come_from_the_settings() {
    let settings = JobSettings {
        merge_bytes: ByteSize(7),
        deadline_seconds: Some(5),
        slots_max: Some(3),
        priority: Priority::High,
        ..JobSettings::default()
    };
    let deadline = Some(Duration::from_secs(5));
    let expected = JobLimits { slots_max: Some(3), merge_bytes: 7, deadline, priority: Priority::High };
    assert_eq!(JobLimits::of(&settings), expected);
}

#[test]
fn a_job_fails_when_its_time_is_over() {
    let mut harness = with_deadline(files(vec![fixed(2, &[])]));
    check(harness.pass_with_heartbeats(1, 59_999), &[]);
    check(
        harness.pass_with_heartbeats(1, 1),
        &["cancel 1/0/0.0@1", "cancel 1/0/1.0@1", "remove 1@1", "discard 1", LATE],
    );
}

#[test]
fn the_time_in_the_queue_counts() {
    let config = SchedulerConfig { running_jobs_max: 1, ..SchedulerConfig::default() };
    let mut harness = Harness::new(config);
    harness.submit(2);
    let limits = JobLimits { deadline: Some(Duration::from_secs(60)), ..JobLimits::default() };
    harness.handle(Event::JobSubmitted { job: job(1), limits });
    check(harness.pass(Duration::from_secs(60)), &[LATE]);
}

#[test]
fn a_commit_that_has_begun_decides() {
    let mut harness = with_deadline(files(vec![fixed(1, &[])]));
    harness.finish_files("1/0/0.0@1");
    check(harness.pass_with_heartbeats(1, 70_000), &[]);
    check(harness.commit_ended(1, CommitOutcome::Done), &["remove 1@1", "done 1"]);
    let mut harness = with_deadline(result(vec![fixed(1, &[])]));
    harness.finish_with("1/0/0.0@1", &[1, 1]);
    check(harness.pass_with_heartbeats(1, 70_000), &[]);
    let lost = winner("1/0/0.0@1");
    let outcome = CommitOutcome::LostResult { attempt: lost.attempt, worker: lost.worker };
    check(harness.commit_ended(1, outcome), &["remove 1@1", "discard 1", LATE]);
}

#[test]
fn turns_are_ordered_by_priority_and_age() {
    let config = SchedulerConfig { running_jobs_max: 1, ..SchedulerConfig::default() };
    let mut harness = Harness::new(config);
    harness.submit(1);
    submit(&mut harness, 2, Priority::Low);
    submit(&mut harness, 3, Priority::Normal);
    submit(&mut harness, 4, Priority::High);
    harness.now = 1_199_999;
    submit(&mut harness, 5, Priority::High);
    harness.now = 1_200_001;
    submit(&mut harness, 6, Priority::High);
    // Job 2 has waited so long that job 6 does not overtake it.
    let mut turns = Vec::new();
    for number in [1, 4, 3, 5, 2] {
        turns.extend(harness.cancel(number).into_iter().filter(|effect| effect.starts_with("plan")));
    }
    assert_eq!(turns, ["plan 4", "plan 3", "plan 5", "plan 2", "plan 6"]);
}

#[test]
fn slots_are_shared_by_priority() {
    let mut harness = Harness::new(SchedulerConfig::default());
    for (number, priority) in [(1, Priority::Low), (2, Priority::Normal), (3, Priority::High)] {
        submit(&mut harness, number, priority);
        harness.planned(number, files(vec![fixed(20, &[])]));
    }
    let effects = harness.connect(1, 7, held(&[], &[]));
    let count = |number| effects.iter().filter(|effect| effect.starts_with(&format!("launch {number}/"))).count();
    assert_eq!([1, 2, 3].map(count), [1, 2, 4]);
}
