//! Who the workers are and how they are reached. Whether one lives is for the scheduler to say, not for this registry.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use hearth_common::{AttemptId, ShuffleSource, StageId, WorkerId, WorkerState, WorkerStatus};
use hearth_proto::convert::control::{Hello, LaunchOrder, MasterMessage};
use hearth_scheduler::KnownStart;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::planner::PlannedStage;
use crate::store::record::WorkerRecord;

/// Messages to one worker that wait to be sent. A worker that lets more pile up does not read, and is disconnected.
pub(crate) const OUTBOX_MAX: usize = 8192;
/// Lost workers that stay in listings.
const LOST_SHOWN_MAX: usize = 64;

/// A message to a worker. Launches are put together where they are sent, off the event loop.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// Ready to send.
    Message(MasterMessage),
    /// An attempt to start.
    Launch(Box<LaunchParts>),
}

/// The winners of a stage's inputs, with their addresses, by stage.
pub(crate) type Sources = BTreeMap<StageId, Vec<ShuffleSource>>;

/// What a launch is made of.
#[derive(Debug)]
pub(crate) struct LaunchParts {
    /// The worker.
    pub worker: WorkerId,
    /// The attempt.
    pub attempt: AttemptId,
    /// Its stage.
    pub stage: Arc<PlannedStage>,
    /// The shuffle partitions it reads, where the stage merges them.
    pub merged: Option<Range<u32>>,
    /// The winners it reads from.
    pub sources: Arc<Sources>,
    /// Where the records of its links start, as far as that is known.
    pub starts: Vec<KnownStart>,
}

impl LaunchParts {
    /// The message; its size grows with what the attempt reads.
    pub(crate) fn compose(self) -> LaunchOrder {
        let partition = self.attempt.task.partition;
        let inputs = self.stage.task_inputs(partition, (self.merged.as_ref(), &self.starts), &self.sources);
        LaunchOrder {
            attempt: self.attempt,
            program: self.stage.program.clone(),
            program_xxh3: self.stage.program_xxh3,
            inputs,
        }
    }
}

/// One connection of a worker.
#[derive(Debug)]
pub(crate) struct WorkerLink {
    /// Number of the connection; messages of older ones are dropped.
    pub connection: u64,
    /// Messages to the worker.
    pub outbox: mpsc::Sender<Outgoing>,
    /// Ends the reading side.
    pub closed: CancellationToken,
}

impl Drop for WorkerLink {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}

/// A worker that said hello.
#[derive(Debug)]
struct Known {
    status: WorkerStatus,
    /// Further names of its host.
    names: Vec<String>,
    link: Option<WorkerLink>,
}

/// The worker does not take messages: it is gone, or does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreachable;

/// What the scheduler knows of a worker, for its status.
#[derive(Debug, Clone)]
pub(crate) struct Vitals {
    /// Its state.
    pub state: WorkerState,
    /// Attempts that run.
    pub slots_used: u32,
    /// Time left of its lease, in milliseconds.
    pub lease_ms: u64,
    /// Why and how much longer it gets no attempts.
    pub excluded: Option<String>,
    /// The attempts that run, the first ones of many.
    pub running: Vec<AttemptId>,
}

/// Every worker that said hello, and the last ones that were lost or have left.
#[derive(Debug, Default)]
pub(crate) struct WorkerRegistry {
    known: BTreeMap<WorkerId, Known>,
    lost: VecDeque<WorkerStatus>,
}

impl WorkerRegistry {
    /// A worker said hello. An older connection of it is closed.
    pub(crate) fn connect(&mut self, hello: &Hello, link: WorkerLink, now_ms: u64) {
        let registered_ms = self.known.get(&hello.worker).map_or(now_ms, |known| known.status.registered_ms);
        let status = WorkerStatus {
            id: hello.worker,
            host: hello.host.clone(),
            shuffle_address: hello.shuffle_address.clone(),
            state: WorkerState::Alive,
            slots: hello.slots,
            slots_used: 0,
            memory_bytes_max: hello.memory_bytes_max,
            memory_bytes_used: 0,
            disk_bytes_free: 0,
            version: hello.engine_version.clone(),
            registered_ms,
            lease_ms: 0,
            excluded: None,
        };
        self.known.insert(hello.worker, Known { status, names: hello.names.clone(), link: Some(link) });
    }

