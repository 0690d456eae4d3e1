//! An attempt that guessed fails: its failure is believed once its links are known to start where it read them from.

use hearth_common::{AttemptCounts, FailureCause, Place};
use hearth_scheduler::Event;

use crate::harness::{Harness, chain, check, files, job, link, linked, storage, worker};

/// The failure of a record, with its line as the attempt counts.
fn bad_record(line: u64) -> FailureCause {
    let place = Place { file: "a.csv".to_owned(), line: Some(line), ..Place::default() };
    FailureCause::Task { message: "bad".to_owned(), place: Some(place) }
}

fn failed(line: u64) -> String {
    format!("failed 1: bad (at a.csv, line {line})")
}

/// A chain of three links that run on one worker each.
fn three() -> Harness {
    Harness::running(&[1, 1, 1], files(vec![chain(3)]))
}

fn check_failed(effects: &[String], line: u64) {
    assert_eq!(effects.last(), Some(&failed(line)), "{effects:?}");
}

#[test]
fn a_failure_from_a_known_start_is_believed_at_once() {
    let mut harness = three();
    check_failed(&harness.fail_scans("1/0/0.0@1", bad_record(5), &["0: 0.."]), 5);
}

#[test]
fn a_failure_without_links_is_believed_at_once() {
    let mut harness = three();
    check_failed(&harness.fail_scans("1/0/2.0@3", bad_record(5), &[]), 5);
}

#[test]
fn a_failure_after_a_guess_waits_for_its_proof() {
    let mut harness = three();
    check(harness.fail_scans("1/0/2.0@3", bad_record(5), &["2: 210.."]), &[]);
    check(harness.finish_files_of("1/0/1.0@2", &["1: 105..210/4"]), &[]);
    // Seven lines are before link 2, and the attempt did not know of them.
    check_failed(&harness.finish_files_of("1/0/0.0@1", &["0: 0..105/3"]), 12);
}

#[test]
fn a_guess_that_is_known_to_be_right_when_it_fails_is_believed() {
    let mut harness = three();
    harness.finish_files_of("1/0/0.0@1", &["0: 0..105/3"]);
    check_failed(&harness.fail_scans("1/0/1.0@2", bad_record(2), &["1: 105.."]), 5);
}

#[test]
fn an_attempt_that_was_told_its_start_counts_lines_itself() {
    let mut harness = Harness::running(&[1], files(vec![chain(2)]));
    harness.finish_files_of("1/0/0.0@1", &["0: 0..105/3"]);
    check_failed(&harness.fail_scans("1/0/1.0@1", bad_record(5), &["1: 105.."]), 5);
}

#[test]
fn a_failure_after_a_wrong_guess_is_none() {
    let mut harness = three();
    check(harness.fail_scans("1/0/1.0@2", bad_record(2), &["1: 120.. | 105..210/4"]), &[]);
    check(harness.fail_scans("1/0/2.0@3", bad_record(2), &["2: 220.."]), &[]);
    // One more round for all of them, and nobody is blamed: the worker that failed is as good as the others.
    check(
        harness.finish_files_of("1/0/0.0@1", &["0: 0..105/3"]),
        &["launch 1/0/1.1@1 1=105:4", "launch 1/0/2.1@2 2=210:8"],
    );
    let view = harness.scheduler.job(job(1)).expect("a job");
    assert_eq!(view.attempts(), AttemptCounts { launched: 5, lost: 0, failed: 0, ..AttemptCounts::default() });
}

#[test]
fn a_guess_known_to_be_wrong_when_it_fails_runs_again_at_once() {
    let mut harness = three();
    harness.finish_files_of("1/0/0.0@1", &["0: 0..105/3"]);
    check(harness.fail_scans("1/0/1.0@2", bad_record(2), &["1: 120.."]), &["launch 1/0/1.1@1 1=105:4"]);
}

