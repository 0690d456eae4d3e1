//! A job from HDFS to HDFS while seeded faults strike: the right rows come out, or, where nothing can help, an error that names
//! what is gone. Any other end is a failure, with the seed that brings it about again.

mod lane;
mod schedule;
mod strike;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use anyhow::Result;
use hearth_test_hdfs::Shape;

use lane::Lane;
pub use schedule::{Expected, Fault, Lasts, Moment, Planned, Schedule};

/// How a schedule ended that ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The right rows.
    Rows,
    /// An error that names a block or a file.
    ClearError,
}

/// What came of many seeds.
#[derive(Debug, Default)]
pub struct Report {
    ends: BTreeMap<End, u64>,
    struck: BTreeMap<String, u64>,
    failures: Vec<String>,
}

impl Report {
    fn add(&mut self, other: Self) {
        for (end, count) in other.ends {
            *self.ends.entry(end).or_default() += count;
        }
        for (fault, count) in other.struck {
            *self.struck.entry(fault).or_default() += count;
        }
        self.failures.extend(other.failures);
    }

    /// Schedules that ended in another way than they may.
    #[must_use]
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// How many faults struck.
    #[must_use]
    pub fn strikes(&self) -> u64 {
        self.struck.values().sum()
    }

    /// The report as text.
    #[must_use]
    pub fn told(&self) -> String {
        let count = |end: End| self.ends.get(&end).copied().unwrap_or_default();
        let (rows, clear, failed) = (count(End::Rows), count(End::ClearError), self.failures.len());
        let mut text = format!("{rows} gave the right rows, {clear} a clear error, {failed} failed\n");
        for (fault, count) in &self.struck {
            let _ = writeln!(text, "- {fault}: {count}");
        }
        for failure in &self.failures {
            let _ = writeln!(text, "\n{failure}");
        }
        text
    }
}

/// Runs schedules, those of each shape of HDFS one after the other on one cluster. `tell` hears of every one as it ends.
///
/// # Errors
/// A cluster cannot be started, or made whole again.
pub fn run(schedules: &[Schedule], tell: impl Fn(&str) + Sync) -> Result<Report> {
    let run_shape = |shape: Shape| {
        let mut report = Report::default();
        let mut lane: Option<Lane> = None;
        for schedule in schedules.iter().filter(|schedule| schedule.shape == shape) {
            let ready = match lane.take() {
                Some(lane) => lane,
                None => Lane::start(shape)?,
            };
            lane = one_seed(ready, schedule, (&mut report, &tell))?;
        }
        anyhow::Ok(report)
    };
    std::thread::scope(|scope| {
        let pair = scope.spawn(|| run_shape(Shape::Pair));
        let mut report = run_shape(Shape::Single)?;
        report.add(pair.join().map_err(|_| anyhow::anyhow!("a lane panicked"))??);
        Ok(report)
    })
}

/// Gives the lane back, unless a failure may have left something behind in it.
fn one_seed(
    mut lane: Lane,
    schedule: &Schedule,
    (report, tell): (&mut Report, &(impl Fn(&str) + Sync)),
) -> Result<Option<Lane>> {
    let begun = Instant::now();
    let (ended, struck) = lane.run(schedule);
    let seconds = begun.elapsed().as_secs_f64();
    for planned in struck {
        *report.struck.entry(format!("{:?} at {:?}", planned.fault, kind_of(planned.moment))).or_default() += 1;
    }
    match ended {
        Ok(end) => {
            *report.ends.entry(end).or_default() += 1;
            tell(&format!("{schedule}: {end:?} after {seconds:.1} s"));
            lane.heal()?;
            Ok(Some(lane))
        }
        Err(error) => {
            let failure = format!("{schedule}: FAILED after {seconds:.1} s: {error:#}\n{}", lane.log_tails());
            tell(&failure);
            report.failures.push(failure);
            Ok(None)
        }
    }
}

fn kind_of(moment: Moment) -> &'static str {
    match moment {
        Moment::Read(_) => "read",
        Moment::Write(_) => "write",
        Moment::Commit => "commit",
    }
}
