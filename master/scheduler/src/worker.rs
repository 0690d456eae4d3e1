//! Workers as the scheduler knows them: slots, lease, and the index of what runs and lies on each. It decides nothing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hearth_common::{AttemptId, JobId, TaskId, WorkerId, WorkerState};

use crate::Millis;
use crate::config::SchedulerConfig;
use crate::exclusion::Reputation;
use crate::home::{HostName, Liveness};
use crate::mutation::Mutation;
use crate::task::TaskKey;

/// A worker that is not lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Worker {
    pub(crate) slots: u32,
    /// Names and addresses of its host; fixed for its life.
    pub(crate) names: Vec<HostName>,
    pub(crate) connection: Connection,
    pub(crate) stay: Stay,
    pub(crate) lease_end: Millis,
    pub(crate) reputation: Reputation,
    /// Attempts that hold a slot.
    pub(crate) running: BTreeSet<AttemptId>,
    /// Tasks that had an attempt here when it was no longer heard of, and were given to others since. It may have died of them.
    pub(crate) withdrawn: BTreeSet<TaskId>,
    /// Tasks whose winner, or unproved attempt, left its shuffle output here.
    pub(crate) outputs: BTreeMap<JobId, BTreeSet<TaskKey>>,
}

/// Whether a worker can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    Intact {
        /// When it counts as silent, if nothing is heard of it before.
        silent_at: Millis,
    },
    /// Nothing was heard of it for a while, and its connection is not known to be broken: the next message makes all well.
    Silent,
    Broken,
}

impl Connection {
    pub(crate) const fn deadline(self) -> Option<Millis> {
        match self {
            Self::Intact { silent_at } => Some(silent_at),
            Self::Silent | Self::Broken => None,
        }
    }
}

/// Whether a worker means to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stay {
    Staying,
    /// It leaves when nothing runs on it and its outputs are not needed; these are waited for until then.
    Draining {
        give_up_at: Option<Millis>,
    },
    /// It was told that it may leave.
    Released,
}

impl Stay {
    pub(crate) const fn deadline(self) -> Option<Millis> {
        match self {
            Self::Draining { give_up_at } => give_up_at,
            Self::Staying | Self::Released => None,
        }
    }
}

impl Worker {
    pub(crate) fn new(slots: u32, names: Vec<HostName>, lease_end: Millis) -> Self {
        Self {
            slots,
            names,
            connection: Connection::Broken,
            stay: Stay::Staying,
            lease_end,
            reputation: Reputation::default(),
            running: BTreeSet::new(),
            withdrawn: BTreeSet::new(),
            outputs: BTreeMap::new(),
        }
    }

    pub(crate) const fn state(&self) -> WorkerState {
        match (self.connection, self.stay) {
            (Connection::Silent | Connection::Broken, _) => WorkerState::Disconnected,
            (Connection::Intact { .. }, Stay::Draining { .. } | Stay::Released) => WorkerState::Draining,
            (Connection::Intact { .. }, Stay::Staying) => WorkerState::Alive,
        }
    }

    /// Until when it takes no attempts that it would take, were it not excluded.
    pub(crate) fn excluded_until(&self) -> Option<Millis> {
        let exclusion = self.reputation.exclusion.as_ref()?;
        (self.state() == WorkerState::Alive && self.slots > 0).then_some(exclusion.until)
    }

    /// It is there, as far as is known.
    pub(crate) const fn is_heard(&self) -> bool {
        matches!(self.connection, Connection::Intact { .. })
    }

    /// Free slots, if it takes attempts.
    fn room(&self, mutation: Option<Mutation>) -> Option<u32> {
        let takes_attempts = match self.state() {
            WorkerState::Alive => self.slots > 0 && self.reputation.exclusion.is_none(),
            WorkerState::Draining => mutation == Some(Mutation::LaunchOnDraining),
            WorkerState::Disconnected | WorkerState::Lost | WorkerState::Left => false,
        };
        if mutation == Some(Mutation::LaunchBeyondSlots) {
            return takes_attempts.then_some(self.slots);
        }
        let running = u32::try_from(self.running.len()).unwrap_or(u32::MAX);
        takes_attempts.then(|| self.slots.saturating_sub(running))
    }
}

