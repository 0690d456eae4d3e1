//! Jobs are submitted, have their turn, are planned, and are cancelled.

use hearth_common::FailureCause;
use hearth_scheduler::{CommitOutcome, Event, SchedulerConfig};

use crate::harness::{Harness, check, files, fixed, job};

fn small() -> Harness {
    Harness::new(SchedulerConfig {
        running_jobs_max: 1,
        queued_jobs_max: 1,
        tasks_per_job_max: 10,
        ..SchedulerConfig::default()
    })
}

#[test]
fn jobs_have_their_turn_in_order() {
    let mut harness = small();
    check(harness.submit(1), &["plan 1"]);
    check(harness.submit(2), &[]);
    check(harness.submit(3), &["reject 3: the queue is full (1 jobs wait); try again later"]);
    check(harness.submit(2), &["reject 2: a job with this id exists"]);
    check(
        harness.handle(Event::PlanFailed { job: job(1), cause: FailureCause::task("no such table") }),
        &["discard 1", "failed 1: no such table", "plan 2"],
    );
    check(harness.submit(3), &[]);
}

#[test]
fn a_queue_without_room_still_admits_to_a_free_turn() {
    let config = SchedulerConfig { running_jobs_max: 1, queued_jobs_max: 0, ..SchedulerConfig::default() };
    let mut harness = Harness::new(config);
    check(harness.submit(1), &["plan 1"]);
    check(harness.submit(2), &["reject 2: the queue is full (0 jobs wait); try again later"]);
}

#[test]
fn a_queued_job_is_cancelled_without_a_trace() {
    let mut harness = small();
    harness.submit(1);
    harness.submit(2);
    check(harness.cancel(2), &["failed 2: cancelled"]);
    check(harness.cancel(2), &[]);
    check(harness.cancel(1), &["discard 1", "failed 1: cancelled"]);
}

#[test]
fn plans_of_jobs_that_do_not_wait_for_one_are_ignored() {
    let mut harness = small();
    harness.submit(1);
    harness.submit(2);
    check(harness.planned(2, files(vec![fixed(1, &[])])), &[]);
    check(harness.planned(9, files(vec![fixed(1, &[])])), &[]);
    harness.cancel(1);
    check(harness.planned(1, files(vec![fixed(1, &[])])), &[]);
    check(harness.handle(Event::PlanFailed { job: job(1), cause: FailureCause::task("late") }), &[]);
}

#[test]
fn a_job_of_too_many_tasks_fails() {
    let mut harness = small();
    harness.submit(1);
    check(
        harness.planned(1, files(vec![fixed(6, &[]), fixed(5, &[0])])),
        &["discard 1", "failed 1: job has 11 tasks, more than 10; raise split_bytes"],
    );
}

#[test]
fn a_running_job_is_cancelled_with_all_it_has() {
    let mut harness = Harness::running(&[2], files(vec![fixed(2, &[]), fixed(1, &[0])]));
    harness.finish("1/0/0.0@1");
    check(harness.cancel(1), &["cancel 1/0/1.0@1", "remove 1@1", "discard 1", "failed 1: cancelled"]);
    check(harness.finish("1/0/1.0@1"), &["remove 1@1"]);
}

#[test]
fn the_commit_decides_about_a_job_that_is_cancelled_during_it() {
    let cause = FailureCause::task("output exists");
    let outcomes = [
        (CommitOutcome::Done, vec!["remove 1@1", "done 1"]),
        (CommitOutcome::Failed { cause }, vec!["remove 1@1", "discard 1", "failed 1: output exists"]),
    ];
    for (outcome, expected) in outcomes {
        let mut harness = Harness::running(&[1], files(vec![fixed(1, &[])]));
        check(harness.finish_files("1/0/0.0@1"), &["commit 1: 0/0.0@1"]);
        check(harness.cancel(1), &[]);
        check(harness.commit_ended(1, outcome), &expected);
    }
}
