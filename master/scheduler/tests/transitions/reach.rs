//! Workers that do not reach each other: tasks go where they can read, and where nobody can, one worker gets what it misses.

use std::time::Duration;

use hearth_scheduler::Event;

use crate::harness::{Harness, check, files, fixed, held, result, unreached, worker};

#[test]
fn an_output_that_one_worker_does_not_reach_is_read_by_another() {
    let mut harness = Harness::two_stages([1, 1]);
    // Worker 2 has a free slot, and stays without: it would only fail again.
    check(harness.fail("1/1/1.0@2", unreached("1/0/0.0@1")), &[]);
    check(harness.finish_files("1/1/0.0@1"), &["launch 1/1/1.1@1 reads 0/0.0@1 0/1.0@2"]);
    check(harness.finish_files("1/1/1.1@1"), &["commit 1: 1/0.0@1 1/1.1@1"]);
}

#[test]
fn what_does_not_depend_on_the_path_runs_anywhere() {
    let mut harness = Harness::two_stages([1, 1]);
    harness.fail("1/1/1.0@2", unreached("1/0/0.0@1"));
    harness.submit(2);
    check(harness.planned(2, files(vec![fixed(1, &[])])), &["launch 2/0/0.0@2"]);
}

#[test]
fn where_nobody_reaches_all_one_worker_gets_what_it_misses() {
    let mut harness = Harness::two_stages([1, 1]);
    harness.fail("1/1/1.0@2", unreached("1/0/0.0@1"));
    // Now neither reaches the other. Each holds one output: worker 1 is the hub, and only what it misses is made again, there.
    check(harness.fail("1/1/0.0@1", unreached("1/0/1.0@2")), &["hub 1@1: 1 misses 2", "launch 1/0/1.1@1"]);
    check(harness.finish("1/0/1.1@1"), &["launch 1/1/0.1@1 reads 0/0.0@1 0/1.1@1"]);
    check(harness.finish_files("1/1/0.1@1"), &["launch 1/1/1.1@1 reads 0/0.0@1 0/1.1@1"]);
    check(harness.finish_files("1/1/1.1@1"), &["commit 1: 1/0.1@1 1/1.1@1"]);
}

#[test]
fn a_job_that_is_planned_later_leaves_all_it_has_to_read_where_one_worker_reaches_it() {
    let mut harness = Harness::two_stages([1, 1]);
    harness.fail("1/1/1.0@2", unreached("1/0/0.0@1"));
    harness.fail("1/1/0.0@1", unreached("1/0/1.0@2"));
    harness.cancel(1);
    harness.submit(2);
    check(harness.planned(2, files(vec![fixed(2, &[]), fixed(2, &[0])])), &["hub 2@1: 1 misses 2", "launch 2/0/0.0@1"]);
    check(harness.finish("2/0/0.0@1"), &["launch 2/0/1.0@1"]);
    check(harness.finish("2/0/1.0@1"), &["launch 2/1/0.0@1 reads 0/0.0@1 0/1.0@1"]);
    // What leaves nothing to read runs anywhere.
    harness.submit(3);
    check(harness.planned(3, files(vec![fixed(1, &[])])), &["launch 3/0/0.0@2"]);
}

#[test]
fn the_hub_is_the_worker_that_misses_least() {
    let mut harness = Harness::running(&[1, 2], files(vec![fixed(3, &[]), fixed(2, &[0])]));
    // The emptiest worker is preferred: worker 2 gets two of the three.
    harness.finish("1/0/0.0@2");
    harness.finish("1/0/1.0@1");
    check(
        harness.finish("1/0/2.0@2"),
        &["launch 1/1/0.0@2 reads 0/0.0@2 0/1.0@1 0/2.0@2", "launch 1/1/1.0@1 reads 0/0.0@2 0/1.0@1 0/2.0@2"],
    );
    harness.fail("1/1/0.0@2", unreached("1/0/1.0@1"));
    check(harness.fail("1/1/1.0@1", unreached("1/0/0.0@2")), &["hub 1@2: 1 misses 2", "launch 1/0/1.1@2"]);
}

