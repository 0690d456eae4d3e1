//! Silence: a worker of which nothing was heard for a while, though its lease has not ended.
//!
//! It gets no attempts. Those who read from it are told, so that they do not wait for it longer than for an answer; and as soon as
//! one of them hears nothing of it either, two have missed it, and what the job has there is made again (`outputs`). What it runs
//! goes on: its next message makes it a worker like any other.

use std::collections::BTreeSet;

use hearth_common::{Absence, TaskId, WorkerId};

use crate::job::{Execution, Job};
use crate::mutation::Mutation;
use crate::run::Run;
use crate::stage::Stage;
use crate::task::{Task, TaskKey, TaskState};
use crate::timer::Timer;
use crate::worker::Connection;
use crate::{Effect, Scheduler};

impl Scheduler {
    pub(crate) fn on_silence_began(&mut self, id: WorkerId) {
        if !self.has_mutation(Mutation::TrustSilent) {
            self.set_connection(id, Connection::Silent);
            self.tell_readers(id, Absence::Silent);
        }
    }

    /// Changes whether a worker can be reached, and the deadline and the list of those that are silent.
    pub(crate) fn set_connection(&mut self, id: WorkerId, connection: Connection) {
        let Some(before) = self.workers.get(id).map(|worker| worker.connection) else { return };
        before.deadline().into_iter().for_each(|at| self.timers.unset(at, Timer::Silence(id)));
        connection.deadline().into_iter().for_each(|at| self.timers.set(at, Timer::Silence(id)));
        match connection {
            Connection::Silent => self.silent.insert(id),
            Connection::Intact { .. } | Connection::Broken => self.silent.remove(&id),
        };
        self.workers.update(id, |worker| worker.connection = connection);
    }

    /// Tells the workers that run attempts which may read from that one. What each of these reads was said when it was launched, and
    /// may have been made again elsewhere since: so it is told wherever the job reads, if that worker is known to have worked for it.
    pub(crate) fn tell_readers(&mut self, source: WorkerId, absence: Absence) {
        if self.has_mutation(Mutation::LetReadersWait) {
            return;
        }
        let of_job = |execution: &Execution| {
            let reading = execution.stages().iter().filter(|stage| !stage.inputs.is_empty() && stage.running() > 0);
            reading.flat_map(|stage| workers_running(execution, stage)).collect::<Vec<_>>()
        };
        let executions = self.admitted.values().filter_map(|id| self.jobs.get(id)?.execution());
        let of_source = executions.filter(|execution| execution.workers.contains(&source));
        let mut readers: BTreeSet<WorkerId> = of_source.flat_map(of_job).collect();
        readers.remove(&source);
        self.effects.extend(readers.into_iter().map(|reader| Effect::TellReader { reader, source, absence }));
    }

    /// Tells a worker, before it gets an attempt, of the silent ones that this reads from.
    pub(crate) fn tell_of_silence(&mut self, task: TaskId, reader: WorkerId) {
        let execution = self.jobs.get(&task.job).and_then(Job::execution);
        let Some(stage) = execution.and_then(|execution| execution.stage(task.stage)) else { return };
        if self.has_mutation(Mutation::TellNoNewReaders) {
            return;
        }
        let is_read = |source: &WorkerId| self.outputs_read(task.job, stage, *source).next().is_some();
        let sources: Vec<WorkerId> = self.silent.iter().copied().filter(is_read).collect();
        let tell = |source| Effect::TellReader { reader, source, absence: Absence::Silent };
        self.effects.extend(sources.into_iter().map(tell));
    }
}

/// Where attempts of a stage run.
fn workers_running<'a>(execution: &'a Execution, stage: &'a Stage) -> impl Iterator<Item = WorkerId> + 'a {
    let (first, last) = (TaskKey { stage: stage.id, partition: 0 }, TaskKey { stage: stage.id, partition: u32::MAX });
    let states = execution.running.range(first..=last).filter_map(|key| stage.task(key.partition).map(Task::state));
    states.flat_map(|state| {
        let runs = match state {
            TaskState::Running(runs) => Some(runs),
            TaskState::Waiting | TaskState::BackingOff { .. } | TaskState::Unproved { .. } | TaskState::Done { .. } => {
                None
            }
        };
        runs.into_iter().flat_map(|runs| runs.iter()).map(|Run { worker, .. }| worker)
    })
}
