//! What workers say, as events. A message of a connection that was replaced is dropped.

use hearth_common::{AttemptId, JobId, LogLine, WorkerId, WorkerState};
use hearth_proto::convert::control::{Heartbeat, Hello, MasterMessage, Report, ReportOutcome, WorkerMessage};
use hearth_scheduler::{AttemptOutput, Event, Held, TaskStanding, Winner};

use super::{Owner, wall_ms};
use crate::metrics::Stale;
use crate::store::record::{self, ReportRecord};
use crate::workers::{Outgoing, WorkerLink};

impl Owner {
    pub(super) fn on_worker_connected(&mut self, hello: Hello, link: WorkerLink) {
        let (worker, slots) = (hello.worker, hello.slots);
        tracing::info!(%worker, host = %hello.host.escape_debug(), address = %hello.shuffle_address, slots, "worker connected");
        self.metrics.count_worker();
        self.workers.connect(&hello, link, wall_ms());
        self.publisher.mark_workers();
        let names = std::iter::once(hello.host.clone()).chain(hello.names.iter().cloned()).collect();
        let held = Held { attempts: hello.attempts, shuffle_outputs: hello.shuffle_outputs };
        self.feed(Event::WorkerConnected { worker, slots, names, held });
        if self.scheduler.worker(worker).is_none() {
            self.metrics.count_stale(Stale::Worker);
        }
        // Before anything that this event decided is sent; a lost worker is not expected back.
        if self.scheduler.worker(worker).is_some()
            && let Some(known) = self.workers.record(worker)
        {
            self.record(record::worker(&known).map(Some));
        }
        // It may not have heard that somebody wants it drained.
        if self.scheduler.worker(worker).is_some_and(|known| known.state() == WorkerState::Draining) {
            self.tell(worker, MasterMessage::Drain);
        }
    }

    pub(super) fn on_worker_said(&mut self, (worker, connection): (WorkerId, u64), message: WorkerMessage) {
        if !self.workers.is_current(worker, connection) {
            let is_lost = self.scheduler.worker(worker).is_none();
            self.metrics.count_stale(if is_lost { Stale::Worker } else { Stale::Connection });
            return;
        }
        match message {
            WorkerMessage::Heartbeat(heartbeat) => self.on_heartbeat(worker, heartbeat),
            WorkerMessage::Report(report) => self.on_report(worker, report),
            WorkerMessage::Draining => {
                tracing::info!(%worker, "worker drains");
                self.publisher.mark_workers();
                self.feed(Event::WorkerDraining { worker });
            }
            WorkerMessage::LogLines(lines) => self.on_log_lines(worker, lines),
            WorkerMessage::Goodbye => {
                tracing::info!(%worker, "worker left");
                self.publisher.mark_workers();
                self.workers.leave(worker);
                self.feed(Event::WorkerGone { worker });
            }
            // Only the first message of a connection is one; the connection's reader refuses another.
            WorkerMessage::Hello(_) => {}
        }
    }

    pub(super) fn on_worker_disconnected(&mut self, worker: WorkerId, connection: u64) {
        if self.workers.is_current(worker, connection) {
            self.lose_connection(worker);
            self.feed(Event::WorkerDisconnected { worker });
        }
    }

    /// Closes a connection whose worker does not take messages; the scheduler hears of it after the event at hand.
    pub(crate) fn drop_unreachable(&mut self, worker: WorkerId) {
        self.lose_connection(worker);
        self.feed_later(Event::WorkerDisconnected { worker });
    }

    fn lose_connection(&mut self, worker: WorkerId) {
        tracing::warn!(%worker, "connection to worker broke");
        self.publisher.mark_workers();
        self.workers.disconnect(worker);
    }

    fn on_heartbeat(&mut self, worker: WorkerId, heartbeat: Heartbeat) {
        self.workers.note_heartbeat(worker, heartbeat.memory_bytes_used, heartbeat.disk_bytes_free);
        self.publisher.mark_heartbeat();
        for progress in heartbeat.progress {
            let on = Winner { attempt: progress.attempt, worker };
            if self.is_running(on)
                && let Some(job) = self.jobs.get_mut(&progress.attempt.task.job)
            {
                job.figures.note_progress(progress.attempt, progress.metrics);
                job.figures.note_wait(progress.attempt, progress.waiting_for);
                let flow = job.ledger.note_progress((progress.attempt, worker), progress.metrics, wall_ms());
                self.loads.note_flow(worker, flow);
                self.publisher.mark_changed(progress.attempt.task.job);
            }
        }
        self.feed(Event::Heartbeat { worker });
    }

