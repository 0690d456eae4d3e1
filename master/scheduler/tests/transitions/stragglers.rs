//! A slow attempt gets a second one beside it, and the first that ends well wins.

use std::time::Duration;

use hearth_common::{AttemptCounts, FailureCause};
use hearth_scheduler::{Event, JobLimits, SchedulerConfig, StragglerPolicy, TaskStanding};

use crate::harness::{
    Harness, chain, check, files, fixed, held, indeterminate, job, out_of_memory, storage, winner, worker,
};

/// Three tasks on three workers, and a reader; two are done after a second, and the time is that given.
fn slow_at(now: u64) -> Harness {
    let mut harness = Harness::running(&[1, 1, 1], files(vec![fixed(3, &[]), fixed(1, &[0])]));
    harness.now = 1_000;
    harness.finish("1/0/0.0@1");
    harness.finish("1/0/1.0@2");
    harness.now = now;
    for number in 1..=3 {
        harness.beat(number);
    }
    harness
}

/// The same, and the slow attempt has a second one on worker 1.
fn doubled() -> Harness {
    let mut harness = slow_at(3_001);
    check(harness.pass(Duration::ZERO), &["launch 1/0/2.1@1"]);
    harness
}

fn seconds(harness: &Harness) -> (u64, u64) {
    let AttemptCounts { second, second_won, .. } = harness.scheduler.job(job(1)).expect("a job").attempts();
    (second, second_won)
}

#[test]
fn an_attempt_is_slow_after_a_while() {
    check(slow_at(3_000).pass(Duration::ZERO), &[]);
    check(slow_at(3_001).pass(Duration::ZERO), &["launch 1/0/2.1@1"]);
}

#[test]
fn an_attempt_is_slow_compared_with_the_median() {
    let mut harness = Harness::running(&[1, 1, 1], files(vec![fixed(3, &[])]));
    harness.now = 4_000;
    harness.finish_files("1/0/0.0@1");
    harness.finish_files("1/0/1.0@2");
    // The median is rounded up, to 4,095 ms here.
    check(harness.pass(Duration::from_millis(2_142)), &[]);
    harness.now = 6_143;
    check(harness.pass(Duration::from_millis(500)), &["launch 1/0/2.1@1"]);
}

#[test]
fn too_few_have_ended_to_tell() {
    let mut harness = Harness::running(&[1, 1, 1], files(vec![fixed(3, &[])]));
    harness.finish_files("1/0/0.0@1");
    check(harness.pass(Duration::from_secs(8)), &[]);
    (1..=3).for_each(|number| drop(harness.beat(number)));
    check(harness.finish_files("1/0/1.0@2"), &[]);
    check(harness.pass(Duration::from_millis(500)), &["launch 1/0/2.1@1"]);
}

#[test]
fn an_attempt_with_nothing_to_compare_it_with_is_slow_after_ten_minutes() {
    let mut harness = Harness::running(&[1, 1], files(vec![fixed(1, &[])]));
    let pass = |harness: &mut Harness, wait_ms: u64| {
        let beats: Vec<String> = (0..wait_ms / 500)
            .flat_map(|_| [harness.pass(Duration::from_millis(500)), harness.beat(1), harness.beat(2)].concat())
            .collect();
        beats
    };
    check(pass(&mut harness, 600_000), &[]);
    check(pass(&mut harness, 500), &["launch 1/0/0.1@2"]);
    check(harness.finish_files("1/0/0.1@2"), &["cancel 1/0/0.0@1", "commit 1: 0/0.1@2"]);
}

#[test]
fn the_second_wins_and_the_first_is_stopped() {
    let mut harness = doubled();
    let view = harness.scheduler.job(job(1)).expect("a job");
    let task = view.stages().next().and_then(|stage| stage.task(2)).expect("a task");
    assert_eq!(task.standing(), TaskStanding::Running(winner("1/0/2.0@3")));
    assert!(task.runs().eq([winner("1/0/2.0@3"), winner("1/0/2.1@1")]));
    assert_eq!(view.running(), 2);
    check(harness.finish("1/0/2.1@1"), &["cancel 1/0/2.0@3", "launch 1/1/0.0@1 reads 0/0.0@1 0/1.0@2 0/2.1@1"]);
    assert_eq!(seconds(&harness), (1, 1));
    // What it was too late to stop is removed.
    check(harness.finish("1/0/2.0@3"), &["remove 1/0/2.0@3"]);
    check(harness.fail("1/0/2.0@3", FailureCause::task("bad")), &[]);
}

#[test]
fn the_first_wins_and_the_second_is_stopped() {
    let mut harness = doubled();
    check(harness.finish("1/0/2.0@3"), &["cancel 1/0/2.1@1", "launch 1/1/0.0@1 reads 0/0.0@1 0/1.0@2 0/2.0@3"]);
    assert_eq!(seconds(&harness), (1, 0));
}

