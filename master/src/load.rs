//! The last hour of a worker or the cluster, one sample every ten seconds, for small charts. For people; nothing is decided by it.

pub(crate) mod kept;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ledger::Flow;

/// Time between two samples.
pub(crate) const SAMPLE_EVERY: Duration = Duration::from_secs(10);
/// Samples that are kept: an hour.
const SAMPLES_MAX: usize = 360;
/// How old they get, in milliseconds. While no master ran there are none, so that fewer of them are as old.
const AGE_MS_MAX: u64 = 3_600_000;

/// Ten seconds of a worker or the cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "[u64; 7]", from = "[u64; 7]")]
pub(crate) struct Sample {
    /// Their end, in milliseconds since 1970.
    pub at_ms: u64,
    /// Slots.
    pub slots: u32,
    /// Most slots in use at once.
    pub slots_used: u32,
    /// Most memory that attempts had reserved, in bytes.
    pub memory_bytes_used: u64,
    /// What attempts read and spilled.
    pub flow: Flow,
}

/// Samples, and the one that is being taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct Load {
    samples: Arc<VecDeque<Sample>>,
    current: Sample,
    /// What attempts read and spilled since the beginning.
    total: Flow,
}

/// The samples of a [`Load`], oldest first. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hour {
    /// The samples.
    pub samples: Arc<VecDeque<Sample>>,
    /// What attempts read and spilled since the beginning.
    pub total: Flow,
}

/// The fields in their order, which is short.
impl From<Sample> for [u64; 7] {
    fn from(sample: Sample) -> Self {
        let Sample { at_ms, slots, slots_used, memory_bytes_used, flow } = sample;
        let Flow { rows, bytes, spilled_bytes } = flow;
        [at_ms, slots.into(), slots_used.into(), memory_bytes_used, rows, bytes, spilled_bytes]
    }
}

impl From<[u64; 7]> for Sample {
    fn from([at_ms, slots, slots_used, memory_bytes_used, rows, bytes, spilled_bytes]: [u64; 7]) -> Self {
        let count = |slots: u64| u32::try_from(slots).unwrap_or(u32::MAX);
        let flow = Flow { rows, bytes, spilled_bytes };
        Self { at_ms, slots: count(slots), slots_used: count(slots_used), memory_bytes_used, flow }
    }
}

impl Load {
    /// Goes on after the samples of the master before, of which those count that are of the hour before `now_ms`.
    pub(crate) fn resumed(samples: impl IntoIterator<Item = Sample>, now_ms: u64) -> Self {
        let mut kept: VecDeque<Sample> = VecDeque::new();
        for sample in
            samples.into_iter().filter(|sample| (now_ms.saturating_sub(AGE_MS_MAX)..now_ms).contains(&sample.at_ms))
        {
            // A clock may have been put back.
            if kept.back().is_none_or(|last| last.at_ms < sample.at_ms) && kept.len() < SAMPLES_MAX {
                kept.push_back(sample);
            }
        }
        Self { samples: Arc::new(kept), ..Self::default() }
    }

    /// Attempts read something.
    pub(crate) const fn note_flow(&mut self, flow: Flow) {
        self.current.flow.add(flow);
        self.total.add(flow);
    }

    /// What is in use now. The most of an interval counts, so that short attempts show.
    pub(crate) fn note_use(&mut self, slots: u32, slots_used: u32, memory_bytes_used: u64) {
        self.current.slots = slots;
        self.current.slots_used = self.current.slots_used.max(slots_used);
        self.current.memory_bytes_used = self.current.memory_bytes_used.max(memory_bytes_used);
    }

    /// Ends a sample and begins the next.
    pub(crate) fn sample(&mut self, at_ms: u64) {
        let samples = Arc::make_mut(&mut self.samples);
        let is_old = |sample: &Sample| sample.at_ms < at_ms.saturating_sub(AGE_MS_MAX);
        while samples.len() >= SAMPLES_MAX || samples.front().is_some_and(is_old) {
            samples.pop_front();
        }
        samples.push_back(Sample { at_ms, ..self.current });
        self.current = Sample { slots: self.current.slots, ..Sample::default() };
    }

    /// The last hour.
    pub(crate) fn hour(&self) -> Hour {
        Hour { samples: Arc::clone(&self.samples), total: self.total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_kept_and_peaks_show() {
        let mut load = Load::default();
        let flow = Flow { rows: 5, bytes: 50, spilled_bytes: 1 };
        load.note_use(4, 3, 100);
        load.note_use(4, 1, 20);
        load.note_flow(flow);
        load.note_flow(flow);
        load.sample(10_000);
        load.note_use(4, 0, 7);
        load.sample(20_000);
        let hour = load.hour();
        assert_eq!((hour.samples[0].slots_used, hour.samples[0].memory_bytes_used), (3, 100));
        assert_eq!((hour.samples[0].flow.rows, hour.total.bytes), (10, 100));
        assert_eq!((hour.samples[1].slots_used, hour.samples[1].flow), (0, Flow::default()));
        (3..1000).for_each(|at| load.sample(at * 10_000));
        assert_eq!(load.hour().samples.len(), SAMPLES_MAX);
        assert_eq!(load.hour().samples[0].at_ms, (1000 - SAMPLES_MAX as u64) * 10_000);
        assert_eq!(hour.samples.len(), 2, "what was given out does not change");
    }

    #[test]
    fn samples_of_the_master_before_grow_old() {
        let sample = |at_ms: u64| Sample { at_ms, ..Sample::default() };
        let now = 2 * AGE_MS_MAX;
        let before = [1, now - AGE_MS_MAX + 5_000, now - 60_000, now - 70_000, now - 50_000, now + 10_000].map(sample);
        let mut load = Load::resumed(before, now);
        let times = |load: &Load| load.hour().samples.iter().map(|sample| sample.at_ms).collect::<Vec<_>>();
        assert_eq!(times(&load), [now - AGE_MS_MAX + 5_000, now - 60_000, now - 50_000]);
        load.sample(now + 10_000);
        assert_eq!(times(&load), [now - 60_000, now - 50_000, now + 10_000], "the gap stays, and what is old goes");
        assert_eq!(load.hour().total, Flow::default());
    }
}
