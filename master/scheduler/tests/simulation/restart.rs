//! The master is killed at any moment, and another one goes on with what was stored by then.
//!
//! For a while before, nothing is stored any more: what happens then is forgotten, and its effects, which wait for the store,
//! never happen. Now and then the store only stalls, and the effects come late.

use std::collections::BTreeMap;

use hearth_common::{AttemptId, JobId, JobState, TaskId, WorkerId};
use hearth_scheduler::mutation::Mutation;
use hearth_scheduler::{Effect, Event, JobView, Scheduler, TaskStanding, Winner};

use crate::cluster::{Happening, ToWorker};
use crate::oracle::Oracle;
use crate::world::World;

/// What waits for the store.
#[derive(Debug)]
pub(crate) enum Held {
    /// An effect, and the connection by which its worker, if it has one, was reached when it was decided.
    Effect(Effect, Option<u64>),
    Ack(WorkerId, AttemptId, Option<u64>),
}

/// A store that stores nothing.
#[derive(Debug)]
pub(crate) struct Stall {
    /// What was known when it last stored something.
    oracle: Oracle,
    scheduler: Scheduler,
    held: Vec<Held>,
    events: Vec<(u64, Event)>,
}

impl World {
    pub(crate) fn is_down(&self) -> bool {
        self.now < self.down_until
    }

    /// Nobody answers clients: they try again.
    pub(crate) fn is_away(&self) -> bool {
        self.is_down() || self.stall.is_some()
    }

    pub(crate) fn stall_store(&mut self) {
        if self.is_away() {
            return;
        }
        let (oracle, scheduler) = (self.oracle.clone(), self.scheduler.clone());
        self.stall = Some(Box::new(Stall { oracle, scheduler, held: Vec::new(), events: Vec::new() }));
        let wait = if self.rng.percent(30) { 0 } else { self.rng.between(1, 400) };
        let end = if self.rng.percent(75) { Happening::MasterCrash } else { Happening::StoreGoesOn };
        self.at(self.now + wait, end);
    }

    /// Stores what an event brought about, and then lets its effects happen.
    pub(crate) fn store_and_act(&mut self, event: Event, effects: Vec<Effect>) {
        let is_rash = self.config.mutation == Some(Mutation::ActBeforeStored);
        if let Some(mut stall) = self.stall.take() {
            stall.events.push((self.now, event));
            for effect in effects {
                if is_rash {
                    self.carry_out(effect);
                } else {
                    let link = worker_of(&effect).and_then(|worker| self.links.get(&worker).copied());
                    stall.held.push(Held::Effect(effect, link));
                }
            }
            self.stall = Some(stall);
            return;
        }
        self.store(&[(self.now, event)], &effects);
        effects.into_iter().for_each(|effect| self.carry_out(effect));
    }

    fn store(&mut self, events: &[(u64, Event)], effects: &[Effect]) {
        events.iter().for_each(|(at, event)| self.kept.keep_event(*at, event));
        let changes = self.scheduler.take_changes();
        self.kept.keep(changes);
        effects.iter().for_each(|effect| self.kept.keep_effect(effect));
    }

    pub(crate) fn acknowledge(&mut self, worker: WorkerId, attempt: AttemptId) {
        let link = self.links.get(&worker).copied();
        match &mut self.stall {
            Some(stall) if self.config.mutation != Some(Mutation::ActBeforeStored) => {
                stall.held.push(Held::Ack(worker, attempt, link));
            }
            Some(_) | None => self.tell(worker, ToWorker::Ack(attempt)),
        }
    }

    pub(crate) fn end_stall(&mut self) {
        let Some(stall) = self.stall.take() else { return };
        let effects: Vec<_> = stall
            .held
            .iter()
            .filter_map(|held| if let Held::Effect(effect, _) = held { Some(effect.clone()) } else { None })
            .collect();
        self.store(&stall.events, &effects);
        for held in stall.held {
            let is_current = |worker, link| self.links.get(&worker).copied() == link;
            match held {
                Held::Ack(worker, attempt, link) if is_current(worker, link) => {
                    self.tell(worker, ToWorker::Ack(attempt));
                }
                Held::Ack(..) => {}
                // What was meant for a connection that is gone: the worker has said since what it has.
                Held::Effect(effect, link)
                    if worker_of(&effect).is_some_and(|worker| link.is_some() && !is_current(worker, link)) => {}
                Held::Effect(effect, _) => self.carry_out(effect),
            }
        }
    }

    /// The master is gone, and with it all connections and all that was not stored.
    pub(crate) fn crash_master(&mut self) {
        let Some(stall) = self.stall.take() else { return };
        let Stall { mut oracle, scheduler, .. } = *stall;
        oracle.keep_visible(&self.oracle);
        self.oracle = oracle;
        self.scheduler = scheduler;
        self.commits.clear();
        self.links.clear();
        self.first_link = self.new_id();
        self.drop_happenings(|happening| {
            let is_masters = matches!(happening, Happening::Deliver(event) if !is_clients(event));
            is_masters
                || matches!(
                    happening,
                    Happening::CommitAttempt(_) | Happening::CommitEnd(..) | Happening::ToMaster { .. }
                )
        });
        self.down_until = self.now + self.rng.between(1, 15_000);
        self.restarts += 1;
        for host in 0..self.hosts.len() {
            let Some(link) = self.hosts[host].life.as_mut().and_then(|life| life.link.take()) else { continue };
            if let Some(connection) = self.connections.get_mut(&link) {
                connection.is_broken = true;
            }
            let wait = self.rng.between(0, 3_000);
            self.connect_at(host, self.down_until + wait);
        }
        self.at(self.down_until, Happening::MasterUp);
    }

