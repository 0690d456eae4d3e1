//! Shuffle outputs get lost: only what is needed runs again, and indeterminate stages never mix versions.

use hearth_scheduler::Event;

use crate::harness::{Harness, check, files, fixed, held, indeterminate, unreadable, worker};

#[test]
fn an_unreadable_output_runs_again_elsewhere_and_the_reader_waits() {
    let mut harness = Harness::two_stages([2, 2]);
    check(harness.fail("1/1/1.0@2", unreadable("1/0/0.0@1")), &["launch 1/0/0.1@2"]);
    check(harness.finish("1/0/0.1@2"), &["launch 1/1/1.1@2 reads 0/0.1@2 0/1.0@2"]);
    check(harness.finish_files("1/1/0.0@1"), &[]);
    check(harness.finish_files("1/1/1.1@2"), &["commit 1: 1/0.0@1 1/1.1@2"]);
}

#[test]
fn a_stale_complaint_only_lets_the_reader_run_again() {
    let mut harness = Harness::two_stages([2, 2]);
    harness.fail("1/1/1.0@2", unreadable("1/0/0.0@1"));
    harness.finish("1/0/0.1@2");
    check(harness.fail("1/1/0.0@1", unreadable("1/0/0.0@1")), &["launch 1/1/0.1@1 reads 0/0.1@2 0/1.0@2"]);
}

#[test]
fn an_output_that_stays_unreadable_fails_the_job() {
    let mut harness = Harness::running(&[1], files(vec![fixed(1, &[]), fixed(1, &[0])]));
    for number in 0..10 {
        harness.finish(&format!("1/0/0.{number}@1"));
        let output = format!("1/0/0.{number}@1");
        let effects = harness.fail(&format!("1/1/0.{number}@1"), unreadable(&output));
        match number {
            9 => assert!(
                effects.iter().any(|effect| effect.starts_with("failed 1: lost the shuffle output")),
                "{effects:?}"
            ),
            _ => check(effects, &[&format!("launch 1/0/0.{}@1", number + 1)]),
        }
    }
}

#[test]
fn with_a_worker_only_needed_outputs_are_lost() {
    let mut harness = Harness::running(&[2, 2], files(vec![fixed(1, &[]), fixed(1, &[0]), fixed(2, &[1])]));
    harness.finish("1/0/0.0@1");
    check(harness.finish("1/1/0.0@1"), &["launch 1/2/0.0@1 reads 1/0.0@1", "launch 1/2/1.0@2 reads 1/0.0@1"]);
    harness.finish_files("1/2/0.0@1");
    // Stage 1 is needed by the task that still runs; stage 0 because stage 1 is.
    check(harness.handle(Event::WorkerGone { worker: worker(1) }), &["tell 2 that 1 is Lost", "launch 1/0/0.1@2"]);
    // Its last reader gets along without: nothing is needed any more.
    check(harness.finish_files("1/2/1.0@2"), &["cancel 1/0/0.1@2", "commit 1: 2/0.0@1 2/1.0@2"]);
}

#[test]
fn outputs_that_nobody_needs_do_not_run_again() {
    let mut harness = Harness::running(&[1, 1], files(vec![fixed(1, &[]), fixed(1, &[0]), fixed(1, &[1])]));
    harness.finish("1/0/0.0@1");
    harness.connect(3, 1, held(&[], &[]));
    check(harness.fail("1/1/0.0@1", unreadable("1/0/0.0@1")), &["launch 1/0/0.1@2"]);
    harness.finish("1/0/0.1@2");
    check(harness.finish("1/1/0.1@1"), &["launch 1/2/0.0@1 reads 1/0.1@1"]);
    check(harness.handle(Event::WorkerGone { worker: worker(2) }), &["tell 1 that 2 is Lost"]);
}

