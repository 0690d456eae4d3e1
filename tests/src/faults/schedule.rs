//! What goes wrong with a cluster while a job runs, and when: drawn from a seed, so that a run can be repeated.

use std::fmt;
use std::time::Duration;

use super::proxy::{Way, Weather};
use crate::dice::Dice;
use crate::strikes::{self, Lasts};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A worker gets SIGKILL; after a while another one comes.
    KillWorker(u8),
    /// A worker gets SIGSTOP, and goes on after a while.
    StopWorker(u8),
    /// A worker runs for 5 % of the time.
    SlowWorker(u8),
    /// The disk of a worker is full.
    FillDisk(u8),
    /// The master gets SIGKILL, and starts again after a while.
    KillMaster,
    /// The network between a worker and the master is bad.
    Network(u8, Weather),
    /// No other worker reaches the shuffle outputs of a worker.
    HideOutputs(u8),
    /// All connections of a worker break once.
    BreakConnections(u8),
    /// They break for the worker, and the master hears of it, and of the last that was sent, when the worker is back.
    StrandConnections(u8),
}

/// How far the job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// So many percent of all its tasks are done.
    Done(u8),
    /// The master commits.
    Commit,
}

/// A fault of these, at one of these moments.
pub type Planned = strikes::Planned<Fault, Moment>;

/// All that goes wrong during one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What it was drawn from.
    pub seed: u64,
    /// How many workers there are.
    pub workers: u8,
    /// In this order.
    pub faults: Vec<Planned>,
}

/// A lease, and what is lost of it on the way.
const LEASE: Duration = Duration::from_secs(11);

impl Schedule {
    /// The schedule of a seed. Every other one has one fault, so that it can be told what that costs.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut dice = Dice::of(seed);
        let workers = 2 + dice.small(2);
        let count = if seed.is_multiple_of(2) { 1 } else { 2 + dice.roll(3) };
        let mut faults: Vec<Planned> = (0..count).map(|_| planned(&mut dice, workers)).collect();
        // Cut for longer than most jobs take, from the beginning or later.
        let hide = |dice: &mut Dice| {
            let moment = Moment::Done(dice.small(80));
            let (worker, lasts) = (dice.small(workers), Lasts::For(Duration::from_millis(2_000 + dice.roll(20_000))));
            Planned { moment, delay: Duration::ZERO, fault: Fault::HideOutputs(worker), lasts }
        };
        match seed % 10 {
            8 => faults = vec![hide(&mut dice)],
            3 => faults.extend([hide(&mut dice), hide(&mut dice)]),
            _ => {}
        }
        faults.sort_by_key(|planned| planned.moment);
        Self { seed, workers, faults }
    }

    /// Nothing goes wrong.
    #[must_use]
    pub const fn without_faults(workers: u8) -> Self {
        Self { seed: 0, workers, faults: Vec::new() }
    }

    /// How many workers it takes away from the tasks that run there, at most.
    #[must_use]
    pub fn losses(&self) -> usize {
        let loses = |planned: &&Planned| match planned.fault {
            Fault::KillWorker(_) => true,
            Fault::StopWorker(_) | Fault::Network(_, Weather::Cut | Weather::Still(_)) => {
                planned.lasts.is_longer_than(LEASE)
            }
            // A worker that hears of its master once in a while may be late.
            Fault::SlowWorker(_) => true,
            Fault::Network(_, Weather::Fair | Weather::Late(_))
            | Fault::HideOutputs(_)
            | Fault::FillDisk(_)
            | Fault::KillMaster
            | Fault::BreakConnections(_)
            | Fault::StrandConnections(_) => false,
        };
        self.faults.iter().filter(loses).count()
    }
}

