//! Locality: a task goes to a free slot on a host that holds what it reads, and its stage waits a little for one.

use std::cmp::Reverse;

use hearth_common::{JobId, StageId, TaskId, WorkerId};

use crate::home::{HostName, Liveness, Patience};
use crate::job::Job;
use crate::mutation::Mutation;
use crate::stage::{Stage, Urgency};
use crate::timer::Timer;
use crate::{Millis, Scheduler};

impl Scheduler {
    /// The task that can run on one of its hosts now, on the worker with most free slots. Looks at free workers or at hosts
    /// with waiting tasks, whatever there are fewer of.
    pub(crate) fn choose_local(&self, stage: &Stage, barred: &[WorkerId]) -> Option<((Urgency, u32), WorkerId)> {
        let homes = &stage.homes;
        if homes.awaited().len() < self.workers.free().len() {
            let free_on =
                |name: &HostName| self.workers.free_on(name).filter(|(_, worker)| !barred.contains(worker)).min();
            let best = homes.awaited().filter_map(|host| {
                let name = homes.name(host)?;
                Some((free_on(name)?, homes.first_at(name)?))
            });
            return best.min().map(|((_, worker), task)| (task, worker));
        }
        let first_at = |worker| self.workers.get(worker)?.names.iter().filter_map(|name| homes.first_at(name)).min();
        let free = self.workers.free().filter(|(_, worker)| !barred.contains(worker));
        free.into_iter().find_map(|(_, worker)| Some((first_at(*worker)?, *worker)))
    }

    /// The worker with most free slots on a host that the task prefers.
    pub(crate) fn find_home(&self, stage: &Stage, partition: u32, avoid: &[WorkerId]) -> Option<WorkerId> {
        let free = stage.homes.names_of(partition).flat_map(|name| self.workers.free_on(name));
        free.filter(|(_, worker)| !avoid.contains(worker)).min().map(|(Reverse(_), worker)| worker)
    }

    /// Counts a launch, if its task prefers some host.
    pub(crate) fn count_locality(&mut self, task: TaskId, worker: WorkerId) {
        let Some(job) = self.jobs.get_mut(&task.job) else { return };
        let Some(homes) = job.execution().and_then(|e| e.stage(task.stage)).map(|stage| &stage.homes) else { return };
        if !homes.has(task.partition) {
            return;
        }
        let names = self.workers.get(worker).map_or(&[][..], |worker| &worker.names);
        if homes.names_of(task.partition).any(|home| names.contains(home)) {
            job.locality.local += 1;
        } else {
            job.locality.remote += 1;
        }
    }

    /// A slot stays free although tasks of the job wait: for slots on their hosts they do so for a while.
    pub(crate) fn begin_locality_wait(&mut self, id: JobId) {
        let until = self.now.after(self.config.locality_wait);
        let Some(execution) = self.jobs.get_mut(&id).and_then(Job::execution_mut) else { return };
        let is_first = |stage: &&Stage| stage.homes.patience == Patience::Fresh && !stage.homes.waiting().is_empty();
        let stages: Vec<_> = execution.ready_stages().filter(is_first).map(|stage| stage.id).collect();
        for stage in stages {
            if let Some(stage) = execution.stage_mut(stage) {
                stage.homes.patience = Patience::Until(until);
            }
            self.timers.set(until, Timer::Locality(id, stage));
        }
    }

    pub(crate) fn on_locality_wait_ended(&mut self, id: JobId, stage: StageId) {
        let is_endless = self.has_mutation(Mutation::WaitForLocalityForever);
        let stage =
            self.jobs.get_mut(&id).and_then(Job::execution_mut).and_then(|execution| execution.stage_mut(stage));
        if let Some(stage) = stage.filter(|_| !is_endless) {
            stage.homes.patience = Patience::Over;
        }
    }

    /// Tells the stages of all jobs which hosts have got a worker, or lost the last one.
    pub(crate) fn settle_hosts(&mut self) {
        while let Some(host) = self.workers.take_changed_host() {
            for job in self.admitted.values().copied().collect::<Vec<_>>() {
                self.settle_host(job, &host);
            }
        }
    }

    fn settle_host(&mut self, id: JobId, host: &HostName) {
        let mutation = self.config.mutation;
        let Some(job) = self.jobs.get(&id) else { return };
        let liveness = Liveness::of(self.is_live(job, host));
        let Some(execution) = self.jobs.get_mut(&id).and_then(Job::execution_mut) else { return };
        for stage in execution.stages_mut() {
            stage.homes.set_live(host, liveness, mutation);
        }
    }

    /// Tells the stages of a job that was just planned about their hosts.
    pub(crate) fn settle_hosts_of(&mut self, id: JobId) {
        let Some(execution) = self.jobs.get(&id).and_then(Job::execution) else { return };
        let mut hosts: Vec<_> = execution.stages().iter().flat_map(|stage| stage.homes.hosts()).cloned().collect();
        hosts.sort_unstable();
        hosts.dedup();
        for host in hosts {
            self.settle_host(id, &host);
        }
        if self.config.locality_wait.is_zero()
            && let Some(execution) = self.jobs.get_mut(&id).and_then(Job::execution_mut)
        {
            execution.stages_mut().iter_mut().for_each(|stage| stage.homes.patience = Patience::Over);
        }
    }

    /// A worker takes attempts there that the job has not excluded.
    fn is_live(&self, job: &Job, host: &HostName) -> bool {
        let is_excluded = |worker| job.execution().is_some_and(|execution| execution.exclusions.contains(worker));
        self.workers.on_host(host).any(|worker| !is_excluded(worker))
    }

    /// The job has excluded a worker: its tasks do not wait for that worker's host.
    pub(crate) fn settle_hosts_of_worker(&mut self, id: JobId, worker: WorkerId) {
        let hosts = self.workers.get(worker).map(|worker| worker.names.clone()).unwrap_or_default();
        hosts.iter().for_each(|host| self.settle_host(id, host));
    }

    /// When the waits of a job's stages end.
    pub(crate) fn locality_deadlines(id: JobId, job: &Job) -> impl Iterator<Item = (Millis, Timer)> {
        let stages = job.execution().into_iter().flat_map(|execution| execution.stages());
        stages.filter_map(move |stage| match stage.homes.patience {
            Patience::Until(at) => Some((at, Timer::Locality(id, stage.id))),
            Patience::Fresh | Patience::Over => None,
        })
    }

    /// Compares what stages know of their hosts with a recount; for tests.
    pub(crate) fn check_homes(&self, job: &Job) -> Result<(), String> {
        let mut stages = job.execution().into_iter().flat_map(|execution| execution.stages());
        stages.try_for_each(|stage| stage.homes.check(|host| self.is_live(job, host)))
    }
}
