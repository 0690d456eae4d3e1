//! The faults that a schedule can have: each struck once, at a known moment of the job.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use hearth_tests::ClusterOptions;
use hearth_tests::faults::{End, Fault, Lane, Lasts, Moment, Planned, Ran, Schedule, Weather, Work};
use serde_json::Value;

use super::{Measured, SLOTS};

/// The faults, and what has to hold besides the time.
pub(super) struct Case {
    faults: Vec<Planned>,
    links: bool,
    /// Nothing runs again.
    keeps_all_work: bool,
}

fn planned(done: u8, fault: Fault, lasts: Lasts) -> Planned {
    Planned { moment: Moment::Done(done), delay: Duration::ZERO, fault, lasts }
}

impl Case {
    fn of(faults: Vec<Planned>) -> Self {
        Self { faults, links: false, keeps_all_work: false }
    }

    /// One fault when so many percent are done, for as long as the job runs.
    pub(super) fn alone(done: u8, fault: Fault) -> Self {
        Self::of(vec![planned(done, fault, Lasts::BeyondTheJob)])
    }

    pub(super) fn killed(done: u8) -> Self {
        Self::of(vec![planned(done, Fault::KillWorker(0), Lasts::For(Duration::ZERO))])
    }

    pub(super) fn cut(done: u8) -> Self {
        let fault = Fault::Network(0, Weather::Cut);
        let faults = vec![planned(done, fault, Lasts::For(Duration::from_secs(2)))];
        Self { faults, links: true, keeps_all_work: true }
    }

    pub(super) fn stopped(done: u8, seconds: Option<u64>) -> Self {
        let lasts = seconds.map_or(Lasts::BeyondTheJob, |seconds| Lasts::For(Duration::from_secs(seconds)));
        Self::of(vec![planned(done, Fault::StopWorker(0), lasts)])
    }

    pub(super) fn master(done: u8) -> Self {
        let faults = vec![planned(done, Fault::KillMaster, Lasts::For(Duration::from_secs(2)))];
        Self { faults, links: false, keeps_all_work: true }
    }

    pub(super) fn all_dead(done: u8) -> Self {
        let back = Lasts::For(Duration::from_secs(3));
        let for_good = planned(done, Fault::KillWorker(0), Lasts::BeyondTheJob);
        Self::of(vec![for_good, planned(done, Fault::KillWorker(1), back)])
    }

    /// Runs the job without the faults and then with them, on one cluster.
    pub(super) fn measure(&self, work: &Arc<Work>) -> Result<Measured> {
        let options = ClusterOptions { slots: SLOTS, links: self.links, ..ClusterOptions::default() };
        let mut lane = Lane::start(Arc::clone(work), options)?;
        let faultless = lane.run(&Schedule::without_faults(2))?;
        let faulted = lane.run(&Schedule { seed: 0, workers: 2, faults: self.faults.clone() })?;
        ensure!(faulted.end == End::Rows, "the job failed: {}", faulted.status["failure"]["message"]);
        ensure!(faulted.struck.len() == self.faults.len(), "the job was over before the fault struck");
        let count = |name: &str| faulted.status["attempts"][name].as_u64().unwrap_or_default();
        let (lost, failed, second, won) = (count("lost"), count("failed"), count("second"), count("second_won"));
        let mut broken = Vec::new();
        if self.keeps_all_work && lost + failed > 0 {
            broken.push(format!("{lost} attempts lost and {failed} failed, none should be"));
        }
        Ok(Measured {
            faultless: faultless.took.as_secs_f64(),
            faulted: faulted.took.as_secs_f64(),
            lost_work: lost_seconds(&faulted) / f64::from(2 * SLOTS),
            remarks: vec![format!("attempts: {lost} lost, {failed} failed, {second} beside slow ones ({won} won)")],
            broken,
        })
    }
}

/// Seconds of attempts whose work had to be done again.
fn lost_seconds(ran: &Ran) -> f64 {
    let is_lost = |attempt: &&Value| matches!(attempt["outcome"].as_str(), Some("lost" | "repeated"));
    let lost = ran.attempts["attempts"].as_array().into_iter().flatten().filter(is_lost);
    lost.filter_map(|attempt| attempt["duration_ms"].as_u64()).sum::<u64>() as f64 / 1000.0
}
