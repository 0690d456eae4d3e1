//! Tasks read links of files that were cut: an attempt wins once its links are known to start where it read them from.

use hearth_scheduler::{Event, JobGraph, Link, TaskStanding};

use crate::harness::{
    Harness, chain, check, files, fixed, held, indeterminate, job, link, linked, merged, winner, worker,
};

/// A chain whose output is read, so that it stays on workers.
fn read_chain(tasks: u32) -> JobGraph {
    files(vec![chain(tasks), fixed(1, &[0])])
}

#[test]
fn right_guesses_win_when_the_links_before_them_are_read() {
    let mut harness = Harness::running(&[2, 2], files(vec![chain(3)]));
    check(harness.finish_files_of("1/0/2.0@1", &["2: 210..300/9"]), &[]);
    check(harness.finish_files_of("1/0/1.0@2", &["1: 105..210/4"]), &[]);
    check(harness.finish_files_of("1/0/0.0@1", &["0: 0..105/3"]), &["commit 1: 0/0.0@1 0/1.0@2 0/2.0@1"]);
}

#[test]
fn starts_that_are_known_are_told() {
    let mut harness = Harness::running(&[], files(vec![chain(3)]));
    check(harness.connect(1, 1, held(&[], &[])), &["launch 1/0/0.0@1 0=0:1"]);
    check(harness.finish_files_of("1/0/0.0@1", &["0: 0..105/3"]), &["launch 1/0/1.0@1 1=105:4"]);
    check(harness.finish_files_of("1/0/1.0@1", &["1: 105..210/4"]), &["launch 1/0/2.0@1 2=210:8"]);
    check(harness.finish_files_of("1/0/2.0@1", &["2: 210..300/9"]), &["commit 1: 0/0.0@1 0/1.0@1 0/2.0@1"]);
}

#[test]
fn a_wrong_guess_runs_again_from_the_true_start() {
    let mut harness = Harness::running(&[1, 1], read_chain(2));
    check(harness.finish_scans("1/0/1.0@2", &["1: 120..200/4"]), &[]);
    check(harness.finish_scans("1/0/0.0@1", &["0: 0..105/3"]), &["remove 1/0/1.0@2", "launch 1/0/1.1@1 1=105:4"]);
    check(harness.finish_scans("1/0/1.1@1", &["1: 105..200/5"]), &["launch 1/1/0.0@1 reads 0/0.0@1 0/1.1@1"]);
}

#[test]
fn a_guess_known_to_be_wrong_when_it_ends_runs_again_at_once() {
    let mut harness = Harness::running(&[2], read_chain(2));
    check(harness.finish_scans("1/0/0.0@1", &["0: 0..105/3"]), &[]);
    check(harness.finish_scans("1/0/1.0@1", &["1: 120..200/4"]), &["remove 1/0/1.0@1", "launch 1/0/1.1@1 1=105:4"]);
}

#[test]
fn a_file_of_wrong_guesses_costs_one_more_round() {
    let mut harness = Harness::running(&[4], read_chain(4));
    check(harness.finish_scans("1/0/3.0@1", &["3: 333..400/9 | 303..400/9"]), &[]);
    check(harness.finish_scans("1/0/2.0@1", &["2: 222..333/2 | 202..303/3"]), &[]);
    check(harness.finish_scans("1/0/1.0@1", &["1: 111..222/2 | 101..202/3"]), &[]);
    check(
        harness.finish_scans("1/0/0.0@1", &["0: 0..101/3"]),
        &[
            "remove 1/0/1.0@1",
            "remove 1/0/2.0@1",
            "remove 1/0/3.0@1",
            "launch 1/0/1.1@1 1=101:4",
            "launch 1/0/2.1@1 2=202:7",
            "launch 1/0/3.1@1 3=303:10",
        ],
    );
}

#[test]
fn where_neither_assumption_was_right_the_link_is_read_again_first() {
    let mut harness = Harness::running(&[3], read_chain(3));
    harness.finish_scans("1/0/2.0@1", &["2: 210..300/9"]);
    check(harness.finish_scans("1/0/1.0@1", &["1: 120..220/4 | 130..230/4"]), &[]);
    check(harness.finish_scans("1/0/0.0@1", &["0: 0..105/3"]), &["remove 1/0/1.0@1", "launch 1/0/1.1@1 1=105:4"]);
    check(harness.finish_scans("1/0/1.1@1", &["1: 105..210/4"]), &["launch 1/1/0.0@1 reads 0/0.0@1 0/1.1@1 0/2.0@1"]);
}

