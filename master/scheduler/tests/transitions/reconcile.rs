//! A worker comes back and tells what it has.

use hearth_common::FailureCause;

use crate::harness::{Harness, check, files, fixed, held, unreadable};

#[test]
fn a_launch_that_was_lost_runs_again_without_blame() {
    let mut harness = Harness::running(&[2], files(vec![fixed(2, &[])]));
    for number in 0..6 {
        harness.disconnect(1);
        check(harness.connect(1, 2, held(&["1/0/0.0"], &[])), &[&format!("launch 1/0/1.{}@1", number + 1)]);
    }
}

#[test]
fn a_connection_that_replaces_another_is_reconciled_too() {
    let mut harness = Harness::running(&[1], files(vec![fixed(1, &[])]));
    check(harness.connect(1, 1, held(&[], &[])), &["launch 1/0/0.1@1"]);
}

#[test]
fn attempts_that_nobody_wants_are_cancelled() {
    let mut harness = Harness::running(&[1, 1], files(vec![fixed(1, &[])]));
    harness.fail("1/0/0.0@1", FailureCause::internal("bug"));
    harness.disconnect(1);
    check(
        harness.connect(1, 1, held(&["1/0/0.0", "9/0/0.0", "1/7/0.0"], &[])),
        &["cancel 1/0/0.0@1", "cancel 9/0/0.0@1", "cancel 1/7/0.0@1"],
    );
}

#[test]
fn reports_on_their_way_are_not_cancelled() {
    let mut harness = Harness::running(&[1], files(vec![fixed(1, &[]), fixed(1, &[0])]));
    harness.finish("1/0/0.0@1");
    harness.disconnect(1);
    check(harness.connect(1, 1, held(&["1/0/0.0", "1/1/0.0"], &["1/0/0.0"])), &[]);
    check(harness.finish("1/0/0.0@1"), &[]);
}

#[test]
fn outputs_that_are_gone_are_lost() {
    let mut harness = Harness::running(&[1, 1], files(vec![fixed(1, &[]), fixed(1, &[0])]));
    harness.finish("1/0/0.0@1");
    harness.fail("1/1/0.0@1", FailureCause::internal("bug"));
    check(harness.connect(1, 1, held(&[], &[])), &["launch 1/0/0.1@1"]);
}

#[test]
fn outputs_that_nobody_needs_are_removed() {
    let mut harness = Harness::running(&[1, 1], files(vec![fixed(1, &[]), fixed(1, &[0])]));
    harness.finish("1/0/0.0@1");
    harness.fail("1/1/0.0@1", unreadable("1/0/0.0@1"));
    check(
        harness.connect(1, 1, held(&[], &["1/0/0.0", "8/0/0.0", "9/0/0.0", "9/0/1.0"])),
        &["remove 1/0/0.0@1", "remove 8@1", "remove 9@1"],
    );
}

#[test]
fn an_output_whose_report_is_on_its_way_stays() {
    let mut harness = Harness::running(&[1], files(vec![fixed(1, &[]), fixed(1, &[0])]));
    harness.disconnect(1);
    check(harness.connect(1, 1, held(&["1/0/0.0"], &["1/0/0.0"])), &[]);
    check(harness.finish("1/0/0.0@1"), &["launch 1/1/0.0@1 reads 0/0.0@1"]);
}

#[test]
fn fewer_slots_than_running_attempts_means_none_is_free() {
    let mut harness = Harness::running(&[2], files(vec![fixed(3, &[])]));
    check(harness.connect(1, 1, held(&["1/0/0.0", "1/0/1.0"], &[])), &[]);
    check(harness.finish_files("1/0/0.0@1"), &[]);
    check(harness.finish_files("1/0/1.0@1"), &["launch 1/0/2.0@1"]);
}
