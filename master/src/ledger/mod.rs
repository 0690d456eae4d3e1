//! The attempts of a job: launched, what they told, how they ended. For people; nothing is decided by it.
//!
//! A ledger keeps a bounded number of attempts, in chunks that snapshots share: an attempt that changes costs the copy of its
//! chunk, never of the job.

mod closing;
mod spread;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hearth_common::{AttemptDetails, AttemptId, AttemptMetrics, AttemptOutcome, FailureCause, StageId, WorkerId};

pub(crate) use spread::spread_of;

/// Attempts that are kept of a job that has not ended; beyond it, new ones take the places of old ones that ended well.
const KEPT_MAX: usize = 12_000;
/// Attempts in a chunk.
const CHUNK: usize = 64;
/// Places that are looked at for one that may be taken.
const LOOKS_MAX: usize = 256;
/// Longest text of a failure, in bytes.
const FAILURE_BYTES_MAX: usize = 600;

/// Which attempt of a job: its stage, its partition, its number.
type Key = (StageId, u32, u32);

/// The attempts of a job at one moment. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempts {
    chunks: Vec<Arc<Vec<AttemptDetails>>>,
    /// Attempts that are not here any more.
    pub left_out: u64,
}

/// The attempts of a job, and which of them run.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    attempts: Attempts,
    places: BTreeMap<Key, usize>,
    running: BTreeSet<Key>,
    /// Where the search for a place to take goes on.
    hand: usize,
    /// The last attempt that failed, with the name of the cause.
    last_failed: Option<(Key, &'static str)>,
}

/// Rows and bytes that were read since the last time something was told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Flow {
    /// Rows of input splits and shuffle outputs.
    pub rows: u64,
    /// Bytes of input splits and shuffle outputs.
    pub bytes: u64,
    /// Bytes spilled.
    pub spilled_bytes: u64,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End<'a> {
    /// It ended well.
    Done,
    /// It failed.
    Failed(&'a FailureCause),
    /// It was stopped.
    Cancelled,
}

impl Attempts {
    /// Every attempt, in the order of their places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &AttemptDetails> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// Number of attempts.
    pub(crate) fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    /// Attempts as they were told by somebody.
    pub(crate) fn of(attempts: &[AttemptDetails], left_out: u64) -> Self {
        let chunks = attempts.chunks(CHUNK).map(|chunk| Arc::new(chunk.to_vec())).collect();
        Self { chunks, left_out }
    }

    /// Attempts that are not the same as they were before.
    pub(crate) fn changed_since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a AttemptDetails> {
        self.chunks.iter().enumerate().flat_map(move |(index, chunk)| {
            let old = before.chunks.get(index);
            let looked_at = if old.is_some_and(|old| Arc::ptr_eq(old, chunk)) { 0 } else { chunk.len() };
            let changed = move |at: &usize| old.and_then(|old| old.get(*at)) != chunk.get(*at);
            (0..looked_at).filter(changed).filter_map(move |at| chunk.get(at))
        })
    }

    fn get(&self, place: usize) -> Option<&AttemptDetails> {
        self.chunks.get(place / CHUNK)?.get(place % CHUNK)
    }

    fn get_mut(&mut self, place: usize) -> Option<&mut AttemptDetails> {
        Arc::make_mut(self.chunks.get_mut(place / CHUNK)?).get_mut(place % CHUNK)
    }

    fn push(&mut self, attempt: AttemptDetails) -> usize {
        let place = self.len();
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => Arc::make_mut(last).push(attempt),
            Some(_) | None => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(attempt);
                self.chunks.push(Arc::new(chunk));
            }
        }
        place
    }
}

impl Ledger {
    /// The attempts now.
    pub(crate) fn attempts(&self) -> Attempts {
        self.attempts.clone()
    }

    /// An attempt is sent to a worker. `beside` are the attempts of its task that still run.
    pub(crate) fn note_launch(&mut self, (id, worker): (AttemptId, WorkerId), beside: &[AttemptId], now_ms: u64) {
        let task = (id.task.stage, id.task.partition);
        let earlier: Vec<usize> =
            self.places.range((task.0, task.1, 0)..(task.0, task.1, id.attempt)).map(|(_, place)| *place).collect();
        for place in earlier {
            let Some(old) = self.attempts.get(place) else { continue };
            let runs_on = beside.iter().any(|other| other.attempt == old.attempt);
            match old.outcome {
                AttemptOutcome::Done => self.settle(place, AttemptOutcome::Repeated, now_ms),
                AttemptOutcome::Running if !runs_on => self.settle(place, AttemptOutcome::Lost, now_ms),
                AttemptOutcome::Running
                | AttemptOutcome::Repeated
                | AttemptOutcome::Failed
                | AttemptOutcome::Cancelled
                | AttemptOutcome::Lost => {}
            }
        }
        let is_second = beside.iter().any(|other| other.attempt < id.attempt);
        self.insert((id, worker), is_second, now_ms);
    }

