//! Rows, bytes and times of a job's tasks, added up per stage as they are told. Shown to people; nothing is decided by them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use hearth_common::{AttemptId, AttemptMetrics, StageId};

/// The figures of one job.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    tasks: BTreeMap<(StageId, u32), TaskFigures>,
    stages: BTreeMap<StageId, AttemptMetrics>,
    /// Tasks of which an attempt waits for HDFS, with the reason.
    waits: BTreeMap<(StageId, u32), String>,
}

#[derive(Debug, Clone, Copy)]
struct TaskFigures {
    attempt: u32,
    is_final: bool,
    metrics: AttemptMetrics,
}

impl Figures {
    /// What a running attempt has told so far.
    pub(crate) fn note_progress(&mut self, attempt: AttemptId, metrics: AttemptMetrics) {
        self.note(attempt, TaskFigures { attempt: attempt.attempt, is_final: false, metrics });
    }

    /// Why a running attempt waits for HDFS, or that it does not.
    pub(crate) fn note_wait(&mut self, attempt: AttemptId, because: Option<String>) {
        let key = (attempt.task.stage, attempt.task.partition);
        match because {
            Some(because) => self.waits.insert(key, because),
            None => self.waits.remove(&key),
        };
    }

    /// Why some attempt waits for HDFS; `None` where none does.
    pub(crate) fn waits_because(&self) -> Option<&str> {
        self.waits.values().next().map(String::as_str)
    }

    /// What a finished attempt told. It counts once, however often it is reported.
    pub(crate) fn note_finished(&mut self, attempt: AttemptId, metrics: AttemptMetrics) {
        self.note(attempt, TaskFigures { attempt: attempt.attempt, is_final: true, metrics });
        self.note_wait(attempt, None);
    }

    /// The attempt failed or was lost: what it told does not count any more.
    pub(crate) fn drop_attempt(&mut self, attempt: AttemptId) {
        let key = (attempt.task.stage, attempt.task.partition);
        self.waits.remove(&key);
        if let Entry::Occupied(entry) = self.tasks.entry(key)
            && entry.get().attempt == attempt.attempt
        {
            let old = entry.remove().metrics;
            subtract(self.stages.entry(attempt.task.stage).or_default(), &old);
        }
    }

    /// The sums of one stage.
    pub(crate) fn stage(&self, stage: StageId) -> AttemptMetrics {
        self.stages.get(&stage).copied().unwrap_or_default()
    }

    /// The sums of all stages.
    pub(crate) fn total(&self) -> AttemptMetrics {
        let mut total = AttemptMetrics::default();
        self.stages.values().for_each(|stage| total.add(stage));
        total
    }

    fn note(&mut self, attempt: AttemptId, new: TaskFigures) {
        let sum = self.stages.entry(attempt.task.stage).or_default();
        match self.tasks.entry((attempt.task.stage, attempt.task.partition)) {
            Entry::Vacant(entry) => {
                entry.insert(new);
            }
            Entry::Occupied(mut entry) => {
                let old = *entry.get();
                let is_older = (new.attempt, new.is_final) < (old.attempt, old.is_final);
                if is_older {
                    return;
                }
                subtract(sum, &old.metrics);
                entry.insert(new);
            }
        }
        sum.add(&new.metrics);
    }
}

fn subtract(sum: &mut AttemptMetrics, old: &AttemptMetrics) {
    sum.input_rows = sum.input_rows.saturating_sub(old.input_rows);
    sum.input_bytes = sum.input_bytes.saturating_sub(old.input_bytes);
    sum.shuffle_read_rows = sum.shuffle_read_rows.saturating_sub(old.shuffle_read_rows);
    sum.shuffle_local_bytes = sum.shuffle_local_bytes.saturating_sub(old.shuffle_local_bytes);
    sum.shuffle_remote_bytes = sum.shuffle_remote_bytes.saturating_sub(old.shuffle_remote_bytes);
    sum.output_rows = sum.output_rows.saturating_sub(old.output_rows);
    sum.output_bytes = sum.output_bytes.saturating_sub(old.output_bytes);
    sum.spilled_bytes = sum.spilled_bytes.saturating_sub(old.spilled_bytes);
    sum.elapsed_ms = sum.elapsed_ms.saturating_sub(old.elapsed_ms);
}

#[cfg(test)]
mod tests {
    use hearth_common::{JobId, TaskId};

    use super::*;

    fn attempt(partition: u32, attempt: u32) -> AttemptId {
        AttemptId { task: TaskId { job: JobId::from_u128(1), stage: StageId(0), partition }, attempt }
    }

    fn rows(input_rows: u64) -> AttemptMetrics {
        AttemptMetrics { input_rows, ..AttemptMetrics::default() }
    }

    #[test]
    fn a_wait_ends_with_its_attempt() {
        let mut figures = Figures::default();
        figures.note_wait(attempt(0, 0), Some("safe mode".to_owned()));
        figures.note_wait(attempt(1, 0), Some("no answer".to_owned()));
        figures.note_wait(attempt(0, 0), None);
        assert_eq!(figures.waits_because(), Some("no answer"));
        figures.note_finished(attempt(1, 0), rows(1));
        assert_eq!(figures.waits_because(), None);
        figures.note_wait(attempt(2, 0), Some("no answer".to_owned()));
        figures.drop_attempt(attempt(2, 0));
        assert_eq!(figures.waits_because(), None);
    }

    #[test]
    fn each_task_counts_once() {
        let mut figures = Figures::default();
        figures.note_progress(attempt(0, 0), rows(3));
        figures.note_progress(attempt(0, 0), rows(5));
        figures.note_finished(attempt(0, 0), rows(10));
        figures.note_finished(attempt(0, 0), rows(10));
        figures.note_progress(attempt(0, 0), rows(7));
        figures.note_finished(attempt(1, 0), rows(1));
        assert_eq!(figures.stage(StageId(0)), rows(11));
        figures.note_progress(attempt(0, 1), rows(2));
        assert_eq!(figures.total(), rows(3), "the work is done again");
        figures.note_finished(attempt(0, 0), rows(10));
        assert_eq!(figures.total(), rows(3), "an older attempt does not come back");
        figures.drop_attempt(attempt(0, 0));
        figures.drop_attempt(attempt(0, 1));
        assert_eq!(figures.total(), rows(1));
    }
}