#[test]
fn only_one_of_two_outputs_of_an_indeterminate_stage_is_used() {
    let mut harness = Harness::running(&[1, 1], files(vec![indeterminate(fixed(2, &[])), fixed(1, &[0])]));
    harness.finish("1/0/0.0@1");
    check(harness.pass(Duration::from_secs(4)), &["launch 1/0/1.1@1"]);
    check(harness.finish("1/0/1.1@1"), &["cancel 1/0/1.0@2", "launch 1/1/0.0@1 reads 0/0.0@1 0/1.1@1"]);
    check(harness.finish("1/0/1.0@2"), &["remove 1/0/1.0@2"]);
}

#[test]
fn when_one_fails_the_other_goes_on() {
    for cause in [storage(), out_of_memory(), FailureCause::internal("bug")] {
        let mut harness = doubled();
        check(harness.fail("1/0/2.0@3", cause.clone()), &[]);
        check(harness.finish("1/0/2.1@1"), &["launch 1/1/0.0@1 reads 0/0.0@1 0/1.0@2 0/2.1@1"]);
        let mut harness = doubled();
        check(harness.fail("1/0/2.1@1", cause), &[]);
        check(harness.finish("1/0/2.0@3"), &["launch 1/1/0.0@1 reads 0/0.0@1 0/1.0@2 0/2.0@3"]);
    }
}

#[test]
fn when_one_is_lost_the_other_goes_on() {
    let mut harness = doubled();
    check(harness.handle(Event::WorkerGone { worker: worker(3) }), &[]);
    check(harness.connect(1, 1, held(&["1/0/2.1"], &["1/0/0.0"])), &[]);
    check(harness.connect(1, 1, held(&[], &["1/0/0.0"])), &["launch 1/0/2.2@1"]);
}

#[test]
fn an_error_in_the_data_fails_the_job_and_stops_both() {
    let effects = doubled().fail("1/0/2.1@1", FailureCause::task("bad"));
    assert_eq!(effects.first().map(String::as_str), Some("cancel 1/0/2.0@3"));
    assert_eq!(effects.last().map(String::as_str), Some("failed 1: bad"));
}

#[test]
fn second_attempts_of_a_task_are_bounded() {
    let mut harness = doubled();
    for number in 1..=3 {
        check(harness.fail(&format!("1/0/2.{number}@{}", if number == 2 { 2 } else { 1 }), storage()), &[]);
        let effects = harness.pass(Duration::from_millis(500));
        let expected = format!("launch 1/0/2.{}@1", number + 1);
        match number {
            3 => check(effects, &[]),
            2 => check(effects, &[&expected]),
            _ => {
                // Another worker has more room now.
                check(effects, &[&expected]);
                check(harness.fail("1/0/2.2@1", storage()), &[]);
                check(harness.pass(Duration::from_millis(500)), &["launch 1/0/2.3@1"]);
                check(harness.fail("1/0/2.3@1", storage()), &[]);
                check(harness.pass(Duration::from_millis(500)), &[]);
                return;
            }
        }
    }
}

#[test]
fn second_attempts_take_few_slots_and_none_that_others_want() {
    let mut harness = Harness::running(&[4, 4], files(vec![fixed(8, &[])]));
    for task in ["1/0/0.0@1", "1/0/1.0@2", "1/0/2.0@1", "1/0/3.0@2"] {
        harness.finish_files(task);
    }
    check(harness.pass(Duration::from_secs(4)), &["launch 1/0/4.1@2"]);
    check(harness.finish_files("1/0/4.0@1"), &["cancel 1/0/4.1@2"]);
    harness.submit(2);
    harness.planned(2, files(vec![fixed(20, &[])]));
    check(harness.pass(Duration::from_secs(1)), &[]);
}

#[test]
fn a_job_with_all_its_slots_gets_no_second_attempts() {
    let mut harness = Harness::new(SchedulerConfig::default());
    harness.connect(1, 1, held(&[], &[]));
    harness.connect(2, 1, held(&[], &[]));
    let limits = JobLimits { slots_max: Some(1), merge_bytes: 100, ..JobLimits::default() };
    harness.handle(Event::JobSubmitted { job: job(1), limits });
    harness.planned(1, files(vec![fixed(2, &[])]));
    check(harness.finish_files("1/0/0.0@1"), &["launch 1/0/1.0@1"]);
    check(harness.pass(Duration::from_secs(8)), &[]);
}

#[test]
fn second_attempts_can_be_switched_off() {
    let stragglers = StragglerPolicy { seconds_per_task_max: 0, ..StragglerPolicy::default() };
    let mut harness = Harness::new(SchedulerConfig { stragglers, ..SchedulerConfig::default() });
    harness.connect(1, 1, held(&[], &[]));
    harness.connect(2, 1, held(&[], &[]));
    harness.submit(1);
    harness.planned(1, files(vec![fixed(2, &[])]));
    harness.finish_files("1/0/0.0@1");
    check(harness.pass(Duration::from_secs(8)), &[]);
}

