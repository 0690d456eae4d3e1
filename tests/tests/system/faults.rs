//! The faults of the table, one by one, and some random schedules of all of them: the answer stays the same.
//!
//! Disks that are filled need root, to mount them.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::faults::{Fault, Lasts, Moment, Planned, Poison, Schedule, Slow, Way, Weather, run};
use hearth_tests::{Cluster, ClusterOptions, Deadline, JobFile, read_parquet_dir, wait_for};
use rustix::process::Signal;
use serde_json::Value;

use crate::common::{
    check_committed, check_no_staging, check_only_lost_work_repeated, files_below, large_answer, main_job, number,
    small_answer, wait_for_new_id, wait_until_lost,
};

/// Time for a job that was disturbed, in seconds: far above what it needs, also on a loaded machine.
const SECONDS_MAX: u64 = 150;

fn check(schedules: &[Schedule]) -> Result<()> {
    run(schedules, |_| ())?.check(schedules.len())
}

/// Processes killed and stopped, disks filled, links cut, outputs out of reach; on two workers.
#[test]
fn a_few_seeds() -> Result<()> {
    check(&[4, 7, 9, 10, 28].map(Schedule::draw))
}

/// Neither reaches the other's outputs, for longer than the job takes.
#[test]
fn two_workers_whose_outputs_are_out_of_reach() -> Result<()> {
    let hide = |worker| {
        let (delay, lasts) = (Duration::ZERO, Lasts::For(Duration::from_secs(60)));
        Planned { moment: Moment::Done(30), delay, fault: Fault::HideOutputs(worker), lasts }
    };
    check(&[Schedule { seed: 0, workers: 2, faults: vec![hide(0), hide(1)] }])
}

/// Whatever a network can do to streams of bytes, all of it in one job: reports come twice, late, and after newer ones.
#[test]
fn messages_that_are_doubled_reordered_and_late() -> Result<()> {
    let worst = [
        (5, Fault::StrandConnections(0)),
        (15, Fault::Network(1, Weather::Still(Way::ToWorker))),
        (25, Fault::BreakConnections(0)),
        (35, Fault::Network(0, Weather::Late(150))),
        (50, Fault::Network(1, Weather::Still(Way::ToMaster))),
        (65, Fault::StrandConnections(0)),
        (80, Fault::StrandConnections(1)),
    ];
    let (delay, lasts) = (Duration::ZERO, Lasts::For(Duration::from_millis(400)));
    let faults = worst.map(|(done, fault)| Planned { moment: Moment::Done(done), delay, fault, lasts });
    check(&[Schedule { seed: 0, workers: 2, faults: faults.to_vec() }])
}

/// A job with so many input splits, or as many as there are files, and six tasks that write.
fn small_job(cluster: &Cluster, name: &str, split: &str) -> Result<(JobFile, PathBuf)> {
    let output = cluster.directory().join(name);
    let job = main_job(UserActions::SMALL)?.output(&output, &[]).setting(&format!("split_bytes = \"{split}\""));
    Ok((job.setting("shuffle_partitions = 6").setting("merge_bytes = \"1B\""), output))
}

fn done(cluster: &Cluster, id: &str) -> Result<Value> {
    let status = cluster.wait_for_end(id, SECONDS_MAX)?;
    ensure!(status["state"] == "done", "{status:#}");
    Ok(status)
}

/// What is lost with a worker that stands still: what it runs, and what it holds for the last stage.
fn held_by(cluster: &Cluster, job: &str, worker: &str) -> Result<u64> {
    let mut held = 0;
    for stage in [0, 1] {
        let tasks = cluster.api(&format!("/api/v1/jobs/{job}/stages/{stage}/tasks?page_size=1000"))?;
        let tasks = tasks["tasks"].as_array().cloned().unwrap_or_default();
        let is_lost = |task: &&Value| task["worker"] == worker && (stage == 0 || task["state"] == "running");
        held += tasks.iter().filter(is_lost).count() as u64;
    }
    Ok(held)
}

#[test]
fn a_worker_killed_after_every_prefix_of_the_tasks_that_write() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let mut worker = 0;
        for prefix in 0..6 {
            let (job, output) = small_job(cluster, &format!("report-{prefix}"), "512KiB")?;
            let id = cluster.submit_detached(&job)?;
            let is_over = |status: &Value| status["state"] == "done" || status["state"] == "failed";
            cluster.wait_for_status(&id, 60, |status| {
                let reads = number(status, "/stages/0/tasks");
                let has_read = reads > 0 && number(status, "/stages/0/tasks_done") == reads;
                has_read && number(status, "/stages/1/tasks_done") >= prefix || is_over(status)
            })?;
            // Stopped first, so that little changes between the count and the kill.
            cluster.worker(worker).process.signal(Signal::STOP)?;
            let held = held_by(cluster, &id, &cluster.worker(worker).id.clone())?;
            cluster.kill_worker(worker)?;
            let status = done(cluster, &id)?;
            check_committed(&output)?;
            read_parquet_dir(&output)?.check_equal(small_answer()?)?;
            check_only_lost_work_repeated(&status)?;
            // A report may have been on its way.
            let lost = number(&status, "/attempts/lost");
            ensure!(lost <= held + 1, "after {prefix} tasks {held} were held, {lost} counted as lost: {status:#}");
            worker = cluster.start_worker()?;
        }
        Ok(())
    })
}

