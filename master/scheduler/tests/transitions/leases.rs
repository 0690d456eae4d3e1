//! Workers are heard of, go silent, drain, and leave.

use std::time::Duration;

use hearth_scheduler::{Event, Millis, SchedulerConfig};

use crate::harness::{Harness, check, files, fixed, held, worker};

#[test]
fn a_silent_worker_is_lost_when_its_lease_ends() {
    let mut harness = Harness::running(&[1], files(vec![fixed(1, &[])]));
    harness.connect(2, 1, held(&[], &[]));
    harness.now = 9_000;
    harness.beat(2);
    assert_eq!(harness.scheduler.next_deadline(), Some(Millis(5_000)), "it is silent for a while before");
    check(harness.pass(Duration::ZERO), &[]);
    assert_eq!(harness.scheduler.next_deadline(), Some(Millis(10_000)));
    check(harness.pass(Duration::from_millis(999)), &[]);
    check(harness.pass(Duration::from_millis(1)), &["fence 1", "launch 1/0/0.1@2"]);
}

#[test]
fn every_message_renews_the_lease() {
    let mut harness = Harness::running(&[1], files(vec![fixed(3, &[])]));
    harness.now = 8_000;
    harness.finish_files("1/0/0.0@1");
    harness.now = 16_000;
    harness.fail("1/0/1.0@1", crate::harness::storage());
    harness.now = 24_000;
    harness.beat(1);
    assert_eq!(harness.scheduler.worker(worker(1)).map(|worker| worker.lease_end()), Some(Millis(34_000)));
}

#[test]
fn a_lease_ends_at_a_tick_only() {
    let mut harness = Harness::running(&[1], files(vec![fixed(1, &[])]));
    harness.now = 50_000;
    check(harness.beat(1), &[]);
    check(harness.handle(Event::Tick), &[]);
}

#[test]
fn a_lost_worker_is_fenced_whatever_it_says() {
    let mut harness = Harness::running(&[1], files(vec![fixed(1, &[])]));
    harness.pass(Duration::from_secs(10));
    let before = harness.scheduler.clone();
    check(harness.beat(1), &["fence 1"]);
    check(harness.finish_files("1/0/0.0@1"), &["fence 1"]);
    check(harness.fail("1/0/0.0@1", crate::harness::storage()), &["fence 1"]);
    check(harness.handle(Event::WorkerDraining { worker: worker(1) }), &["fence 1"]);
    check(harness.connect(1, 1, held(&["1/0/0.0"], &[])), &["fence 1"]);
    check(harness.disconnect(1), &[]);
    check(harness.handle(Event::WorkerGone { worker: worker(1) }), &[]);
    check(harness.beat(7), &["fence 7"]);
    assert_eq!(harness.scheduler, before);
}

#[test]
fn only_so_many_lost_workers_are_remembered() {
    let config = SchedulerConfig { lost_workers_remembered_max: 1, ..SchedulerConfig::default() };
    let mut harness = Harness::new(config);
    for number in [1, 2] {
        harness.connect(number, 1, held(&[], &[]));
        harness.handle(Event::WorkerGone { worker: worker(number) });
    }
    check(harness.connect(2, 1, held(&[], &[])), &["fence 2"]);
    check(harness.connect(1, 1, held(&[], &[])), &[]);
}

#[test]
fn a_disconnected_worker_has_a_short_grace_and_gets_nothing() {
    let mut harness = Harness::running(&[2], files(vec![fixed(1, &[])]));
    check(harness.disconnect(1), &[]);
    harness.submit(2);
    check(harness.planned(2, files(vec![fixed(1, &[])])), &[]);
    check(harness.beat(1), &[]);
    check(harness.pass(Duration::from_millis(2_999)), &[]);
    check(harness.pass(Duration::from_millis(1)), &["fence 1"]);
}

#[test]
fn reports_of_a_disconnected_worker_count() {
    let mut harness = Harness::running(&[1], files(vec![fixed(1, &[])]));
    harness.disconnect(1);
    check(harness.finish_files("1/0/0.0@1"), &["commit 1: 0/0.0@1"]);
}

#[test]
fn a_draining_worker_finishes_what_it_runs() {
    let mut harness = Harness::running(&[1, 1], files(vec![fixed(3, &[]), fixed(1, &[0])]));
    check(harness.handle(Event::WorkerDraining { worker: worker(1) }), &[]);
    check(harness.finish("1/0/0.0@1"), &[]);
    check(harness.finish("1/0/1.0@2"), &["launch 1/0/2.0@2"]);
    check(harness.finish("1/0/2.0@2"), &["launch 1/1/0.0@2 reads 0/0.0@1 0/1.0@2 0/2.0@2"]);
    check(harness.handle(Event::WorkerGone { worker: worker(1) }), &["tell 2 that 1 is Lost"]);
    check(harness.fail("1/1/0.0@2", crate::harness::unreadable("1/0/0.0@1")), &["launch 1/0/0.1@2"]);
}

#[test]
fn a_draining_worker_still_drains_when_it_comes_back() {
    let mut harness = Harness::running(&[1], files(vec![fixed(2, &[])]));
    harness.handle(Event::WorkerDraining { worker: worker(1) });
    harness.disconnect(1);
    harness.connect(1, 1, held(&["1/0/0.0"], &[]));
    check(harness.finish_files("1/0/0.0@1"), &["release 1"]);
}

#[test]
fn workers_that_leave_are_not_poisoned() {
    let mut harness = Harness::running(&[1], files(vec![fixed(1, &[])]));
    for number in 1..=5 {
        harness.connect(number + 1, 1, held(&[], &[]));
        check(
            harness.handle(Event::WorkerGone { worker: worker(number) }),
            &[&format!("launch 1/0/0.{number}@{}", number + 1)],
        );
    }
}

#[test]
fn a_job_waits_for_a_worker_for_so_long() {
    let mut harness = Harness::running(&[], files(vec![fixed(1, &[])]));
    check(harness.pass(Duration::from_millis(119_999)), &[]);
    let no_workers = "failed 1: waited 120 s for a worker; start one with `hearth worker --master ADDRESS`";
    check(harness.pass(Duration::from_millis(1)), &["discard 1", no_workers]);
}

#[test]
fn a_worker_ends_the_wait() {
    let mut harness = Harness::running(&[], files(vec![fixed(1, &[])]));
    harness.now = 100_000;
    check(harness.connect(1, 1, held(&[], &[])), &["launch 1/0/0.0@1"]);
    check(harness.handle(Event::WorkerGone { worker: worker(1) }), &[]);
    check(harness.pass(Duration::from_millis(119_999)), &[]);
    check(harness.connect(2, 1, held(&[], &[])), &["launch 1/0/0.1@2"]);
}

#[test]
fn time_does_not_go_back() {
    let mut harness = Harness::running(&[1], files(vec![fixed(1, &[])]));
    harness.now = 5_000;
    harness.beat(1);
    harness.now = 1_000;
    harness.beat(1);
    assert_eq!(harness.scheduler.worker(worker(1)).map(|worker| worker.lease_end()), Some(Millis(15_000)));
}
