//! Links and reports about them are checked.

use hearth_common::{FailureCause, StageId};
use hearth_scheduler::{Event, FinalOutput, GraphError, JobGraph, Link, LinkFault, StageSpec};

use crate::harness::{Harness, chain, check, files, fixed, held, job, link, linked, merged, worker};

fn check_links(spec: StageSpec, expected: Result<(), (u32, LinkFault)>) {
    let stages = vec![fixed(1, &[]), StageSpec { inputs: fixed(1, &[0]).inputs, ..spec }];
    let found = JobGraph::new(stages, FinalOutput::Files).map(drop);
    let expected = expected.map_err(|(link, fault)| GraphError::Link { stage: StageId(1), link, fault });
    assert_eq!(found, expected);
}

#[test]
fn links_that_do_not_fit_are_refused() {
    check_links(chain(3), Ok(()));
    // Files may be spread in any way, as long as each of them goes forward.
    let spread = vec![link(1, 0, false), link(1, 100, true), link(0, 0, false), link(1, 100, true)];
    check_links(linked(2, spread), Ok(()));
    check_links(StageSpec { links: vec![link(0, 0, false)], ..merged(&[0]) }, Err((0, LinkFault::MergedTasks)));
    check_links(linked(1, vec![link(1, 0, false)]), Err((0, LinkFault::NoTask(1))));
    check_links(linked(1, vec![Link { task: 0, start: 2, end: 1, follows: false }]), Err((0, LinkFault::Backwards)));
    check_links(linked(1, vec![link(0, 100, true)]), Err((0, LinkFault::Gap)));
    check_links(linked(1, vec![link(0, 0, false), link(0, 101, true)]), Err((1, LinkFault::Gap)));
    check_links(linked(2, vec![link(1, 0, false), link(0, 100, true)]), Err((1, LinkFault::TaskOrder)));
}

/// Task 1 reads link 1, and guesses.
fn guessing() -> Harness {
    Harness::running(&[3, 1], files(vec![chain(3)]))
}

#[track_caller]
fn check_counted(harness: &Harness) {
    let failed = harness.scheduler.job(job(1)).map(|view| view.attempts().failed);
    assert_eq!(failed, Some(1));
}

#[test]
fn a_finished_attempt_reports_all_its_links_and_their_ends() {
    for scans in [
        &[][..],
        &["1: 105..210/4", "1: 105..210/4"],
        &["1: 105..210/4", "2: 210..300/4"],
        &["2: 210..300/4"],
        &["7: 105..210/4"],
        &["1: 105.."],
        &["1: 99..210/4"],
        &["1: 105..199/4"],
        &["1: 205..206/0"],
        &["1: 205..205/1"],
        &["1: 105..210/4 | 99..210/4"],
        &["1: 105..210/4 | 105..199/4"],
    ] {
        let mut harness = guessing();
        check(harness.finish_files_of("1/0/1.0@1", scans), &["launch 1/0/1.1@2"]);
        check_counted(&harness);
    }
}

#[test]
fn a_failed_attempt_reports_links_that_it_has() {
    for scans in [&["0: 0.."][..], &["1: 99.."], &["1: 105..210/4", "2: 210.."]] {
        let mut harness = guessing();
        check(harness.fail_scans("1/0/1.0@1", FailureCause::task("bad"), scans), &["launch 1/0/1.1@2"]);
        check_counted(&harness);
    }
}

#[test]
fn an_attempt_that_starts_elsewhere_than_told_is_an_internal_error() {
    let mut harness = Harness::running(&[1], files(vec![chain(1)]));
    for number in 0..3 {
        let next = format!("launch 1/0/0.{}@1 0=0:1", number + 1);
        check(harness.finish_files_of(&format!("1/0/0.{number}@1"), &["0: 1..100/2"]), &[&next]);
    }
    let effects = harness.finish_files_of("1/0/0.3@1", &["0: 1..100/2"]);
    let told = "failed 1: internal error: attempt read link 0 from somewhere else than it was told";
    assert_eq!(effects.last().map(String::as_str), Some(told));
}

#[test]
fn links_of_a_failed_attempt_come_in_their_order() {
    let links = vec![link(0, 0, false), link(0, 0, false)];
    for scans in [&["1: 0.."][..], &["0: 0..", "1: 0.."], &["0: 0..100/1", "0: 0.."]] {
        let mut harness = Harness::running(&[1], files(vec![linked(1, links.clone())]));
        check(harness.fail_scans("1/0/0.0@1", FailureCause::task("bad"), scans), &["launch 1/0/0.1@1 0=0:1 1=0:1"]);
    }
}

#[test]
fn reports_that_contradict_each_other_end_the_job() {
    let mut harness = Harness::running(&[1, 1], files(vec![chain(2), fixed(1, &[0])]));
    harness.finish_scans("1/0/0.0@1", &["0: 0..105/3"]);
    harness.disconnect(1);
    check(harness.connect(1, 1, held(&[], &[])), &["launch 1/0/0.1@1 0=0:1"]);
    let effects = harness.finish_scans("1/0/0.1@1", &["0: 0..107/3"]);
    let conflict = "failed 1: internal error: stage 0, link 0, read from byte 0, ended at byte 105, line 4 and at byte 107, \
                    line 4; its file changed while it was read";
    check(effects, &["cancel 1/0/1.0@2", "remove 1@1", "remove 1@2", "discard 1", conflict]);
}

#[test]
fn guesses_that_contradict_each_other_count_when_they_are_right() {
    for (start, ends_with) in [(105, "its file changed while it was read"), (110, "1=110:4")] {
        let mut harness = Harness::running(&[1, 1, 1], files(vec![chain(2), fixed(1, &[0])]));
        harness.finish_scans("1/0/1.0@2", &["1: 105..200/3"]);
        harness.handle(Event::WorkerGone { worker: worker(2) });
        harness.finish_scans("1/0/1.1@3", &["1: 105..200/4"]);
        let effects = harness.finish_scans("1/0/0.0@1", &[&format!("0: 0..{start}/3")]);
        assert!(effects.last().is_some_and(|effect| effect.ends_with(ends_with)), "{effects:?}");
    }
}