    /// What is kept of a worker, so that it may come back to another master.
    pub(crate) fn record(&self, worker: WorkerId) -> Option<WorkerRecord> {
        let Known { status, names, .. } = self.known.get(&worker)?;
        Some(WorkerRecord { status: status.clone(), names: names.clone() })
    }

    /// A worker of the master before, which may come back.
    pub(crate) fn restore(&mut self, record: WorkerRecord) {
        let WorkerRecord { status, names } = record;
        self.known.insert(status.id, Known { status, names, link: None });
    }

    /// Names and addresses of the hosts of all workers, in lower case.
    pub(crate) fn host_names(&self) -> BTreeSet<String> {
        let names = self.known.values().flat_map(|known| std::iter::once(&known.status.host).chain(&known.names));
        names.map(|name| name.to_ascii_lowercase()).collect()
    }

    /// Whether a message of this connection still counts.
    pub(crate) fn is_current(&self, worker: WorkerId, connection: u64) -> bool {
        self.link(worker).is_some_and(|link| link.connection == connection)
    }

    /// Number of the connection to a worker, if there is one.
    pub(crate) fn connection(&self, worker: WorkerId) -> Option<u64> {
        self.link(worker).map(|link| link.connection)
    }

    /// Sends a message, unless the worker is not connected: then it learns on its next hello.
    pub(crate) fn send(&self, worker: WorkerId, message: Outgoing) -> Result<(), Unreachable> {
        match self.link(worker) {
            Some(link) => link.outbox.try_send(message).map_err(|_| Unreachable),
            None => Ok(()),
        }
    }

    /// Closes a worker's connection, after what was sent before.
    pub(crate) fn disconnect(&mut self, worker: WorkerId) {
        if let Some(known) = self.known.get_mut(&worker) {
            known.link = None;
        }
    }

    /// A worker said goodbye.
    pub(crate) fn leave(&mut self, worker: WorkerId) {
        if let Some(known) = self.known.get_mut(&worker) {
            known.link = None;
            known.status.state = WorkerState::Left;
        }
    }

    /// Keeps what a heartbeat told.
    pub(crate) fn note_heartbeat(&mut self, worker: WorkerId, memory_bytes_used: u64, disk_bytes_free: u64) {
        if let Some(known) = self.known.get_mut(&worker) {
            known.status.memory_bytes_used = memory_bytes_used;
            known.status.disk_bytes_free = disk_bytes_free;
        }
    }

