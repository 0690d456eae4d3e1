//! Workers that drain: they get nothing new, finish what they run, and stay until nobody needs their shuffle outputs.
//!
//! Readers that are at work, or will be soon, so cost nothing to serve. Where that takes too long, the outputs are made again
//! elsewhere, and the worker leaves at once: who drains a worker may rely on a bounded time after its last attempt.

use hearth_common::{AttemptId, WorkerId};

use crate::job::Job;
use crate::mutation::Mutation;
use crate::task::TaskKey;
use crate::timer::Timer;
use crate::worker::{Stay, Worker};
use crate::{Effect, Scheduler};

impl Scheduler {
    pub(crate) fn on_worker_draining(&mut self, id: WorkerId) {
        if self.hear_from(id) && self.workers.get(id).is_some_and(|worker| worker.stay == Stay::Staying) {
            self.set_stay(id, Stay::Draining { give_up_at: None });
        }
    }

    /// It may not have heard that it may leave.
    pub(crate) fn repeat_release(&mut self, id: WorkerId) {
        if self.workers.get(id).is_some_and(|worker| worker.stay == Stay::Released) {
            self.set_stay(id, Stay::Draining { give_up_at: None });
        }
    }

    /// A draining worker has waited long enough for the readers of its outputs: they are made again.
    pub(crate) fn on_drain_wait_ended(&mut self, id: WorkerId) {
        self.set_stay(id, Stay::Draining { give_up_at: None });
        for attempt in self.lose_outputs_of(id) {
            self.effects.push(Effect::RemoveShuffleOutput { worker: id, attempt });
        }
    }

    /// Lets draining workers go on which nothing runs and nothing lies that is needed.
    pub(crate) fn settle_drains(&mut self) {
        for id in self.draining.iter().copied().collect::<Vec<_>>() {
            let Some(worker) = self.workers.get(id) else { continue };
            let is_early = self.has_mutation(Mutation::ReleaseTooEarly);
            let is_busy = !worker.running.is_empty() || !worker.is_heard();
            let stay = match worker.stay {
                _ if self.has_mutation(Mutation::NeverRelease) => continue,
                Stay::Staying | Stay::Released => continue,
                Stay::Draining { .. } if is_early => Stay::Released,
                Stay::Draining { .. } if is_busy => Stay::Draining { give_up_at: None },
                Stay::Draining { give_up_at } if self.is_needed(worker) => {
                    let give_up_at = give_up_at.or_else(|| Some(self.now.after(self.config.drain_wait)));
                    Stay::Draining { give_up_at }
                }
                Stay::Draining { .. } => Stay::Released,
            };
            self.set_stay(id, stay);
            if stay == Stay::Released {
                if !is_early {
                    self.lose_outputs_of(id);
                    self.settle();
                }
                self.effects.push(Effect::ReleaseWorker { worker: id });
            }
        }
    }

    /// Changes whether a worker means to stay, and the deadline and the list of those that do not.
    pub(crate) fn set_stay(&mut self, id: WorkerId, stay: Stay) {
        let Some(before) = self.workers.get(id).map(|worker| worker.stay) else { return };
        if before == stay {
            return;
        }
        before.deadline().into_iter().for_each(|at| self.timers.unset(at, Timer::Drain(id)));
        stay.deadline().into_iter().for_each(|at| self.timers.set(at, Timer::Drain(id)));
        match stay {
            Stay::Draining { .. } => self.draining.insert(id),
            Stay::Staying | Stay::Released => self.draining.remove(&id),
        };
        self.workers.update(id, |worker| worker.stay = stay);
    }

    /// It holds an output that some stage has yet to read, or a result that is not committed.
    fn is_needed(&self, worker: &Worker) -> bool {
        worker.outputs.iter().any(|(job, keys)| {
            let stages = self.jobs.get(job).and_then(Job::execution).map_or(&[][..], |execution| execution.stages());
            stages.iter().filter(|stage| stage.is_wanted).any(|stage| {
                let first = TaskKey { stage: stage.id, partition: 0 };
                let last = TaskKey { stage: stage.id, partition: u32::MAX };
                keys.range(first..=last).next().is_some()
            })
        })
    }

    /// Gives the attempts whose outputs do not count any more.
    fn lose_outputs_of(&mut self, id: WorkerId) -> Vec<AttemptId> {
        let outputs = self.workers.get(id).map(|worker| worker.outputs.clone()).unwrap_or_default();
        let tasks = outputs.into_iter().flat_map(|(job, keys)| keys.into_iter().map(move |key| key.in_job(job)));
        let mut lost = Vec::new();
        for task in tasks {
            let output = self.find_output(task);
            self.lose_output(task);
            lost.extend(output.filter(|_| self.find_output(task).is_none()));
        }
        lost
    }
}
