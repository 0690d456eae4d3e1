//! The scheduler's owner in the simulation: hears messages, carries effects out, plans and commits.

use hearth_common::{FailureCause, JobId, WorkerId};
use hearth_scheduler::{CommitOutcome, Effect, Event, FinalOutput, Winner};

use crate::cluster::{Happening, OnHost, Report, ToMaster, ToWorker};
use crate::content::Content;
use crate::plan::Script;
use crate::world::World;

/// Results that may be lost without a fault of the cluster, per job.
const FLAKY_COMMITS_MAX: usize = 6;

impl World {
    pub(crate) fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Submit(_) | Happening::Deliver(Event::CancelRequested { .. }) if self.is_away() => {
                let wait = self.rng.between(1, 2_000);
                self.at(self.now + wait, happening);
            }
            Happening::Submit(job) => {
                let limits = self.plans[&job].limits;
                self.handle(Event::JobSubmitted { job, limits });
            }
            Happening::Deliver(event) => self.handle(event),
            Happening::CommitAttempt(job) => self.commit(job),
            Happening::CommitEnd(job, outcome) => self.handle_maybe_twice(Event::CommitEnded { job, outcome }),
            Happening::ToMaster { link, message } => self.hear(link, message),
            Happening::OnHost { host, what } => self.happen_on_host(host, what),
            Happening::Fault => self.cause_fault(),
            Happening::FaultsEnd => self.end_faults(),
            Happening::StoreGoesOn => self.end_stall(),
            Happening::MasterCrash => self.crash_master(),
            Happening::MasterUp => self.start_master(),
        }
    }

    fn handle_maybe_twice(&mut self, event: Event) {
        if self.rng.percent(5) {
            let wait = self.rng.between(0, 15_000);
            self.at(self.now + wait, Happening::Deliver(event.clone()));
        }
        self.handle(event);
    }

    fn hear(&mut self, link: u64, message: ToMaster) {
        if link < self.first_link {
            // It was a connection of a master that is gone.
            return;
        }
        let is_broken = self.connections[&link].is_broken;
        let is_last = matches!(message, ToMaster::Broken(_));
        if is_broken && !is_last && self.rng.percent(50) {
            return;
        }
        match message {
            ToMaster::Hello { worker, slots, names, held } => {
                if self.links.get(&worker).is_none_or(|current| *current < link) {
                    self.links.insert(worker, link);
                    self.handle(Event::WorkerConnected { worker, slots, names, held });
                }
            }
            ToMaster::Heartbeat(worker) => self.handle(Event::Heartbeat { worker }),
            ToMaster::Draining(worker) => self.handle_maybe_twice(Event::WorkerDraining { worker }),
            ToMaster::Gone(worker) => self.handle(Event::WorkerGone { worker }),
            ToMaster::Broken(worker) => {
                if self.links.get(&worker) == Some(&link) {
                    self.links.remove(&worker);
                    self.handle(Event::WorkerDisconnected { worker });
                }
            }
            ToMaster::Report { worker, attempt, report } => {
                self.handle_maybe_twice(match report {
                    Report::Finished(output, scans) => Event::AttemptFinished { attempt, worker, output, scans },
                    Report::Failed(cause, scans) => Event::AttemptFailed { attempt, worker, cause, scans },
                });
                self.acknowledge(worker, attempt);
            }
        }
    }

    pub(crate) fn tell(&mut self, worker: WorkerId, message: ToWorker) {
        let Some(link) = self.links.get(&worker).copied() else { return };
        let delay = self.rng.between(1, 50);
        let now = self.now;
        let Some(connection) = self.connections.get_mut(&link) else { return };
        connection.to_worker_at = connection.to_worker_at.max(now + delay);
        let (time, host) = (connection.to_worker_at, connection.host);
        self.at(time, Happening::OnHost { host, what: OnHost::Receive { link, message } });
    }

    pub(crate) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Plan { job } => self.plan(job),
            Effect::Launch(launch) => self.tell(launch.worker, ToWorker::Launch(launch)),
            Effect::CancelAttempt { worker, attempt } => self.tell(worker, ToWorker::Cancel(attempt)),
            Effect::Commit { job, winners } => {
                self.commits.insert(job, winners);
                if self.plans[&job].script == Script::CancelDuringCommit {
                    let wait = self.rng.between(0, 3_000);
                    self.at(self.now + wait, Happening::Deliver(Event::CancelRequested { job }));
                }
                let wait = self.rng.between(1, 3_000);
                self.at(self.now + wait, Happening::CommitAttempt(job));
            }
            Effect::RemoveShuffleOutput { worker, attempt } => self.tell(worker, ToWorker::RemoveOutput(attempt)),
            Effect::RemoveJobShuffle { worker, job } => self.tell(worker, ToWorker::RemoveJob(job)),
            Effect::FenceWorker { worker } => self.tell(worker, ToWorker::Fence),
            Effect::TellReader { reader, source, absence } => {
                self.tell(reader, ToWorker::SourceAbsent(source, absence));
            }
            Effect::ReleaseWorker { worker } => self.tell(worker, ToWorker::Release),
            Effect::DiscardOutput { job } => self.staging.retain(|attempt, _| attempt.task.job != job),
            Effect::RejectJob { .. }
            | Effect::HubChosen { .. }
            | Effect::JobChanged { .. }
            | Effect::JobEnded { .. } => {}
        }
    }

    fn plan(&mut self, job: JobId) {
        let plan = &self.plans[&job];
        let event = if plan.script == Script::PlanFails {
            Event::PlanFailed { job, cause: FailureCause::task("planted") }
        } else {
            Event::JobPlanned { job, graph: plan.graph.clone() }
        };
        let wait = self.rng.between(1, 2_000);
        self.at(self.now + wait, Happening::Deliver(event));
    }

    /// Makes the output visible, if it can. What is visible must be right.
    fn commit(&mut self, job: JobId) {
        let winners = self.commits.remove(&job).unwrap_or_default();
        let outcome = self.try_commit(job, &winners);
        self.oracle.commit_over(job, outcome == CommitOutcome::Done);
        let wait = self.rng.between(1, 100);
        self.at(self.now + wait, Happening::CommitEnd(job, outcome));
    }

    fn try_commit(&mut self, job: JobId, winners: &[Winner]) -> CommitOutcome {
        if self.plans[&job].script == Script::CommitFails {
            return CommitOutcome::Failed { cause: FailureCause::task("planted") };
        }
        let is_result = self.plans[&job].graph.final_output() == FinalOutput::Result;
        let mut contents = Vec::new();
        for winner in winners {
            let content =
                if is_result { self.fetch_result(winner) } else { self.staging.get(&winner.attempt).cloned() };
            match content {
                Some(content) => contents.push(content),
                None if is_result => {
                    return CommitOutcome::LostResult { attempt: winner.attempt, worker: winner.worker };
                }
                None => self.fail(format!("job {job}: {} left no file", winner.attempt)),
            }
        }
        if let Err(problem) = self.oracle.check_content(&self.plans[&job], &contents) {
            self.fail(problem);
        }
        CommitOutcome::Done
    }

    fn fetch_result(&mut self, winner: &Winner) -> Option<Content> {
        let job = winner.attempt.task.job;
        let lost_before = self.oracle.unreadable_count(winner.attempt.task);
        let is_flaky = self.plans[&job].script == Script::FlakyCommit && lost_before < FLAKY_COMMITS_MAX;
        if is_flaky && self.rng.percent(60) {
            return None;
        }
        let host = self.find_readable_host(winner.worker)?;
        self.hosts[host].life.as_ref()?.outputs.get(&winner.attempt).cloned()
    }
}
