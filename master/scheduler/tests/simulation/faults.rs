//! What goes wrong in the cluster, and the end of it.

use hearth_common::AttemptId;

use crate::cluster::{Happening, OnHost};
use crate::world::World;

impl World {
    /// Lets one thing go wrong on some host, and plans the next.
    pub(crate) fn cause_fault(&mut self) {
        if self.now >= self.faults_until {
            return;
        }
        let wait = self.rng.between(200, 6_000);
        self.at(self.now + wait, Happening::Fault);
        let host = self.rng.between(0, self.hosts.len() as u64 - 1) as usize;
        let now = self.now;
        match self.rng.between(0, 99) {
            0..=14 => self.end_life(host),
            15..=27 => self.hosts[host].hung_until = now + self.rng.between(500, 30_000),
            28..=42 => self.reconnect_later(host),
            43..=51 => self.cut_off(host),
            52..=64 => self.lose_output(host),
            65..=69 => self.hosts[host].sick_until = now + self.rng.between(5_000, 40_000),
            70..=72 => self.cut_readers(host),
            73..=75 => self.hosts[host].unreadable_until = now + self.rng.between(500, 8_000),
            76..=78 => self.hosts[host].silent_until = now + self.rng.between(1_000, 60_000),
            79..=92 => self.stall_store(),
            _ => self.drain(host),
        }
    }

    /// Breaks the connection of a host; its worker comes back soon.
    fn reconnect_later(&mut self, host: usize) {
        self.break_link(host);
        let wait = self.rng.between(1, 5_000);
        self.connect_at(host, self.now + wait);
    }

    /// Breaks the connection of a host for so long that a lease may end.
    fn cut_off(&mut self, host: usize) {
        self.hosts[host].cut_off_until = self.now + self.rng.between(1_000, 25_000);
        self.break_link(host);
        self.connect_at(host, self.hosts[host].cut_off_until);
    }

    /// Cuts the way by which a host reads from another one, in one direction or in both, for a while or for good.
    fn cut_readers(&mut self, host: usize) {
        let other = (host + self.rng.between(1, self.hosts.len() as u64 - 1) as usize) % self.hosts.len();
        let is_for_good = self.rng.percent(40);
        let until = if is_for_good { u64::MAX } else { self.now + self.rng.between(1_000, 60_000) };
        self.hosts[host].cut_from.insert(other, until);
        if self.rng.percent(60) {
            self.hosts[other].cut_from.insert(host, until);
        }
    }

    pub(crate) fn connect_at(&mut self, host: usize, time: u64) {
        let worker = self.hosts[host].life.as_ref().filter(|life| life.link.is_none()).map(|life| life.worker);
        if let Some(worker) = worker {
            self.at(time, Happening::OnHost { host, what: OnHost::Connect(worker) });
        }
    }

    /// Where second attempts were lost, nobody is bound to try again: the first one ends after all.
    pub(crate) fn wake_stragglers(&mut self) {
        let lives = self.hosts.iter().enumerate().filter_map(|(host, at)| Some((host, at.life.as_ref()?)));
        let running =
            lives.flat_map(|(host, life)| life.running.keys().map(move |attempt| (host, life.worker, *attempt)));
        let is_beyond_help = |attempt: &AttemptId| {
            let was_helped = self.oracle.was_launched(AttemptId { attempt: 1, ..*attempt });
            self.is_straggler(*attempt) && (was_helped || self.is_cut_for_good())
        };
        let woken: Vec<_> = running.filter(|(_, _, attempt)| is_beyond_help(attempt)).collect();
        for (host, worker, attempt) in woken {
            self.at(self.now + 1_000, Happening::OnHost { host, what: OnHost::End(worker, attempt) });
        }
    }

    /// Some worker may be the only one that reaches what a task reads: nobody else can help it there.
    pub(crate) fn is_cut_for_good(&self) -> bool {
        self.hosts.iter().any(|host| host.cut_from.values().any(|until| *until == u64::MAX))
    }

    fn lose_output(&mut self, host: usize) {
        let Some(life) = self.hosts[host].life.as_mut() else { return };
        let outputs: Vec<_> = life.outputs.keys().copied().collect();
        if let Some(attempt) = self.rng.pick(&outputs) {
            life.outputs.remove(attempt);
        }
    }

    pub(crate) fn end_faults(&mut self) {
        for host in &mut self.hosts {
            host.hung_until = host.hung_until.min(self.now);
            host.sick_until = host.sick_until.min(self.now);
            host.unreadable_until = host.unreadable_until.min(self.now);
            host.silent_until = host.silent_until.min(self.now);
            host.cut_off_until = host.cut_off_until.min(self.now);
            // What is cut for good stays so: jobs get along.
            host.cut_from.retain(|_, until| *until == u64::MAX);
        }
        self.wake_stragglers();
    }
}