#[test]
fn a_job_leaves_outputs_only_where_its_hub_reads_them_also_when_nobody_believes_in_the_cut_any_more() {
    let mut harness = Harness::running(&[1, 1], files(vec![fixed(2, &[]), fixed(2, &[0]), fixed(1, &[1])]));
    harness.finish("1/0/0.0@1");
    harness.finish("1/0/1.0@2");
    harness.fail("1/1/1.0@2", unreached("1/0/0.0@1"));
    check(harness.fail("1/1/0.0@1", unreached("1/0/1.0@2")), &["hub 1@1: 1 misses 2", "launch 1/0/1.1@1"]);
    for _ in 0..130 {
        harness.now += 1_000;
        harness.beat(1);
        let effects = harness.beat(2);
        check(effects, &[]);
        check(harness.pass(Duration::ZERO), &[]);
    }
    assert_eq!(harness.scheduler.cuts().count(), 0);
    check(harness.finish("1/0/1.1@1"), &["launch 1/1/0.1@1 reads 0/0.0@1 0/1.1@1"]);
    check(harness.finish("1/1/0.1@1"), &["launch 1/1/1.1@1 reads 0/0.0@1 0/1.1@1"]);
    // Whoever reads in the last stage leaves nothing that others have to read.
    let launched = harness.finish("1/1/1.1@1");
    assert!(launched[0].starts_with("launch 1/2/0.0@"), "{launched:?}");
}

#[test]
fn a_hub_that_is_lost_is_followed_by_another() {
    let mut harness = Harness::two_stages([1, 1]);
    harness.fail("1/1/1.0@2", unreached("1/0/0.0@1"));
    check(harness.fail("1/1/0.0@1", unreached("1/0/1.0@2")), &["hub 1@1: 1 misses 2", "launch 1/0/1.1@1"]);
    check(harness.handle(Event::WorkerGone { worker: worker(1) }), &["launch 1/0/0.1@2"]);
    check(harness.finish("1/0/0.1@2"), &["launch 1/0/1.2@2"]);
}

#[test]
fn a_worker_that_the_master_does_not_reach_either_is_not_waited_for() {
    let mut harness = Harness::two_stages([1, 1]);
    harness.disconnect(1);
    check(harness.fail("1/1/1.0@2", unreached("1/0/0.0@1")), &["launch 1/0/0.1@2"]);
    assert_eq!(harness.scheduler.cuts().count(), 0);
}

#[test]
fn a_cut_is_believed_for_a_while() {
    let mut harness = Harness::two_stages([1, 1]);
    harness.fail("1/1/1.0@2", unreached("1/0/0.0@1"));
    let mut launched = Vec::new();
    for _ in 0..121 {
        harness.now += 1_000;
        launched.extend(harness.beat(1));
        launched.extend(harness.beat(2));
        launched.extend(harness.pass(Duration::ZERO));
    }
    check(launched, &["launch 1/1/1.1@2 reads 0/0.0@1 0/1.0@2"]);
}

#[test]
fn cuts_never_fail_a_job() {
    let mut harness = Harness::running(&[1], result(vec![fixed(1, &[]), fixed(1, &[0])]));
    harness.finish("1/0/0.0@1");
    harness.connect(2, 1, held(&[], &[]));
    // What a worker says of itself is taken for the loss of the output, and counts.
    check(harness.fail("1/1/0.0@1", unreached("1/0/0.0@1")), &["launch 1/0/0.1@2"]);
    harness.finish("1/0/0.1@2");
    for round in 1..20 {
        let effects = harness.fail(&format!("1/1/0.{round}@1"), unreached("1/0/0.1@2"));
        assert!(!effects.iter().any(|effect| effect.starts_with("failed")), "{effects:?}");
    }
}
