//! Holds what the outside would see until the facts behind it are stored. Knows batches and their order, and nothing of what is in them.

use std::collections::VecDeque;

/// Whether some facts wait to be given to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Facts {
    /// Some are new since the last batch was begun.
    New,
    /// All were given to the store.
    Given,
}

/// Things that wait for batches, in the order in which they were held.
#[derive(Debug)]
pub(super) struct Gate<T> {
    /// Batches that were begun; at most the last one is not stored.
    begun: u64,
    is_writing: bool,
    /// With the number of batches that must be stored before.
    held: VecDeque<(u64, T)>,
}

impl<T> Default for Gate<T> {
    fn default() -> Self {
        Self { begun: 0, is_writing: false, held: VecDeque::new() }
    }
}

impl<T> Gate<T> {
    /// Holds a thing, or gives it back where nothing is left to be stored. It never overtakes one that was held before.
    pub(super) fn hold(&mut self, facts: Facts, thing: T) -> Option<T> {
        let needs = match facts {
            Facts::New => self.begun + 1,
            Facts::Given => self.begun.max(self.held.back().map_or(0, |(needs, _)| *needs)),
        };
        if needs <= self.stored() {
            return Some(thing);
        }
        self.held.push_back((needs, thing));
        None
    }

    fn stored(&self) -> u64 {
        self.begun - u64::from(self.is_writing)
    }

    /// A batch is under way. The next one waits for its end.
    pub(super) const fn is_writing(&self) -> bool {
        self.is_writing
    }

    /// The store was given all new facts.
    pub(super) const fn begin(&mut self) {
        self.begun += 1;
        self.is_writing = true;
    }

    /// They are on the disk.
    pub(super) const fn end(&mut self) {
        self.is_writing = false;
    }

    /// The next thing that waits for nothing any more.
    pub(super) fn release(&mut self) -> Option<T> {
        let is_free = self.held.front().is_some_and(|(needs, _)| *needs <= self.stored());
        if is_free { self.held.pop_front().map(|(_, thing)| thing) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn released(gate: &mut Gate<u32>) -> Vec<u32> {
        std::iter::from_fn(|| gate.release()).collect()
    }

    #[test]
    fn nothing_is_held_when_all_is_stored() {
        let mut gate = Gate::default();
        assert_eq!(gate.hold(Facts::Given, 1), Some(1));
    }

    #[test]
    fn a_thing_waits_for_the_facts_of_its_time_and_no_later_ones() {
        let mut gate = Gate::default();
        assert_eq!(gate.hold(Facts::New, 1), None);
        assert_eq!(released(&mut gate), [0; 0], "they were not even given to the store");
        gate.begin();
        assert_eq!(gate.hold(Facts::Given, 2), None, "what it stands on is under way");
        assert_eq!(gate.hold(Facts::New, 3), None);
        assert_eq!(released(&mut gate), [0; 0]);
        gate.end();
        assert_eq!(released(&mut gate), [1, 2]);
        gate.begin();
        assert_eq!(released(&mut gate), [0; 0]);
        gate.end();
        assert_eq!(released(&mut gate), [3]);
        assert_eq!(gate.hold(Facts::Given, 4), Some(4));
    }

    #[test]
    fn the_order_is_kept() {
        let mut gate = Gate::default();
        let mut out = Vec::new();
        for number in 0..100 {
            let facts = if number % 3 == 0 { Facts::New } else { Facts::Given };
            out.extend(gate.hold(facts, number));
            match number % 7 {
                0 if !gate.is_writing() => gate.begin(),
                4 if gate.is_writing() => gate.end(),
                _ => {}
            }
            out.extend(released(&mut gate));
        }
        if gate.is_writing() {
            gate.end();
        }
        gate.begin();
        gate.end();
        out.extend(released(&mut gate));
        assert!(out.len() == 100 && out.is_sorted(), "{out:?}");
    }
}
