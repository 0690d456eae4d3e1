//! A job on local files while seeded faults strike the cluster: the right rows come out, or, where a schedule takes so many workers
//! that a task must look like poison, an error that says so. Any other end is a failure, with the seed that brings it about
//! again.

mod disk;
mod lane;
mod proxy;
mod schedule;
mod slow;
mod strike;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;

pub use disk::SmallDisk;
use lane::{Lane, Ran};
pub use proxy::{Link, Way, Weather};
pub use schedule::{Fault, Moment, Planned, Schedule};
pub use slow::Slow;

/// How a schedule ended that ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The right rows.
    Rows,
    /// An error that says what happened.
    ClearError,
}

/// What came of many seeds.
#[derive(Debug, Default)]
pub struct Report {
    ends: BTreeMap<End, u64>,
    struck: u64,
    /// Seconds beyond those of a job without faults, of schedules of one fault.
    extra: BTreeMap<String, Vec<f64>>,
    usual: Vec<Duration>,
    failures: Vec<String>,
}

impl Report {
    fn add(&mut self, ran: &Ran, usual: Duration) {
        *self.ends.entry(ran.end).or_default() += 1;
        self.struck += ran.struck.len() as u64;
        if let [only] = &ran.struck[..] {
            let extra = ran.took.as_secs_f64() - usual.as_secs_f64();
            self.extra.entry(only.fault.kind(only.lasts)).or_default().push(extra);
        }
    }

    /// Schedules that ended in another way than they may.
    #[must_use]
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// How many faults struck.
    #[must_use]
    pub fn strikes(&self) -> u64 {
        self.struck
    }

    /// The report as text, with a Markdown table of what single faults cost.
    #[must_use]
    pub fn told(&self) -> String {
        let count = |end: End| self.ends.get(&end).copied().unwrap_or_default();
        let (rows, clear, failed) = (count(End::Rows), count(End::ClearError), self.failures.len());
        let usual: Vec<String> = self.usual.iter().map(|usual| format!("{:.1} s", usual.as_secs_f64())).collect();
        let mut text = format!(
            "{rows} gave the right rows, {clear} a clear error, {failed} failed; {} faults struck; without faults a job took {}\n\n",
            self.struck,
            usual.join(" or ")
        );
        text.push_str("| one fault | runs | median extra | most |\n|---|---|---|---|\n");
        for (kind, extra) in &self.extra {
            let mut extra = extra.clone();
            extra.sort_by(f64::total_cmp);
            let (median, most) = (extra[extra.len() / 2], extra[extra.len() - 1]);
            let _ = writeln!(text, "| {kind} | {} | {median:.1} s | {most:.1} s |", extra.len());
        }
        for failure in &self.failures {
            let _ = writeln!(text, "\n{failure}");
        }
        text
    }
}

/// Runs schedules one after the other, those with as many workers on one cluster. `tell` hears of every one as it ends.
///
/// # Errors
/// A cluster cannot be started.
pub fn run(schedules: &[Schedule], tell: impl Fn(&str)) -> Result<Report> {
    let mut report = Report::default();
    for workers in [2, 3] {
        let mut lane: Option<Lane> = None;
        for schedule in schedules.iter().filter(|schedule| schedule.workers == workers) {
            let mut ready = match lane.take() {
                Some(lane) => lane,
                None => {
                    let lane = Lane::start(workers)?;
                    report.usual.push(lane.usual);
                    lane
                }
            };
            match ready.run(schedule) {
                Ok(ran) => {
                    report.add(&ran, ready.usual);
                    tell(&format!("{schedule}: {:?} after {:.1} s", ran.end, ran.took.as_secs_f64()));
                    lane = Some(ready);
                }
                Err(error) => {
                    let failure = format!("{schedule}: FAILED: {error:#}\n{}", ready.cluster.log_tails());
                    tell(&failure);
                    report.failures.push(failure);
                }
            }
        }
    }
    Ok(report)
}
