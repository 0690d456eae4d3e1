//! A job on local files while seeded faults strike the cluster: the right rows come out, or, where a schedule takes so many workers
//! that a task must look like poison, an error that says so. Any other end is a failure, with the seed that brings it about
//! again.

mod disk;
mod lane;
mod poison;
mod proxy;
mod schedule;
mod slow;
mod strike;
mod work;

use std::sync::Arc;

use anyhow::Result;

use crate::cluster::ClusterOptions;
use crate::data::UserActions;
pub use crate::strikes::{End, Lasts, Report};
pub use disk::SmallDisk;
pub use lane::{Lane, Ran};
pub use poison::Poison;
pub use proxy::{Link, Way, Weather};
pub use schedule::{Fault, Moment, Planned, Schedule};
pub use slow::Slow;
pub use work::Work;

/// Many small tasks that are over soon.
const QUERY: &str = "SELECT email, action, count(*) AS freq FROM actions GROUP BY email, action";
const SETTINGS: &[&str] = &["split_bytes = \"128KiB\"", "shuffle_partitions = 24", "merge_bytes = \"1B\""];
/// Holds the shuffle outputs of a job many times, and is filled in no time.
const DISK_MEBIBYTES: u32 = 48;

/// Runs schedules one after the other, those with as many workers on one cluster. `tell` hears of every one as it ends.
///
/// # Errors
/// A cluster cannot be started.
pub fn run(schedules: &[Schedule], tell: impl Fn(&str)) -> Result<Report> {
    let mut report = Report::default();
    let work = Arc::new(Work::new(UserActions::SMALL, QUERY, SETTINGS)?);
    for workers in [2, 3] {
        let mut lane: Option<(Lane, f64)> = None;
        for schedule in schedules.iter().filter(|schedule| schedule.workers == workers) {
            let (mut ready, usual) = match lane.take() {
                Some(lane) => lane,
                None => start(&work, workers, &mut report)?,
            };
            match ready.run(schedule) {
                Ok(ran) => {
                    tell(&format!("{schedule}: {:?} after {:.1} s", ran.end, ran.took.as_secs_f64()));
                    note(&mut report, &ran, usual);
                    lane = Some((ready, usual));
                }
                Err(error) => {
                    let failure = format!("{schedule}: FAILED: {error:#}\n{}", ready.log_tails());
                    tell(&failure);
                    report.note_failure(failure);
                }
            }
        }
    }
    Ok(report)
}

/// A lane, and how many seconds a job takes there when nothing goes wrong: the median of a few.
fn start(work: &Arc<Work>, workers: u8, report: &mut Report) -> Result<(Lane, f64)> {
    let options = ClusterOptions {
        workers: workers.into(),
        links: true,
        disk_mebibytes: Some(DISK_MEBIBYTES),
        ..ClusterOptions::default()
    };
    let mut lane = Lane::start(Arc::clone(work), options)?;
    let mut took = Vec::new();
    for _ in 0..3 {
        took.push(lane.run(&Schedule::without_faults(workers))?.took);
    }
    took.sort_unstable();
    report.note_usual(took[1]);
    Ok((lane, took[1].as_secs_f64()))
}

fn note(report: &mut Report, ran: &Ran, usual: f64) {
    report.note_end(ran.end);
    for planned in &ran.struck {
        report.note_strike(planned.fault.kind(planned.lasts));
    }
    if let [only] = &ran.struck[..] {
        report.note_extra(only.fault.kind(only.lasts), ran.took.as_secs_f64() - usual);
    }
}
