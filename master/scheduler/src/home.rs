//! Where waiting tasks would rather run: on the hosts that hold what they read. Knows hosts and tasks, nothing of slots.
//!
//! A free slot on such a host is always taken first. Where there is none, but one elsewhere, a stage waits once, for a short
//! time, that slots on its hosts become free: in return for a read over the network that never happens. A task none of
//! whose hosts has a usable worker waits for nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::mutation::Mutation;
use crate::stage::Urgency;

/// Bytes of a task's input splits on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostBytes {
    /// Name or address of the host, as one of its workers gives it.
    pub host: String,
    /// How much of what the task reads lies there.
    pub bytes: u64,
}

/// Hosts that a task may prefer.
pub(crate) const HOSTS_PER_TASK_MAX: usize = 3;
/// Names and addresses that a worker may have.
pub(crate) const NAMES_PER_WORKER_MAX: usize = 8;

/// A host's name in the form in which names are compared.
pub(crate) type HostName = Arc<str>;

pub(crate) fn host_name(text: &str) -> HostName {
    text.trim().trim_end_matches('.').to_ascii_lowercase().into()
}

/// The names of a worker that count.
pub(crate) fn host_names(names: &[String]) -> Vec<HostName> {
    let mut names: Vec<_> = names.iter().take(NAMES_PER_WORKER_MAX).map(|name| host_name(name)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Whether the tasks of a stage wait for slots on their hosts while others are free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// No slot elsewhere was left free yet.
    Fresh,
    /// They wait until then.
    Until(Millis),
    /// They have waited.
    Over,
}

/// The hosts that the tasks of a stage prefer, and the waiting ones among these tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Homes {
    /// Every host that a task prefers, sorted.
    hosts: Vec<HostName>,
    /// By task: its hosts.
    of_task: Vec<Vec<usize>>,
    live: BTreeSet<usize>,
    waiting: BTreeSet<(Urgency, u32)>,
    /// The waiting ones, under each of their hosts.
    at: BTreeMap<usize, BTreeSet<(Urgency, u32)>>,
    /// The waiting ones none of whose hosts has a usable worker.
    away: BTreeSet<(Urgency, u32)>,
    pub(crate) patience: Patience,
}

impl Homes {
    pub(crate) fn new(spec: &[Vec<HostBytes>]) -> Self {
        let preferred: Vec<Vec<HostName>> = spec.iter().map(|hosts| choose_hosts(hosts)).collect();
        let mut hosts: Vec<_> = preferred.iter().flatten().cloned().collect();
        hosts.sort_unstable();
        hosts.dedup();
        let index = |names: &Vec<HostName>| names.iter().filter_map(|name| hosts.binary_search(name).ok()).collect();
        let of_task = preferred.iter().map(index).collect();
        Self {
            hosts,
            of_task,
            live: BTreeSet::new(),
            waiting: BTreeSet::new(),
            at: BTreeMap::new(),
            away: BTreeSet::new(),
            patience: Patience::Fresh,
        }
    }

    fn hosts_of(&self, task: u32) -> &[usize] {
        self.of_task.get(task as usize).map_or(&[], Vec::as_slice)
    }

    /// The task prefers some host.
    pub(crate) fn has(&self, task: u32) -> bool {
        !self.hosts_of(task).is_empty()
    }

    /// The hosts that the task prefers.
    pub(crate) fn names_of(&self, task: u32) -> impl Iterator<Item = &HostName> {
        self.hosts_of(task).iter().filter_map(|host| self.hosts.get(*host))
    }

    pub(crate) fn hosts(&self) -> &[HostName] {
        &self.hosts
    }

    /// A task that prefers some host waits now.
    pub(crate) fn enter(&mut self, urgency: Urgency, task: u32) {
        let hosts = self.hosts_of(task).to_vec();
        if !hosts.iter().any(|host| self.live.contains(host)) {
            self.away.insert((urgency, task));
        }
        for host in hosts {
            self.at.entry(host).or_default().insert((urgency, task));
        }
        self.waiting.insert((urgency, task));
    }

    /// It does not any more.
    pub(crate) fn leave(&mut self, urgency: Urgency, task: u32) {
        for host in self.hosts_of(task).to_vec() {
            if let Some(tasks) = self.at.get_mut(&host) {
                tasks.remove(&(urgency, task));
                if tasks.is_empty() {
                    self.at.remove(&host);
                }
            }
        }
        self.away.remove(&(urgency, task));
        self.waiting.remove(&(urgency, task));
    }

