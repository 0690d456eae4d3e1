//! The last hour of a worker or the cluster, one sample every ten seconds, for small charts. For people; nothing is decided by it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::ledger::Flow;

/// Time between two samples.
pub(crate) const SAMPLE_EVERY: Duration = Duration::from_secs(10);
/// Samples that are kept: an hour.
const SAMPLES_MAX: usize = 360;

/// Ten seconds of a worker or the cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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

impl Load {
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
        if samples.len() == SAMPLES_MAX {
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
}
