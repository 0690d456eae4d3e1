//! Workers that come late, die, hang or leave: the answer stays the same, and only lost work is repeated.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, ClusterOptions, Deadline, JobFile, read_parquet_dir};
use rustix::process::Signal;
use serde_json::Value;

use crate::common::{
    check_committed, check_only_lost_work_repeated, large_answer, main_job, number, wait_for_new_id, wait_until_lost,
    worker_in,
};

/// Time for a job that lost a worker, in seconds: far above what it needs, also on a loaded machine.
const RECOVERY_SECONDS_MAX: u64 = 150;

/// A job that runs long enough to be disturbed in both of its stages.
fn long_job(cluster: &Cluster) -> Result<(JobFile, PathBuf)> {
    let output = cluster.directory().join("report");
    let job = main_job(UserActions::LARGE)?
        .output(&output, &[])
        .setting("split_bytes = \"512KiB\"")
        .setting("shuffle_partitions = 48")
        .setting("merge_bytes = \"1KiB\"");
    Ok((job, output))
}

/// The stage that reads the input, and the last one.
fn stages_in_work(status: &Value) -> (Value, Value) {
    let stages = status["stages"].as_array().cloned().unwrap_or_default();
    (stages.first().cloned().unwrap_or_default(), stages.last().cloned().unwrap_or_default())
}

fn done(stage: &Value) -> u64 {
    number(stage, "/tasks_done")
}

/// Some, but not all tasks of a stage are done.
fn is_half_done(stage: &Value) -> bool {
    done(stage) >= 4 && done(stage) + 4 < number(stage, "/tasks")
}

fn check_answer(cluster: &Cluster, job: &str, output: &Path) -> Result<Value> {
    let status = cluster.wait_for_end(job, RECOVERY_SECONDS_MAX)?;
    ensure!(status["state"] == "done", "the job did not recover: {status:#}");
    check_committed(output)?;
    read_parquet_dir(output)?.check_equal(large_answer()?)?;
    check_only_lost_work_repeated(&status)?;
    Ok(status)
}

/// Waits until a stage is half done and returns the job's status at that time.
fn wait_for_half(cluster: &Cluster, job: &str, of: fn(&Value) -> bool) -> Result<Value> {
    let status = cluster
        .wait_for_status(job, 90, |status| of(status) || status["state"] == "done" || status["state"] == "failed")?;
    ensure!(of(&status), "the job was over before the test could disturb it: {status:#}");
    Ok(status)
}

fn map_is_half_done(status: &Value) -> bool {
    is_half_done(&stages_in_work(status).0)
}

fn reduce_is_half_done(status: &Value) -> bool {
    is_half_done(&stages_in_work(status).1)
}

/// Kills a worker, and returns how much of the job's work is lost with it: the attempt that runs there, and what it holds for
/// later stages. Output files are not lost, they are in staging.
fn kill_worker_and_count(cluster: &mut Cluster, index: usize, job: &str) -> Result<u64> {
    // Stopped first, so that nothing changes between the count and the kill.
    cluster.worker(index).process.signal(Signal::STOP)?;
    let id = cluster.worker(index).id.clone();
    let busy = |_: &Value| {
        worker_in(&cluster.api("/api/v1/workers").unwrap_or_default(), &id)
            .is_some_and(|worker| number(worker, "/slots_used") == 1)
    };
    let status = cluster.wait_for_status(job, 20, busy).context("the stopped worker has an attempt")?;
    let stages = status["stages"].as_array().cloned().unwrap_or_default();
    let mut lost = 0;
    for (at, stage) in stages.iter().enumerate() {
        let tasks = cluster.api(&format!("/api/v1/jobs/{job}/stages/{}/tasks?page_size=1000", stage["id"]))?;
        let tasks = tasks["tasks"].as_array().cloned().unwrap_or_default();
        let is_last = at + 1 == stages.len();
        let held = tasks.iter().filter(|task| task["worker"] == id && (task["state"] == "running" || !is_last));
        lost += held.count() as u64;
    }
    cluster.kill_worker(index)?;
    Ok(lost)
}

fn check_worker_killed(stage_is_half_done: fn(&Value) -> bool) -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let (job, output) = long_job(cluster)?;
        let id = cluster.submit_detached(&job)?;
        let before = wait_for_half(cluster, &id, stage_is_half_done)?;
        let expected = kill_worker_and_count(cluster, 0, &id)?;
        let after = check_answer(cluster, &id, &output)?;
        let lost = number(&after, "/attempts/lost");
        ensure!(
            lost == expected && lost > 1,
            "{expected} were lost, {lost} counted: before {before:#}, after {after:#}"
        );
        Ok(())
    })
}

