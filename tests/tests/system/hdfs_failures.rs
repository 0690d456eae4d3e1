//! Jobs on HDFS while it, or the master, fails: the output is whole, and there once.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, JobFile};
use serde_json::Value;

use crate::common::{MAIN_QUERY, large_answer, number};
use crate::hdfs_fixture::{Hdfs, check};

/// Time for a job on a broken HDFS, in seconds.
const SECONDS_MAX: u64 = 150;

/// A job that runs long enough to be disturbed, and leaves many files.
fn long_job(hdfs: &Hdfs, output: &str) -> Result<JobFile> {
    let job = JobFile::new("user-actions", MAIN_QUERY)
        .csv("actions", &hdfs.actions(UserActions::LARGE)?)
        .output(&hdfs.url(output), &[])
        .setting("split_bytes = \"2MiB\"")
        .setting("shuffle_partitions = 12")
        .setting("merge_bytes = \"1KiB\"");
    Ok(job)
}

/// A job that runs while something breaks.
struct Broken<'a> {
    cluster: &'a Cluster,
    job: &'a str,
}

impl Broken<'_> {
    /// Waits until the job's status tells that it waits for HDFS, and gives the reason.
    fn wait_until_told(&self) -> Result<String> {
        let reason = |status: &Value| status["waiting_for"].as_str().unwrap_or_default().to_owned();
        let status = self.cluster.wait_for_status(self.job, 60, |status| reason(status).starts_with("HDFS: "))?;
        Ok(reason(&status))
    }
}

fn stage_done(status: &Value, is_last: bool) -> (u64, u64) {
    let stages = status["stages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let stage = if is_last { stages.last() } else { stages.first() };
    stage.map_or((0, 0), |stage| (number(stage, "/tasks_done"), number(stage, "/tasks")))
}

/// Runs the job, breaks something when some but not all tasks of its first or last stage are done, and compares the output.
fn check_broken(
    name: &str,
    in_last_stage: bool,
    break_it: impl FnOnce(&Hdfs, &Broken<'_>) -> Result<()>,
) -> Result<()> {
    check(name, |hdfs, cluster| {
        let job = cluster.submit_detached(&long_job(hdfs, "out")?)?;
        cluster.wait_for_status(&job, 90, |status| {
            let (done, tasks) = stage_done(status, in_last_stage);
            done >= 3 && done < tasks
        })?;
        break_it(hdfs, &Broken { cluster, job: &job })?;
        let status = cluster.wait_for_end(&job, SECONDS_MAX)?;
        ensure!(status["state"] == "done", "the job did not outlive it: {status:#}");
        hdfs.check_output("out", large_answer()?)
    })
}

#[test]
fn a_data_node_dies_while_the_input_is_read() -> Result<()> {
    check_broken("dn-read", false, |hdfs, _| hdfs.run(&["kill-dn", "1"]).map(drop))
}

#[test]
fn a_data_node_dies_while_the_output_is_written() -> Result<()> {
    check_broken("dn-write", true, |hdfs, _| hdfs.run(&["kill-dn", "2"]).map(drop))
}

#[test]
fn the_name_node_restarts_in_the_map_stage() -> Result<()> {
    check_broken("nn-map", false, restart_name_node)
}

#[test]
fn the_name_node_restarts_before_the_commit() -> Result<()> {
    check_broken("nn-reduce", true, restart_name_node)
}

fn restart_name_node(hdfs: &Hdfs, broken: &Broken<'_>) -> Result<()> {
    hdfs.run(&["kill-nn"])?;
    broken.wait_until_told()?;
    hdfs.run(&["start-nn"]).map(drop)
}

#[test]
fn a_data_node_hangs_while_the_output_is_written() -> Result<()> {
    check_broken("dn-hang", true, |hdfs, _| hdfs.run(&["hang-dn", "1"]).map(drop))
}

#[test]
fn safe_mode_is_waited_for() -> Result<()> {
    check_broken("safe-mode", true, |hdfs, broken| {
        hdfs.run(&["safemode", "enter"])?;
        let waiting = broken.wait_until_told()?;
        ensure!(waiting.contains("safe mode"), "{waiting}");
        hdfs.run(&["safemode", "leave"]).map(drop)
    })
}

/// A master starts while no NameNode answers, serves, and its job goes on when one does again.
#[test]
fn a_master_starts_without_a_name_node() -> Result<()> {
    check("master-nn", |hdfs, cluster| {
        let job = cluster.submit_detached(&long_job(hdfs, "out")?)?;
        cluster.wait_for_status(&job, 90, |status| stage_done(status, true).0 >= 1)?;
        hdfs.run(&["kill-nn"])?;
        let begun = Instant::now();
        cluster.restart_master()?;
        let started = begun.elapsed();
        ensure!(started < Duration::from_secs(10), "the master took {started:?} to start");
        let waiting = Broken { cluster, job: &job }.wait_until_told()?;
        ensure!(waiting.starts_with("HDFS: "), "{waiting}");
        hdfs.run(&["start-nn"])?;
        let status = cluster.wait_for_end(&job, SECONDS_MAX)?;
        ensure!(status["state"] == "done", "the job did not outlive it: {status:#}");
        hdfs.check_output("out", large_answer()?)?;
        hdfs.check_no_staging()
    })
}
