//! The winners of the final stage are committed, once per list of winners.

use hearth_common::FailureCause;
use hearth_scheduler::{CommitOutcome, Event};

use crate::harness::{Harness, check, files, fixed, held, indeterminate, result, winner, worker};

fn lost_result(text: &str) -> CommitOutcome {
    let lost = winner(text);
    CommitOutcome::LostResult { attempt: lost.attempt, worker: lost.worker }
}

fn committing_result() -> Harness {
    let mut harness = Harness::running(&[1, 1], result(vec![fixed(1, &[]), fixed(1, &[0])]));
    harness.finish("1/0/0.0@1");
    check(harness.finish("1/1/0.0@1"), &["commit 1: 1/0.0@1"]);
    harness
}

#[test]
fn a_committed_job_is_done_and_forgotten() {
    let mut harness = Harness::running(&[1], files(vec![fixed(1, &[])]));
    check(harness.finish_files("1/0/0.0@1"), &["commit 1: 0/0.0@1"]);
    check(harness.finish_files("1/0/0.0@1"), &[]);
    check(harness.commit_ended(1, CommitOutcome::Done), &["remove 1@1", "done 1"]);
    check(harness.commit_ended(1, CommitOutcome::Done), &[]);
    assert!(harness.scheduler.job(crate::harness::job(1)).is_none());
}

#[test]
fn a_failed_commit_fails_the_job() {
    let mut harness = Harness::running(&[1], files(vec![fixed(1, &[])]));
    harness.finish_files("1/0/0.0@1");
    let cause = FailureCause::task("output exists");
    check(
        harness.commit_ended(1, CommitOutcome::Failed { cause }),
        &["remove 1@1", "discard 1", "failed 1: output exists"],
    );
}

#[test]
fn a_job_whose_inputs_are_refused_ends_at_once_but_not_while_it_commits() {
    let refused = |number: u32| Event::InputsRefused {
        job: crate::harness::job(number),
        cause: FailureCause::task("too many rejects"),
    };
    let mut harness = Harness::running(&[1, 1], files(vec![fixed(3, &[])]));
    harness.finish_files("1/0/0.0@1");
    let ended = harness.handle(refused(1));
    assert_eq!(ended.last().map(String::as_str), Some("failed 1: too many rejects"), "{ended:?}");
    assert!(ended.iter().any(|effect| effect.starts_with("discard 1")), "{ended:?}");
    check(harness.handle(refused(1)), &[]);

    let mut harness = Harness::running(&[1], files(vec![fixed(1, &[])]));
    check(harness.finish_files("1/0/0.0@1"), &["commit 1: 0/0.0@1"]);
    check(harness.handle(refused(1)), &[]);
    check(harness.commit_ended(1, CommitOutcome::Done), &["remove 1@1", "done 1"]);
}

#[test]
fn files_outlive_their_workers() {
    let mut harness = Harness::running(&[1], files(vec![fixed(1, &[]), fixed(1, &[0])]));
    harness.finish("1/0/0.0@1");
    harness.finish_files("1/1/0.0@1");
    check(harness.handle(Event::WorkerGone { worker: worker(1) }), &[]);
    check(harness.connect(2, 1, held(&[], &[])), &[]);
    check(harness.commit_ended(1, CommitOutcome::Done), &["done 1"]);
}

#[test]
fn files_cannot_be_lost_results() {
    let mut harness = Harness::running(&[1], files(vec![fixed(1, &[])]));
    harness.finish_files("1/0/0.0@1");
    check(
        harness.commit_ended(1, lost_result("1/0/0.0@1")),
        &["remove 1@1", "discard 1", "failed 1: internal error: commit of files reported a lost result"],
    );
}

#[test]
fn a_lost_result_is_computed_again_elsewhere() {
    let mut harness = committing_result();
    check(harness.commit_ended(1, lost_result("1/1/0.0@1")), &["launch 1/1/0.1@2 reads 0/0.0@1"]);
    check(harness.commit_ended(1, lost_result("1/1/0.0@1")), &[]);
    check(harness.finish("1/1/0.1@2"), &["commit 1: 1/0.1@2"]);
    check(harness.commit_ended(1, lost_result("1/1/0.0@1")), &[]);
    check(harness.commit_ended(1, CommitOutcome::Done), &["remove 1@1", "remove 1@2", "done 1"]);
}

#[test]
fn a_commit_that_runs_decides_about_the_result_of_a_lost_worker() {
    let mut harness = committing_result();
    check(harness.handle(Event::WorkerGone { worker: worker(1) }), &[]);
    check(harness.commit_ended(1, lost_result("1/1/0.0@1")), &["launch 1/0/0.1@2"]);
    check(harness.finish("1/0/0.1@2"), &["launch 1/1/0.1@2 reads 0/0.1@2"]);
    let mut harness = committing_result();
    harness.handle(Event::WorkerGone { worker: worker(1) });
    check(harness.commit_ended(1, CommitOutcome::Done), &["done 1"]);
}

#[test]
fn a_cancelled_job_does_not_compute_a_lost_result() {
    let mut harness = committing_result();
    check(harness.cancel(1), &[]);
    check(harness.commit_ended(1, lost_result("1/1/0.0@1")), &["remove 1@1", "discard 1", "failed 1: cancelled"]);
}

#[test]
fn a_late_word_of_an_earlier_commit_does_not_end_a_cancelled_one() {
    let mut harness = committing_result();
    harness.commit_ended(1, lost_result("1/1/0.0@1"));
    check(harness.finish("1/1/0.1@2"), &["commit 1: 1/0.1@2"]);
    harness.cancel(1);
    check(harness.commit_ended(1, lost_result("1/1/0.0@1")), &[]);
    check(harness.commit_ended(1, CommitOutcome::Done), &["remove 1@1", "remove 1@2", "done 1"]);
}

#[test]
fn a_result_from_a_lost_version_is_dropped() {
    let stages = vec![indeterminate(fixed(1, &[])), fixed(2, &[0])];
    let mut harness = Harness::running(&[2, 2], result(stages));
    harness.finish("1/0/0.0@1");
    harness.finish("1/1/0.0@1");
    check(harness.finish("1/1/1.0@2"), &["commit 1: 1/0.0@1 1/1.0@2"]);
    check(harness.handle(Event::WorkerGone { worker: worker(1) }), &[]);
    check(harness.commit_ended(1, lost_result("1/1/0.0@1")), &["remove 1/1/1.0@2", "launch 1/0/0.1@2"]);
}

#[test]
fn a_result_that_stays_lost_fails_the_job() {
    let mut harness = Harness::running(&[1], result(vec![fixed(1, &[])]));
    for number in 0..10 {
        check(harness.finish(&format!("1/0/0.{number}@1")), &[&format!("commit 1: 0/0.{number}@1")]);
        let effects = harness.commit_ended(1, lost_result(&format!("1/0/0.{number}@1")));
        assert_eq!(effects.iter().any(|effect| effect.starts_with("failed 1: lost")), number == 9, "{effects:?}");
    }
}
