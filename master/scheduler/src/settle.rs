//! After each event: draws the consequences of changed tasks for stages, commits and slots. Looks at changed jobs only.

use hearth_common::{JobId, StageId, TaskId};

use crate::Scheduler;
use crate::effect::Effect;
use crate::job::{EndWish, Job, Progress};
use crate::mutation::Mutation;
use crate::task::{TaskKey, TaskState};

impl Scheduler {
    /// Settles every job that the event at hand changed.
    pub(crate) fn settle(&mut self) {
        self.settle_exclusions();
        let has_workers = self.workers.usable() > 0;
        if self.had_workers != has_workers {
            self.had_workers = has_workers;
            self.unsettled.extend(self.admitted.values());
        }
        self.settle_hosts();
        while let Some(job) = self.unsettled.pop_first() {
            self.settle_stages(job);
            self.settle_demand(job);
            self.settle_watch(job);
        }
    }

    fn settle_stages(&mut self, id: JobId) {
        let Some(execution) = self.jobs.get_mut(&id).and_then(Job::execution_mut) else { return };
        if !execution.is_stale && !self.config.mutation.is_some_and(Mutation::needs_resettling) {
            return;
        }
        while let Some(stage) = self.find_lost_version(id) {
            self.invalidate_readers(id, stage);
        }
        self.cancel_unwanted(id);
        let mutation = self.config.mutation;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let merge_bytes = job.limits.merge_bytes;
        if let Some(execution) = job.execution_mut() {
            execution.open_stages((merge_bytes, self.workers.slots()), mutation);
            execution.is_stale = false;
        }
        self.begin_commit(id);
    }

    fn find_lost_version(&mut self, id: JobId) -> Option<StageId> {
        let execution = self.jobs.get_mut(&id)?.execution_mut()?;
        execution.mark_wanted();
        execution.find_lost_version()
    }

    /// Stops attempts whose output nobody needs any more, because its readers got along without.
    fn cancel_unwanted(&mut self, id: JobId) {
        let Some(execution) = self.jobs.get(&id).and_then(Job::execution) else { return };
        let mut unwanted: Vec<TaskId> = Vec::new();
        for stage in execution.stages().iter().filter(|stage| !stage.is_wanted && stage.running() > 0) {
            let first = TaskKey { stage: stage.id, partition: 0 };
            let last = TaskKey { stage: stage.id, partition: u32::MAX };
            unwanted.extend(execution.running.range(first..=last).map(|key| key.in_job(id)));
        }
        for task in unwanted {
            self.cancel_attempts_of(task);
            self.set_task(task, TaskState::Waiting);
        }
    }

    fn begin_commit(&mut self, id: JobId) {
        let early = usize::from(self.has_mutation(Mutation::CommitEarly));
        let Some(execution) = self.jobs.get_mut(&id).and_then(Job::execution_mut) else { return };
        let is_complete = execution.final_stage().is_some_and(|stage| stage.missing() <= early);
        if execution.progress != Progress::Running || !is_complete {
            return;
        }
        execution.progress = Progress::Committing { wish: EndWish::None };
        let winners = execution.final_stage_mut().map(|stage| stage.winners(id).to_vec()).unwrap_or_default();
        self.effects.push(Effect::Commit { job: id, winners });
    }
}
