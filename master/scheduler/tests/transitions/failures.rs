//! Attempts fail, and the cause decides.

use std::time::Duration;

use hearth_common::FailureCause;
use hearth_scheduler::Event;

use crate::harness::{Harness, check, files, fixed, held, out_of_memory, result, storage, unreadable, worker};

fn one_task(workers: usize) -> Harness {
    Harness::running(&vec![1; workers], files(vec![fixed(1, &[])]))
}

#[test]
fn a_fault_in_query_or_data_fails_the_job_at_once() {
    let mut harness = Harness::running(&[2], files(vec![fixed(3, &[])]));
    check(
        harness.fail("1/0/0.0@1", FailureCause::task("bad number")),
        &["cancel 1/0/1.0@1", "remove 1@1", "discard 1", "failed 1: bad number"],
    );
}

#[test]
fn internal_errors_are_counted() {
    let mut harness = one_task(1);
    for number in 0..3 {
        let next = format!("launch 1/0/0.{}@1", number + 1);
        check(harness.fail(&format!("1/0/0.{number}@1"), FailureCause::internal("bug")), &[&next]);
    }
    check(
        harness.fail("1/0/0.3@1", FailureCause::internal("bug")),
        &["remove 1@1", "discard 1", "failed 1: internal error: bug"],
    );
}

#[test]
fn storage_trouble_waits_longer_each_time() {
    let mut harness = one_task(1);
    for (number, wait_ms) in [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000].into_iter().enumerate() {
        check(harness.fail(&format!("1/0/0.{number}@1"), storage()), &[]);
        check(harness.pass_with_heartbeats(1, wait_ms - 1), &[]);
        check(harness.pass_with_heartbeats(1, 1), &[&format!("launch 1/0/0.{}@1", number + 1)]);
    }
    check(harness.fail("1/0/0.9@1", storage()), &["remove 1@1", "discard 1", "failed 1: storage is in trouble: slow"]);
}

#[test]
fn out_of_memory_goes_elsewhere_then_waits_then_fails() {
    let mut harness = one_task(2);
    check(harness.fail("1/0/0.0@1", out_of_memory()), &["launch 1/0/0.1@2"]);
    check(harness.fail("1/0/0.1@2", out_of_memory()), &[]);
    for (number, wait_seconds) in [(2, 1), (3, 2), (4, 4)] {
        check(harness.pass(Duration::from_secs(wait_seconds)), &[&format!("launch 1/0/0.{number}@1")]);
        let expected: &[&str] = if number < 4 {
            &[]
        } else {
            &["remove 1@1", "remove 1@2", "discard 1", "failed 1: ran out of memory: sort"]
        };
        check(harness.fail(&format!("1/0/0.{number}@1"), out_of_memory()), expected);
        harness.beat(1);
        harness.beat(2);
    }
}

#[test]
fn every_worker_is_tried_before_a_wait() {
    let mut harness = one_task(1);
    harness.fail("1/0/0.0@1", out_of_memory());
    check(harness.pass(Duration::from_secs(1)), &["launch 1/0/0.1@1"]);
    harness.connect(2, 1, held(&[], &[]));
    check(harness.fail("1/0/0.1@1", out_of_memory()), &["launch 1/0/0.2@2"]);
}

#[test]
fn a_full_disk_goes_to_a_worker_that_comes_later() {
    let cause = FailureCause::DiskFull { directory: "/work".to_owned(), message: "0 bytes".to_owned() };
    let mut harness = one_task(1);
    check(harness.fail("1/0/0.0@1", cause), &[]);
    check(harness.connect(2, 1, held(&[], &[])), &[]);
    check(harness.pass(Duration::from_secs(1)), &["launch 1/0/0.1@2"]);
}

