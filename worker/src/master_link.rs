//! The worker's side of the control stream: dial, say hello, carry out what the master says, dial again when the stream breaks.
//!
//! Nothing is decided here. Reports are kept until they are acknowledged, and repeated on every new connection.

mod connection;
mod masters;
#[cfg(test)]
mod tests;

use std::time::Duration;

use hearth_common::{Backoff, FailureCause};
use hearth_proto::convert::control::{MasterMessage, WorkerMessage};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_64;

use self::connection::{Connection, NotOpened};
pub(crate) use self::masters::Masters;
use crate::life::{Life, Workshop};

const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(2) };
/// How often a master that cannot be reached is complained about.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(30);
/// How long the last words of a worker may take.
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(500);

/// What its owner wants of the worker.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wishes {
    /// Finish what runs, then leave.
    pub(crate) drain: CancellationToken,
    /// Leave now.
    pub(crate) stop: CancellationToken,
}

/// Why a life ended.
#[derive(Debug)]
pub(crate) enum LifeEnd {
    /// The master gave the worker up, or cannot be reached: it comes back under a new id.
    Discard,
    /// Its owner wants it stopped.
    Stopped,
    /// Its owner wanted it drained, and it is.
    Drained,
    /// The master will not have it.
    Refused(String),
}

/// Why a connection ended.
enum ConnectionEnd {
    Broken(String),
    Life(LifeEnd),
}

/// Lives one life: connected, or trying to be.
pub(crate) async fn live(workshop: &Workshop, life: &mut Life, (masters, wishes): (&mut Masters, &Wishes)) -> LifeEnd {
    let mut link =
        Link { workshop, life, masters, wishes, drain_deadline: None, may_leave: false, failures: 0, welcomed: None };
    let mut complaint = None;
    // Workers that lost their master together do not come back together.
    let mut jitter = Pcg64Mcg::seed_from_u64(xxh3_64(link.life.worker.to_string().as_bytes()));
    loop {
        link.life.slots.take_finished();
        if let Some(end) = link.leave_unconnected() {
            return end;
        }
        let problem = match link.connect_and_serve().await {
            ConnectionEnd::Life(end) => return end,
            ConnectionEnd::Broken(problem) => problem,
        };
        link.failures += 1;
        if complaint.is_none_or(|last: Instant| last.elapsed() > COMPLAINT_INTERVAL) {
            tracing::warn!(master = workshop.config.master, problem, "no connection to the master, trying again");
            complaint = Some(Instant::now());
        }
        tokio::select! {
            () = wishes.stop.cancelled() => return LifeEnd::Stopped,
            () = sleep(BACKOFF.delay_after(link.failures).mul_f64(jitter.random_range(0.5..=1.0))) => {}
        }
    }
}

struct Link<'a> {
    workshop: &'a Workshop,
    life: &'a mut Life,
    masters: &'a mut Masters,
    wishes: &'a Wishes,
    /// Set once draining began.
    drain_deadline: Option<Instant>,
    /// The master needs nothing of what a draining worker still holds.
    may_leave: bool,
    /// Connections that failed since the last welcome.
    failures: u32,
    /// When the master was last known to be there; `None` before the first welcome.
    welcomed: Option<Instant>,
}