    /// What a running attempt has told, and what of it is new. An attempt that nobody knew of began before the master did.
    pub(crate) fn note_progress(
        &mut self,
        (id, worker): (AttemptId, WorkerId),
        metrics: AttemptMetrics,
        now_ms: u64,
    ) -> Flow {
        let place = match self.places.get(&key_of(id)) {
            Some(place) => *place,
            None => self.insert((id, worker), false, now_ms.saturating_sub(metrics.elapsed_ms)),
        };
        let Some(attempt) = self.attempts.get_mut(place) else { return Flow::default() };
        let before = Flow::of(attempt);
        attempt.metrics = metrics;
        Flow::of(attempt).since(before)
    }

    /// An attempt ended; told twice, the first time counts.
    pub(crate) fn note_end(&mut self, id: AttemptId, end: End<'_>, now_ms: u64) {
        let key = key_of(id);
        if !self.running.contains(&key) {
            return;
        }
        let Some(place) = self.places.get(&key).copied() else { return };
        let (outcome, failure) = match end {
            End::Done => (AttemptOutcome::Done, None),
            End::Failed(cause) => {
                self.last_failed = Some((key, cause.name()));
                let outcome = if cause.is_loss() { AttemptOutcome::Lost } else { AttemptOutcome::Failed };
                (outcome, Some((cause.name().to_owned(), cut(cause.to_string()))))
            }
            End::Cancelled => (AttemptOutcome::Cancelled, None),
        };
        self.settle(place, outcome, now_ms);
        if let Some(attempt) = self.attempts.get_mut(place) {
            attempt.failure = failure;
        }
    }

    /// A worker is gone, and what ran on it. Answers whether something did.
    pub(crate) fn note_worker_gone(&mut self, worker: WorkerId, now_ms: u64) -> bool {
        let running = self.running.iter().filter_map(|key| self.places.get(key).copied());
        let on_it = |place: &usize| self.attempts.get(*place).is_some_and(|attempt| attempt.worker == worker);
        let gone: Vec<usize> = running.filter(on_it).collect();
        gone.iter().for_each(|place| self.settle(*place, AttemptOutcome::Lost, now_ms));
        !gone.is_empty()
    }

    fn insert(&mut self, (id, worker): (AttemptId, WorkerId), second: bool, launched_ms: u64) -> usize {
        let key = key_of(id);
        let attempt = AttemptDetails {
            stage: id.task.stage,
            partition: id.task.partition,
            attempt: id.attempt,
            worker,
            second,
            launched_ms,
            ended_ms: None,
            outcome: AttemptOutcome::Running,
            failure: None,
            metrics: AttemptMetrics::default(),
        };
        let place = match self.place_to_take() {
            Some(place) => {
                if let Some(old) = self.attempts.get_mut(place) {
                    self.places.remove(&(old.stage, old.partition, old.attempt));
                    *old = attempt;
                }
                self.attempts.left_out += 1;
                place
            }
            None => self.attempts.push(attempt),
        };
        self.places.insert(key, place);
        self.running.insert(key);
        place
    }

    /// `None` while there is room. What ended well and alone goes first; otherwise whatever does not run.
    fn place_to_take(&mut self) -> Option<usize> {
        let len = self.attempts.len();
        if len < KEPT_MAX {
            return None;
        }
        let mut ended = None;
        for step in 0..LOOKS_MAX {
            let place = (self.hand + step) % len;
            let Some(attempt) = self.attempts.get(place) else { continue };
            if attempt.outcome == AttemptOutcome::Done && !attempt.second {
                self.hand = place + 1;
                return Some(place);
            }
            if attempt.outcome != AttemptOutcome::Running {
                ended = Some(place);
            }
        }
        self.hand = (self.hand + LOOKS_MAX) % len;
        ended
    }

    fn settle(&mut self, place: usize, outcome: AttemptOutcome, now_ms: u64) {
        if let Some(attempt) = self.attempts.get_mut(place) {
            attempt.outcome = outcome;
            attempt.ended_ms.get_or_insert(now_ms);
            self.running.remove(&(attempt.stage, attempt.partition, attempt.attempt));
        }
    }
}

impl Flow {
    const fn of(attempt: &AttemptDetails) -> Self {
        Self { rows: attempt.read_rows(), bytes: attempt.read_bytes(), spilled_bytes: attempt.metrics.spilled_bytes }
    }

    const fn since(self, before: Self) -> Self {
        Self {
            rows: self.rows.saturating_sub(before.rows),
            bytes: self.bytes.saturating_sub(before.bytes),
            spilled_bytes: self.spilled_bytes.saturating_sub(before.spilled_bytes),
        }
    }

    /// Adds what came after.
    pub(crate) const fn add(&mut self, other: Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.spilled_bytes = self.spilled_bytes.saturating_add(other.spilled_bytes);
    }
}

const fn key_of(id: AttemptId) -> Key {
    (id.task.stage, id.task.partition, id.attempt)
}

fn cut(mut text: String) -> String {
    if text.len() > FAILURE_BYTES_MAX {
        text.truncate(text.floor_char_boundary(FAILURE_BYTES_MAX));
        text.push_str(" ...");
    }
    text
}

#[cfg(test)]
mod tests;
