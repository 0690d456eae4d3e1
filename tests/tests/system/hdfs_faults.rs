//! Schedules of faults on a real HDFS: a few of the bench's seeds, and the failover of NameNodes at the moments that matter.

use std::time::Duration;

use anyhow::Result;
use hearth_test_hdfs::Shape;
use hearth_tests::hdfs_faults::{Expected, Fault, Lasts, Moment, Planned, Schedule, run};

fn check(schedules: &[Schedule]) -> Result<()> {
    run(schedules, |_| ())?.check(schedules.len())
}

/// DataNodes killed and hung, the NameNode killed, safe mode, workers killed.
#[test]
fn a_few_seeds() -> Result<()> {
    check(&[1, 3, 5].map(Schedule::draw))
}

#[test]
fn the_active_name_node_dies_in_the_map_stage_and_during_the_commit() -> Result<()> {
    let fail_over = |seed: u64, moment: Moment| {
        let lasts = Lasts::For(Duration::from_secs(2));
        let planned = Planned { moment, delay: Duration::ZERO, fault: Fault::FailOver, lasts };
        Schedule { seed, shape: Shape::Pair, replicas: 2, faults: vec![planned], expected: Expected::Rows }
    };
    check(&[fail_over(0, Moment::Read(40)), fail_over(1, Moment::Commit)])
}