#[test]
fn a_record_may_span_whole_links() {
    let mut harness = Harness::running(&[4], read_chain(4));
    harness.finish_scans("1/0/3.0@1", &["3: 310..400/9"]);
    harness.finish_scans("1/0/2.0@1", &["2: 310..310/0"]);
    harness.finish_scans("1/0/1.0@1", &["1: 120..210/4"]);
    // Link 1 had no record, and neither had link 2, as its attempt found.
    check(harness.finish_scans("1/0/0.0@1", &["0: 0..310/30"]), &["remove 1/0/1.0@1", "launch 1/0/1.1@1 1=310:31"]);
    check(
        harness.finish_scans("1/0/1.1@1", &["1: 310..310/0"]),
        &["launch 1/1/0.0@1 reads 0/0.0@1 0/1.1@1 0/2.0@1 0/3.0@1"],
    );
}

#[test]
fn without_records_it_does_not_matter_how_far_the_guess_went() {
    let mut harness = Harness::running(&[2], files(vec![chain(2)]));
    harness.finish_files_of("1/0/1.0@1", &["1: 205..205/0"]);
    check(harness.finish_files_of("1/0/0.0@1", &["0: 0..200/3"]), &["commit 1: 0/0.0@1 0/1.0@1"]);
}

#[test]
fn an_unproved_attempt_holds_no_slot() {
    let mut harness = Harness::running(&[1, 1], files(vec![chain(3)]));
    check(harness.finish_files_of("1/0/1.0@2", &["1: 105..210/4"]), &["launch 1/0/2.0@2"]);
    let view = harness.scheduler.job(job(1)).expect("a job");
    let stage = view.stages().next().expect("a stage");
    assert_eq!((stage.done(), stage.running(), stage.unproved()), (0, 2, 1));
    assert_eq!(stage.task(1).map(|task| task.standing()), Some(TaskStanding::Unproved(winner("1/0/1.0@2"))));
    assert_eq!((view.running(), view.waiting_for()), (2, None));
}

#[test]
fn facts_outlive_the_attempt_that_found_them() {
    let mut harness = Harness::running(&[1, 1], read_chain(2));
    harness.finish_scans("1/0/0.0@1", &["0: 0..105/3"]);
    check(harness.handle(Event::WorkerGone { worker: worker(1) }), &[]);
    check(harness.finish_scans("1/0/1.0@2", &["1: 120..200/4"]), &["remove 1/0/1.0@2", "launch 1/0/0.1@2 0=0:1"]);
    check(harness.finish_scans("1/0/0.1@2", &["0: 0..105/3"]), &["launch 1/0/1.1@2 1=105:4"]);
}

#[test]
fn an_unproved_output_is_lost_with_its_worker() {
    let mut harness = Harness::running(&[1, 2], read_chain(2));
    check(harness.finish_scans("1/0/1.0@1", &["1: 105..200/4"]), &[]);
    check(harness.handle(Event::WorkerGone { worker: worker(1) }), &["launch 1/0/1.1@2"]);
    // What it found out is not lost.
    check(harness.finish_scans("1/0/0.0@2", &["0: 0..105/3"]), &[]);
    check(harness.finish_scans("1/0/1.1@2", &["1: 105..200/4"]), &["launch 1/1/0.0@2 reads 0/0.0@2 0/1.1@2"]);
}

#[test]
fn unproved_files_are_not_lost_with_their_worker() {
    let mut harness = Harness::running(&[1, 1], files(vec![chain(2)]));
    harness.finish_files_of("1/0/1.0@2", &["1: 105..200/4"]);
    check(harness.handle(Event::WorkerGone { worker: worker(2) }), &[]);
    check(harness.finish_files_of("1/0/0.0@1", &["0: 0..105/3"]), &["commit 1: 0/0.0@1 0/1.0@2"]);
}

#[test]
fn a_worker_that_comes_back_keeps_an_unproved_output() {
    let mut harness = Harness::running(&[1, 1], read_chain(2));
    harness.finish_scans("1/0/1.0@2", &["1: 105..200/4"]);
    harness.disconnect(2);
    check(harness.connect(2, 1, held(&["1/0/1.0"], &["1/0/1.0"])), &[]);
    check(harness.finish_scans("1/0/1.0@2", &["1: 105..200/4"]), &[]);
    // Without it, the task runs again.
    check(harness.connect(2, 1, held(&[], &[])), &["launch 1/0/1.1@2"]);
}

