//! A job from HDFS to HDFS while seeded faults strike: the right rows come out, or, where nothing can help, an error that names
//! what is gone. Any other end is a failure, with the seed that brings it about again.

mod lane;
mod schedule;
mod strike;

use std::time::Instant;

use anyhow::Result;
use hearth_test_hdfs::Shape;

pub use crate::strikes::{End, Lasts, Report};
use lane::Lane;
pub use schedule::{Expected, Fault, Moment, Planned, Schedule};

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
        report.note_strike(format!("{:?} at {:?}", planned.fault, kind_of(planned.moment)));
    }
    match ended {
        Ok(end) => {
            report.note_end(end);
            tell(&format!("{schedule}: {end:?} after {seconds:.1} s"));
            lane.heal()?;
            Ok(Some(lane))
        }
        Err(error) => {
            let failure = format!("{schedule}: FAILED after {seconds:.1} s: {error:#}\n{}", lane.log_tails());
            tell(&failure);
            report.note_failure(failure);
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