impl Worker {
    fn usable_slots(&self, mutation: Option<Mutation>) -> u64 {
        self.room(mutation).map_or(0, |_| u64::from(self.slots))
    }
}

/// All workers that are not lost, and the ids of the last ones that are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Workers {
    known: BTreeMap<WorkerId, Worker>,
    /// Those that take an attempt now, most free slots first.
    free: BTreeSet<(Reverse<u32>, WorkerId)>,
    /// How many take attempts, now or when a slot is free.
    usable: usize,
    /// Slots of those that do, free or not.
    slots: u64,
    /// Those that do, by name and address of their host.
    on_host: BTreeMap<HostName, BTreeSet<WorkerId>>,
    /// Hosts that got or lost such a worker, and nobody was told yet.
    changed_hosts: BTreeSet<HostName>,
    lost: LostWorkers,
    mutation: Option<Mutation>,
}

impl Workers {
    pub(crate) fn new(config: &SchedulerConfig) -> Self {
        Self {
            known: BTreeMap::new(),
            free: BTreeSet::new(),
            usable: 0,
            slots: 0,
            on_host: BTreeMap::new(),
            changed_hosts: BTreeSet::new(),
            lost: LostWorkers::new(config.lost_workers_remembered_max),
            mutation: config.mutation,
        }
    }

    pub(crate) fn get(&self, id: WorkerId) -> Option<&Worker> {
        self.known.get(&id)
    }

