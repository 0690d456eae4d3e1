//! The rejects of a job that runs: whether its inputs have more than they may, whatever the rest of them holds.
//!
//! Adds up what proved winners told, each task once. A job that this does not stop is judged as a whole by its commit
//! (`reconcile`). Nothing is stored: another master adds it up again from the reports that it finds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hearth_common::{
    AttemptId, AttemptRecords, FailureCause, InputRecords, InputStatus, JobSpec, OnError, RejectLimit, TaskId,
};
use hearth_scheduler::{JobView, TaskStanding};

use crate::jobs::Job;
use crate::planner::{Content, PlannedStage};
use crate::reconcile::{Reading, add, lines_before, too_many};

/// Bytes of the smallest record, with its line end. Only the last one of a file may have none.
const RECORD_BYTES_MIN: u64 = 2;

/// What became of the records of a job so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    limits: BTreeMap<String, RejectLimit>,
    inputs: BTreeMap<String, InputStatus>,
    /// Attempts that ended well and may not be proved yet, in the order of their tasks.
    waiting: BTreeSet<AttemptId>,
    counted: BTreeSet<TaskId>,
    /// What no counted task has read.
    unread: Content,
}

impl Job {
    /// Tells why what was read of its inputs so far fails it.
    pub(crate) fn judge_rejects(&mut self, view: &JobView<'_>) -> Option<FailureCause> {
        let cause = self.tally.judge(view, (&self.records, &self.plan.as_ref()?.stages))?;
        self.inputs = self.tally.inputs.values().cloned().collect();
        Some(cause)
    }
}

impl Tally {
    /// For a job that has read nothing; it counts only where inputs may have rejects.
    pub(crate) fn new(spec: &JobSpec) -> Self {
        let limits = spec.inputs.iter().filter_map(|(name, input)| match input.on_error {
            OnError::Reject(limit) => Some((name.clone(), limit)),
            OnError::Fail => None,
        });
        let of_input = |input: &String| {
            let records = InputRecords { input: input.clone(), ..InputRecords::default() };
            (input.clone(), InputStatus { records, first_rejects: Vec::new() })
        };
        Self { limits: limits.collect(), inputs: spec.inputs.keys().map(of_input).collect(), ..Self::default() }
    }

    /// The job was planned.
    pub(crate) fn note_plan<'a>(&mut self, stages: impl Iterator<Item = &'a PlannedStage>) {
        if !self.limits.is_empty() {
            self.unread = stages.map(PlannedStage::content).fold(Content::default(), Content::plus);
        }
    }

    /// An attempt ended well.
    pub(crate) fn note_report(&mut self, attempt: AttemptId) {
        if !self.limits.is_empty() {
            self.waiting.insert(attempt);
        }
    }

    /// Counts what is proved by now; tells why the job cannot end well any more. Attempts behind one that is not proved wait
    /// with it, so that each is looked at once.
    fn judge(
        &mut self,
        view: &JobView<'_>,
        (records, stages): (&BTreeMap<AttemptId, AttemptRecords>, &[Arc<PlannedStage>]),
    ) -> Option<FailureCause> {
        let mut is_new = false;
        while let Some(attempt) = self.waiting.first().copied() {
            let task = attempt.task;
            let found = view.stages().nth(task.stage.0 as usize)?.task(task.partition)?;
            match found.standing() {
                TaskStanding::Unproved(winner) if winner.attempt == attempt => break,
                TaskStanding::Done(winner) if winner.attempt == attempt && self.counted.insert(task) => {
                    if add(&mut self.inputs, records.get(&attempt)?, &lines_before(&found)).is_err() {
                        return None;
                    }
                    let read = stages.get(task.stage.0 as usize)?.content_of(task.partition);
                    self.unread = self.unread.minus(read);
                    is_new = true;
                }
                // It was counted before, is computed again, or lost against another attempt.
                TaskStanding::Waiting
                | TaskStanding::BackingOff(_)
                | TaskStanding::Running(_)
                | TaskStanding::Unproved(_)
                | TaskStanding::Done(_) => {}
            }
            self.waiting.pop_first();
        }
        if is_new { self.exceeded() } else { None }
    }

    fn exceeded(&self) -> Option<FailureCause> {
        self.limits.iter().find_map(|(name, limit)| {
            let status = self.inputs.get(name)?;
            let InputRecords { records, rejected, .. } = status.records;
            let records_max = match limit {
                RejectLimit::Records(_) => records,
                RejectLimit::Millionths(_) => records.saturating_add(records_max(self.unread)),
            };
            let is_all = self.unread == Content::default();
            limit
                .is_exceeded(records_max, rejected)
                .then(|| too_many((status, *limit), if is_all { Reading::Done } else { Reading::GoesOn }))
        })
    }
}

/// How many records there can be in it: as many as are left, were each as short as records can be.
const fn records_max(unread: Content) -> u64 {
    if unread.compressed > 0 {
        return u64::MAX;
    }
    (unread.bytes / RECORD_BYTES_MIN).saturating_add(unread.splits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tells what follows from so many rejects among so many records, with that much unread.
    fn judged(limit: RejectLimit, (records, rejected): (u64, u64), unread: Content) -> Option<String> {
        let records = InputRecords { input: "t".to_owned(), records, used: records - rejected, rejected };
        let tally = Tally {
            limits: BTreeMap::from([("t".to_owned(), limit)]),
            inputs: BTreeMap::from([("t".to_owned(), InputStatus { records, first_rejects: Vec::new() })]),
            unread,
            ..Tally::default()
        };
        tally.exceeded().map(|cause| cause.to_string())
    }

    #[test]
    fn a_share_is_exceeded_when_no_rest_can_mend_it() {
        let percent = RejectLimit::Millionths(10_000);
        // 100 records more are needed: as many as stand in 200 bytes, or in 198 bytes that do not end with a line end.
        let rest = |bytes, splits| Content { bytes, splits, compressed: 0 };
        assert_eq!(judged(percent, (100, 2), rest(200, 0)), None);
        assert_eq!(judged(percent, (100, 2), rest(198, 1)), None);
        let found = judged(percent, (100, 2), rest(196, 1)).unwrap_or_default();
        assert!(
            found.contains(
                "2 rejects among 100 records read so far, more than max_rejects = 1%, whatever the rest holds"
            ),
            "{found}"
        );
        let found = judged(percent, (100, 2), Content::default()).unwrap_or_default();
        assert!(found.contains("2 rejects among 100 records, more than max_rejects = 1%; the first"), "{found}");
        assert_eq!(judged(percent, (100, 1), Content::default()), None);
    }

    #[test]
    fn compressed_files_may_hold_anything() {
        let rest = Content { bytes: 0, splits: 0, compressed: 1 };
        assert_eq!(judged(RejectLimit::Millionths(1), (1_000_000, 1_000_000), rest), None);
        assert!(judged(RejectLimit::Records(5), (10, 6), rest).is_some());
        assert_eq!(judged(RejectLimit::Records(6), (10, 6), rest), None);
    }
}
