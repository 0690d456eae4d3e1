//! Commits that lose their HDFS in the middle: while the master starts again, and while it lives. Each has an end as soon as HDFS is
//! back, without a person: the rows are there once, or not at all.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, ClusterOptions, Deadline, JobFile, Rows, wait_for};
use serde_json::Value;

use crate::common::{MAIN_QUERY, small_answer};
use crate::hdfs_fixture::{Hdfs, check, check_with};
use crate::hdfs_proxy::{Hold, Proxy};

/// A rename of a file into the destination.
const JOIN: &[&str] = &["rename2", "/out/part-"];

fn appending(hdfs: &Hdfs, proxy: &Proxy) -> Result<JobFile> {
    let job = JobFile::new("user-actions", MAIN_QUERY).csv("actions", &hdfs.actions(UserActions::SMALL)?);
    let job = job.output(&proxy.url(hdfs, "out"), &["mode = \"append\""]);
    Ok(job.setting("shuffle_partitions = 8").setting("merge_bytes = \"1KiB\""))
}

fn times(count: usize) -> Result<Rows> {
    let mut rows = small_answer()?.clone();
    rows.rows = (0..count).flat_map(|_| rows.rows.clone()).collect();
    Ok(rows)
}

/// Appends twice; the second time, the NameNode dies when the first file has joined, and the master has not heard of it.
/// Answers with the second job.
fn lose_name_node(hdfs: &Hdfs, cluster: &Cluster, proxy: &Proxy) -> Result<String> {
    let job = appending(hdfs, proxy)?;
    cluster.run_job(&job)?;
    let held = proxy.hold_at(JOIN, Hold::After);
    let id = cluster.submit_detached(&job)?;
    held.wait()?;
    hdfs.run(&["kill-nn"])?;
    held.release();
    Ok(id)
}

#[test]
fn a_master_starts_amid_a_commit_without_a_name_node() -> Result<()> {
    check("open-start", |hdfs, cluster| {
        let proxy = Proxy::to(hdfs)?;
        let job = lose_name_node(hdfs, cluster, &proxy)?;
        for _ in 0..2 {
            let begun = Instant::now();
            cluster.restart_master()?;
            let started = begun.elapsed();
            ensure!(started < Duration::from_secs(20), "the master took {started:?} to start");
            let waits = |status: &Value| status["waiting_for"].as_str().is_some_and(|why| why.starts_with("HDFS: "));
            let status = cluster.wait_for_status(&job, 60, waits)?;
            ensure!(status["state"] == "committing" && status["finished_at"].is_null(), "{status:#}");
        }
        // It is taken although its output cannot be looked at, and waits for its turn there.
        let next = cluster.submit_detached(&appending(hdfs, &proxy)?)?;
        hdfs.run(&["start-nn"])?;
        for id in [&job, &next] {
            let status = cluster.wait_for_end(id, 120)?;
            ensure!(status["state"] == "done" && status["waiting_for"].is_null(), "{status:#}");
        }
        hdfs.check_output("out", &times(3)?)?;
        hdfs.check_no_staging()
    })
}

#[test]
fn a_commit_that_failed_for_want_of_a_name_node_is_taken_back() -> Result<()> {
    let impatient = "[hdfs]\nio_timeout = \"4s\"\nrpc_timeout = \"2s\"\nrpc_tries = 1\nwait_for_namenode = \"4s\"\n";
    let options = ClusterOptions { master_config: impatient.to_owned(), ..ClusterOptions::default() };
    check_with("open-live", options, |hdfs, cluster| {
        let proxy = Proxy::to(hdfs)?;
        let job = lose_name_node(hdfs, cluster, &proxy)?;
        let failed = cluster.wait_for_end(&job, 120)?;
        ensure!(failed["state"] == "failed", "{failed:#}");
        let message = failed["failure"]["message"].as_str().unwrap_or_default();
        ensure!(message.contains("for HDFS"), "{message}");
        hdfs.run(&["start-nn"])?;
        wait_for("the rows of the job that failed to go", Deadline::after_seconds(120), || {
            Ok(hdfs.check_output("out", &times(1)?).is_ok().then_some(()))
        })?;
        hdfs.check_no_staging()?;
        cluster.run_job(&appending(hdfs, &proxy)?)?;
        hdfs.check_output("out", &times(2)?)?;
        // What was settled is settled for the next master too.
        cluster.restart_master()?;
        hdfs.check_output("out", &times(2)?)?;
        ensure!(cluster.api(&format!("/api/v1/jobs/{job}"))?["state"] == "failed", "it ended once");
        hdfs.check_no_staging()
    })
}
