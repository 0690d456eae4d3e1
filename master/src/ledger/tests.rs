//! Attempts as the ledger keeps them.

use hearth_common::{JobDetails, JobId, TaskId};

use super::*;

fn attempt(partition: u32, attempt: u32) -> AttemptId {
    AttemptId { task: TaskId { job: JobId::from_u128(1), stage: StageId(0), partition }, attempt }
}

const fn worker(id: u128) -> WorkerId {
    WorkerId::from_u128(id)
}

fn read(input_rows: u64) -> AttemptMetrics {
    AttemptMetrics { input_rows, input_bytes: input_rows * 10, elapsed_ms: 5, ..AttemptMetrics::default() }
}

fn outcomes(ledger: &Ledger) -> Vec<(u32, u32, &'static str)> {
    let attempts = ledger.attempts();
    attempts.iter().map(|attempt| (attempt.partition, attempt.attempt, attempt.outcome.name())).collect()
}

#[test]
fn tells_what_became_of_each_attempt() {
    let mut ledger = Ledger::default();
    ledger.note_launch((attempt(0, 0), worker(1)), &[], 10);
    ledger.note_launch((attempt(1, 0), worker(1)), &[], 10);
    ledger.note_launch((attempt(2, 0), worker(2)), &[], 10);
    ledger.note_launch((attempt(2, 1), worker(1)), &[attempt(2, 0)], 20);
    ledger.note_end(attempt(0, 0), End::Done, 30);
    ledger.note_end(attempt(1, 0), End::Failed(&FailureCause::internal("broke")), 30);
    ledger.note_end(attempt(1, 0), End::Done, 35);
    ledger.note_end(attempt(2, 1), End::Done, 40);
    ledger.note_end(attempt(2, 0), End::Cancelled, 40);
    let expected = [(0, 0, "done"), (1, 0, "failed"), (2, 0, "cancelled"), (2, 1, "done")];
    assert_eq!(outcomes(&ledger), expected);
    let attempts = ledger.attempts();
    let seconds: Vec<bool> = attempts.iter().map(|attempt| attempt.second).collect();
    assert_eq!(seconds, [false, false, false, true]);
    let failure = attempts.iter().find_map(|attempt| attempt.failure.clone());
    assert_eq!(failure, Some(("internal".to_owned(), "internal error: broke".to_owned())));
    assert_eq!(ledger.failed_of(&FailureCause::internal("other")), Some((StageId(0), 1, 0, worker(1))));
    assert_eq!(ledger.failed_of(&FailureCause::Cancelled), None);
}

#[test]
fn a_task_that_runs_again_tells_why() {
    let mut ledger = Ledger::default();
    ledger.note_launch((attempt(0, 0), worker(1)), &[], 10);
    ledger.note_end(attempt(0, 0), End::Done, 20);
    ledger.note_launch((attempt(0, 1), worker(2)), &[], 30);
    assert!(!ledger.note_worker_gone(worker(1), 40));
    assert!(ledger.note_worker_gone(worker(2), 40));
    ledger.note_launch((attempt(0, 2), worker(3)), &[], 50);
    ledger.note_launch((attempt(0, 3), worker(3)), &[], 60);
    let expected = [(0, 0, "repeated"), (0, 1, "lost"), (0, 2, "lost"), (0, 3, "running")];
    assert_eq!(outcomes(&ledger), expected);
    assert_eq!(ledger.attempts().iter().next().and_then(|first| first.ended_ms), Some(20), "it ended when it did");
}

#[test]
fn flows_are_what_is_new() {
    let mut ledger = Ledger::default();
    let id = attempt(0, 0);
    ledger.note_launch((id, worker(1)), &[], 10);
    assert_eq!(ledger.note_progress((id, worker(1)), read(3), 20), Flow { rows: 3, bytes: 30, spilled_bytes: 0 });
    assert_eq!(ledger.note_progress((id, worker(1)), read(5), 30), Flow { rows: 2, bytes: 20, spilled_bytes: 0 });
    assert_eq!(ledger.note_progress((id, worker(1)), read(5), 40), Flow::default());
    let unknown = (attempt(7, 2), worker(1));
    assert_eq!(ledger.note_progress(unknown, read(1), 50).rows, 1, "it ran before the master started");
    let last = ledger.attempts();
    assert_eq!(last.iter().last().map(|attempt| attempt.launched_ms), Some(45));
}