#[test]
fn worker_killed_in_the_map_stage() -> Result<()> {
    check_worker_killed(map_is_half_done)
}

#[test]
fn worker_killed_in_the_reduce_stage() -> Result<()> {
    check_worker_killed(reduce_is_half_done)
}

#[test]
fn late_worker_takes_tasks() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 1, ..ClusterOptions::default() }, |cluster| {
        let (job, output) = long_job(cluster)?;
        let id = cluster.submit_detached(&job)?;
        wait_for_half(cluster, &id, map_is_half_done)?;
        let late = cluster.start_worker()?;
        let late_id = cluster.worker(late).id.clone();
        cluster
            .wait_for_status(&id, 60, |_| {
                let workers = cluster.api("/api/v1/workers").unwrap_or_default();
                worker_in(&workers, &late_id).is_some_and(|worker| number(worker, "/slots_used") > 0)
            })
            .context("the late worker gets tasks of the running job")?;
        let status = check_answer(cluster, &id, &output)?;
        assert_eq!(number(&status, "/attempts/lost"), 0);
        ensure!(number(&status, "/metrics/shuffle_remote_bytes") > 0, "both workers held shuffle outputs: {status:#}");
        Ok(())
    })
}

#[test]
fn hung_worker_loses_its_lease() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let (job, output) = long_job(cluster)?;
        let id = cluster.submit_detached(&job)?;
        wait_for_half(cluster, &id, map_is_half_done)?;
        cluster.worker(0).process.signal(Signal::STOP)?;
        let status = check_answer(cluster, &id, &output)?;
        ensure!(number(&status, "/attempts/lost") >= 1, "its work was lost: {status:#}");

        // The job may well end before the lease does: silence alone makes its lost outputs again.
        let old = cluster.worker(0).id.clone();
        wait_until_lost(cluster, &old)?;

        // Awake again it is told that it is lost, and comes back under a new id.
        cluster.worker(0).process.signal(Signal::CONT)?;
        wait_for_new_id(cluster, &old)?;
        read_parquet_dir(&output)?.check_equal(large_answer()?)
    })
}

#[test]
fn job_survives_the_loss_of_all_workers() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let (job, output) = long_job(cluster)?;
        let id = cluster.submit_detached(&job)?;
        wait_for_half(cluster, &id, map_is_half_done)?;
        cluster.kill_worker(0)?;
        cluster.kill_worker(1)?;
        let waiting = cluster.wait_for_status(&id, 60, |status| !status["waiting_for"].is_null())?;
        let reason = waiting["waiting_for"].as_str().unwrap_or_default();
        ensure!(reason.contains("worker"), "the job says that it waits for workers: {waiting:#}");
        cluster.start_worker()?;
        check_answer(cluster, &id, &output)?;
        Ok(())
    })
}

/// A launch that crosses a drain is handed back at once, which is no failure.
fn check_handed_back(status: &Value) -> Result<()> {
    ensure!(number(status, "/attempts/failed") == 0, "{status:#}");
    Ok(())
}

#[test]
fn drained_worker_loses_nothing() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let (job, output) = long_job(cluster)?;
        let id = cluster.submit_detached(&job)?;
        wait_for_half(cluster, &id, map_is_half_done)?;
        cluster.drain_worker(0)?;
        let status = check_answer(cluster, &id, &output)?;
        check_handed_back(&status)?;
        let exit = cluster.wait_for_worker_exit(0, Deadline::after_seconds(60))?;
        ensure!(exit.success(), "the drained worker ended with {exit}");
        Ok(())
    })
}

#[test]
fn workers_are_drained_on_demand() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let (job, output) = long_job(cluster)?;
        let id = cluster.submit_detached(&job)?;
        wait_for_half(cluster, &id, map_is_half_done)?;
        let worker = cluster.worker(0).id.clone();
        let drained = cluster.hearth(&["worker", "drain", &worker])?.success()?;
        ensure!(drained.stdout.contains("is draining"), "{drained:?}");
        // It stays as long as somebody has to read what it holds, and leaves without having to be told again.
        let status = check_answer(cluster, &id, &output)?;
        check_handed_back(&status)?;
        let exit = cluster.wait_for_worker_exit(0, Deadline::after_seconds(60))?;
        ensure!(exit.success(), "the drained worker ended with {exit}");

        let workers = cluster.api("/api/v1/workers")?;
        let left = worker_in(&workers, &worker).is_some_and(|worker| worker["state"] == "left");
        ensure!(left, "it has left, and is not lost: {workers:#}");
        let gone = cluster.hearth(&["worker", "drain", &worker])?;
        ensure!(gone.code == 2 && gone.stderr.contains("see `hearth workers`"), "{gone:?}");
        Ok(())
    })
}
