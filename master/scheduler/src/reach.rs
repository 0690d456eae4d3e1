//! Reach: which worker cannot read from which, and how jobs go on all the same.
//!
//! A reader that gets no connection to the worker that holds an output tells so, and both of them still reach the master. The
//! output is not lost then: the pair is remembered for a while, and tasks that read from the one run where it can be reached. Where
//! no worker reaches all that the tasks of a stage read, the job chooses one, its hub, with the fewest outputs out of its reach.
//! Those are made again, and from then on the job leaves outputs only where its hub can read them. So there is one full
//! path as long as the hub takes attempts, and a job changes its hub only when it does not.

use std::collections::{BTreeMap, BTreeSet};

use hearth_common::{JobId, TaskId, WorkerId};

use crate::job::{Execution, Job};
use crate::mutation::Mutation;
use crate::stage::Stage;
use crate::task::TaskKey;
use crate::timer::Timer;
use crate::worker::Connection;
use crate::{Effect, Millis, Scheduler};

/// A worker that cannot read from another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cut {
    /// The one that cannot read.
    pub reader: WorkerId,
    /// The one that holds outputs.
    pub source: WorkerId,
}

/// All cuts that are known, and until when they are believed.
pub(crate) type Cuts = BTreeMap<Cut, Millis>;

/// The worker that can read all that a job leaves from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hub {
    worker: WorkerId,
    /// What it could not read from since it is the hub. Grows, so that a job comes to an end of it.
    out_of_reach: BTreeSet<WorkerId>,
}

impl Scheduler {
    /// A reader got no connection to a worker. Gives whether that is remembered: only where the master reaches that worker.
    pub(crate) fn note_cut(&mut self, cut: Cut) -> bool {
        let is_pair = cut.reader != cut.source && self.workers.contains(cut.reader);
        let has_room = self.cuts.len() < self.config.cuts_max || self.cuts.contains_key(&cut);
        let is_gone = self.is_absent(cut.source) || self.silent.contains(&cut.source);
        if !is_pair || !has_room || is_gone || self.has_mutation(Mutation::IgnoreCuts) {
            return false;
        }
        let until = self.now.after(self.config.cut_duration);
        if let Some(before) = self.cuts.insert(cut, until) {
            self.timers.unset(before, Timer::Cut(cut));
        }
        self.timers.set(until, Timer::Cut(cut));
        true
    }

    /// The master does not reach it either: it comes back or is lost, soon.
    pub(crate) fn is_absent(&self, worker: WorkerId) -> bool {
        self.workers.get(worker).is_none_or(|worker| worker.connection == Connection::Broken)
    }

    /// A cut was believed for long enough: the reader may try again.
    pub(crate) fn on_cut_ended(&mut self, cut: Cut) {
        if !self.has_mutation(Mutation::BelieveCutsForever) {
            self.cuts.remove(&cut);
        }
    }

    /// The worker is lost, and with it what is known of its connections.
    pub(crate) fn forget_cuts_of(&mut self, id: WorkerId) {
        let is_of = |cut: &Cut| cut.reader == id || cut.source == id;
        let gone: Vec<_> = self.cuts.iter().filter(|(cut, _)| is_of(cut)).map(|(cut, until)| (*cut, *until)).collect();
        for (cut, until) in gone {
            self.cuts.remove(&cut);
            self.timers.unset(until, Timer::Cut(cut));
        }
    }

    /// The workers on which tasks of a stage cannot read what they have to, or would leave what their readers cannot.
    pub(crate) fn unfit(&self, id: JobId, stage: &Stage, barred: &[WorkerId]) -> Vec<WorkerId> {
        let execution = self.jobs.get(&id).and_then(Job::execution);
        let hub = execution.and_then(|execution| execution.hub.as_ref());
        if self.cuts.is_empty() && hub.is_none() || self.has_mutation(Mutation::LaunchOutOfReach) {
            return Vec::new();
        }
        let reads_from = |source: WorkerId| self.outputs_read(id, stage, source).next().is_some();
        let mut unfit: Vec<_> = self.cuts.keys().filter(|cut| reads_from(cut.source)).map(|cut| cut.reader).collect();
        if let Some(hub) = hub.filter(|hub| !stage.consumers.is_empty() && self.may_be_hub(hub.worker, barred)) {
            unfit.extend(self.out_of_reach(hub.worker));
            unfit.extend(&hub.out_of_reach);
        }
        unfit.sort_unstable();
        unfit.dedup();
        unfit
    }

