//! The processes themselves: how they begin and end, what outlives them, and the demo that starts them all.

use anyhow::{Context, Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::{Background, Cluster, ClusterOptions, Deadline, read_parquet_dir, run_hearth};
use rustix::process::Signal;

use crate::common::{
    check_no_shuffle_files, check_no_staging, large_answer, main_job, number, small_answer, work_dirs,
};

#[test]
fn signals_end_processes_cleanly() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 2, ..ClusterOptions::default() }, |cluster| {
        cluster.worker(0).process.signal(Signal::TERM)?;
        let exit = cluster.wait_for_worker_exit(0, Deadline::after_seconds(30))?;
        ensure!(exit.success(), "an idle worker ended with {exit} after SIGTERM");
        cluster.worker(1).process.signal(Signal::INT)?;
        let exit = cluster.wait_for_worker_exit(1, Deadline::after_seconds(30))?;
        ensure!(exit.success(), "an idle worker ended with {exit} after SIGINT");
        let exit = cluster.stop_master(Signal::TERM)?;
        ensure!(exit.success(), "the master ended with {exit} after SIGTERM");
        Ok(())
    })
}

#[test]
fn second_signal_ends_a_draining_worker() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 1, ..ClusterOptions::default() }, |cluster| {
        let output = cluster.directory().join("report");
        // One input split per file: an attempt takes a while.
        let job = main_job(UserActions::LARGE)?.output(&output, &[]).setting("split_bytes = \"1GiB\"");
        let id = cluster.submit_detached(&job)?;
        cluster.wait_for_status(&id, 60, |status| number(status, "/stages/0/tasks_running") > 0)?;
        cluster.drain_worker(0)?;
        hearth_tests::wait_for("the worker to drain", Deadline::after_seconds(20), || {
            let workers = cluster.api("/api/v1/workers")?;
            let worker = &workers["workers"][0];
            let goes = ["draining", "left"].iter().any(|state| worker["state"] == *state);
            Ok((goes || worker.is_null()).then_some(()))
        })?;
        // Its attempts may be done by now, or have crossed the drain: then it has left, and there is nothing to signal.
        let _ = cluster.drain_worker(0);
        cluster.wait_for_worker_exit(0, Deadline::after_seconds(10))?;
        Ok(())
    })
}

#[test]
fn ended_jobs_outlive_the_master() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let first = cluster.directory().join("first");
        let done = cluster.submit_detached(&main_job(UserActions::SMALL)?.output(&first, &[]))?;
        assert_eq!(cluster.wait_for_end(&done, 60)?["state"], "done");
        let second = cluster.directory().join("second");
        let job = main_job(UserActions::LARGE)?.output(&second, &[]).setting("split_bytes = \"64KiB\"");
        let cut_off = cluster.submit_detached(&job)?;
        cluster.wait_for_status(&cut_off, 60, |status| number(status, "/stages/0/tasks_done") > 2)?;
        cluster.restart_master()?;

        assert_eq!(cluster.status(&done)?["state"], "done", "an ended job is remembered");
        let status = cluster.wait_for_end(&cut_off, 120)?;
        assert_eq!(status["state"], "done", "the other one goes on: {status:#}");
        read_parquet_dir(&second)?.check_equal(large_answer()?)?;
        check_no_staging(&second)?;
        check_no_shuffle_files(&work_dirs(cluster, 2), &cut_off)?;

        let third = cluster.directory().join("third");
        cluster.run_job(&main_job(UserActions::SMALL)?.output(&third, &[]))?;
        read_parquet_dir(&third)?.check_equal(small_answer()?)
    })
}

#[test]
fn a_key_makes_one_job() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 1, ..ClusterOptions::default() }, |cluster| {
        let job = main_job(UserActions::SMALL)?.output(&cluster.directory().join("report"), &[]);
        let submit =
            |job: &hearth_tests::JobFile| cluster.submit(job, &["--detach", "--idempotency-key", "nightly-15"]);
        let first = submit(&job)?.success()?.stdout;
        assert_eq!(submit(&job)?.success()?.stdout, first);
        cluster.wait_for_end(first.trim(), 60)?;
        assert_eq!(submit(&job)?.success()?.stdout, first, "also when its output exists by now");
        let other = main_job(UserActions::SMALL)?.output(&cluster.directory().join("other"), &[]);
        submit(&other)?.with_code(2)?.says(&["key", "another job"])?;
        Ok(())
    })
}

#[test]
fn client_may_leave() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let output = cluster.directory().join("report");
        let job = main_job(UserActions::SMALL)?.output(&output, &[]);
        let mut client: Background = cluster.submit_in_background(&job, &[])?;
        let id = hearth_tests::wait_for("the job", Deadline::after_seconds(30), || {
            let jobs = cluster.api("/api/v1/jobs")?;
            Ok(jobs["jobs"][0]["id"].as_str().map(str::to_owned))
        })?;
        client.process().kill()?;
        assert_eq!(cluster.wait_for_end(&id, 60)?["state"], "done");
        read_parquet_dir(&output)?.check_equal(small_answer()?)
    })
}

#[test]
fn demo_shows_everything_and_leaves_no_process() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let place = directory.path().join("demo");
    let printed = run_hearth(&["demo", "--rows", "100000", "--dir", &place.to_string_lossy()])?.success()?.stdout;
    for text in ["100,000", "http://", "rows read", "rows written", "output", "email", "freq"] {
        ensure!(printed.contains(text), "expected `{text}` in {printed}");
    }
    let rpc = printed.split_whitespace().find_map(|word| word.strip_prefix("hearth://")).context("find the address")?;
    run_hearth(&["list", "--master", &format!("hearth://{rpc}")])?.with_code(4)?;
    Ok(())
}
