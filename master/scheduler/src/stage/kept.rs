//! Which facts about a stage and its tasks changed since they were last taken, and how kept ones come back.

use std::collections::BTreeSet;

use super::{Stage, Urgency};
use crate::durations::Durations;
use crate::facts::{KeptState, TaskFacts};
use crate::mutation::Mutation;
use crate::task::History;

impl Stage {
    /// Whether facts about it changed since this was asked, and about which of its tasks.
    pub(crate) fn take_unsaved(&mut self) -> (bool, BTreeSet<u32>) {
        (std::mem::take(&mut self.is_unsaved), std::mem::take(&mut self.unsaved))
    }

    /// Something was found out about a link: about its task there are new facts.
    pub(crate) fn note_link(&mut self, link: u32) {
        if let Some(facts) = self.chains.get(link) {
            self.unsaved.insert(facts.link.task);
        }
    }

    /// Something was entered into the history of a task whose state stays.
    pub(crate) fn note_history(&mut self, partition: u32) {
        self.unsaved.insert(partition);
    }

    /// How long its attempts took until now.
    pub(crate) fn restore_durations(&mut self, durations: Durations) {
        self.durations = durations;
    }

    /// Changes whether an attempt was launched, and whether an output that was read is lost.
    pub(crate) fn note_version(&mut self, has_begun: bool, has_lost_version: bool) {
        self.is_unsaved |= (has_begun, has_lost_version) != (self.has_begun, self.has_lost_version);
        self.has_begun = has_begun;
        self.has_lost_version = has_lost_version;
    }

    /// Takes over what a task went through. It waits until its state is set; a claim is entered already.
    pub(crate) fn restore_task(&mut self, partition: u32, facts: TaskFacts, mutation: Option<Mutation>) {
        if self.task(partition).is_none() {
            return;
        }
        self.unlist_waiting(Urgency::First, partition);
        let TaskFacts { attempts, seconds, state, last_winner, mut history, links } = facts;
        if mutation == Some(Mutation::ForgetRestoredHistory) {
            history = History::default();
        }
        if let Some(task) = self.task_mut(partition) {
            task.restore((attempts, seconds), last_winner, history);
        }
        if mutation != Some(Mutation::ForgetRestoredLinks) {
            self.chains.restore(partition, links);
        }
        if let KeptState::Unproved { claim, .. } = state {
            self.claims.enter(partition, claim);
        }
        let urgency = if last_winner.is_some() { Urgency::Again } else { Urgency::First };
        self.list_waiting(urgency, partition);
    }
}
