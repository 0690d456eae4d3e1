//! Workers on which attempts keep failing get no more of a job, then of any.

use std::time::Duration;

use hearth_common::FailureCause;
use hearth_scheduler::Event;

use crate::harness::{Harness, check, files, fixed, held, homed, job, out_of_memory, storage, unreadable, worker};

fn excluded(harness: &Harness, number: u32) -> Vec<(String, String)> {
    let view = harness.scheduler.job(job(number)).expect("a job");
    view.excluded().map(|(worker, cause)| (worker.to_string()[35..].to_owned(), cause.cause.to_string())).collect()
}

/// Worker 1 with three slots, worker 2 with one; three tasks of the job failed on worker 1.
fn failing(number: u32) -> Harness {
    let mut harness = Harness::running(&[3, 1], files(vec![fixed(9, &[])]));
    fail_three(&mut harness, number);
    harness
}

fn fail_three(harness: &mut Harness, number: u32) {
    for task in [0, 1, 2, 3, 4, 5, 6, 7, 8] {
        let name = format!("{number}/0/{task}.0@1");
        if excluded(harness, number).is_empty() {
            harness.fail(&name, storage());
        }
    }
}

#[test]
fn a_job_excludes_a_worker_on_which_three_tasks_failed() {
    let mut harness = failing(1);
    assert_eq!(excluded(&harness, 1), [("1".to_owned(), "storage is in trouble: slow".to_owned())]);
    // Its slots are free, but only worker 2 gets attempts.
    let effects = harness.pass(Duration::from_secs(2));
    assert!(effects.iter().all(|effect| !effect.ends_with("@1")), "{effects:?}");
    // Other jobs use it.
    harness.submit(2);
    check(harness.planned(2, files(vec![fixed(1, &[])])), &["launch 2/0/0.0@1"]);
}

#[test]
fn only_failures_that_may_be_its_fault_count() {
    for cause in [unreadable("1/0/0.0@2"), FailureCause::Cancelled] {
        let mut harness = Harness::running(&[9, 1], files(vec![fixed(1, &[]), fixed(9, &[0])]));
        harness.finish("1/0/0.0@1");
        for task in 0..5 {
            harness.fail(&format!("1/1/{task}.0@1"), cause.clone());
        }
        assert_eq!(excluded(&harness, 1), []);
    }
}

#[test]
fn the_same_task_counts_once_and_a_success_makes_up_for_one() {
    let mut harness = Harness::running(&[4, 1], files(vec![fixed(9, &[])]));
    harness.fail("1/0/0.0@1", out_of_memory());
    harness.fail("1/0/1.0@1", out_of_memory());
    harness.finish_files("1/0/3.0@1");
    harness.fail("1/0/5.0@1", out_of_memory());
    assert_eq!(excluded(&harness, 1), []);
    harness.fail("1/0/6.0@1", out_of_memory());
    assert_eq!(excluded(&harness, 1).len(), 1);
}

#[test]
fn no_more_than_half_of_the_workers_are_excluded() {
    let mut harness = Harness::running(&[9], files(vec![fixed(9, &[])]));
    for task in 0..6 {
        harness.fail(&format!("1/0/{task}.0@1"), storage());
    }
    assert_eq!(excluded(&harness, 1), []);
}

#[test]
fn without_another_worker_an_excluded_one_is_used() {
    let mut harness = failing(1);
    check(harness.handle(Event::WorkerGone { worker: worker(2) }), &["launch 1/0/3.1@1"]);
}

#[test]
fn a_host_whose_worker_is_excluded_is_not_waited_for() {
    let mut harness = Harness::running(&[3, 1], files(vec![homed(&["1"; 9])]));
    for task in 0..3 {
        harness.fail(&format!("1/0/{task}.0@1"), storage());
    }
    assert_eq!(excluded(&harness, 1).len(), 1);
    let view = harness.scheduler.job(job(1)).expect("a job");
    assert!(view.locality().remote > 0);
    // A second worker on that host is as good as any.
    harness.handle(Event::WorkerConnected {
        worker: worker(3),
        slots: 1,
        names: vec!["h1".to_owned()],
        held: held(&[], &[]),
    });
}

/// Two jobs have excluded worker 1.
fn excluded_by_two() -> Harness {
    let mut harness = failing(1);
    harness.submit(2);
    harness.planned(2, files(vec![fixed(9, &[])]));
    fail_three(&mut harness, 2);
    harness
}

#[test]
fn two_jobs_exclude_a_worker_from_everything_for_a_while() {
    let mut harness = excluded_by_two();
    let view = harness.scheduler.worker(worker(1)).expect("a worker");
    let exclusion = view.exclusion().expect("an exclusion").clone();
    assert_eq!((exclusion.until.0, exclusion.cause), (300_000, storage()));
    harness.cancel(1);
    harness.cancel(2);
    harness.submit(3);
    check(harness.planned(3, files(vec![fixed(3, &[])])), &["launch 3/0/0.0@2"]);
    while harness.now < 299_000 {
        harness.beat(1);
        harness.beat(2);
        check(harness.pass(Duration::from_secs(1)), &[]);
    }
    check(harness.pass(Duration::from_secs(1)), &["launch 3/0/1.0@1", "launch 3/0/2.0@1"]);
}

#[test]
fn the_last_worker_ends_its_exclusion() {
    let mut harness = excluded_by_two();
    let effects = harness.handle(Event::WorkerDraining { worker: worker(2) });
    assert!(effects.iter().any(|effect| effect.ends_with("@1")), "{effects:?}");
    assert_eq!(harness.scheduler.worker(worker(1)).expect("a worker").exclusion(), None);
}

#[test]
fn an_excluded_worker_finishes_what_it_runs_and_keeps_its_outputs() {
    let mut harness = Harness::running(&[4, 1], files(vec![fixed(5, &[]), fixed(1, &[0])]));
    for task in 0..3 {
        harness.fail(&format!("1/0/{task}.0@1"), storage());
    }
    assert_eq!(excluded(&harness, 1).len(), 1);
    check(harness.finish("1/0/3.0@1"), &[]);
    let view = harness.scheduler.job(job(1)).expect("a job");
    assert_eq!(view.stages().next().map(|stage| stage.done()), Some(1));
}
