//! Brings the faults of a schedule about, and mends them when their time is over.

use std::time::Instant;

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::lane::Lane;
use super::proxy::Weather;
use super::slow::Slow;
use super::{Fault, Moment, Planned, Schedule};

/// What is broken now.
struct Broken {
    fault: Fault,
    mended_at: Instant,
    slow: Option<Slow>,
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
        while let Some(at) =
            self.broken.iter().position(|broken| broken.mended_at <= now && self.may_mend(broken.fault))
        {
            let broken = self.broken.remove(at);
            mend(lane, broken)?;
            self.last_change = Instant::now();
        }
        Ok(())
    }

    /// A worker is started once it can be ready.
    fn may_mend(&self, fault: Fault) -> bool {
        let has_master = self.broken.iter().all(|broken| broken.fault != Fault::KillMaster);
        has_master || !matches!(fault, Fault::KillWorker(_))
    }

    /// Mends what is left.
    pub(super) fn mend_all(&mut self, lane: &mut Lane) -> Result<()> {
        self.coming.clear();
        // The master first: workers wait for it.
        self.broken.sort_by_key(|broken| broken.fault != Fault::KillMaster);
        std::mem::take(&mut self.broken).into_iter().try_for_each(|broken| mend(lane, broken))
    }

    fn strike(&mut self, lane: &mut Lane, planned: Planned) -> Result<()> {
        // What is broken already cannot be broken again.
        if self.broken.iter().any(|broken| broken.fault.target() == planned.fault.target()) {
            return Ok(());
        }
        let slow = break_it(lane, planned.fault)?;
        self.last_change = Instant::now();
        self.struck.push(planned);
        self.broken.push(Broken { fault: planned.fault, mended_at: Instant::now() + planned.lasts, slow });
        Ok(())
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
            lane.worker(worker).link()?.strand_connections(std::time::Duration::from_millis(1_500));
        }
    }
    Ok(None)
}

fn mend(lane: &mut Lane, broken: Broken) -> Result<()> {
    let Broken { fault, slow, .. } = broken;
    drop(slow);
    let mended = match fault {
        Fault::KillWorker(worker) => lane.replace(worker),
        Fault::StopWorker(worker) => lane.worker(worker).process.signal(Signal::CONT),
        Fault::FillDisk(worker) => lane.worker(worker).disk().and_then(|disk| disk.empty()),
        Fault::KillMaster => lane.cluster.start_master_again(),
        Fault::Network(worker, _) => lane.worker(worker).link().map(|link| link.set(Weather::Fair)),
        Fault::HideOutputs(worker) => lane.worker(worker).shuffle_link().map(|link| link.set(Weather::Fair)),
        Fault::SlowWorker(_) | Fault::BreakConnections(_) | Fault::StrandConnections(_) => Ok(()),
    };
    mended.with_context(|| format!("mend {fault:?}"))
}
