//! What may be known about links, found out the slow way: all reports are kept, and every chain is followed from its start.

use std::collections::{BTreeMap, BTreeSet};

use hearth_common::{AttemptId, FailureCause, JobId, LinkEnd, LinkScan, Place, RecordStart, StageId, WorkerId};
use hearth_scheduler::{KnownStart, Launch};

use crate::plan::JobPlan;

/// What was seen of links.
#[derive(Debug, Default, Clone)]
pub(crate) struct SeenLinks {
    spans: BTreeMap<(JobId, StageId, u32), BTreeMap<u64, LinkEnd>>,
    /// Attempts that finished after a wrong guess and left a shuffle output, and where it lies.
    wrong: BTreeMap<AttemptId, WorkerId>,
    /// How many attempts ended after a wrong guess.
    pub(crate) wrong_count: u64,
    /// How many ended before it was known whether they had guessed right.
    pub(crate) unproved_count: u64,
    removed: BTreeSet<AttemptId>,
}

impl SeenLinks {
    /// An attempt that nobody had given up reported.
    pub(crate) fn on_report(&mut self, plan: &JobPlan, attempt: AttemptId, scans: &[LinkScan]) {
        let task = attempt.task;
        for scan in scans {
            let spans = self.spans.entry((task.job, task.stage, scan.link)).or_default();
            for span in [Some(scan.read), scan.quoted].into_iter().flatten() {
                if let Some(end) = span.end {
                    spans.insert(span.start, end);
                }
            }
        }
        self.wrong_count += u64::from(is_wrong(plan, attempt, scans));
        let known = self.known_starts(plan, attempt);
        let is_known = |scan: &LinkScan| known.iter().any(|start| start.link == scan.link);
        self.unproved_count += u64::from(!scans.iter().all(is_known));
    }

    /// An attempt left a shuffle output.
    pub(crate) fn on_output(&mut self, plan: &JobPlan, (attempt, worker): (AttemptId, WorkerId), scans: &[LinkScan]) {
        if is_wrong(plan, attempt, scans) {
            self.wrong.insert(attempt, worker);
        }
    }

    pub(crate) fn on_removed(&mut self, attempt: AttemptId) {
        self.wrong.remove(&attempt);
        self.removed.insert(attempt);
    }

    /// The worker has only these outputs left.
    pub(crate) fn on_held(&mut self, worker: WorkerId, outputs: &[AttemptId]) {
        self.wrong.retain(|attempt, on| *on != worker || outputs.contains(attempt));
    }

    /// Checks what an attempt is told, and that nothing wrong is left of the ones before.
    pub(crate) fn check_launch(&self, plan: &JobPlan, launch: &Launch) -> Result<(), String> {
        let attempt = launch.attempt;
        let expected = self.known_starts(plan, attempt);
        if launch.starts != expected {
            return Err(format!("attempt {attempt}: told {:?}, could be told {expected:?}", launch.starts));
        }
        for KnownStart { link, start } in expected {
            let truth = true_start(plan, attempt.task.stage, link);
            if start != truth {
                return Err(format!("attempt {attempt}: told {start:?} for link {link}, which is at {truth:?}"));
            }
        }
        if let Some((left, worker)) = self.wrong.iter().find(|(left, _)| left.task == attempt.task) {
            return Err(format!("attempt {attempt}: the wrong output of {left} is left on {worker}"));
        }
        let mut read = launch.inputs.iter().flat_map(|input| input.winners.iter());
        match read.find(|winner| self.removed.contains(&winner.attempt)) {
            Some(winner) => Err(format!("attempt {attempt}: reads {}, which was removed", winner.attempt)),
            None => Ok(()),
        }
    }

    fn known_starts(&self, plan: &JobPlan, attempt: AttemptId) -> Vec<KnownStart> {
        let task = attempt.task;
        let (mut known, mut end_before) = (Vec::new(), None);
        for (number, link) in (0..).zip(&plan.stage(task.stage).links) {
            let start = if link.follows { end_before } else { Some(RecordStart { byte: link.start, line: 1 }) };
            let spans = self.spans.get(&(task.job, task.stage, number));
            end_before = start.and_then(|start| {
                if start.byte >= link.end {
                    return Some(start);
                }
                let end = spans?.get(&start.byte)?;
                Some(RecordStart { byte: end.byte, line: start.line + end.lines })
            });
            known.extend(start.filter(|_| link.task == task.partition).map(|start| KnownStart { link: number, start }));
        }
        known
    }
}

/// That failure names a record that cannot be read, and where it truly is.
pub(crate) fn names_bad_record(plan: &JobPlan, cause: &FailureCause) -> bool {
    let FailureCause::Task { place: Some(Place { file: name, line, byte, .. }), .. } = cause else { return false };
    let files = plan.inputs.values().flat_map(|input| &input.files).filter(|file| file.name == *name);
    files.into_iter().any(|file| {
        let mut lines = (1..).zip(&file.lines);
        lines.any(|(number, at)| at.is_bad && (*line, *byte) == (Some(number), Some(at.start)))
    })
}

/// Links from which a reader that is not told reads wrongly.
pub(crate) fn count_wrong_guesses(plan: &JobPlan) -> u64 {
    let stages = plan.inputs.iter().map(|(stage, input)| (plan.stage(*stage), input));
    let wrong = stages.flat_map(|(spec, input)| {
        (0..).zip(&spec.links).filter(|(number, link)| {
            let file = input.file(*number);
            let (guess, truth) = (file.guess(link).0, file.true_start(link).byte);
            link.follows && guess != truth && (guess < link.end || truth < link.end)
        })
    });
    wrong.count() as u64
}

fn true_start(plan: &JobPlan, stage: StageId, link: u32) -> RecordStart {
    plan.inputs[&stage].file(link).true_start(&plan.stage(stage).links[link as usize])
}

fn is_wrong(plan: &JobPlan, attempt: AttemptId, scans: &[LinkScan]) -> bool {
    scans.iter().any(|scan| {
        let end = plan.stage(attempt.task.stage).links[scan.link as usize].end;
        let truth = true_start(plan, attempt.task.stage, scan.link).byte;
        scan.read.start != truth && (scan.read.start < end || truth < end)
    })
}