#[test]
fn a_draining_worker_may_stop_its_attempts() {
    let mut harness = one_task(1);
    for number in 1..=6 {
        harness.connect(number + 1, 1, held(&[], &[]));
        harness.handle(Event::WorkerDraining { worker: worker(number) });
        check(
            harness.fail(&format!("1/0/0.{}@{number}", number - 1), FailureCause::Cancelled),
            &[&format!("launch 1/0/0.{number}@{}", number + 1), &format!("release {number}")],
        );
    }
}

#[test]
fn the_third_worker_lost_in_a_row_is_poison() {
    let mut harness = one_task(1);
    for number in 1..=3_u32 {
        harness.connect(number + 1, 1, held(&[], &[]));
        harness.now += 5_000;
        harness.beat(number + 1);
        harness.now += 4_999;
        harness.beat(number + 1);
        let effects = harness.pass(Duration::from_millis(1));
        let fence = format!("fence {number}");
        let next = format!("launch 1/0/0.{number}@{}", number + 1);
        let poison = "failed 1: stage 0, task 0 lost 3 workers in a row";
        match number {
            3 => check(effects, &[&fence, "discard 1", poison]),
            _ => check(effects, &[&fence, &next]),
        }
    }
}

#[test]
fn a_report_in_between_forgives_lost_workers() {
    let mut harness = one_task(1);
    for number in 1..=4_u32 {
        harness.connect(number + 1, 1, held(&[], &[]));
        harness.now += 5_000;
        harness.now += 4_999;
        harness.beat(number + 1);
        let attempt = 2 * (number - 1);
        check(
            harness.pass(Duration::from_millis(1)),
            &[&format!("fence {number}"), &format!("launch 1/0/0.{}@{}", attempt + 1, number + 1)],
        );
        check(harness.fail(&format!("1/0/0.{}@{}", attempt + 1, number + 1), storage()), &[]);
        harness.beat(number + 1);
        let wait = 500 << (number - 1);
        check(harness.pass(Duration::from_millis(wait)), &[&format!("launch 1/0/0.{}@{}", attempt + 2, number + 1)]);
    }
}

#[test]
fn stale_reports_change_nothing() {
    let mut harness = one_task(1);
    harness.fail("1/0/0.0@1", FailureCause::internal("bug"));
    let before = harness.scheduler.clone();
    check(harness.fail("1/0/0.0@1", FailureCause::internal("bug")), &[]);
    check(harness.fail("1/0/0.7@1", FailureCause::task("bad")), &[]);
    check(harness.fail("1/0/9.0@1", FailureCause::task("bad")), &[]);
    check(harness.fail("1/9/0.0@1", FailureCause::task("bad")), &[]);
    check(harness.fail("9/0/0.0@1", FailureCause::task("bad")), &[]);
    check(harness.finish_files("1/0/0.0@1"), &["remove 1/0/0.0@1"]);
    check(harness.finish("9/0/0.0@1"), &["remove 9@1"]);
    assert_eq!(harness.scheduler, before);
}

#[test]
fn a_report_that_comes_twice_changes_nothing() {
    let mut harness = Harness::running(&[1], files(vec![fixed(2, &[])]));
    check(harness.finish_files("1/0/0.0@1"), &["launch 1/0/1.0@1"]);
    let before = harness.scheduler.clone();
    check(harness.finish_files("1/0/0.0@1"), &[]);
    check(harness.fail("1/0/0.0@1", FailureCause::task("bad")), &[]);
    assert_eq!(harness.scheduler, before);
}

#[test]
fn an_answer_that_should_not_exist_is_an_internal_error() {
    let mut harness = one_task(1);
    check(harness.finish("1/0/0.0@1"), &["launch 1/0/0.1@1"]);
    let mut harness = Harness::running(&[1], result(vec![fixed(1, &[])]));
    check(harness.finish_files("1/0/0.0@1"), &["launch 1/0/0.1@1"]);
    check(harness.finish_with("1/0/0.1@1", &[1]), &["launch 1/0/0.2@1"]);
    check(harness.fail("1/0/0.2@1", unreadable("1/0/0.0@1")), &["launch 1/0/0.3@1"]);
}
