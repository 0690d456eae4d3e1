//! Who gets the next free slot, and where.

use hearth_common::FailureCause;
use hearth_scheduler::{Event, JobLimits, SchedulerConfig};

use crate::harness::{Harness, check, files, fixed, held, job, merged, out_of_memory, unreadable, worker};

#[test]
fn the_worker_with_most_free_slots_comes_first() {
    let mut harness = Harness::new(SchedulerConfig::default());
    harness.connect(1, 1, held(&[], &[]));
    harness.connect(2, 3, held(&[], &[]));
    harness.submit(1);
    check(
        harness.planned(1, files(vec![fixed(5, &[])])),
        &["launch 1/0/0.0@2", "launch 1/0/1.0@2", "launch 1/0/2.0@1", "launch 1/0/3.0@2"],
    );
    check(harness.finish_files("1/0/2.0@1"), &["launch 1/0/4.0@1"]);
}

#[test]
fn slots_are_shared_fairly_between_jobs() {
    let mut harness = Harness::running(&[4], files(vec![fixed(9, &[])]));
    harness.submit(2);
    check(harness.planned(2, files(vec![fixed(9, &[])])), &[]);
    check(harness.finish_files("1/0/0.0@1"), &["launch 2/0/0.0@1"]);
    check(harness.finish_files("1/0/1.0@1"), &["launch 2/0/1.0@1"]);
    check(harness.finish_files("2/0/0.0@1"), &["launch 2/0/2.0@1"]);
    check(harness.finish_files("1/0/2.0@1"), &["launch 1/0/4.0@1"]);
}

#[test]
fn a_job_takes_no_more_slots_than_it_may() {
    let mut harness = Harness::new(SchedulerConfig::default());
    harness.connect(1, 4, held(&[], &[]));
    let limits = JobLimits { slots_max: Some(2), merge_bytes: 100, ..JobLimits::default() };
    harness.handle(Event::JobSubmitted { job: job(1), limits });
    check(harness.planned(1, files(vec![fixed(5, &[])])), &["launch 1/0/0.0@1", "launch 1/0/1.0@1"]);
    check(harness.finish_files("1/0/0.0@1"), &["launch 1/0/2.0@1"]);
}

#[test]
fn a_new_worker_gets_tasks_of_a_running_job() {
    let mut harness = Harness::running(&[1], files(vec![fixed(4, &[])]));
    check(harness.connect(2, 2, held(&[], &[])), &["launch 1/0/1.0@2", "launch 1/0/2.0@2"]);
}

#[test]
fn a_task_waits_for_another_worker_than_the_one_it_failed_on() {
    let mut harness = Harness::running(&[1, 1], files(vec![fixed(3, &[])]));
    check(harness.fail("1/0/0.0@1", out_of_memory()), &["launch 1/0/2.0@1"]);
    check(harness.finish_files("1/0/2.0@1"), &[]);
    check(harness.finish_files("1/0/1.0@2"), &["launch 1/0/0.1@2"]);
}

#[test]
fn without_another_worker_it_runs_where_it_failed() {
    let mut harness = Harness::running(&[1], files(vec![fixed(1, &[])]));
    check(harness.fail("1/0/0.0@1", FailureCause::internal("bug")), &["launch 1/0/0.1@1"]);
}

#[test]
fn a_stage_starts_when_all_it_reads_is_there() {
    let mut harness = Harness::running(&[2], files(vec![fixed(2, &[]), fixed(2, &[0])]));
    check(harness.finish("1/0/0.0@1"), &[]);
    check(
        harness.finish("1/0/1.0@1"),
        &["launch 1/1/0.0@1 reads 0/0.0@1 0/1.0@1", "launch 1/1/1.0@1 reads 0/0.0@1 0/1.0@1"],
    );
}

#[test]
fn partitions_are_merged_by_the_bytes_of_all_tasks() {
    let mut harness = Harness::running(&[2], files(vec![fixed(2, &[]), merged(&[0])]));
    harness.finish_with("1/0/0.0@1", &[40, 10]);
    check(harness.finish_with("1/0/1.0@1", &[40, 10]), &["launch 1/1/0.0@1 merges 0..2 reads 0/0.0@1 0/1.0@1"]);
    let mut harness = Harness::running(&[2], files(vec![fixed(2, &[]), merged(&[0])]));
    harness.finish_with("1/0/0.0@1", &[40, 11]);
    check(
        harness.finish_with("1/0/1.0@1", &[40, 10]),
        &["launch 1/1/0.0@1 merges 0..1 reads 0/0.0@1 0/1.0@1", "launch 1/1/1.0@1 merges 1..2 reads 0/0.0@1 0/1.0@1"],
    );
}

#[test]
fn groups_stay_when_an_output_is_lost() {
    let mut harness = Harness::running(&[1, 1], files(vec![fixed(1, &[]), merged(&[0])]));
    check(harness.finish_with("1/0/0.0@1", &[10, 10]), &["launch 1/1/0.0@1 merges 0..2 reads 0/0.0@1"]);
    check(harness.fail("1/1/0.0@1", unreadable("1/0/0.0@1")), &["launch 1/0/0.1@2"]);
    check(harness.finish_with("1/0/0.1@2", &[500, 500]), &["launch 1/1/0.1@1 merges 0..2 reads 0/0.1@2"]);
}

#[test]
fn tasks_that_run_again_come_first() {
    let mut harness = Harness::running(&[1, 1], files(vec![fixed(4, &[]), fixed(1, &[0])]));
    harness.finish("1/0/0.0@1");
    check(harness.handle(Event::WorkerGone { worker: worker(1) }), &[]);
    check(harness.finish("1/0/1.0@2"), &["launch 1/0/0.1@2"]);
}