#[test]
fn a_report_that_comes_twice_changes_nothing() {
    let mut harness = Harness::running(&[1, 1], read_chain(2));
    harness.finish_scans("1/0/1.0@2", &["1: 120..200/4"]);
    let before = harness.scheduler.clone();
    check(harness.finish_scans("1/0/1.0@2", &["1: 120..200/4"]), &[]);
    assert_eq!(harness.scheduler, before);
    harness.finish_scans("1/0/0.0@1", &["0: 0..105/3"]);
    let before = harness.scheduler.clone();
    check(harness.finish_scans("1/0/1.0@2", &["1: 120..200/4"]), &["remove 1/0/1.0@2"]);
    assert_eq!(harness.scheduler, before);
}

#[test]
fn a_job_that_ends_forgets_what_is_unproved() {
    let mut harness = Harness::running(&[1, 1], read_chain(2));
    harness.finish_scans("1/0/1.0@2", &["1: 105..200/4"]);
    check(harness.cancel(1), &["cancel 1/0/0.0@1", "remove 1@1", "remove 1@2", "discard 1", "failed 1: cancelled"]);
    check(harness.finish_scans("1/0/1.0@2", &["1: 105..200/4"]), &["remove 1@2"]);
}

#[test]
fn an_unproved_reader_of_a_lost_version_is_invalidated() {
    let scan = hearth_scheduler::StageSpec { links: chain(2).links, ..fixed(2, &[0]) };
    let mut harness = Harness::running(&[1, 1], files(vec![indeterminate(fixed(1, &[])), scan, fixed(1, &[1])]));
    check(harness.finish("1/0/0.0@1"), &["launch 1/1/0.0@1 reads 0/0.0@1 0=0:1", "launch 1/1/1.0@2 reads 0/0.0@1"]);
    check(harness.finish_scans("1/1/1.0@2", &["1: 105..200/4"]), &[]);
    harness.disconnect(1);
    let lost = harness.connect(1, 1, held(&["1/1/0.0"], &[]));
    check(lost, &["cancel 1/1/0.0@1", "remove 1/1/1.0@2", "launch 1/0/0.1@1"]);
    check(harness.finish("1/0/0.1@1"), &["launch 1/1/0.1@1 reads 0/0.1@1 0=0:1", "launch 1/1/1.1@2 reads 0/0.1@1"]);
}

#[test]
fn a_task_with_several_links_waits_for_all_of_them() {
    // Two files, cut where the task ends; and the second link of the first file is followed by one of the same task.
    let links = vec![link(0, 0, false), link(1, 100, true), link(1, 200, true), link(0, 0, false), link(1, 100, true)];
    let mut harness = Harness::running(&[2], files(vec![linked(2, links)]));
    check(harness.finish_files_of("1/0/1.0@1", &["1: 105..210/4", "2: 210..300/4", "4: 130..200/7"]), &[]);
    check(
        harness.finish_files_of("1/0/0.0@1", &["0: 0..105/3", "3: 0..107/2"]),
        &["launch 1/0/1.1@1 1=105:4 2=210:8 4=107:3"],
    );
    check(
        harness.finish_files_of("1/0/1.1@1", &["1: 105..210/4", "2: 210..300/4", "4: 107..200/9"]),
        &["commit 1: 0/0.0@1 0/1.1@1"],
    );
}

#[test]
fn links_without_bytes_are_passed() {
    let nothing = |start, follows| Link { task: 0, start, end: start, follows };
    let links = vec![nothing(0, false), nothing(0, true), link(1, 0, true)];
    let mut harness = Harness::running(&[2], files(vec![linked(2, links)]));
    harness.finish_files_of("1/0/0.0@1", &["0: 0..0/0", "1: 0..0/0"]);
    check(harness.finish_files_of("1/0/1.0@1", &["2: 0..100/4"]), &["commit 1: 0/0.0@1 0/1.0@1"]);
}

#[test]
fn bytes_of_a_wrong_guess_do_not_count() {
    // Counted twice, 10 bytes in each of two shuffle partitions would be too many for one task of 100 bytes.
    let mut harness = Harness::running(&[6], files(vec![chain(6), merged(&[0])]));
    harness.finish_scans("1/0/5.0@1", &["5: 520..600/4"]);
    for task in 0..5 {
        let (start, end) = (task * 100 + 1, task * 100 + 101);
        let start = if task == 0 { 0 } else { start };
        harness.finish_scans(&format!("1/0/{task}.0@1"), &[&format!("{task}: {start}..{end}/1")]);
    }
    check(
        harness.finish_scans("1/0/5.1@1", &["5: 501..600/4"]),
        &[
            "launch 1/1/0.0@1 merges 0..1 reads 0/0.0@1 0/1.0@1 0/2.0@1 0/3.0@1 0/4.0@1 0/5.1@1",
            "launch 1/1/1.0@1 merges 1..2 reads 0/0.0@1 0/1.0@1 0/2.0@1 0/3.0@1 0/4.0@1 0/5.1@1",
        ],
    );
}