impl Link<'_> {
    /// Whether to stop trying: there is nothing to stay for, or the master was away for too long.
    fn leave_unconnected(&mut self) -> Option<LifeEnd> {
        let config = &self.workshop.config;
        if self.wishes.drain.is_cancelled() {
            let deadline = *self.drain_deadline.get_or_insert_with(|| Instant::now() + config.drain_timeout);
            if self.life.slots.is_empty() || Instant::now() >= deadline {
                return Some(LifeEnd::Drained);
            }
        }
        let away = self.welcomed.is_some_and(|last| last.elapsed() > config.master_timeout);
        if away && !self.life.slots.is_empty() {
            tracing::error!(master = config.master, "the master was away for too long: discarding everything");
            return Some(LifeEnd::Discard);
        }
        None
    }

    async fn connect_and_serve(&mut self) -> ConnectionEnd {
        let hello = self.workshop.hello(self.life, self.masters.newest());
        let master = self.masters.dialed().to_owned();
        // Once connected, stopping is a message to the master too.
        let opened = tokio::select! {
            () = self.wishes.stop.cancelled() => return ConnectionEnd::Life(LifeEnd::Stopped),
            opened = Connection::open(&master, hello, self.masters.patience()) => opened,
        };
        let (mut connection, answer) = match opened {
            Ok(opened) => opened,
            Err(NotOpened::Broken(problem)) => return self.broken(problem),
            Err(NotOpened::Standby(told)) => {
                let problem = format!("{master} is a standby");
                self.masters.on_standby(told);
                return ConnectionEnd::Broken(problem);
            }
        };
        match answer {
            MasterMessage::Welcome { heartbeat_interval, lease, epoch } => {
                if let Err(problem) = self.masters.on_welcome(epoch) {
                    return self.broken(problem);
                }
                let worker = self.life.worker;
                tracing::info!(%worker, master, epoch = epoch.number, ?heartbeat_interval, ?lease, "connected to the master");
                self.failures = 0;
                self.workshop.registered.send_replace(Some(worker));
                self.workshop.metrics.count_connection();
                let end = self.serve(&mut connection, heartbeat_interval).await;
                self.workshop.metrics.connected.set(0);
                self.welcomed = Some(Instant::now());
                if matches!(end, ConnectionEnd::Broken(_)) {
                    self.masters.on_failure();
                }
                end
            }
            MasterMessage::Refused { reason, retry: true } => self.broken(reason),
            MasterMessage::Refused { reason, retry: false } => ConnectionEnd::Life(LifeEnd::Refused(reason)),
            MasterMessage::Fenced => self.on_fenced(),
            MasterMessage::Launch(_)
            | MasterMessage::Cancel(_)
            | MasterMessage::Ack(_)
            | MasterMessage::MayLeave
            | MasterMessage::Drain
            | MasterMessage::LogLinesKept { .. }
            | MasterMessage::SourceAbsent { .. }
            | MasterMessage::RemoveShuffle { .. } => {
                ConnectionEnd::Broken("the master did not answer the hello first".into())
            }
        }
    }

    /// This master is of no use now; another one may be.
    fn broken(&mut self, problem: String) -> ConnectionEnd {
        self.masters.on_failure();
        ConnectionEnd::Broken(problem)
    }

    fn on_fenced(&self) -> ConnectionEnd {
        let worker = self.life.worker;
        tracing::warn!(%worker, "the lease ended: discarding everything and coming back under a new id");
        ConnectionEnd::Life(LifeEnd::Discard)
    }

    async fn serve(&mut self, connection: &mut Connection, heartbeat_interval: Duration) -> ConnectionEnd {
        for report in self.life.slots.unacknowledged() {
            if !connection.send(WorkerMessage::Report(report.clone())).await {
                return broken();
            }
        }
        self.workshop.logs.repeat();
        let mut heartbeats = interval(heartbeat_interval);
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut draining = false;
        loop {
            if draining && (self.has_nothing_needed() || self.drain_is_over()) {
                return self.say_goodbye(connection, LifeEnd::Drained).await;
            }
            let sent = tokio::select! {
                () = self.wishes.stop.cancelled() => return self.say_goodbye(connection, LifeEnd::Stopped).await,
                () = self.wishes.drain.cancelled(), if !draining => {
                    draining = true;
                    let deadline = Instant::now() + self.workshop.config.drain_timeout;
                    self.drain_deadline.get_or_insert(deadline);
                    tracing::info!("draining: no more attempts are taken");
                    connection.send(WorkerMessage::Draining).await
                }
                () = sleep_until(self.drain_deadline.unwrap_or_else(far_away)), if draining => true,
                _ = heartbeats.tick() => connection.send(WorkerMessage::Heartbeat(self.life.heartbeat())).await,
                lines = self.workshop.logs.next_batch() => connection.send(WorkerMessage::LogLines(lines)).await,
                report = self.life.slots.next_report() => match report {
                    Some(report) => connection.send(WorkerMessage::Report(report)).await,
                    None => true,
                },
                message = connection.next() => match message {
                    Ok(message) => match self.on_message(message) {
                        Ok(None) => true,
                        Ok(Some(answer)) => connection.send(answer).await,
                        Err(end) => return end,
                    },
                    Err(problem) => return ConnectionEnd::Broken(problem),
                },
            };
            if !sent {
                return broken();
            }
        }
    }

    fn has_nothing_needed(&self) -> bool {
        let slots = &self.life.slots;
        slots.is_empty() || (self.may_leave && slots.is_idle())
    }

    fn drain_is_over(&self) -> bool {
        self.drain_deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn on_message(&mut self, message: MasterMessage) -> Result<Option<WorkerMessage>, ConnectionEnd> {
        let slots = &mut self.life.slots;
        match message {
            MasterMessage::Launch(order) => {
                let refused = if self.drain_deadline.is_some() {
                    Some(slots.refuse(order.attempt, FailureCause::WorkerDrains))
                } else {
                    slots.launch(order)
                };
                return Ok(refused.map(WorkerMessage::Report));
            }
            MasterMessage::Cancel(attempt) => slots.cancel(attempt),
            MasterMessage::Ack(attempt) => slots.acknowledge(attempt),
            MasterMessage::RemoveShuffle { job, attempt } => slots.remove_shuffle(job, attempt),
            MasterMessage::Fenced => return Err(self.on_fenced()),
            MasterMessage::MayLeave => self.may_leave = true,
            MasterMessage::Drain => self.wishes.drain.cancel(),
            MasterMessage::SourceAbsent { source, absence } => {
                tracing::info!(worker = %source, ?absence, "the master hears nothing of a worker that others read from");
                self.workshop.fetcher.note_absence(source, absence);
            }
            MasterMessage::LogLinesKept { through } => self.workshop.logs.kept(through),
            MasterMessage::Refused { reason, retry: true } => return Err(ConnectionEnd::Broken(reason)),
            MasterMessage::Refused { reason, retry: false } => {
                return Err(ConnectionEnd::Life(LifeEnd::Refused(reason)));
            }
            MasterMessage::Welcome { .. } => {}
        }
        Ok(None)
    }

    /// Tells the master that the worker leaves. It would find out without it, only later.
    async fn say_goodbye(&self, connection: &mut Connection, end: LifeEnd) -> ConnectionEnd {
        let last_lines = self.workshop.logs.rest();
        if !last_lines.is_empty() && !connection.send(WorkerMessage::LogLines(last_lines)).await {
            tracing::debug!("the master did not take the last lines about attempts");
        }
        if tokio::time::timeout(GOODBYE_TIMEOUT, connection.close(WorkerMessage::Goodbye)).await.is_err() {
            tracing::debug!("the master did not take the goodbye");
        }
        ConnectionEnd::Life(end)
    }
}

fn far_away() -> Instant {
    Instant::now() + Duration::from_secs(86_400)
}

fn broken() -> ConnectionEnd {
    ConnectionEnd::Broken("the stream to the master is closed".into())
}
