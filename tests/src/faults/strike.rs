//! Brings faults of processes, disks and network about, and mends them.

use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;

use super::lane::Lane;
use super::proxy::Weather;
use super::slow::Slow;
use super::{Fault, Moment};
use crate::strikes::Struck;

impl Struck for Lane {
    type Fault = Fault;
    type Moment = Moment;
    type Target = Option<u8>;
    /// A worker that is slow is so as long as somebody makes it.
    type Hold = Option<Slow>;

    /// A worker, or the master.
    fn target(fault: Fault) -> Option<u8> {
        fault.target()
    }

    /// A worker is started once it can be ready.
    fn waits_for(fault: Fault, other: Fault) -> bool {
        matches!(fault, Fault::KillWorker(_)) && other == Fault::KillMaster
    }

    fn strike(&mut self, fault: Fault) -> Result<Option<Slow>> {
        break_it(self, fault)
    }

    fn mend(&mut self, fault: Fault, hold: Option<Slow>) -> Result<()> {
        drop(hold);
        mend(self, fault)
    }
}

fn break_it(lane: &mut Lane, fault: Fault) -> Result<Option<Slow>> {
    match fault {
        Fault::KillWorker(worker) => lane.cluster.kill_worker(lane.index(worker))?,
        Fault::StopWorker(worker) => lane.worker(worker).process.signal(Signal::STOP)?,
        Fault::SlowWorker(worker) => return Ok(Some(Slow::down(lane.worker(worker).process.id()))),
        Fault::FillDisk(worker) => lane.worker(worker).disk()?.fill()?,
        Fault::KillMaster => lane.cluster.kill_master()?,
        Fault::Network(worker, weather) => lane.worker(worker).link()?.set(weather),
        Fault::HideOutputs(worker) => lane.worker(worker).shuffle_link()?.set(Weather::Cut),
        Fault::BreakConnections(worker) => lane.worker(worker).link()?.break_connections(),
        Fault::StrandConnections(worker) => {
            lane.worker(worker).link()?.strand_connections(Duration::from_millis(1_500));
        }
    }
    Ok(None)
}

fn mend(lane: &mut Lane, fault: Fault) -> Result<()> {
    match fault {
        Fault::KillWorker(worker) => lane.replace(worker),
        Fault::StopWorker(worker) => lane.worker(worker).process.signal(Signal::CONT),
        Fault::FillDisk(worker) => lane.worker(worker).disk().and_then(|disk| disk.empty()),
        Fault::KillMaster => lane.cluster.start_master_again(),
        Fault::Network(worker, _) => lane.worker(worker).link().map(|link| link.set(Weather::Fair)),
        Fault::HideOutputs(worker) => lane.worker(worker).shuffle_link().map(|link| link.set(Weather::Fair)),
        Fault::SlowWorker(_) | Fault::BreakConnections(_) | Fault::StrandConnections(_) => Ok(()),
    }
}