#[test]
fn a_wrong_guess_in_any_link_refutes_the_failure() {
    let links = vec![link(0, 0, false), link(1, 100, true), link(1, 0, false)];
    let mut harness = Harness::running(&[2], files(vec![linked(2, links)]));
    check(harness.fail_scans("1/0/1.0@1", bad_record(2), &["1: 120..200/1", "2: 0.."]), &[]);
    check(harness.finish_files_of("1/0/0.0@1", &["0: 0..105/3"]), &["launch 1/0/1.1@1 1=105:4 2=0:1"]);
    check_failed(&harness.fail_scans("1/0/1.1@1", bad_record(2), &["1: 105..200/2", "2: 0.."]), 2);
}

#[test]
fn a_failure_in_a_link_without_records_is_none() {
    let mut harness = three();
    check(harness.fail_scans("1/0/1.0@2", bad_record(2), &["1: 100.."]), &[]);
    check(harness.fail_scans("1/0/2.0@3", bad_record(2), &["2: 300.."]), &[]);
    check(
        harness.finish_files_of("1/0/0.0@1", &["0: 0..300/30"]),
        &["launch 1/0/1.1@1 1=300:31", "launch 1/0/2.1@2 2=300:31"],
    );
    // Told so, it failed of something else.
    check_failed(&harness.fail_scans("1/0/1.1@1", bad_record(2), &["1: 300.."]), 2);
}

#[test]
fn the_first_of_several_failures_in_a_file_is_told() {
    let mut harness = three();
    harness.fail_scans("1/0/2.0@3", bad_record(2), &["2: 210.."]);
    harness.fail_scans("1/0/1.0@2", bad_record(3), &["1: 105.. | 130..230/1"]);
    check_failed(&harness.finish_files_of("1/0/0.0@1", &["0: 0..105/3"]), 6);
}

#[test]
fn other_causes_are_judged_whatever_was_guessed() {
    let mut harness = three();
    check(harness.fail_scans("1/0/2.0@3", storage(), &["2: 220.."]), &[]);
    check(
        harness.fail_scans("1/0/1.0@2", FailureCause::internal("bug"), &["1: 120.. | 105..210/4"]),
        &["launch 1/0/1.1@3"],
    );
    let view = harness.scheduler.job(job(1)).expect("a job");
    assert_eq!(view.attempts().failed, 2);
    // What they found out counts.
    harness.finish_files_of("1/0/0.0@1", &["0: 0..105/3"]);
    let effects = harness.pass(std::time::Duration::from_millis(500));
    check(effects, &["launch 1/0/2.1@1 2=210:8"]);
}

#[test]
fn a_doubted_failure_outlives_its_worker() {
    let mut harness = three();
    harness.fail_scans("1/0/1.0@2", bad_record(2), &["1: 105.."]);
    check(harness.handle(Event::WorkerGone { worker: worker(2) }), &[]);
    check_failed(&harness.finish_files_of("1/0/0.0@1", &["0: 0..105/3"]), 5);
}

#[test]
fn a_doubted_failure_that_comes_twice_changes_nothing() {
    let mut harness = three();
    harness.fail_scans("1/0/1.0@2", bad_record(2), &["1: 105.."]);
    let before = harness.scheduler.clone();
    check(harness.fail_scans("1/0/1.0@2", bad_record(2), &["1: 105.."]), &[]);
    assert_eq!(harness.scheduler, before);
}

#[test]
fn tasks_of_two_files_do_not_wait_for_each_other() {
    // Task 1 fails in a link of file A before it comes to its link of file B, for which task 2 waits.
    let links = vec![link(0, 0, false), link(1, 100, true), link(1, 0, false), link(2, 100, true)];
    let mut harness = Harness::running(&[3], files(vec![linked(3, links)]));
    check(harness.fail_scans("1/0/2.0@1", bad_record(2), &["3: 150.."]), &[]);
    check(harness.fail_scans("1/0/1.0@1", bad_record(2), &["1: 150.."]), &[]);
    check(harness.finish_files_of("1/0/0.0@1", &["0: 0..105/3"]), &["launch 1/0/1.1@1 1=105:4 2=0:1"]);
    check(harness.finish_files_of("1/0/1.1@1", &["1: 105..200/3", "2: 0..107/2"]), &["launch 1/0/2.1@1 3=107:3"]);
    check(harness.finish_files_of("1/0/2.1@1", &["3: 107..200/3"]), &["commit 1: 0/0.0@1 0/1.1@1 0/2.1@1"]);
}