fn three_stages() -> Harness {
    let stages = vec![indeterminate(fixed(2, &[])), fixed(2, &[0]), fixed(2, &[1])];
    let mut harness = Harness::running(&[2, 2], files(stages));
    harness.finish("1/0/0.0@1");
    harness.finish("1/0/1.0@2");
    harness
}

#[test]
fn a_lost_indeterminate_output_invalidates_running_and_finished_readers() {
    let mut harness = three_stages();
    check(harness.finish("1/1/0.0@1"), &[]);
    check(harness.fail("1/1/1.0@2", unreadable("1/0/0.0@1")), &["remove 1/1/0.0@1", "launch 1/0/0.1@2"]);
    check(
        harness.finish("1/0/0.1@2"),
        &["launch 1/1/0.1@1 reads 0/0.1@2 0/1.0@2", "launch 1/1/1.1@2 reads 0/0.1@2 0/1.0@2"],
    );
    check(harness.fail("1/1/0.1@1", unreadable("1/0/1.0@2")), &["cancel 1/1/1.1@2", "launch 1/0/1.1@1"]);
    check(harness.finish("1/1/1.1@2"), &["remove 1/1/1.1@2"]);
}

#[test]
fn it_invalidates_however_far_when_it_has_to_run_again() {
    let mut harness = three_stages();
    harness.finish("1/1/0.0@1");
    harness.finish("1/1/1.0@2");
    harness.finish_files("1/2/1.0@2");
    // The final task still reads both outputs of stage 1, and one of them has to be computed from a new version.
    check(harness.handle(Event::WorkerGone { worker: worker(1) }), &["remove 1/1/1.0@2", "launch 1/0/0.1@2"]);
    check(
        harness.finish("1/0/0.1@2"),
        &["launch 1/1/0.1@2 reads 0/0.1@2 0/1.0@2", "launch 1/1/1.1@2 reads 0/0.1@2 0/1.0@2"],
    );
    harness.finish("1/1/0.1@2");
    check(
        harness.finish("1/1/1.1@2"),
        &["launch 1/2/1.1@2 reads 1/0.1@2 1/1.1@2", "launch 1/2/0.1@2 reads 1/0.1@2 1/1.1@2"],
    );
}

#[test]
fn a_lost_indeterminate_output_invalidates_nothing_before_somebody_needs_it() {
    let stages = vec![indeterminate(fixed(1, &[])), fixed(1, &[0]), fixed(2, &[1])];
    let mut harness = Harness::running(&[2, 1], files(stages));
    harness.handle(Event::WorkerDraining { worker: worker(1) });
    check(harness.finish("1/0/0.0@1"), &["launch 1/1/0.0@2 reads 0/0.0@1"]);
    check(harness.finish("1/1/0.0@2"), &["launch 1/2/0.0@2 reads 1/0.0@2", "release 1"]);
    check(harness.handle(Event::WorkerGone { worker: worker(1) }), &["tell 2 that 1 is Lost"]);
    check(harness.finish_files("1/2/0.0@2"), &["launch 1/2/1.0@2 reads 1/0.0@2"]);
    check(harness.fail("1/2/1.0@2", unreadable("1/1/0.0@2")), &["launch 1/0/0.1@2"]);
    check(harness.finish("1/0/0.1@2"), &["launch 1/1/0.1@2 reads 0/0.1@2"]);
    check(harness.finish("1/1/0.1@2"), &["launch 1/2/0.1@2 reads 1/0.1@2"]);
}

#[test]
fn readers_that_have_not_begun_are_not_touched() {
    let mut harness = Harness::running(&[1, 1], files(vec![indeterminate(fixed(2, &[])), fixed(1, &[0])]));
    harness.finish("1/0/0.0@1");
    check(harness.handle(Event::WorkerGone { worker: worker(1) }), &[]);
    check(harness.finish("1/0/1.0@2"), &["launch 1/0/0.1@2"]);
    check(harness.finish("1/0/0.1@2"), &["launch 1/1/0.0@2 reads 0/0.1@2 0/1.0@2"]);
}