    /// A host has a usable worker now, or none any more. Looks at the tasks that wait for it.
    pub(crate) fn set_live(&mut self, name: &HostName, is_live: Liveness, mutation: Option<Mutation>) {
        let Ok(host) = self.hosts.binary_search(name) else { return };
        let is_changed = match is_live {
            Liveness::Live => self.live.insert(host),
            Liveness::Dead if mutation == Some(Mutation::WaitForDeadHosts) => false,
            Liveness::Dead => self.live.remove(&host),
        };
        if !is_changed {
            return;
        }
        for &(urgency, task) in self.at.get(&host).into_iter().flatten() {
            let hosts = self.of_task.get(task as usize).map_or(&[][..], Vec::as_slice);
            if hosts.iter().any(|host| self.live.contains(host)) {
                self.away.remove(&(urgency, task));
            } else {
                self.away.insert((urgency, task));
            }
        }
    }

    /// The waiting tasks, those with a usable worker on one of their hosts and others.
    pub(crate) const fn waiting(&self) -> &BTreeSet<(Urgency, u32)> {
        &self.waiting
    }

    /// The waiting task that runs first on that host.
    pub(crate) fn first_at(&self, name: &HostName) -> Option<(Urgency, u32)> {
        self.at.get(&self.hosts.binary_search(name).ok()?)?.first().copied()
    }

    /// Hosts for which a task waits.
    pub(crate) fn awaited(&self) -> impl ExactSizeIterator<Item = usize> {
        self.at.keys().copied()
    }

    pub(crate) fn name(&self, host: usize) -> Option<&HostName> {
        self.hosts.get(host)
    }

    /// The waiting task that runs first, if it does not matter where.
    pub(crate) fn first_anywhere(&self, mutation: Option<Mutation>) -> Option<(Urgency, u32)> {
        let is_over = self.patience == Patience::Over || mutation == Some(Mutation::IgnoreLocality);
        if is_over { &self.waiting } else { &self.away }.first().copied()
    }

    /// Compares the indexes with a recount; for tests.
    pub(crate) fn check(&self, is_live: impl Fn(&HostName) -> bool) -> Result<(), String> {
        let live: BTreeSet<_> =
            (0..).zip(&self.hosts).filter(|(_, name)| is_live(name)).map(|(host, _)| host).collect();
        let is_away = |task: u32| !self.hosts_of(task).iter().any(|host| live.contains(host));
        let away: BTreeSet<_> = self.waiting.iter().filter(|(_, task)| is_away(*task)).copied().collect();
        let mut at: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (urgency, task) in &self.waiting {
            for host in self.hosts_of(*task) {
                at.entry(*host).or_default().insert((*urgency, *task));
            }
        }
        if (&live, &away, &at) == (&self.live, &self.away, &self.at) {
            return Ok(());
        }
        Err(format!("expected live {live:?}, away {away:?}, waiting {at:?}; found {self:?}"))
    }
}

/// Whether a host has a worker that takes attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    Live,
    Dead,
}

impl Liveness {
    pub(crate) const fn of(is_live: bool) -> Self {
        if is_live { Self::Live } else { Self::Dead }
    }
}

/// The hosts that hold at least half of what the best one holds: for less, no task waits.
fn choose_hosts(hosts: &[HostBytes]) -> Vec<HostName> {
    let best = hosts.iter().map(|host| host.bytes).max().unwrap_or_default();
    let is_good = |host: &&HostBytes| host.bytes > 0 && host.bytes >= best / 2;
    let mut names: Vec<_> = hosts.iter().filter(is_good).map(|host| host_name(&host.host)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(list: &[(&str, u64)]) -> Vec<HostBytes> {
        list.iter().map(|(host, bytes)| HostBytes { host: (*host).to_owned(), bytes: *bytes }).collect()
    }

    #[test]
    fn names_are_compared_without_case_and_final_dot() {
        assert_eq!(host_name(" Node1.Example.ORG. "), host_name("node1.example.org"));
        assert_eq!(host_names(&["B".to_owned(), "a".to_owned(), "b".to_owned()]), [host_name("a"), host_name("b")]);
    }

    #[test]
    fn hosts_with_little_do_not_count() {
        let chosen = choose_hosts(&hosts(&[("a", 100), ("b", 50), ("c", 49), ("d", 0)]));
        assert_eq!(chosen, [host_name("a"), host_name("b")]);
        assert_eq!(choose_hosts(&hosts(&[("a", 0)])), []);
    }
}