    /// Makes a job go on of which no worker can run the next tasks. Gives whether something changed.
    pub(crate) fn open_path(&mut self, id: JobId) -> bool {
        if self.cuts.is_empty() || self.has_mutation(Mutation::WaitForAPath) {
            return false;
        }
        let barred = self.barred(id);
        let Some(execution) = self.jobs.get(&id).and_then(Job::execution) else { return false };
        let is_blocked = |stage: &&Stage| {
            let unfit = self.unfit(id, stage, &barred);
            !self.workers.has_untried(&sorted([&unfit[..], &barred].concat()))
        };
        let Some(blocked) = execution.ready_stages().find(is_blocked) else { return false };
        let Some(hub) = self.choose_hub((id, execution), blocked, &barred) else { return false };
        let lost: Vec<TaskId> =
            hub.out_of_reach.iter().flat_map(|source| self.outputs_read(id, blocked, *source)).collect();
        let cut = self.cuts.keys().find(|cut| self.outputs_read(id, blocked, cut.source).next().is_some()).copied();
        if !self.has_mutation(Mutation::ForgetHub) {
            self.set_hub(id, hub, cut);
        }
        lost.iter().for_each(|task| self.lose_output(*task));
        self.settle();
        !lost.is_empty()
    }

    /// A job that is planned while no worker reaches all others has a hub from the beginning: one that misses fewest of them. It
    /// is kept from no worker for longer than the cuts are believed.
    pub(crate) fn choose_first_hub(&mut self, id: JobId) {
        let execution = self.jobs.get(&id).and_then(Job::execution);
        let leaves_outputs = execution.is_some_and(|it| it.stages().iter().any(|stage| !stage.consumers.is_empty()));
        if self.cuts.is_empty() || !leaves_outputs {
            return;
        }
        let misses = |reader| self.out_of_reach(reader).filter(|source| self.workers.is_usable(*source)).count();
        let usable = self.workers.iter().map(|(id, _)| id).filter(|id| self.workers.is_usable(*id));
        let best = usable.map(|worker| (misses(worker), worker)).min().filter(|(misses, _)| *misses > 0);
        if let Some((_, worker)) = best {
            let is_of_two = |cut: &&Cut| self.workers.is_usable(cut.reader) && self.workers.is_usable(cut.source);
            let cut = self.cuts.keys().find(is_of_two).copied();
            self.set_hub(id, Hub { worker, out_of_reach: BTreeSet::new() }, cut);
        }
    }

    /// Gives a job its hub, and tells of it where it is another one than before.
    fn set_hub(&mut self, job: JobId, hub: Hub, cut: Option<Cut>) {
        let Some(execution) = self.jobs.get_mut(&job).and_then(Job::execution_mut) else { return };
        let worker = hub.worker;
        let before = execution.hub.replace(hub);
        if let Some(cut) = cut.filter(|_| before.is_none_or(|before| before.worker != worker)) {
            self.effects.push(Effect::HubChosen { job, hub: worker, cut });
        }
    }

    /// The hub stays the same as long as it can.
    fn choose_hub(&self, (id, execution): (JobId, &Execution), blocked: &Stage, barred: &[WorkerId]) -> Option<Hub> {
        let lost = |worker: WorkerId| -> usize {
            self.out_of_reach(worker).map(|source| self.outputs_read(id, blocked, source).count()).sum()
        };
        let before = execution.hub.as_ref().filter(|hub| self.may_be_hub(hub.worker, barred));
        let (worker, known) = match before {
            Some(hub) => (hub.worker, hub.out_of_reach.clone()),
            None => {
                let candidates = self.workers.iter().map(|(id, _)| id).filter(|id| self.may_be_hub(*id, barred));
                (candidates.min_by_key(|worker| (lost(*worker), *worker))?, BTreeSet::new())
            }
        };
        Some(Hub { worker, out_of_reach: self.out_of_reach(worker).chain(known).collect() })
    }

    fn may_be_hub(&self, worker: WorkerId, barred: &[WorkerId]) -> bool {
        self.workers.is_usable(worker) && !barred.contains(&worker)
    }

    /// The workers that one cannot read from.
    fn out_of_reach(&self, reader: WorkerId) -> impl Iterator<Item = WorkerId> {
        self.cuts.keys().filter(move |cut| cut.reader == reader).map(|cut| cut.source)
    }

    /// Outputs on a worker that tasks of a stage read.
    pub(crate) fn outputs_read(&self, id: JobId, stage: &Stage, source: WorkerId) -> impl Iterator<Item = TaskId> {
        let outputs = self.workers.get(source).and_then(|worker| worker.outputs.get(&id));
        let of = move |input: hearth_common::StageId| {
            let first = TaskKey { stage: input, partition: 0 };
            let last = TaskKey { stage: input, partition: u32::MAX };
            outputs.into_iter().flat_map(move |outputs| outputs.range(first..=last)).map(move |key| key.in_job(id))
        };
        stage.inputs.iter().map(|input| input.stage).flat_map(of)
    }
}

/// Each worker once, as [`crate::worker::Workers::has_untried`] counts them.
fn sorted(mut workers: Vec<WorkerId>) -> Vec<WorkerId> {
    workers.sort_unstable();
    workers.dedup();
    workers
}
