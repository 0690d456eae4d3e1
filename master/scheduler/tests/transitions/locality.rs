//! Tasks that prefer hosts: local slots first, a short wait, then anywhere.

use std::time::Duration;

use hearth_common::{LocalityCounts, StageId};
use hearth_scheduler::{Event, FinalOutput, GraphError, JobGraph, Millis, SchedulerConfig};

use crate::harness::{Harness, check, files, fixed, held, homed, job, out_of_memory, worker};

fn locality(harness: &Harness) -> (u64, u64) {
    let LocalityCounts { local, remote } = harness.scheduler.job(job(1)).expect("a job").locality();
    (local, remote)
}

#[test]
fn tasks_go_to_their_hosts() {
    let harness = Harness::running(&[], files(vec![homed(&["3", "2", "1", "23"])]));
    let mut harness = Harness { scheduler: harness.scheduler, now: 0 };
    check(harness.connect(1, 1, held(&[], &[])), &["launch 1/0/2.0@1"]);
    check(harness.connect(2, 2, held(&[], &[])), &["launch 1/0/1.0@2", "launch 1/0/3.0@2"]);
    check(harness.connect(3, 2, held(&[], &[])), &["launch 1/0/0.0@3"]);
    assert_eq!(locality(&harness), (4, 0));
}

#[test]
fn a_task_waits_for_a_slot_on_its_host_for_a_while() {
    let mut harness = Harness::running(&[1, 1], files(vec![homed(&["1", "1", "1"])]));
    assert_eq!(locality(&harness), (1, 0));
    assert_eq!(harness.scheduler.next_deadline(), Some(Millis(3_000)));
    check(harness.pass(Duration::from_millis(2_999)), &[]);
    check(harness.pass(Duration::from_millis(1)), &["launch 1/0/1.0@2"]);
    // The stage has waited: the next free slot will do.
    check(harness.finish_files("1/0/1.0@2"), &["launch 1/0/2.0@2"]);
    assert_eq!(locality(&harness), (1, 2));
}

#[test]
fn the_wait_begins_when_a_slot_stays_free() {
    let mut harness = Harness::running(&[1], files(vec![homed(&["1", "1", "2"])]));
    harness.now = 8_000;
    harness.beat(1);
    // Nobody was on host 2 before, and a worker on it gets its task.
    check(harness.connect(2, 1, held(&[], &[])), &["launch 1/0/2.0@2"]);
    check(harness.finish_files("1/0/2.0@2"), &[]);
    check(harness.pass(Duration::from_millis(2_999)), &[]);
    check(harness.finish_files("1/0/0.0@1"), &["launch 1/0/1.0@1"]);
    assert_eq!(locality(&harness), (3, 0));
}

#[test]
fn hosts_without_a_worker_are_not_waited_for() {
    let mut harness = Harness::running(&[1, 1], files(vec![homed(&["7", "1", "1"])]));
    assert_eq!(locality(&harness), (1, 1));
    // The only worker on the host of the last task leaves: nothing is left to wait for.
    harness.handle(Event::WorkerDraining { worker: worker(1) });
    check(harness.finish_files("1/0/0.0@2"), &["launch 1/0/2.0@2"]);
}

#[test]
fn a_wait_ends_with_the_last_worker_on_the_host() {
    let mut harness = Harness::running(&[1, 1], files(vec![homed(&["1", "1"])]));
    check(harness.disconnect(1), &["launch 1/0/1.0@2"]);
}

#[test]
fn others_take_the_slots_that_a_job_leaves() {
    let mut harness = Harness::running(&[1, 1], files(vec![homed(&["1", "1"])]));
    harness.submit(2);
    check(harness.planned(2, files(vec![fixed(2, &[])])), &["launch 2/0/0.0@2"]);
    check(harness.finish_files("1/0/0.0@1"), &["launch 1/0/1.0@1"]);
}

#[test]
fn a_task_that_failed_somewhere_waits_for_no_host() {
    let mut harness = Harness::running(&[1, 1], files(vec![homed(&["1"])]));
    check(harness.fail("1/0/0.0@1", out_of_memory()), &["launch 1/0/0.1@2"]);
}

#[test]
fn without_a_wait_local_slots_come_first_all_the_same() {
    let config = SchedulerConfig { locality_wait: Duration::ZERO, ..SchedulerConfig::default() };
    let mut harness = Harness::new(config);
    harness.connect(1, 1, held(&[], &[]));
    harness.connect(2, 1, held(&[], &[]));
    harness.submit(1);
    check(harness.planned(1, files(vec![homed(&["2", "2", "1"])])), &["launch 1/0/2.0@1", "launch 1/0/0.0@2"]);
    check(harness.finish_files("1/0/2.0@1"), &["launch 1/0/1.0@1"]);
}

#[test]
fn hosts_are_checked_with_the_graph() {
    let check = |homes: &[&str], tasks| {
        let mut stage = homed(homes);
        stage.tasks = fixed(tasks, &[]).tasks;
        JobGraph::new(vec![stage], FinalOutput::Files).err()
    };
    assert_eq!(check(&["123"], 2), None);
    assert_eq!(check(&["1", "1"], 1), Some(GraphError::Homes(StageId(0))));
    assert_eq!(check(&["1234"], 1), Some(GraphError::Homes(StageId(0))));
}
