//! What the operators of a job's plan did, added up per stage over the tasks that ended well, each once. Shown to people; nothing is
//! decided by it.

use std::collections::BTreeMap;
use std::sync::Arc;

use hearth_common::{AttemptId, OperatorRun, OperatorTotal, OperatorWork, StageId, StageOperators};

/// Figures of single tasks that are kept of a job, so that another attempt can take their place: so many times 48 bytes. The tasks
/// beyond it are left out of the sums.
const KEPT_MAX: usize = 1 << 17;

/// The operators of one job.
#[derive(Debug, Default)]
pub(crate) struct Operators {
    stages: BTreeMap<StageId, Arc<StageOperators>>,
    tasks: BTreeMap<(StageId, u32), Box<[OperatorWork]>>,
    kept: usize,
}

impl Operators {
    /// What the winner of a task told. A later winner takes its place.
    pub(crate) fn note_finished(&mut self, attempt: AttemptId, runs: &[OperatorRun]) {
        if runs.is_empty() {
            return;
        }
        let stage = attempt.task.stage;
        let totals = self.stages.entry(stage).or_insert_with(|| Arc::new(nothing_of(stage, runs)));
        let totals = Arc::make_mut(totals);
        let key = (stage, attempt.task.partition);
        let is_new = !self.tasks.contains_key(&key);
        if !fits(totals, runs) || (is_new && self.kept + runs.len() > KEPT_MAX) {
            totals.tasks_left_out += 1;
            return;
        }
        let work: Box<[OperatorWork]> = runs.iter().map(|run| run.work).collect();
        for (total, work) in totals.operators.iter_mut().zip(&work) {
            total.sum.add(work);
            total.max.raise_to(work);
        }
        match self.tasks.insert(key, work) {
            Some(before) => {
                totals.operators.iter_mut().zip(&before).for_each(|(total, work)| total.sum.subtract(work));
            }
            None => {
                totals.tasks += 1;
                self.kept += runs.len();
            }
        }
    }

    /// The stages of which something is known, in their order. Cheap: they are shared.
    pub(crate) fn stages(&self) -> Vec<Arc<StageOperators>> {
        self.stages.values().map(Arc::clone).collect()
    }

    /// The same, to be kept with an ended job.
    pub(crate) fn to_kept(&self) -> Vec<StageOperators> {
        self.stages.values().map(|stage| StageOperators::clone(stage)).collect()
    }
}

fn nothing_of(stage: StageId, runs: &[OperatorRun]) -> StageOperators {
    StageOperators { stage, tasks: 0, tasks_left_out: 0, operators: runs.iter().map(OperatorTotal::new).collect() }
}

/// All tasks of a stage run the same plan.
fn fits(totals: &StageOperators, runs: &[OperatorRun]) -> bool {
    let same = |(total, run): (&OperatorTotal, &OperatorRun)| (total.depth, &total.name) == (run.depth, &run.name);
    totals.operators.len() == runs.len() && totals.operators.iter().zip(runs).all(same)
}

#[cfg(test)]
mod tests {
    use hearth_common::{JobId, TaskId};

    use super::*;

    fn attempt(partition: u32, attempt: u32) -> AttemptId {
        AttemptId { task: TaskId { job: JobId::from_u128(1), stage: StageId(0), partition }, attempt }
    }

    fn runs(figures: &[(u64, u64)]) -> Vec<OperatorRun> {
        let run = |(depth, (rows, memory_bytes)): (u32, &(u64, u64))| {
            let work = OperatorWork { rows: *rows, memory_bytes: *memory_bytes, ..OperatorWork::default() };
            OperatorRun { depth, name: format!("Operator{depth}"), work }
        };
        (0..).zip(figures).map(run).collect()
    }

    /// Sums and maxima of rows, and the most memory.
    fn shown(operators: &Operators) -> Vec<(u64, u64, u64)> {
        let stages = operators.stages();
        let totals = stages.iter().flat_map(|stage| &stage.operators);
        totals.map(|total| (total.sum.rows, total.max.rows, total.sum.memory_bytes)).collect()
    }

    #[test]
    fn tasks_are_added_up_each_once() {
        let mut operators = Operators::default();
        operators.note_finished(attempt(0, 0), &runs(&[(10, 5), (100, 0)]));
        operators.note_finished(attempt(1, 0), &runs(&[(30, 7), (200, 0)]));
        assert_eq!(shown(&operators), [(40, 30, 7), (300, 200, 0)]);
        operators.note_finished(attempt(1, 1), &runs(&[(20, 6), (250, 0)]));
        assert_eq!(shown(&operators), [(30, 30, 7), (350, 250, 0)], "the later winner counts alone");
        let stages = operators.stages();
        assert_eq!((stages[0].tasks, stages[0].tasks_left_out), (2, 0));
    }

    #[test]
    fn other_plans_and_too_many_tasks_are_left_out() {
        let mut operators = Operators::default();
        operators.note_finished(attempt(0, 0), &runs(&[(1, 0)]));
        operators.note_finished(attempt(1, 0), &runs(&[(1, 0), (1, 0)]));
        operators.note_finished(attempt(2, 0), &[]);
        assert_eq!((operators.stages()[0].tasks, operators.stages()[0].tasks_left_out), (1, 1));
        let many = KEPT_MAX as u32 + 10;
        (2..many).for_each(|partition| operators.note_finished(attempt(partition, 0), &runs(&[(1, 0)])));
        let stage = &operators.stages()[0];
        assert_eq!(stage.tasks, KEPT_MAX as u64);
        assert_eq!((stage.operators[0].sum.rows, stage.tasks_left_out), (KEPT_MAX as u64, 10));
    }
}
