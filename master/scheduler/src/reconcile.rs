//! A worker connects and tells what it has: whatever was lost with the old connection is put right.

use std::collections::BTreeSet;

use hearth_common::{AttemptId, JobId, TaskId, WorkerId};

use crate::mutation::Mutation;
use crate::{Effect, Held, Scheduler};

impl Scheduler {
    /// Compares what the worker has with what it is believed to have.
    pub(crate) fn reconcile(&mut self, worker: WorkerId, held: &Held) {
        self.requeue_lost_launches(worker, &held.attempts);
        self.lose_missing_outputs(worker, &held.shuffle_outputs);
        self.cancel_unwanted_attempts(worker, &held.attempts);
        self.remove_unwanted_outputs(worker, &held.shuffle_outputs);
    }

    fn requeue_lost_launches(&mut self, id: WorkerId, held: &[AttemptId]) {
        let held: BTreeSet<_> = held.iter().collect();
        let Some(worker) = self.workers.get(id) else { return };
        let missing: Vec<_> = worker.running.iter().filter(|attempt| !held.contains(attempt)).copied().collect();
        if self.has_mutation(Mutation::TrustLostLaunches) {
            return;
        }
        for attempt in missing {
            self.set_attempt_lost(attempt);
        }
    }

    fn lose_missing_outputs(&mut self, id: WorkerId, held: &[AttemptId]) {
        let held: BTreeSet<_> = held.iter().collect();
        let Some(worker) = self.workers.get(id) else { return };
        let expected = worker.outputs.iter().flat_map(|(job, keys)| keys.iter().map(|key| key.in_job(*job)));
        let is_missing = |task: &TaskId| self.find_output(*task).is_some_and(|attempt| !held.contains(&attempt));
        let missing: Vec<_> = expected.filter(is_missing).collect();
        for task in missing {
            self.lose_output(task);
        }
    }

    pub(crate) fn find_output(&self, task: TaskId) -> Option<AttemptId> {
        self.jobs.get(&task.job)?.execution()?.find_output(task).map(|output| output.attempt)
    }

    fn cancel_unwanted_attempts(&mut self, worker: WorkerId, held: &[AttemptId]) {
        for &attempt in held {
            if !self.is_wanted_from(attempt, worker) {
                self.effects.push(Effect::CancelAttempt { worker, attempt });
            }
        }
    }

    fn remove_unwanted_outputs(&mut self, worker: WorkerId, held: &[AttemptId]) {
        let mut ended: BTreeSet<JobId> = BTreeSet::new();
        for &attempt in held {
            let job = attempt.task.job;
            if !self.jobs.contains_key(&job) {
                ended.insert(job);
            } else if !self.is_wanted_from(attempt, worker) {
                self.effects.push(Effect::RemoveShuffleOutput { worker, attempt });
            }
        }
        if self.has_mutation(Mutation::KeepReturnedOutputs) {
            return;
        }
        self.effects.extend(ended.into_iter().map(|job| Effect::RemoveJobShuffle { worker, job }));
    }

    /// The attempt runs on that worker, or finished there and won, or may yet win.
    fn is_wanted_from(&self, attempt: AttemptId, worker: WorkerId) -> bool {
        let is_unproved_wanted = !self.has_mutation(Mutation::ForgetUnprovedOnReconnect);
        self.find_task(attempt.task).is_some_and(|task| {
            let is_unproved = is_unproved_wanted && task.is_unproved(attempt, worker);
            task.is_running(attempt, worker) || task.is_winner(attempt, worker) || is_unproved
        })
    }
}