#[test]
fn a_task_that_loses_workers_takes_down_no_more_than_three() {
    let mut harness = slow_at(3_000);
    for number in [4, 5] {
        harness.connect(number, 1, held(&[], &[]));
    }
    harness.disconnect(3);
    check(harness.pass(Duration::from_secs(3)), &["fence 3", "launch 1/0/2.1@1"]);
    for number in [1, 2, 4, 5] {
        harness.beat(number);
    }
    check(harness.pass(Duration::from_secs(4)), &["launch 1/0/2.2@2"]);
    harness.disconnect(1);
    [2, 4, 5].into_iter().for_each(|number| drop(harness.beat(number)));
    check(harness.pass(Duration::from_secs(3)), &["fence 1", "launch 1/0/0.1@4"]);
    for number in [2, 4, 5] {
        harness.beat(number);
    }
    check(harness.pass(Duration::from_secs(4)), &[]);
    harness.disconnect(2);
    let effects = harness.pass(Duration::from_secs(3));
    assert!(effects.iter().any(|effect| effect.starts_with("failed 1: stage 0, task 2 lost 3 workers")), "{effects:?}");
}

#[test]
fn the_slow_link_of_a_chain_is_not_waited_for() {
    let mut harness = Harness::running(&[1, 1, 1], files(vec![chain(3)]));
    check(harness.finish_files_of("1/0/1.0@2", &["1: 105..210/4"]), &[]);
    check(harness.finish_files_of("1/0/2.0@3", &["2: 210..300/4"]), &[]);
    check(harness.pass(Duration::from_secs(4)), &["launch 1/0/0.1@2 0=0:1"]);
    check(
        harness.finish_files_of("1/0/0.1@2", &["0: 0..105/3"]),
        &["cancel 1/0/0.0@1", "commit 1: 0/0.1@2 0/1.0@2 0/2.0@3"],
    );
}

/// A chain of three links; the first two ended, and the slow attempt of the third one guessed.
fn slow_guess() -> Harness {
    let mut harness = Harness::running(&[1, 1, 1], files(vec![chain(3)]));
    harness.finish_files_of("1/0/0.0@1", &["0: 0..105/3"]);
    harness
}

#[test]
fn a_second_attempt_knows_more_than_the_first() {
    let mut harness = slow_guess();
    harness.finish_files_of("1/0/1.0@2", &["1: 105..210/4"]);
    check(harness.pass(Duration::from_secs(4)), &["launch 1/0/2.1@1 2=210:8"]);
    // The first was wrong, and is judged by what it was told; the second goes on.
    check(harness.fail_scans("1/0/2.0@3", FailureCause::task("bad"), &["2: 220.."]), &[]);
    check(harness.finish_files_of("1/0/2.1@1", &["2: 210..300/4"]), &["commit 1: 0/0.0@1 0/1.0@2 0/2.1@1"]);
}

#[test]
fn a_second_attempt_that_knows_no_better_is_stopped_with_the_first() {
    let mut harness = Harness::running(&[1, 1, 1, 1], files(vec![chain(4)]));
    harness.finish_files_of("1/0/0.0@1", &["0: 0..105/3"]);
    harness.finish_files_of("1/0/3.0@4", &["3: 310..400/1"]);
    // Task 1 is slow as well, and older; both it and task 2 guess what comes before.
    check(harness.pass(Duration::from_secs(4)), &["launch 1/0/1.1@1 1=105:4"]);
    check(harness.finish_files_of("1/0/1.1@1", &["1: 105..210/4"]), &["cancel 1/0/1.0@2"]);
    check(harness.fail_scans("1/0/2.0@3", FailureCause::task("bad"), &["2: 220.."]), &["launch 1/0/2.1@1 2=210:8"]);
}

#[test]
fn an_unproved_end_stops_the_other_one() {
    let mut harness = Harness::running(&[1, 1, 1, 1], files(vec![chain(4)]));
    for number in [1, 3] {
        let start = number * 100 + 5;
        harness.finish_files_of(
            &format!("1/0/{number}.0@{}", number + 1),
            &[&format!("{number}: {start}..{}/4", start + 100)],
        );
    }
    check(harness.pass(Duration::from_secs(4)), &["launch 1/0/0.1@2 0=0:1"]);
    check(harness.finish_files_of("1/0/0.0@1", &["0: 0..105/3"]), &["cancel 1/0/0.1@2"]);
    check(harness.pass(Duration::from_millis(500)), &["launch 1/0/2.1@1 2=205:8"]);
    check(
        harness.finish_files_of("1/0/2.0@3", &["2: 205..305/4"]),
        &["cancel 1/0/2.1@1", "commit 1: 0/0.0@1 0/1.0@2 0/2.0@3 0/3.0@4"],
    );
}