    /// Takes a report in, then acknowledges it: from then on the worker forgets it.
    fn on_report(&mut self, worker: WorkerId, report: Report) {
        let Report { attempt, metrics, outcome, scans, records, operators } = report;
        let on = Winner { attempt, worker };
        let ran = self.is_running(on);
        if ran {
            self.note_report(on, metrics, &outcome);
        }
        if !ran && !self.is_known_end(on) {
            self.metrics.count_stale(Stale::Attempt);
        }
        let is_finished = !matches!(outcome, ReportOutcome::Failed(_));
        let mut told = ReportRecord { metrics, records: records.clone(), files: Vec::new(), operators };
        if let Some(job) = self.jobs.get_mut(&attempt.task.job)
            && ran
            && is_finished
        {
            job.records.insert(attempt, records.clone());
            job.tally.note_report(attempt);
        }
        match outcome {
            ReportOutcome::Shuffle { partition_bytes } => {
                let output = AttemptOutput::Shuffle { partition_bytes };
                self.feed(Event::AttemptFinished { attempt, worker, output, scans });
            }
            ReportOutcome::Output { files } => {
                if let Some(job) = self.jobs.get_mut(&attempt.task.job)
                    && ran
                {
                    told.files.clone_from(&files);
                    job.files.insert(attempt, files);
                }
                self.feed(Event::AttemptFinished { attempt, worker, output: AttemptOutput::Files, scans });
            }
            ReportOutcome::Failed(cause) => {
                tracing::warn!(%attempt, %worker, cause = cause.name(), text = %cause, "attempt failed");
                self.metrics.count_failure(&cause);
                if let Some(job) = self.jobs.get_mut(&attempt.task.job) {
                    job.figures.drop_attempt(attempt);
                }
                self.failing = ran.then_some(attempt.task.job);
                self.feed(Event::AttemptFailed { attempt, worker, cause: cause.clone(), scans });
                self.failing = None;
                if ran {
                    self.narrate_failure(attempt, worker, &cause);
                }
            }
        }
        if ran
            && self.is_known_end(on)
            && let Some(job) = self.jobs.get_mut(&attempt.task.job)
        {
            job.figures.note_finished(attempt, metrics);
            job.operators.note_finished(attempt, &told.operators);
            self.metrics.count_finished(&metrics);
            self.publisher.mark_changed(attempt.task.job);
            self.record(record::report(attempt, &told).map(Some));
        }
        if ran && is_finished {
            self.narrate_finish(attempt);
            self.judge_rejects(attempt.task.job);
        }
        self.send(worker, Outgoing::Message(MasterMessage::Ack(attempt)));
        self.flush();
    }

    /// Fails a job whose inputs have more rejects than they may, as soon as that is sure.
    fn judge_rejects(&mut self, id: JobId) {
        let (Some(job), Some(view)) = (self.jobs.get_mut(&id), self.scheduler.job(id)) else { return };
        if let Some(cause) = job.judge_rejects(&view) {
            self.feed(Event::InputsRefused { job: id, cause });
        }
    }

    /// Keeps what a worker tells of jobs that are known. Lines that cannot be taken are told again.
    fn on_log_lines(&mut self, worker: WorkerId, lines: Vec<LogLine>) {
        let Some(through) = lines.iter().map(|line| line.number).max() else { return };
        let known: Vec<LogLine> = lines.into_iter().filter(|line| self.knows_job(line.subject.job)).collect();
        if self.services.logs.append(known).is_ok() {
            self.send(worker, Outgoing::Message(MasterMessage::LogLinesKept { through }));
        }
    }

    pub(crate) fn knows_job(&self, job: JobId) -> bool {
        self.jobs.contains_key(&job) || self.has_ended(job)
    }

    /// The attempt runs there, alone or beside another one of its task.
    fn is_running(&self, on: Winner) -> bool {
        let task = on.attempt.task;
        let stage = self.scheduler.job(task.job).and_then(|job| job.stages().nth(task.stage.0 as usize));
        stage.and_then(|stage| stage.task(task.partition)).is_some_and(|task| task.runs().any(|run| run == on))
    }

    /// The attempt won, or waits for its proof: its report was heard before.
    fn is_known_end(&self, on: Winner) -> bool {
        matches!(self.standing(on.attempt), Some(TaskStanding::Done(by) | TaskStanding::Unproved(by)) if by == on)
    }

    pub(super) fn standing(&self, attempt: AttemptId) -> Option<TaskStanding> {
        let job = self.scheduler.job(attempt.task.job)?;
        let stage = job.stages().nth(attempt.task.stage.0 as usize)?;
        Some(stage.task(attempt.task.partition)?.standing())
    }
}