fn planned(dice: &mut Dice, workers: u8) -> Planned {
    let moment = if dice.roll(8) == 0 { Moment::Commit } else { Moment::Done(dice.small(100)) };
    let worker = dice.small(workers);
    let fault = match dice.roll(16) {
        0..=2 => Fault::KillWorker(worker),
        3..=4 => Fault::StopWorker(worker),
        5 => Fault::SlowWorker(worker),
        6..=7 => Fault::FillDisk(worker),
        8..=10 => Fault::KillMaster,
        11 => Fault::Network(worker, Weather::Cut),
        12 => Fault::Network(worker, Weather::Late(20 + 10 * u16::from(dice.small(40)))),
        13 => {
            let way = if dice.roll(2) == 0 { Way::ToMaster } else { Way::ToWorker };
            Fault::Network(worker, Weather::Still(way))
        }
        14 => Fault::BreakConnections(worker),
        _ => Fault::StrandConnections(worker),
    };
    // Most are short; some outlast a lease.
    let ms = if dice.roll(4) == 0 { 8_000 + dice.roll(8_000) } else { 100 + dice.roll(3_000) };
    let delay = Duration::from_millis(dice.roll(if moment == Moment::Commit { 40 } else { 300 }));
    Planned { moment, delay, fault, lasts: Lasts::For(Duration::from_millis(ms)) }
}

impl Fault {
    /// What it is done to: a worker, or the master.
    pub(super) const fn target(self) -> Option<u8> {
        match self {
            Self::KillWorker(worker)
            | Self::StopWorker(worker)
            | Self::SlowWorker(worker)
            | Self::FillDisk(worker)
            | Self::HideOutputs(worker)
            | Self::Network(worker, _)
            | Self::BreakConnections(worker)
            | Self::StrandConnections(worker) => Some(worker),
            Self::KillMaster => None,
        }
    }

    /// The fault without its numbers, and whether it outlasts a lease.
    #[must_use]
    pub fn kind(self, lasts: Lasts) -> String {
        let name = match self {
            Self::KillWorker(_) => return "worker killed".to_owned(),
            Self::KillMaster => return "master killed".to_owned(),
            Self::BreakConnections(_) => return "connections broken once".to_owned(),
            Self::StrandConnections(_) => return "connections stranded: old messages after new ones".to_owned(),
            Self::StopWorker(_) => "worker stopped",
            Self::SlowWorker(_) => "worker at 5 % speed",
            Self::FillDisk(_) => "disk full",
            Self::HideOutputs(_) => "outputs out of reach",
            Self::Network(_, Weather::Fair) => "fair network",
            Self::Network(_, Weather::Cut) => "link cut",
            Self::Network(_, Weather::Late(_)) => "messages late",
            Self::Network(_, Weather::Still(Way::ToMaster)) => "messages to the master held back",
            Self::Network(_, Weather::Still(Way::ToWorker)) => "messages to the worker held back",
        };
        format!("{name}, {} than a lease", if lasts.is_longer_than(LEASE) { "longer" } else { "shorter" })
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {} workers", self.seed, self.workers)?;
        self.faults.iter().try_for_each(|planned| write!(f, "; {planned}"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_is_a_schedule_and_many_have_everything() {
        assert_eq!(Schedule::draw(7), Schedule::draw(7));
        let schedules: Vec<Schedule> = (0..600).map(Schedule::draw).collect();
        let mut kinds = BTreeSet::new();
        for schedule in &schedules {
            assert_eq!(schedule.faults.len() == 1, schedule.seed.is_multiple_of(2), "{schedule}");
            assert!((2..=3).contains(&schedule.workers) && schedule.faults.len() <= 6, "{schedule}");
            assert!(schedule.faults.is_sorted_by_key(|planned| planned.moment), "{schedule}");
            let targets = schedule.faults.iter().filter_map(|planned| planned.fault.target());
            assert!(targets.max().is_none_or(|worker| worker < schedule.workers), "{schedule}");
            kinds.extend(schedule.faults.iter().map(|planned| planned.fault.kind(planned.lasts)));
        }
        // Eight that may last long or not, and four of which that says nothing.
        assert_eq!(kinds.len(), 4 + 2 * 8, "{kinds:?}");
    }
}