    pub(crate) fn contains(&self, id: WorkerId) -> bool {
        self.known.contains_key(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.known.iter().map(|(id, worker)| (*id, worker))
    }

    /// It takes attempts, now or when a slot is free.
    pub(crate) fn is_usable(&self, id: WorkerId) -> bool {
        self.known.get(&id).is_some_and(|worker| worker.room(self.mutation).is_some())
    }

    pub(crate) const fn usable(&self) -> usize {
        self.usable
    }

    /// Slots of the workers that take attempts, free or not.
    pub(crate) const fn slots(&self) -> u64 {
        self.slots
    }

    pub(crate) fn has_free_slot(&self) -> bool {
        !self.free.is_empty()
    }

    pub(crate) fn is_lost(&self, id: WorkerId) -> bool {
        self.lost.ids.contains(&id)
    }

    pub(crate) fn add(&mut self, id: WorkerId, worker: Worker) {
        let room = worker.room(self.mutation);
        let names = worker.names.clone();
        self.slots += worker.usable_slots(self.mutation);
        self.known.insert(id, worker);
        self.index(id, None, room);
        if room.is_some() {
            self.index_names(id, names, Liveness::Live);
        }
    }

    /// Forgets a worker, all but its id, which is never accepted again.
    pub(crate) fn lose(&mut self, id: WorkerId) -> Option<Worker> {
        let worker = self.known.remove(&id)?;
        let room = worker.room(self.mutation);
        self.slots -= worker.usable_slots(self.mutation);
        self.index(id, room, None);
        if room.is_some() {
            self.index_names(id, worker.names.clone(), Liveness::Dead);
        }
        self.lost.remember(id);
        Some(worker)
    }

    /// The one way to change a worker: keeps the index of free slots true.
    pub(crate) fn update(&mut self, id: WorkerId, change: impl FnOnce(&mut Worker)) {
        let Some(worker) = self.known.get_mut(&id) else { return };
        let before = worker.room(self.mutation);
        self.slots -= worker.usable_slots(self.mutation);
        change(worker);
        let after = worker.room(self.mutation);
        self.slots += worker.usable_slots(self.mutation);
        let names = (before.is_some() != after.is_some()).then(|| worker.names.clone());
        self.index(id, before, after);
        if let Some(names) = names {
            self.index_names(id, names, Liveness::of(after.is_some()));
        }
    }

    fn index_names(&mut self, id: WorkerId, names: Vec<HostName>, liveness: Liveness) {
        for name in names {
            let workers = self.on_host.entry(name.clone()).or_default();
            match liveness {
                Liveness::Live => workers.insert(id),
                Liveness::Dead => workers.remove(&id),
            };
            if workers.is_empty() {
                self.on_host.remove(&name);
            }
            self.changed_hosts.insert(name);
        }
    }

    /// A host that got or lost a worker that takes attempts, since this was asked.
    pub(crate) fn take_changed_host(&mut self) -> Option<HostName> {
        self.changed_hosts.pop_first()
    }

    /// Workers on that host that take attempts, now or when a slot is free.
    pub(crate) fn on_host(&self, name: &HostName) -> impl Iterator<Item = WorkerId> {
        self.on_host.get(name).into_iter().flatten().copied()
    }

    /// Workers with a free slot, most free slots first.
    pub(crate) fn free(&self) -> impl ExactSizeIterator<Item = &(Reverse<u32>, WorkerId)> {
        self.free.iter()
    }

    /// The same, of that host.
    pub(crate) fn free_on(&self, name: &HostName) -> impl Iterator<Item = (Reverse<u32>, WorkerId)> {
        let free = |id| Some((Reverse(self.known.get(&id)?.room(self.mutation)?), id));
        self.on_host(name).filter_map(free).filter(|(free, _)| free.0 > 0)
    }

    /// The worker with most free slots, if any has one; never a barred one, and one that is not to be avoided, where such a
    /// one takes attempts.
    pub(crate) fn pick(&self, avoid: &[WorkerId], barred: &[WorkerId]) -> Option<WorkerId> {
        let mut tried = [avoid, barred].concat();
        tried.sort_unstable();
        tried.dedup();
        let is_avoided = !avoid.is_empty() && self.has_untried(&tried);
        let free = self.free.iter().map(|(_, id)| *id);
        free.into_iter().find(|id| !(barred.contains(id) || is_avoided && avoid.contains(id)))
    }

    /// Takes another worker attempts than those?
    pub(crate) fn has_untried(&self, avoid: &[WorkerId]) -> bool {
        let tried =
            avoid.iter().filter(|id| self.known.get(id).is_some_and(|worker| worker.room(self.mutation).is_some()));
        self.usable > tried.count()
    }

    fn index(&mut self, id: WorkerId, before: Option<u32>, after: Option<u32>) {
        if before == after {
            return;
        }
        if let Some(free) = before {
            self.usable -= 1;
            self.free.remove(&(Reverse(free), id));
        }
        if let Some(free) = after {
            self.usable += 1;
            if free > 0 {
                self.free.insert((Reverse(free), id));
            }
        }
    }

    /// Compares the index with a recount; for tests.
    pub(crate) fn check(&self) -> Result<(), String> {
        let rooms: Vec<_> =
            self.known.iter().filter_map(|(id, worker)| Some((Reverse(worker.room(self.mutation)?), *id))).collect();
        if rooms.len() != self.usable {
            return Err(format!("{} workers take attempts, but {} are counted", rooms.len(), self.usable));
        }
        let mut on_host: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (_, id) in &rooms {
            for name in self.known.get(id).into_iter().flat_map(|worker| &worker.names) {
                on_host.entry(name.clone()).or_default().insert(*id);
            }
        }
        if on_host != self.on_host || !self.changed_hosts.is_empty() {
            return Err(format!("workers are on {on_host:?}, but indexed on {:?}", self.on_host));
        }
        let slots: u64 = self.known.values().map(|worker| worker.usable_slots(self.mutation)).sum();
        if slots != self.slots {
            return Err(format!("workers have {slots} slots, but {} are counted", self.slots));
        }
        let free: BTreeSet<_> = rooms.into_iter().filter(|(free, _)| free.0 > 0).collect();
        if free != self.free {
            return Err(format!("free slots are {free:?}, but indexed as {:?}", self.free));
        }
        match self.known.keys().find(|id| self.is_lost(**id)) {
            Some(id) => Err(format!("worker {id} is both known and lost")),
            None => Ok(()),
        }
    }
}

/// Ids of lost workers; of too many, the last ones.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LostWorkers {
    ids: BTreeSet<WorkerId>,
    by_age: VecDeque<WorkerId>,
    max: usize,
}

impl LostWorkers {
    const fn new(max: usize) -> Self {
        Self { ids: BTreeSet::new(), by_age: VecDeque::new(), max }
    }

    fn remember(&mut self, id: WorkerId) {
        if self.ids.insert(id) {
            self.by_age.push_back(id);
        }
        if self.by_age.len() > self.max
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}
