//! Brings the faults of a schedule about, and mends them when their time is over.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::lane::Lane;
use super::{Fault, Lasts, Moment, Planned, Schedule};

/// What is broken now.
struct Broken {
    fault: Fault,
    mended_at: Option<Instant>,
}

/// The faults of a schedule, those to come and those that struck.
pub(super) struct Strikes {
    coming: Vec<Planned>,
    /// When the moment of the next one came.
    reached: Option<Instant>,
    broken: Vec<Broken>,
    struck: Vec<Planned>,
    last_change: Instant,
}

impl Strikes {
    pub(super) fn new(schedule: &Schedule) -> Self {
        let coming = schedule.faults.iter().rev().copied().collect();
        Self { coming, reached: None, broken: Vec::new(), struck: Vec::new(), last_change: Instant::now() }
    }

    pub(super) fn struck(&self) -> &[Planned] {
        &self.struck
    }

    pub(super) fn last_change(&self) -> Instant {
        self.last_change
    }

    /// Does what is due.
    pub(super) fn advance(&mut self, lane: &mut Lane, has_come: impl Fn(Moment) -> bool) -> Result<()> {
        while let Some(next) = self.coming.last().copied() {
            if self.reached.is_none() && has_come(next.moment) {
                self.reached = Some(Instant::now());
            }
            if self.reached.is_none_or(|reached| reached.elapsed() < next.delay) {
                break;
            }
            self.coming.pop();
            self.reached = None;
            self.strike(lane, next).with_context(|| format!("{:?}", next.fault))?;
        }
        let now = Instant::now();
        while let Some(at) = self.broken.iter().position(|broken| broken.mended_at.is_some_and(|time| time <= now)) {
            let broken = self.broken.remove(at);
            mend(lane, broken.fault).with_context(|| format!("mend {:?}", broken.fault))?;
            self.last_change = Instant::now();
        }
        Ok(())
    }

    /// Mends what is left. What is asked of HDFS after that finds it whole.
    pub(super) fn mend_all(&mut self, lane: &mut Lane) -> Result<()> {
        self.coming.clear();
        for broken in std::mem::take(&mut self.broken) {
            mend(lane, broken.fault).with_context(|| format!("mend {:?}", broken.fault))?;
        }
        lane.heal()
    }

    fn strike(&mut self, lane: &mut Lane, planned: Planned) -> Result<()> {
        // What is broken already cannot be broken again.
        if self.broken.iter().any(|broken| target(broken.fault) == target(planned.fault)) {
            return Ok(());
        }
        break_it(lane, planned.fault)?;
        self.last_change = Instant::now();
        self.struck.push(planned);
        let mended_at = match planned.lasts {
            Lasts::For(time) => Some(Instant::now() + time),
            Lasts::BeyondTheJob => None,
        };
        self.broken.push(Broken { fault: planned.fault, mended_at });
        Ok(())
    }
}

/// What a fault is done to: a `DataNode`, the `NameNode`s, or a worker.
fn target(fault: Fault) -> (u8, u8) {
    match fault {
        Fault::KillDataNode(node) | Fault::HangDataNode(node) => (0, node),
        // Safe mode ends when the NameNode dies, and a dead one cannot be told of it.
        Fault::KillNameNode | Fault::FailOver | Fault::SafeMode => (1, 0),
        Fault::KillWorker(worker) => (2, worker),
    }
}

fn break_it(lane: &mut Lane, fault: Fault) -> Result<()> {
    match fault {
        Fault::KillDataNode(node) => kill(lane, "dn", &node.to_string()),
        Fault::HangDataNode(node) => lane.hdfs.run(&["hang-dn", &node.to_string()]).map(drop),
        Fault::KillNameNode => kill(lane, "nn", "1"),
        Fault::FailOver => kill(lane, "nn", &lane.active),
        Fault::SafeMode => enter_safe_mode(lane),
        Fault::KillWorker(worker) => lane.cluster.kill_worker(lane.workers[usize::from(worker)]),
    }
}

/// At once, and then until it is gone.
fn kill(lane: &Lane, kind: &str, id: &str) -> Result<()> {
    lane.hdfs.kill_now(&format!("{kind}{id}"))?;
    lane.hdfs.run(&[&format!("kill-{kind}"), id]).map(drop)
}

/// The command takes seconds to start. The workers are held meanwhile, so that the job is not over before it has an effect.
fn enter_safe_mode(lane: &Lane) -> Result<()> {
    let signal_all = |signal: Signal| {
        for worker in lane.workers {
            // One that was killed takes no signal.
            let _ = lane.cluster.worker(worker).process.signal(signal);
        }
    };
    signal_all(Signal::STOP);
    let entered = lane.hdfs.run(&["safemode", "enter"]);
    signal_all(Signal::CONT);
    entered.map(drop)
}

fn mend(lane: &mut Lane, fault: Fault) -> Result<()> {
    match fault {
        Fault::KillDataNode(node) => lane.hdfs.run(&["start-dn", &node.to_string()]).map(drop),
        Fault::HangDataNode(node) => lane.hdfs.run(&["resume-dn", &node.to_string()]).map(drop),
        Fault::KillNameNode => lane.hdfs.run(&["start-nn"]).map(drop),
        Fault::FailOver => fail_over(lane),
        Fault::SafeMode => lane.hdfs.run(&["safemode", "leave"]).map(drop),
        Fault::KillWorker(worker) => {
            lane.workers[usize::from(worker)] = lane.cluster.start_worker()?;
            Ok(())
        }
    }
}

/// Makes the one active that lives, and starts the other one as its standby.
fn fail_over(lane: &Lane) -> Result<()> {
    let is_alive = |id: &&str| lane.hdfs.run(&["resume-nn", id]).is_ok();
    let alive = ["1", "2"].into_iter().find(is_alive).context("find the NameNode that lives")?;
    let dead = if alive == "1" { "2" } else { "1" };
    hearth_test_hdfs::until(Duration::from_secs(60), "the standby taking over", || {
        lane.hdfs.run(&["transition", alive]).is_ok()
    })?;
    lane.hdfs.run(&["start-nn", dead]).map(drop)
}