    /// Every worker that is not known to be gone.
    pub(crate) fn ids(&self) -> impl Iterator<Item = WorkerId> + use<'_> {
        self.known.keys().copied()
    }

    /// `host:port` of a worker's shuffle service; empty for one that is gone, so that reading from it fails as lost.
    pub(crate) fn shuffle_address(&self, worker: WorkerId) -> &str {
        self.known.get(&worker).map_or("", |known| &known.status.shuffle_address)
    }

    /// Host of a worker that is not lost.
    pub(crate) fn host(&self, worker: WorkerId) -> Option<&str> {
        self.known.get(&worker).map(|known| known.status.host.as_str())
    }

    /// Workers that are known here, and not to the scheduler any more.
    pub(crate) fn gone(&self, vitals: &BTreeMap<WorkerId, Vitals>) -> Vec<WorkerId> {
        self.known.keys().filter(|id| !vitals.contains_key(id)).copied().collect()
    }

    /// Slots of all workers that are not lost.
    pub(crate) fn slots(&self) -> u32 {
        self.known.values().map(|known| known.status.slots).fold(0, u32::saturating_add)
    }

    /// Every worker's status. A worker without vitals is lost, or has left: it is shown as such for a while and otherwise
    /// forgotten.
    pub(crate) fn statuses(&mut self, vitals: &BTreeMap<WorkerId, Vitals>) -> Vec<WorkerStatus> {
        for id in self.gone(vitals) {
            if let Some(known) = self.known.remove(&id) {
                self.lost.retain(|lost| lost.id != id);
                if self.lost.len() == LOST_SHOWN_MAX {
                    self.lost.pop_front();
                }
                let state = if known.status.state == WorkerState::Left { WorkerState::Left } else { WorkerState::Lost };
                self.lost.push_back(WorkerStatus { state, slots_used: 0, lease_ms: 0, ..known.status });
            }
        }
        let alive = self.known.iter().filter_map(|(id, known)| {
            let Vitals { state, slots_used, lease_ms, excluded, .. } = vitals.get(id)?.clone();
            Some(WorkerStatus { state, slots_used, lease_ms, excluded, ..known.status.clone() })
        });
        alive.chain(self.lost.iter().cloned()).collect()
    }

    fn link(&self, worker: WorkerId) -> Option<&WorkerLink> {
        self.known.get(&worker)?.link.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(worker: u128) -> Hello {
        Hello {
            protocol: 1,
            engine_version: "1".to_owned(),
            worker: WorkerId::from_u128(worker),
            host: "node1".to_owned(),
            shuffle_address: "node1:4000".to_owned(),
            slots: 3,
            memory_bytes_max: 1,
            attempts: Vec::new(),
            shuffle_outputs: Vec::new(),
            token: String::new(),
            names: Vec::new(),
            epoch: None,
        }
    }

    fn link(connection: u64, room: usize) -> (WorkerLink, mpsc::Receiver<Outgoing>, CancellationToken) {
        let (outbox, sent) = mpsc::channel(room);
        let closed = CancellationToken::new();
        (WorkerLink { connection, outbox, closed: closed.clone() }, sent, closed)
    }

    fn fenced() -> Outgoing {
        Outgoing::Message(MasterMessage::Fenced)
    }

    #[tokio::test]
    async fn a_new_connection_replaces_the_old_one() {
        let worker = WorkerId::from_u128(1);
        let mut registry = WorkerRegistry::default();
        let (first, mut first_sent, first_closed) = link(1, 4);
        registry.connect(&hello(1), first, 10);
        registry.send(worker, fenced()).unwrap();
        let (second, _sent, second_closed) = link(2, 4);
        registry.connect(&hello(1), second, 20);
        assert!(first_closed.is_cancelled() && !second_closed.is_cancelled());
        assert!(!registry.is_current(worker, 1) && registry.is_current(worker, 2));
        assert!(first_sent.recv().await.is_some(), "what was sent before the end arrives");
        assert!(first_sent.recv().await.is_none());
        assert_eq!(registry.slots(), 3);
    }

    #[test]
    fn a_worker_that_does_not_read_is_unreachable() {
        let worker = WorkerId::from_u128(1);
        let mut registry = WorkerRegistry::default();
        let (link, _sent, closed) = link(1, 2);
        registry.connect(&hello(1), link, 10);
        assert_eq!([(); 3].map(|()| registry.send(worker, fenced())), [Ok(()), Ok(()), Err(Unreachable)]);
        registry.disconnect(worker);
        assert!(closed.is_cancelled());
        assert_eq!(registry.send(worker, fenced()), Ok(()), "nobody to send to");
        assert_eq!(registry.shuffle_address(worker), "node1:4000");
    }

    #[test]
    fn lost_workers_are_shown_for_a_while() {
        let mut registry = WorkerRegistry::default();
        for worker in 0..100 {
            registry.connect(&hello(worker), link(1, 1).0, 10);
        }
        registry.leave(WorkerId::from_u128(99));
        let alive = WorkerId::from_u128(7);
        let excluded = Some("x".to_owned());
        let vitals = Vitals {
            state: WorkerState::Draining,
            slots_used: 2,
            lease_ms: 5,
            excluded: excluded.clone(),
            running: Vec::new(),
        };
        let vitals = BTreeMap::from([(alive, vitals)]);
        let statuses = registry.statuses(&vitals);
        assert_eq!(statuses.len(), 1 + LOST_SHOWN_MAX);
        assert_eq!((statuses[0].id, statuses[0].state, statuses[0].slots_used), (alive, WorkerState::Draining, 2));
        assert_eq!(statuses[0].excluded, excluded);
        let (left, lost) = statuses[1..].split_last().unwrap();
        assert!(lost.iter().all(|status| status.state == WorkerState::Lost));
        assert_eq!((left.id, left.state), (WorkerId::from_u128(99), WorkerState::Left));
        assert_eq!(registry.slots(), 3);
    }
}
