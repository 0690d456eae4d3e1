//! Attempts that ended are proved: what they read counts only if each link was read from its true start.
//!
//! A right one counts at once, a wrong one runs again without blame. Where too little is known, the attempt stays
//! unproved until the link before is read: it holds no slot, nothing reads its output, and its failure is not believed.

use hearth_common::{AttemptId, FailureCause, JobId, LinkScan, StageId};

use crate::claim::{Claim, Decided, Ending, Proof};
use crate::job::Job;
use crate::mutation::Mutation;
use crate::reports::Report;
use crate::stage::Stage;
use crate::task::{Task, TaskKey, TaskState};
use crate::{Effect, Scheduler, Winner};

impl Scheduler {
    /// Takes in an attempt that ended, and what its report proves about others.
    pub(crate) fn conclude(&mut self, report: &Report, ending: Ending) {
        let Report { attempt, worker, scans } = report;
        let task = attempt.task;
        let Some(news) = self.learn(*attempt, scans) else { return };
        let ended = Winner { attempt: *attempt, worker: *worker };
        self.note_duration(ended, &ending);
        if matches!(ending, Ending::Finished { .. }) {
            self.forgive_worker(task.job, *worker);
        }
        match self.prove(*attempt, scans, &ending) {
            Proof::Right => self.accept(ended, ending),
            Proof::Wrong => self.run_again(ended, &ending),
            Proof::Open(_) if self.is_rash(&ending) => self.accept(ended, ending),
            Proof::Open(guesses) => {
                self.cancel_others(*attempt);
                if let Some(stage) = self.find_stage_mut(task.job, task.stage) {
                    stage.claims.enter(task.partition, Claim { attempt: attempt.attempt, guesses, ending });
                }
                self.set_task(task, TaskState::Unproved { attempt: attempt.attempt, worker: *worker });
            }
        }
        self.decide_claims(task.job, task.stage, &news);
    }

    /// Enters what an attempt found out, and gives the links whose start became known. Reports that contradict each
    /// other end the job: no output of this file could be trusted.
    fn learn(&mut self, attempt: AttemptId, scans: &[LinkScan]) -> Option<Vec<u32>> {
        let task = attempt.task;
        let mutation = self.config.mutation;
        let stage = self.find_stage_mut(task.job, task.stage)?;
        match stage.chains.learn((attempt.attempt, scans), mutation) {
            Ok(news) => {
                news.iter().for_each(|link| stage.note_link(*link));
                Some(news)
            }
            Err(conflict) => {
                let cause = FailureCause::internal(format!("stage {}, {conflict}", task.stage));
                self.cancel_others(attempt);
                self.set_task(task, TaskState::Waiting);
                self.end_job(task.job, Some(cause));
                None
            }
        }
    }

    /// An attempt that came to an end of its own tells how long attempts of its stage take. One that failed in doubt does so
    /// too: it may wait for the very attempt that is slow.
    fn note_duration(&mut self, ended: Winner, ending: &Ending) {
        let task = ended.attempt.task;
        let run = self.find_task(task).and_then(|task| task.find_run(ended.attempt, ended.worker));
        let now = self.now;
        if let Some(run) = run.filter(|_| ending.depends_on_links())
            && let Some(stage) = self.find_stage_mut(task.job, task.stage)
        {
            stage.note_duration(now.0.saturating_sub(run.since.0));
        }
    }

    fn prove(&self, AttemptId { task, attempt }: AttemptId, scans: &[LinkScan], ending: &Ending) -> Proof {
        let stage = self.jobs.get(&task.job).and_then(Job::execution).and_then(|execution| execution.stage(task.stage));
        match stage {
            Some(stage) if ending.depends_on_links() => stage.chains.prove(attempt, scans),
            Some(_) | None => Proof::Right,
        }
    }

