//! A worker is not heard of for a while: its readers are told, and what two have missed is made again at once.

use std::time::Duration;

use hearth_common::{FailureCause, WorkerState};
use hearth_scheduler::{RetryPolicy, SchedulerConfig};

use crate::harness::{Harness, chain, check, files, fixed, held, indeterminate, unreached, unreadable, worker};

/// Worker 1 holds two of three outputs that two readers on worker 2 wait for, and hangs; the last message of it was 5 s ago.
fn silent() -> Harness {
    let mut harness = Harness::running(&[2, 2], files(vec![fixed(3, &[]), fixed(3, &[0])]));
    for text in ["1/0/0.0@1", "1/0/2.0@1"] {
        harness.finish(text);
    }
    harness.finish("1/0/1.0@2");
    harness.now = 4_999;
    harness.beat(2);
    check(harness.pass(Duration::from_millis(1)), &["tell 2 that 1 is Silent"]);
    harness
}

#[test]
fn a_silent_worker_gets_nothing_until_it_is_heard_again() {
    let mut harness = Harness::running(&[1], files(vec![fixed(1, &[])]));
    harness.connect(2, 1, held(&[], &[]));
    harness.now = 4_999;
    harness.beat(1);
    check(harness.pass(Duration::from_millis(1)), &[]);
    let state = |harness: &Harness| harness.scheduler.worker(worker(2)).map(|worker| worker.state());
    assert_eq!(state(&harness), Some(WorkerState::Disconnected));
    harness.submit(2);
    check(harness.planned(2, files(vec![fixed(1, &[])])), &[]);
    check(harness.beat(2), &["launch 2/0/0.0@2"]);
    assert_eq!(state(&harness), Some(WorkerState::Alive));
}

#[test]
fn what_a_reader_misses_too_is_made_again_at_once_and_all_of_it() {
    let mut harness = silent();
    let launches = ["launch 1/0/0.1@2", "launch 1/0/2.1@2"];
    let mut seen = Vec::new();
    let reader = harness.scheduler.worker(worker(2)).map(|on| on.running().collect::<Vec<_>>()).unwrap_or_default();
    for read in reader {
        let number = read.task.partition;
        seen.extend(harness.fail(&format!("1/1/{number}.0@2"), unreached("1/0/0.0@1")));
    }
    check(seen, &launches);
    // It was only slow: what it runs counts, and its outputs of before do not.
    check(harness.beat(1), &[]);
}

#[test]
fn who_reads_later_is_told_before() {
    let mut harness = Harness::running(&[1, 1], files(vec![fixed(2, &[]), fixed(1, &[0])]));
    harness.finish("1/0/0.0@1");
    harness.now = 4_999;
    harness.beat(2);
    check(harness.pass(Duration::from_millis(1)), &[]);
    check(harness.finish("1/0/1.0@2"), &["tell 2 that 1 is Silent", "launch 1/1/0.0@2 reads 0/0.0@1 0/1.0@2"]);
}

/// Link 1 was read by a guess on the worker that is silent: nobody reads its output, and nobody would ask for it any more.
#[test]
fn what_was_guessed_on_a_silent_worker_is_removed_there() {
    let stages = vec![fixed(1, &[]), chain(2), fixed(3, &[0]), fixed(1, &[1, 2])];
    let mut harness = Harness::running(&[2, 2], files(stages));
    check(harness.finish_scans("1/1/1.0@1", &["1: 120..210/4"]), &[]);
    harness.finish("1/0/0.0@1");
    harness.now = 4_999;
    harness.beat(2);
    check(harness.pass(Duration::from_millis(1)), &["tell 2 that 1 is Silent"]);
    let effects = harness.fail("1/2/2.0@2", unreached("1/0/0.0@1"));
    check(effects, &["remove 1/1/1.0@1", "launch 1/0/0.1@2"]);
}

/// The worker dies of its attempt, and before that is known the attempt is withdrawn, as what it read is gone: it counts all the same.
/// Here the first one is one too many.
#[test]
fn a_task_that_was_withdrawn_from_a_dying_worker_may_have_killed_it() {
    let retry = RetryPolicy { lost_workers_in_a_row_max: 1, ..RetryPolicy::default() };
    let mut harness = Harness::new(SchedulerConfig { retry, ..SchedulerConfig::default() });
    harness.connect(1, 2, held(&[], &[]));
    harness.submit(1);
    harness.planned(1, files(vec![indeterminate(fixed(2, &[])), fixed(3, &[0])]));
    harness.connect(2, 1, held(&[], &[]));
    harness.finish("1/0/0.0@1");
    harness.finish("1/0/1.0@1");
    harness.disconnect(2);
    let effects = harness.fail("1/1/0.0@1", unreadable("1/0/0.0@1"));
    check(effects, &["cancel 1/1/1.0@1", "cancel 1/1/2.0@2", "launch 1/0/0.1@1"]);
    let poison = "failed 1: stage 1, task 2 lost 1 workers in a row";
    let effects = harness.pass(Duration::from_secs(3));
    check(effects, &["fence 2", "cancel 1/0/0.1@1", "remove 1@1", "discard 1", poison]);
}

#[test]
fn a_launch_that_meets_a_drain_counts_nowhere() {
    let mut harness = Harness::running(&[1, 1], files(vec![fixed(1, &[])]));
    check(harness.fail("1/0/0.0@1", FailureCause::WorkerDrains), &["launch 1/0/0.1@2", "release 1"]);
    let counts = harness.scheduler.jobs().next().map(|job| job.attempts());
    assert_eq!(counts.map(|counts| (counts.failed, counts.lost)), Some((0, 1)));
}