    pub(crate) fn start_master(&mut self) {
        for job in self.oracle.settle_visible() {
            self.kept.forget(job);
        }
        let submitted: Vec<JobId> = self.oracle.active_jobs().collect();
        if let Some(job) = submitted.iter().find(|job| !self.kept.has(**job)) {
            self.fail(format!("job {job} was accepted, but not stored"));
        }
        let winners = self.held_winners();
        let before = std::mem::replace(&mut self.scheduler, Scheduler::new(self.config.clone()));
        let kept = &self.kept;
        self.oracle.on_restart(self.now, winners, |job| kept.is_planned(job));
        let restored = self.kept.restored(&self.plans);
        self.handle(Event::Restored(Box::new(restored)));
        if self.config.mutation.is_none()
            && let Err(problem) = compare(&before, &self.scheduler)
        {
            self.fail(problem);
        }
    }

    /// Winners whose output is where it should be: nobody has a reason to run their tasks again.
    fn held_winners(&self) -> BTreeMap<TaskId, Winner> {
        let is_held = |winner: &Winner| {
            let lives = self.hosts.iter().filter_map(|host| host.life.as_ref());
            let mut lives = lives.filter(|life| life.worker == winner.worker);
            // A result whose worker was lost while the commit fetched it does not count any more.
            let is_expected = self.scheduler.worker(winner.worker).is_some();
            self.staging.contains_key(&winner.attempt)
                || is_expected && lives.any(|life| life.outputs.contains_key(&winner.attempt) && !life.is_draining)
        };
        let tasks = self.scheduler.jobs().flat_map(|job| job.stages()).flat_map(|stage| stage.tasks());
        let done = tasks.filter_map(|task| match task.standing() {
            TaskStanding::Done(winner) => Some(winner),
            TaskStanding::Waiting
            | TaskStanding::BackingOff(_)
            | TaskStanding::Running(_)
            | TaskStanding::Unproved(_) => None,
        });
        let (held, lost): (Vec<_>, Vec<_>) = done.partition(is_held);
        // What is lost already may take with it whatever was computed from it.
        let is_safe = |job: &JobId| {
            let is_determinate = self.plans[job].graph.stages().iter().all(|stage| stage.determinate);
            is_determinate || !lost.iter().any(|winner| winner.attempt.task.job == *job)
        };
        let held = held.into_iter().filter(|winner| is_safe(&winner.attempt.task.job));
        held.map(|winner| (winner.attempt.task, winner)).collect()
    }
}

const fn is_clients(event: &Event) -> bool {
    matches!(event, Event::CancelRequested { .. })
}

const fn worker_of(effect: &Effect) -> Option<WorkerId> {
    match effect {
        Effect::Launch(launch) => Some(launch.worker),
        Effect::CancelAttempt { worker, .. }
        | Effect::RemoveShuffleOutput { worker, .. }
        | Effect::RemoveJobShuffle { worker, .. }
        | Effect::FenceWorker { worker }
        | Effect::TellReader { reader: worker, .. }
        | Effect::ReleaseWorker { worker } => Some(*worker),
        Effect::RejectJob { .. }
        | Effect::Plan { .. }
        | Effect::Commit { .. }
        | Effect::DiscardOutput { .. }
        | Effect::HubChosen { .. }
        | Effect::JobChanged { .. }
        | Effect::JobEnded { .. } => None,
    }
}

/// A restored scheduler knows of every task what was stored.
fn compare(before: &Scheduler, after: &Scheduler) -> Result<(), String> {
    for job in after.jobs() {
        let Some(stored) = before.job(job.id()) else { return Err(format!("job {} comes from nowhere", job.id())) };
        // Results of workers that were lost while the commit fetched them: only it knew whether it had them.
        if job.stages().next().is_none() || stored.state() == JobState::Committing {
            continue;
        }
        let (before, after) = (facts_of(&stored), facts_of(&job));
        if before != after {
            return Err(format!("job {} was restored as {after:?}, stored was {before:?}", job.id()));
        }
    }
    Ok(())
}

fn facts_of(job: &JobView<'_>) -> Vec<String> {
    let tasks = job.stages().flat_map(|stage| stage.tasks().map(move |task| (stage.id(), task)));
    let about = |(stage, task): (hearth_common::StageId, hearth_scheduler::TaskView<'_>)| {
        let standing = match task.standing() {
            TaskStanding::BackingOff(_) => TaskStanding::Waiting,
            TaskStanding::Waiting | TaskStanding::Running(_) | TaskStanding::Unproved(_) | TaskStanding::Done(_) => {
                task.standing()
            }
        };
        let starts: Vec<_> = task.known_starts().collect();
        let (attempts, won, runs) = (task.attempts(), task.last_winner(), task.runs().collect::<Vec<_>>());
        format!("{stage}/{}: {standing:?} {attempts} {won:?} {runs:?} {starts:?} {:?}", task.partition(), task.merged())
    };
    let counts = format!("{:?} {:?}", job.attempts(), job.locality());
    std::iter::once(counts).chain(tasks.map(about)).collect()
}
