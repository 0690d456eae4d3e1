//! Brings faults of HDFS and of workers about, and mends them.

use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::lane::Lane;
use super::{Fault, Moment};
use crate::strikes::Struck;

impl Struck for Lane {
    type Fault = Fault;
    type Moment = Moment;
    type Target = (u8, u8);
    type Hold = ();

    /// A `DataNode`, the `NameNode`s, or a worker.
    fn target(fault: Fault) -> (u8, u8) {
        match fault {
            Fault::KillDataNode(node) | Fault::HangDataNode(node) => (0, node),
            // Safe mode ends when the NameNode dies, and a dead one cannot be told of it.
            Fault::KillNameNode | Fault::FailOver | Fault::SafeMode => (1, 0),
            Fault::KillWorker(worker) => (2, worker),
        }
    }

    fn waits_for(_: Fault, _: Fault) -> bool {
        false
    }

    fn strike(&mut self, fault: Fault) -> Result<()> {
        break_it(self, fault)
    }

    fn mend(&mut self, fault: Fault, (): ()) -> Result<()> {
        mend(self, fault)
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