#[test]
fn changes_are_found_without_looking_at_all() {
    let mut ledger = Ledger::default();
    (0..200).for_each(|partition| ledger.note_launch((attempt(partition, 0), worker(1)), &[], 10));
    let before = ledger.attempts();
    ledger.note_end(attempt(3, 0), End::Done, 20);
    ledger.note_launch((attempt(200, 0), worker(1)), &[], 20);
    let after = ledger.attempts();
    let changed: Vec<u32> = after.changed_since(&before).map(|attempt| attempt.partition).collect();
    assert_eq!(changed, [3, 200]);
    assert_eq!(after.changed_since(&after).count(), 0);
    assert_eq!(after.changed_since(&Attempts::default()).count(), 201);
    let shared = after.chunks.iter().zip(&before.chunks).filter(|(a, b)| Arc::ptr_eq(a, b)).count();
    assert_eq!(shared, 2, "only the chunks of these two were copied");
}

#[test]
fn a_job_without_end_is_bounded_and_keeps_its_failures() {
    let mut ledger = Ledger::default();
    let cause = FailureCause::internal("x");
    ledger.note_launch((attempt(0, 0), worker(1)), &[], 1);
    ledger.note_end(attempt(0, 0), End::Failed(&cause), 2);
    let ids: Vec<AttemptId> = (1..30_000).map(|partition| attempt(partition, 0)).collect();
    for id in &ids {
        ledger.note_launch((*id, worker(1)), &[], 3);
        ledger.end_all(&[*id], 4);
    }
    let attempts = ledger.attempts();
    assert_eq!((attempts.len(), ledger.places.len()), (KEPT_MAX, KEPT_MAX));
    assert_eq!(attempts.left_out, 30_000 - KEPT_MAX as u64);
    assert_eq!(attempts.iter().filter(|attempt| attempt.outcome == AttemptOutcome::Failed).count(), 1);
    assert!(attempts.iter().any(|attempt| attempt.partition == 29_999), "the newest are there");
}

#[test]
fn an_ended_job_keeps_what_went_wrong_and_the_slowest() {
    let mut ledger = Ledger::default();
    for partition in 0..1000 {
        ledger.note_launch((attempt(partition, 0), worker(1)), &[], 100);
        ledger.note_end(attempt(partition, 0), End::Done, 100 + u64::from(partition));
    }
    ledger.note_launch((attempt(1000, 0), worker(2)), &[], 100);
    ledger.note_end(attempt(1000, 0), End::Failed(&FailureCause::internal("x")), 101);
    ledger.note_launch((attempt(1000, 1), worker(3)), &[], 102);
    let hosts = [1, 2, 3, 4].map(|id| (worker(id), format!("node{id}"))).into();
    let mut details = JobDetails { hosts, ..JobDetails::default() };
    ledger.close(&mut details, 5000);
    assert_eq!((details.attempts.len(), details.attempts_left_out), (256, 746));
    let count = |outcome| details.attempts.iter().filter(|attempt| attempt.outcome == outcome).count();
    assert_eq!((count(AttemptOutcome::Failed), count(AttemptOutcome::Cancelled)), (1, 1), "what ran was stopped");
    assert!(details.attempts.iter().any(|attempt| attempt.partition == 999), "the slowest is there");
    assert!(!details.attempts.iter().any(|attempt| attempt.partition == 0), "the fastest is not");
    assert_eq!(details.stages[0].attempts, 1000, "percentiles are over all");
    assert_eq!(details.stages[0].duration_ms.max, 999);
    assert_eq!(details.hosts.len(), 3, "hosts that nothing names are left out");
}
