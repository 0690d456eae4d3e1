//! Carrying out what the scheduler wants done. Messages go to bounded outboxes; whatever takes time runs in a task of its own.

mod committing;
mod planning;
mod services;
mod turns;

use std::sync::Arc;

use hearth_common::{AttemptId, FailureCause, JobId, LogLevel, LogLine, WorkerId};
use hearth_proto::convert::control::MasterMessage;
use hearth_scheduler::{CommitOutcome, Effect, Event, FinalOutput, Launch, Winner};

use crate::commit::{CommitError, CommitIntent, Staging};
use crate::event_loop::{Held, Owner, wall_ms};
use crate::input::{CommitEnd, Planned};
use crate::jobs::Plan;
use crate::ledger::End;
use crate::planner::{PlanRequest, PlannedJob};
use crate::reconcile::Reconciliation;
use crate::results::ResultOrder;
use crate::workers::Outgoing;
pub(crate) use committing::CommitOrder;
pub(crate) use services::Services;
pub(crate) use turns::CommitTurns;

impl Owner {
    pub(crate) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::RejectJob { job, reason } => self.refuse_job(job, reason),
            Effect::Plan { job } => self.start_planning(job),
            Effect::Launch(launch) => self.launch(launch),
            Effect::CancelAttempt { worker, attempt } => {
                if let Some(job) = self.jobs.get_mut(&attempt.task.job) {
                    job.figures.drop_attempt(attempt);
                    job.ledger.note_end(attempt, End::Cancelled, wall_ms());
                }
                self.narrate_cancel(attempt);
                self.tell(worker, MasterMessage::Cancel(attempt));
            }
            Effect::Commit { job, winners } => self.start_commit(job, &winners),
            Effect::DiscardOutput { job } => self.discard_output(job),
            Effect::RemoveShuffleOutput { worker, attempt } => {
                self.tell(worker, MasterMessage::RemoveShuffle { job: attempt.task.job, attempt: Some(attempt) });
            }
            Effect::RemoveJobShuffle { worker, job } => {
                self.tell(worker, MasterMessage::RemoveShuffle { job, attempt: None });
            }
            Effect::FenceWorker { worker } => {
                // It need not wait for the store: a master that does not know of it waits for this worker in vain, and no longer.
                self.send_now(worker, Outgoing::Message(MasterMessage::Fenced));
                self.workers.disconnect(worker);
            }
            Effect::TellReader { reader, source, absence } => {
                self.tell(reader, MasterMessage::SourceAbsent { source, absence });
            }
            Effect::ReleaseWorker { worker } => {
                tracing::info!(%worker, "drained worker may leave");
                self.tell(worker, MasterMessage::MayLeave);
            }
            Effect::HubChosen { job, hub, cut } => self.narrate_hub(job, hub, cut),
            Effect::JobChanged { job } => self.note_change(job),
            Effect::JobEnded { job, failure } => self.end_job(job, failure),
        }
    }

    /// Sends a message once what it stands on is stored. To a worker that is not connected there is nothing to say: it is told
    /// after its next hello.
    pub(crate) fn send(&mut self, worker: WorkerId, message: Outgoing) {
        if let Some(connection) = self.workers.connection(worker) {
            self.hold(Held::Message { worker, connection, message });
        }
    }

    /// Sends a message. A worker that does not take it is disconnected.
    pub(crate) fn send_now(&mut self, worker: WorkerId, message: Outgoing) {
        if self.workers.send(worker, message).is_err() {
            self.drop_unreachable(worker);
        }
    }

    pub(crate) fn tell(&mut self, worker: WorkerId, message: MasterMessage) {
        self.send(worker, Outgoing::Message(message));
    }

    fn launch(&mut self, launch: Launch) {
        let (worker, attempt) = (launch.worker, launch.attempt);
        self.note_launch(worker, attempt);
        let parts = self.jobs.get_mut(&attempt.task.job).and_then(|job| job.launch_parts(launch, &self.workers));
        match parts {
            Some(parts) => {
                self.narrate_launch(attempt, worker);
                self.send(worker, Outgoing::Launch(Box::new(parts)));
            }
            None => self.fail_launch(worker, attempt),
        }
    }

    fn fail_launch(&mut self, worker: WorkerId, attempt: AttemptId) {
        let cause = FailureCause::internal(format!("attempt {attempt} has no plan"));
        self.feed_later(Event::AttemptFailed { attempt, worker, cause, scans: Vec::new() });
    }

    fn start_planning(&mut self, id: JobId) {
        self.narrate_job(id, "planning started");
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let started_ms = wall_ms();
        job.started_ms = Some(started_ms);
        let slots = match self.workers.slots() {
            0 => self.config.slots_assumed,
            slots => slots,
        };
        let staging = job.spec.output.as_ref().map(|output| Staging::of(id, &output.path)).transpose();
        match staging {
            Ok(staging) => {
                let attempts_url = staging.as_ref().map(|staging| staging.attempts().url()).unwrap_or_default();
                let storage = self.services.storage_for(id);
                let (spec, hosts) = ((*job.spec).clone(), self.workers.host_names());
                let request = PlanRequest { job: id, spec, slots, attempts_url, storage, hosts };
                self.services.plan(request, started_ms, staging);
            }
            Err(error) => self.feed_later(Event::PlanFailed { job: id, cause: error.into_cause() }),
        }
    }

    pub(crate) fn on_waits_for_hdfs(&mut self, id: JobId, because: Option<String>) {
        if !self.knows_job(id) {
            return;
        }
        let line = match &because {
            Some(because) => LogLine::new(wall_ms(), id, "waits for HDFS").with("because", because),
            None => LogLine::new(wall_ms(), id, "HDFS answers again"),
        };
        self.narrate(line.at(LogLevel::Warn));
        if let Some(job) = self.jobs.get_mut(&id) {
            job.waits_because = because;
            self.note_change(id);
        } else {
            self.show_wait(id, because.as_deref());
        }
    }

    pub(crate) fn on_planned(
        &mut self,
        id: JobId,
        planned: Result<Box<Planned>, FailureCause>,
        staging: Option<Staging>,
    ) {
        let Some(job) = self.jobs.get_mut(&id) else {
            // It was cancelled meanwhile, and planning may have made its staging after that was removed.
            staging.into_iter().for_each(|staging| self.services.discard(staging));
            return;
        };
        job.waits_because = None;
        let event = match planned {
            Ok(planned) => {
                let Planned { job: PlannedJob { graph, stages, inferred, inputs, texts }, record } = *planned;
                job.inferred = inferred;
                let details = Arc::make_mut(&mut job.details);
                (details.inputs, details.plan) = (inputs, texts);
                job.tally.note_plan(stages.iter());
                job.plan = Some(Plan::new(&graph, stages));
                self.record(Ok(record));
                Event::JobPlanned { job: id, graph }
            }
            Err(cause) => Event::PlanFailed { job: id, cause },
        };
        self.narrate_plan(id);
        self.feed(event);
        self.refresh(id);
    }

    fn start_commit(&mut self, id: JobId, winners: &[Winner]) {
        self.refresh(id);
        self.narrate_stage_ends(id);
        self.narrate(LogLine::new(wall_ms(), id, "commit started").with("tasks", winners.len()));
        let outcome = self.reconcile(id).and_then(|settled| self.commit_winners(id, winners, settled));
        if let Err(cause) = outcome {
            self.feed_later(Event::CommitEnded { job: id, outcome: CommitOutcome::Failed { cause } });
        }
    }

    fn commit_winners(&mut self, id: JobId, winners: &[Winner], settled: Reconciliation) -> Result<(), FailureCause> {
        let Some(job) = self.jobs.get(&id) else { return Ok(()) };
        match (job.plan.as_ref().map(|plan| plan.final_output), &job.spec.output) {
            (Some(FinalOutput::Files), Some(output)) => {
                let files = job.winners_files(winners)?;
                let mut intent = CommitIntent::new(id, output, &files).map_err(CommitError::into_cause)?;
                intent.inputs = settled.inputs.into_iter().map(|input| input.records).collect();
                self.note_output_files(id, &intent);
                self.record_closing(id);
                self.hold(Held::Commit(CommitOrder { intent, rejects: settled.rejects }));
                Ok(())
            }
            (Some(FinalOutput::Result), _) => self.start_fetch(id, winners),
            (Some(FinalOutput::Files) | None, _) => Err(FailureCause::internal("the job has nothing to commit")),
        }
    }

    /// Commits to the same destination run one after the other.
    pub(crate) fn queue_commit(&mut self, order: CommitOrder) {
        if let Some(order) = self.commits.join(order) {
            self.services.commit(order);
        }
    }

    fn start_fetch(&mut self, id: JobId, winners: &[Winner]) -> Result<(), FailureCause> {
        let (Some(job), [winner]) = (self.jobs.get(&id), winners) else {
            return Err(FailureCause::internal(format!("a result of {} tasks cannot be fetched", winners.len())));
        };
        let order = ResultOrder {
            attempt: winner.attempt,
            worker: winner.worker,
            address: self.workers.shuffle_address(winner.worker).to_owned(),
            bytes_max: job.spec.settings.result_bytes_max.0,
            file: self.services.result_file(id),
        };
        self.record_closing(id);
        self.hold(Held::Fetch(order));
        Ok(())
    }

    pub(crate) fn on_commit_ended(&mut self, end: CommitEnd) {
        let CommitEnd { job: id, outcome, committed, keeps_staging, open } = end;
        match open {
            // Its destination stays its own until it is taken back.
            Some(open) => self.services.settle(*open),
            None => self.start_next_commit(id),
        }
        let line = LogLine::new(wall_ms(), id, "commit ended");
        self.narrate(match &outcome {
            CommitOutcome::Done => line.with("outcome", "visible"),
            CommitOutcome::LostResult { worker, .. } => line.with("outcome", "result lost").with("on", worker),
            CommitOutcome::Failed { cause } => line.with("outcome", "failed").with("text", cause).at(LogLevel::Error),
        });
        if let Some(job) = self.jobs.get_mut(&id) {
            job.committed = committed;
            job.waits_because = None;
            job.keeps_staging = keeps_staging;
        }
        self.feed(Event::CommitEnded { job: id, outcome });
    }

    /// The commit of a job has an end: the next one to its destination begins.
    pub(crate) fn start_next_commit(&mut self, ended: JobId) {
        if let Some(next) = self.commits.end(ended) {
            self.services.commit(next);
        }
    }

    fn discard_output(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let Some(output) = &job.spec.output else { return };
        if job.keeps_staging {
            tracing::error!(job = %id, path = %output.path, "staging is kept until the commit is settled");
            return;
        }
        match Staging::of(id, &output.path) {
            Ok(staging) => self.hold(Held::Discard(staging)),
            Err(error) => tracing::warn!(job = %id, %error, "no staging to remove"),
        }
    }
}