    /// The starts of these links have just become known: attempts that waited for them are right or wrong.
    ///
    /// Proof goes forward, so that of several failures in a file the first one is believed, and ends the job.
    fn decide_claims(&mut self, job: JobId, stage: StageId, links: &[u32]) {
        for &link in links {
            let decided = self.find_stage_mut(job, stage).and_then(|stage| stage.decide_claim(link));
            let Some(Decided { partition, is_right, ending }) = decided else { continue };
            let task = TaskKey { stage, partition }.in_job(job);
            let Some(TaskState::Unproved { attempt, worker }) = self.find_task(task).map(Task::state) else { continue };
            let ended = Winner { attempt: AttemptId { task, attempt }, worker };
            if is_right { self.accept(ended, ending) } else { self.run_again(ended, &ending) }
        }
    }

    fn accept(&mut self, ended: Winner, ending: Ending) {
        let Winner { attempt: AttemptId { task, attempt }, worker } = ended;
        match ending {
            Ending::Failed { .. } if self.has_mutation(Mutation::ForgetDoubts) => {
                self.set_task(task, TaskState::Done { attempt, worker });
            }
            Ending::Failed { cause, link } => {
                let cause = self.count_lines(ended.attempt, cause, link);
                self.conclude_failed(ended, cause);
            }
            Ending::Finished { partition_bytes } => {
                let Some(stage) = self.find_stage_mut(task.job, task.stage) else { return };
                // A task that runs again leaves about the same bytes: they count once, merging needs an estimate only.
                if stage.task(task.partition).is_some_and(|task| !task.had_winner()) {
                    stage.add_bytes(&partition_bytes);
                }
                self.cancel_others(ended.attempt);
                self.set_task(task, TaskState::Done { attempt, worker });
            }
        }
    }

    /// The attempt read records that are none: its task waits again, and is not blamed. The next one is told the start.
    fn run_again(&mut self, ended: Winner, ending: &Ending) {
        let Winner { attempt, worker } = ended;
        let execution = self.jobs.get(&attempt.task.job).and_then(Job::execution);
        let leaves_output = execution.is_some_and(|execution| execution.leaves_shuffle_output(attempt.task.stage));
        let is_finished = matches!(ending, Ending::Finished { .. });
        let is_kept = self.has_mutation(Mutation::KeepWrongGuessOutput);
        if is_finished && leaves_output && self.workers.contains(worker) && !is_kept {
            self.effects.push(Effect::RemoveShuffleOutput { worker, attempt });
        }
        // Another attempt that knows no better would only be wrong again.
        let other = self.leave_to_other(attempt).map(|run| AttemptId { attempt: run.attempt, ..attempt });
        let chains = self.find_stage_mut(attempt.task.job, attempt.task.stage).map(|stage| &stage.chains);
        if !other.zip(chains).is_some_and(|(other, chains)| chains.is_fully_told(other.task.partition, other.attempt)) {
            other.into_iter().for_each(|other| self.cancel_attempts_of(other.task));
            self.set_task(attempt.task, TaskState::Waiting);
        }
    }

    /// An attempt that guessed counted lines from its guess: adds those before it.
    fn count_lines(
        &mut self,
        AttemptId { task, attempt }: AttemptId,
        mut cause: FailureCause,
        link: Option<u32>,
    ) -> FailureCause {
        if self.has_mutation(Mutation::ForgetLineBase) {
            return cause;
        }
        let facts = self.find_stage_mut(task.job, task.stage).and_then(|stage| stage.chains.get(link?));
        let lines = facts.map_or(0, |facts| facts.untold_lines(attempt));
        if let FailureCause::Task { place: Some(place), .. } = &mut cause {
            place.line = place.line.map(|line| line.saturating_add(lines));
        }
        cause
    }

    fn find_stage_mut(&mut self, job: JobId, stage: StageId) -> Option<&mut Stage> {
        self.jobs.get_mut(&job)?.execution_mut()?.stage_mut(stage)
    }

    fn is_rash(&self, ending: &Ending) -> bool {
        self.has_mutation(match ending {
            Ending::Finished { .. } => Mutation::AcceptUnprovedGuess,
            Ending::Failed { .. } => Mutation::BelieveDoubtfulFailure,
        })
    }
}
