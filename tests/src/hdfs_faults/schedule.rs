//! What goes wrong with HDFS while a job runs, and when: drawn from a seed, so that a run can be repeated.

use std::fmt;
use std::time::Duration;

use hearth_test_hdfs::Shape;

use crate::dice::Dice;
use crate::strikes::{self, Lasts};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A `DataNode` gets SIGKILL. The `NameNode` counts it for 14 s more.
    KillDataNode(u8),
    /// A `DataNode` gets SIGSTOP.
    HangDataNode(u8),
    /// The only `NameNode` gets SIGKILL.
    KillNameNode,
    /// HDFS is in safe mode.
    SafeMode,
    /// The active one of two `NameNode`s gets SIGKILL; after a while the other one is made active.
    FailOver,
    /// A worker gets SIGKILL; after a while another one comes.
    KillWorker(u8),
    // A restart of the master belongs here, once jobs outlive it.
}

/// How far the job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// So many percent of the tasks that read are done.
    Read(u8),
    /// So many percent of the tasks that write are done.
    Write(u8),
    /// The master commits.
    Commit,
}

/// A fault of these, at one of these moments.
pub type Planned = strikes::Planned<Fault, Moment>;

/// What may come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The right rows, whatever happens.
    Rows,
    /// The right rows, or an error that names a block or a file: the only replica may be gone.
    RowsOrClearError,
}

/// All that goes wrong during one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What it was drawn from.
    pub seed: u64,
    /// On which HDFS.
    pub shape: Shape,
    /// Replicas of the input, 1 or 2.
    pub replicas: u8,
    /// In this order.
    pub faults: Vec<Planned>,
    /// What may come out.
    pub expected: Expected,
}

impl Schedule {
    /// The schedule of a seed.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut dice = Dice::of(seed);
        if dice.roll(12) == 0 {
            return Self::with_one_replica(seed, &mut dice);
        }
        let shape = if dice.roll(4) == 0 { Shape::Pair } else { Shape::Single };
        let mut faults: Vec<Planned> = (0..=dice.roll(3)).map(|_| dice.planned(shape)).collect();
        if shape == Shape::Pair {
            faults[0].fault = Fault::FailOver;
            faults[0].lasts = dice.lasts(0);
        }
        faults.sort_by_key(|planned| planned.moment);
        // A NameNode that starts counts the replicas: it waits for those on nodes that never come back.
        let restarts = faults.iter().any(|planned| matches!(planned.fault, Fault::KillNameNode | Fault::FailOver));
        let mut may_stay = !restarts;
        for planned in &mut faults {
            let stays = planned.lasts == Lasts::BeyondTheJob;
            if stays && !(may_stay && is_of_a_node(planned.fault)) {
                planned.lasts = dice.lasts(0);
            } else if stays {
                may_stay = false;
            }
        }
        Self { seed, shape, replicas: 2, faults, expected: Expected::Rows }
    }

    /// The only replica of some of the input is gone while it is read.
    fn with_one_replica(seed: u64, dice: &mut Dice) -> Self {
        let fault = Fault::KillDataNode(dice.node());
        let moment = Moment::Read(dice.percent());
        let planned = Planned { moment, delay: dice.delay(), fault, lasts: Lasts::BeyondTheJob };
        let expected = Expected::RowsOrClearError;
        Self { seed, shape: Shape::Single, replicas: 1, faults: vec![planned], expected }
    }
}

fn is_of_a_node(fault: Fault) -> bool {
    match fault {
        Fault::KillDataNode(_) | Fault::HangDataNode(_) => true,
        Fault::KillNameNode | Fault::SafeMode | Fault::FailOver | Fault::KillWorker(_) => false,
    }
}

impl Dice {
    fn node(&mut self) -> u8 {
        1 + self.small(2)
    }

    fn percent(&mut self) -> u8 {
        self.small(100)
    }

    fn delay(&mut self) -> Duration {
        Duration::from_millis(self.roll(300))
    }

    /// One in `stays` times for longer than the job; never with 0.
    fn lasts(&mut self, stays: u64) -> Lasts {
        if stays > 0 && self.roll(stays) == 0 {
            return Lasts::BeyondTheJob;
        }
        Lasts::For(Duration::from_millis(200 + self.roll(5_800)))
    }

    fn planned(&mut self, shape: Shape) -> Planned {
        let moment = match self.roll(10) {
            0..=3 => Moment::Read(self.percent()),
            4..=7 => Moment::Write(self.percent()),
            _ => Moment::Commit,
        };
        let fault = match (self.roll(12), shape) {
            (0..=3, _) => Fault::KillDataNode(self.node()),
            (4..=6, _) => Fault::HangDataNode(self.node()),
            (7..=8, Shape::Single | Shape::Secure) => Fault::KillNameNode,
            (7..=8, Shape::Pair) => Fault::FailOver,
            (9, _) => Fault::SafeMode,
            _ => Fault::KillWorker(self.small(2)),
        };
        // Within a commit every millisecond counts.
        let delay = if moment == Moment::Commit { Duration::from_millis(self.roll(60)) } else { self.delay() };
        Planned { moment, delay, fault, lasts: self.lasts(3) }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = match self.shape {
            Shape::Single => "one NameNode",
            Shape::Pair => "two NameNodes",
            Shape::Secure => "one NameNode with Kerberos",
        };
        write!(f, "seed {}: {shape}, input with {} replica(s)", self.seed, self.replicas)?;
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
        let schedules: Vec<Schedule> = (0..300).map(Schedule::draw).collect();
        let mut kinds = BTreeSet::new();
        for schedule in &schedules {
            assert!((1..=3).contains(&schedule.faults.len()), "{schedule}");
            assert!(schedule.faults.is_sorted_by_key(|planned| planned.moment), "{schedule}");
            for planned in &schedule.faults {
                let moment = match planned.moment {
                    Moment::Read(_) => "read",
                    Moment::Write(_) => "write",
                    Moment::Commit => "commit",
                };
                kinds.insert((planned.fault, moment, planned.lasts == Lasts::BeyondTheJob));
            }
        }
        for node in [1, 2] {
            for moment in ["read", "write", "commit"] {
                for stays in [false, true] {
                    assert!(kinds.contains(&(Fault::KillDataNode(node), moment, stays)), "{node} {moment} {stays}");
                }
                assert!(kinds.contains(&(Fault::HangDataNode(node), moment, false)), "{node} {moment}");
                for fault in [Fault::KillNameNode, Fault::SafeMode, Fault::FailOver, Fault::KillWorker(node - 1)] {
                    assert!(kinds.contains(&(fault, moment, false)), "{fault:?} {moment}");
                }
            }
        }
        assert!(schedules.iter().any(|schedule| schedule.expected == Expected::RowsOrClearError));
    }
}
