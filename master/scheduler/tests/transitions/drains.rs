//! A worker drains, and is told when it may leave.

use std::time::Duration;

use hearth_scheduler::{CommitOutcome, Event};

use crate::harness::{Harness, check, files, fixed, held, result, winner, worker};

fn drain(harness: &mut Harness, number: u32) -> Vec<String> {
    harness.handle(Event::WorkerDraining { worker: worker(number) })
}

/// Worker 1 holds an output that the second stage needs, and drains; worker 2 works on the other task of the first stage.
fn needed() -> Harness {
    let mut harness = Harness::running(&[1, 1], files(vec![fixed(2, &[]), fixed(1, &[0])]));
    harness.finish("1/0/0.0@1");
    check(drain(&mut harness, 1), &[]);
    harness
}

#[test]
fn an_idle_worker_may_leave_at_once() {
    let mut harness = Harness::running(&[1, 1], files(vec![fixed(1, &[])]));
    check(drain(&mut harness, 2), &["release 2"]);
    check(drain(&mut harness, 2), &[]);
    check(harness.handle(Event::WorkerGone { worker: worker(2) }), &[]);
}

#[test]
fn it_finishes_what_it_runs() {
    let mut harness = Harness::running(&[2], files(vec![fixed(2, &[])]));
    check(drain(&mut harness, 1), &[]);
    check(harness.finish_files("1/0/0.0@1"), &[]);
    check(harness.finish_files("1/0/1.0@1"), &["commit 1: 0/0.0@1 0/1.0@1", "release 1"]);
}

#[test]
fn it_stays_until_its_outputs_are_read() {
    let mut harness = needed();
    check(harness.finish("1/0/1.0@2"), &["launch 1/1/0.0@2 reads 0/0.0@1 0/1.0@2"]);
    check(harness.finish_files("1/1/0.0@2"), &["commit 1: 1/0.0@2", "release 1"]);
}

#[test]
fn outputs_that_take_too_long_are_made_again() {
    let mut harness = needed();
    for _ in 0..59 {
        harness.beat(1);
        harness.beat(2);
        check(harness.pass(Duration::from_secs(1)), &[]);
    }
    // Worker 2 is busy; what worker 1 had waits for its slot.
    check(harness.pass(Duration::from_secs(1)), &["remove 1/0/0.0@1", "release 1"]);
    harness.beat(2);
    check(harness.finish("1/0/1.0@2"), &["launch 1/0/0.1@2"]);
    check(harness.finish("1/0/0.1@2"), &["launch 1/1/0.0@2 reads 0/0.1@2 0/1.0@2"]);
}

#[test]
fn it_stays_until_its_result_is_fetched() {
    let mut harness = Harness::running(&[1], result(vec![fixed(1, &[])]));
    harness.finish_with("1/0/0.0@1", &[1, 1]);
    check(drain(&mut harness, 1), &[]);
    check(harness.pass_with_heartbeats(1, 70_000), &[]);
    check(harness.commit_ended(1, CommitOutcome::Done), &["remove 1@1", "done 1", "release 1"]);
    let mut harness = Harness::running(&[1, 1], result(vec![fixed(1, &[])]));
    harness.finish_with("1/0/0.0@1", &[1, 1]);
    drain(&mut harness, 1);
    let lost = winner("1/0/0.0@1");
    let outcome = CommitOutcome::LostResult { attempt: lost.attempt, worker: lost.worker };
    check(harness.commit_ended(1, outcome), &["launch 1/0/0.1@2", "release 1"]);
}

#[test]
fn a_worker_that_comes_back_is_told_again() {
    let mut harness = Harness::running(&[1, 1], files(vec![fixed(1, &[])]));
    check(drain(&mut harness, 2), &["release 2"]);
    harness.disconnect(2);
    check(harness.connect(2, 1, held(&[], &[])), &["release 2"]);
    let mut harness = Harness::running(&[1, 1], files(vec![fixed(2, &[])]));
    drain(&mut harness, 2);
    harness.disconnect(2);
    check(harness.finish_files("1/0/1.0@2"), &[]);
    check(harness.connect(2, 1, held(&[], &[])), &["release 2"]);
}

#[test]
fn workers_drain_one_after_the_other_without_a_failed_job() {
    let mut harness = Harness::running(&[1], files(vec![fixed(3, &[]), fixed(1, &[0])]));
    for number in 1..=3 {
        harness.connect(number + 1, 1, held(&[], &[]));
        drain(&mut harness, number);
        harness.finish(&format!("1/0/{}.0@{number}", number - 1));
    }
    let effects = harness.finish_files("1/1/0.0@4");
    assert_eq!(effects.first().map(String::as_str), Some("commit 1: 1/0.0@4"), "{effects:?}");
    assert_eq!(effects[1..], ["release 1", "release 2", "release 3"]);
}