#[test]
fn a_worker_that_hangs_and_goes_on_while_the_job_runs_adds_nothing() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let output = cluster.directory().join("report");
        let job = main_job(UserActions::LARGE)?.output(&output, &[]).setting("split_bytes = \"256KiB\"");
        let id = cluster.submit_detached(&job)?;
        cluster.wait_for_status(&id, 60, |status| number(status, "/stages/0/tasks_done") >= 4)?;
        let old = cluster.worker(0).id.clone();
        cluster.worker(0).process.signal(Signal::STOP)?;
        wait_until_lost(cluster, &old)?;
        cluster.worker(0).process.signal(Signal::CONT)?;
        // It has reports under its old id, which nobody takes, and comes back under a new one.
        wait_for_new_id(cluster, &old)?;
        let status = done(cluster, &id)?;
        check_only_lost_work_repeated(&status)?;
        ensure!(number(&status, "/attempts/lost") >= 1, "{status:#}");
        read_parquet_dir(&output)?.check_equal(large_answer()?)
    })
}

#[test]
fn a_worker_at_a_crawl_is_overtaken() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let output = cluster.directory().join("report");
        let job = main_job(UserActions::LARGE)?.output(&output, &[]).setting("split_bytes = \"4MiB\"");
        let slow = Slow::down(cluster.worker(1).process.id());
        let id = cluster.submit_detached(&job)?;
        let status = done(cluster, &id)?;
        drop(slow);
        ensure!(number(&status, "/attempts/second_won") >= 1, "second attempts win: {status:#}");
        check_only_lost_work_repeated(&status)?;
        read_parquet_dir(&output)?.check_equal(large_answer()?)
    })
}

#[test]
fn a_task_that_kills_its_workers_fails_its_job_and_no_other() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 3, ..ClusterOptions::default() }, |cluster| {
        let output = cluster.directory().join("poison");
        let poison = main_job(UserActions::LARGE)?.output(&output, &[]).setting("split_bytes = \"64MiB\"");
        let poison = cluster.submit_detached(&poison)?;
        let mut others = Vec::new();
        for name in ["first", "second"] {
            let (job, output) = small_job(cluster, name, "256KiB")?;
            others.push((cluster.submit_detached(&job)?, output));
        }
        let mut poison = Poison::in_job(poison);
        let failed = wait_for("the job's end", Deadline::after_seconds(SECONDS_MAX), || poison.act(cluster))?;
        let killed = poison.killed();
        ensure!(failed["failure"]["cause"] == "poison" && killed == 3, "{killed} workers were killed: {failed:#}");
        let message = failed["failure"]["message"].as_str().unwrap_or_default();
        ensure!(message.contains("while reading") && message.contains(".csv"), "it names the input split: {message}");
        ensure!(!output.exists(), "it left an output");
        check_no_staging(&output)?;
        for (id, output) in others {
            done(cluster, &id)?;
            read_parquet_dir(&output)?.check_equal(small_answer()?)?;
        }
        Ok(())
    })
}

#[test]
fn a_full_disk_costs_no_job_and_two_of_them_are_named() -> Result<()> {
    let options = ClusterOptions { disk_mebibytes: Some(48), ..ClusterOptions::default() };
    Cluster::run(options, |cluster| {
        cluster.worker(0).disk()?.fill()?;
        let (job, output) = small_job(cluster, "report", "256KiB")?;
        let status = cluster.run_job(&job)?;
        ensure!(number(&status, "/attempts/failed") > 0, "attempts failed for lack of room: {status:#}");
        check_committed(&output)?;
        read_parquet_dir(&output)?.check_equal(small_answer()?)?;

        cluster.worker(1).disk()?.fill()?;
        let (job, output) = small_job(cluster, "never", "256KiB")?;
        let status = cluster.wait_for_end(&cluster.submit_detached(&job)?, SECONDS_MAX)?;
        let message = status["failure"]["message"].as_str().context("a failure")?;
        let work = cluster.directory().join("work-");
        ensure!(status["failure"]["cause"] == "disk_full" && message.contains(&*work.to_string_lossy()), "{status:#}");
        check_no_staging(&output)?;
        ensure!(!output.exists(), "it left an output");

        cluster.worker(1).disk()?.empty()?;
        let (job, output) = small_job(cluster, "again", "256KiB")?;
        cluster.run_job(&job)?;
        read_parquet_dir(&output)?.check_equal(small_answer()?)
    })
}

/// Damaged files of one worker.
const DAMAGED: usize = 3;

#[test]
fn shuffle_outputs_that_are_damaged_on_the_disk_are_made_again() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let (job, output) = small_job(cluster, "report", "256KiB")?;
        let id = cluster.submit_detached(&job)?;
        let mut damaged = BTreeSet::new();
        // As early as there are some: all of them are read once the last one is there.
        wait_for("shuffle outputs", Deadline::after_seconds(60), || {
            for file in files_below(&cluster.worker(0).work_dir)? {
                let is_output = file.extension().is_some_and(|extension| extension == "shuffle");
                if is_output && damaged.len() < DAMAGED && !damaged.contains(&file) {
                    flip_a_bit(&file)?;
                    damaged.insert(file);
                }
            }
            Ok((damaged.len() == DAMAGED).then_some(()))
        })?;
        let status = done(cluster, &id)?;
        let count = |name: &str| number(&status, &format!("/attempts/{name}"));
        ensure!(count("lost") >= 1 && count("failed") >= 1, "the damage was noticed: {status:#}");
        check_only_lost_work_repeated(&status)?;
        read_parquet_dir(&output)?.check_equal(small_answer()?)
    })
}

/// In the middle of a file, where its rows are.
fn flip_a_bit(file: &Path) -> Result<()> {
    let on_disk = File::options().read(true).write(true).open(file)?;
    let at = on_disk.metadata()?.len() / 2;
    let mut byte = [0];
    on_disk.read_exact_at(&mut byte, at)?;
    on_disk.write_all_at(&[byte[0] ^ 1], at).context("damage a file")
}
