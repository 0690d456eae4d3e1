//! Masters that are killed at any moment: the next one goes on, nothing that was finished runs again, and clients wait for it.
//!
//! `HEARTH_RESTART_POINTS` says at how many seeded points the master is killed, `HEARTH_RESTART_SEED` which one is the first.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hearth_client::job_file::read_job;
use hearth_client::{Client, MasterList};
use hearth_tests::data::UserActions;
use hearth_tests::{Background, Cluster, ClusterOptions, Deadline, JobFile, read_parquet_dir, wait_for};
use rustix::process::Signal;
use serde_json::Value;

use crate::common::{
    check_committed, check_no_shuffle_files, check_no_staging, check_only_lost_work_repeated, large_answer, main_job,
    number, tasks, work_dirs,
};

/// Time for a job that lost its master, in seconds: far above what it needs, also on a loaded machine.
const SECONDS_MAX: u64 = 150;
/// Slots of the cluster: as many attempts may be on their way to a worker when the master dies.
const SLOTS: u64 = 2;

fn long_job(output: &Path) -> Result<JobFile> {
    let job = main_job(UserActions::LARGE)?.output(output, &[]);
    Ok(job.setting("split_bytes = \"512KiB\"").setting("shuffle_partitions = 24").setting("merge_bytes = \"1KiB\""))
}

/// A job, and the command that waits for it.
struct Submitted {
    output: PathBuf,
    client: Background,
    id: String,
}

impl Submitted {
    fn new(cluster: &Cluster, name: &str) -> Result<Self> {
        let output = cluster.directory().join(name);
        let known = listed(cluster)?;
        let client = cluster.submit_in_background(&long_job(&output)?, &[])?;
        let id = wait_for("the job", Deadline::after_seconds(60), || {
            Ok(listed(cluster)?.into_iter().find(|id| !known.contains(id)))
        })?;
        Ok(Self { output, client, id })
    }

    /// The command ends as if nothing had happened, and so does the job.
    fn check(self, cluster: &Cluster, (dead_workers, lost_max): (usize, u64)) -> Result<Value> {
        let Self { output, client, id } = self;
        let ended = client.finish_within(SECONDS_MAX)?.success()?;
        let status = cluster.wait_for_end(&id, 5)?;
        ensure!(status["state"] == "done", "the job did not go on: {status:#} {ended:?}");
        check_committed(&output)?;
        read_parquet_dir(&output)?.check_equal(large_answer()?)?;
        check_no_staging(&output)?;
        check_no_shuffle_files(&work_dirs(cluster, 2)[dead_workers..], &id)?;
        check_only_lost_work_repeated(&status)?;
        let count = |name: &str| number(&status, &format!("/attempts/{name}"));
        ensure!(count("launched") >= tasks(&status), "attempts of both masters count: {status:#}");
        ensure!(count("lost") <= lost_max, "work that workers held was lost: {status:#}");
        let read = number(&status, "/inputs/0/records");
        ensure!(read == UserActions::LARGE.rows, "{read} records were read: {status:#}");
        ensure!(number(&status, "/metrics/input_rows") == UserActions::LARGE.rows, "rows of all tasks: {status:#}");
        Ok(status)
    }
}

fn listed(cluster: &Cluster) -> Result<Vec<String>> {
    let jobs = cluster.api("/api/v1/jobs")?;
    let jobs = jobs["jobs"].as_array().cloned().unwrap_or_default();
    Ok(jobs.iter().filter_map(|job| job["id"].as_str().map(str::to_owned)).collect())
}

fn tasks_done(status: &Value) -> u64 {
    let stages = status["stages"].as_array().cloned().unwrap_or_default();
    stages.iter().map(|stage| number(stage, "/tasks_done")).sum()
}

fn is_final(status: &Value) -> bool {
    matches!(status["state"].as_str(), Some("done" | "failed" | "cancelled"))
}

fn check_killed_when(is_time: fn(&Value) -> bool) -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let submitted = Submitted::new(cluster, "report")?;
        let before = cluster.wait_for_status(&submitted.id, 90, |status| is_time(status) || is_final(status))?;
        ensure!(!is_final(&before), "the job was over before the test could disturb it: {before:#}");
        cluster.restart_master()?;
        let after = cluster.status(&submitted.id)?;
        ensure!(tasks_done(&after) >= tasks_done(&before), "finished tasks are forgotten: {before:#} {after:#}");
        submitted.check(cluster, (0, SLOTS))?;
        Ok(())
    })
}

#[test]
fn master_killed_in_the_map_stage() -> Result<()> {
    check_killed_when(|status| number(status, "/stages/0/tasks_done") >= 4)
}

#[test]
fn master_killed_in_the_reduce_stage() -> Result<()> {
    check_killed_when(|status| number(status, "/stages/1/tasks_done") >= 4)
}

#[test]
fn master_killed_at_seeded_points() -> Result<()> {
    let setting = |name: &str, default: u64| -> Result<u64> {
        std::env::var(name).map_or(Ok(default), |text| text.parse().with_context(|| format!("{name} is a number")))
    };
    let (points, first) = (setting("HEARTH_RESTART_POINTS", 8)?, setting("HEARTH_RESTART_SEED", 0)?);
    Cluster::run(ClusterOptions::default(), |cluster| {
        for seed in first..first + points {
            let submitted = Submitted::new(cluster, &format!("report-{seed}"))?;
            // Spread over the whole job, its planning and its commit too; the golden ratio leaves no gap and no pattern.
            let percent = ((seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) * 101) >> 32;
            let is_time = |status: &Value| {
                let all = tasks(status);
                is_final(status) || percent < 3 || all > 0 && tasks_done(status) * 100 >= percent * all
            };
            cluster.wait_for_status(&submitted.id, 90, is_time)?;
            cluster.restart_master()?;
            submitted
                .check(cluster, (0, SLOTS))
                .with_context(|| format!("seed {seed}, killed at {percent} % of the job"))?;
        }
        Ok(())
    })
}

#[test]
fn master_killed_in_the_commit() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let submitted = Submitted::new(cluster, "report")?;
        cluster.wait_for_status(&submitted.id, 90, |status| status["state"] == "committing" || is_final(status))?;
        cluster.restart_master()?;
        submitted.check(cluster, (0, SLOTS))?;
        Ok(())
    })
}

#[test]
fn queued_and_planned_jobs_have_their_turn_after_a_restart() -> Result<()> {
    let options = ClusterOptions { master_config: "running_jobs_max = 1".to_owned(), ..ClusterOptions::default() };
    Cluster::run(options, |cluster| {
        let mut ids = Vec::new();
        let submit = |cluster: &Cluster, number: usize| {
            let output = cluster.directory().join(format!("report-{number}"));
            cluster.submit_detached(&long_job(&output)?.setting("deadline_seconds = 3600"))
        };
        // The first one is being planned, or was just accepted.
        ids.push(submit(cluster, 0)?);
        cluster.restart_master()?;
        ids.push(submit(cluster, 1)?);
        ids.push(submit(cluster, 2)?);
        cluster.wait_for_status(&ids[0], 60, |status| tasks_done(status) > 0)?;
        cluster.restart_master()?;
        assert_eq!(cluster.status(&ids[2])?["state"], "queued");
        let mut started = Vec::new();
        for (index, id) in ids.iter().enumerate() {
            let status = cluster.wait_for_end(id, SECONDS_MAX)?;
            ensure!(status["state"] == "done", "{status:#}");
            read_parquet_dir(&cluster.directory().join(format!("report-{index}")))?.check_equal(large_answer()?)?;
            started.push(number(&status, "/started_ms"));
        }
        ensure!(started.is_sorted(), "the order of submission is kept: {started:?}");
        Ok(())
    })
}

#[test]
fn worker_killed_together_with_the_master() -> Result<()> {
    let options = ClusterOptions { master_config: "restart_grace = \"12s\"".to_owned(), ..ClusterOptions::default() };
    Cluster::run(options, |cluster| {
        let submitted = Submitted::new(cluster, "report")?;
        cluster.wait_for_status(&submitted.id, 90, |status| number(status, "/stages/1/tasks_done") >= 2)?;
        cluster.kill_master()?;
        cluster.kill_worker(0)?;
        cluster.start_master_again()?;
        cluster.start_worker()?;
        let status = submitted.check(cluster, (1, u64::MAX))?;
        ensure!(number(&status, "/attempts/lost") > 1, "what the dead worker held was made again: {status:#}");
        Ok(())
    })
}

#[test]
fn stopped_master_keeps_its_jobs() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let submitted = Submitted::new(cluster, "report")?;
        cluster.wait_for_status(&submitted.id, 90, |status| tasks_done(status) >= 4)?;
        let exit = cluster.stop_master(Signal::TERM)?;
        ensure!(exit.success(), "the master ended with {exit} after SIGTERM");
        cluster.start_master_again()?;
        submitted.check(cluster, (0, SLOTS))?;
        Ok(())
    })
}

#[test]
fn result_without_an_output_survives_a_restart() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let query = "SELECT action, count(*) AS n FROM actions GROUP BY action ORDER BY action";
        let job = JobFile::new("counts", query)
            .csv("actions", &UserActions::LARGE.directory()?)
            .setting("split_bytes = \"512KiB\"");
        let expected = cluster.submit(&job, &["--json"])?.success()?.stdout;
        let known = listed(cluster)?;
        let client = cluster.submit_in_background(&job, &["--json"])?;
        let id = wait_for("the job", Deadline::after_seconds(60), || {
            Ok(listed(cluster)?.into_iter().find(|id| !known.contains(id)))
        })?;
        cluster.wait_for_status(&id, 60, |status| tasks_done(status) >= 4)?;
        cluster.restart_master()?;
        let ended = client.finish_within(SECONDS_MAX)?.success()?;
        let rows = |text: &str| Ok::<_, anyhow::Error>(serde_json::from_str::<Value>(text)?["result"].clone());
        assert_eq!(rows(&ended.stdout)?, rows(&expected)?, "{ended:?}");
        ensure!(ended.stderr.contains("the master answers again"), "the outage is told: {ended:?}");
        Ok(())
    })
}

/// Clients that submit at once.
const SUBMISSIONS: usize = 1_000;

#[test]
fn a_thousand_submissions_with_one_key_make_one_job() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let output = cluster.directory().join("report");
        let file = long_job(&output)?.write(cluster.directory())?;
        let spec = read_job(&file, &BTreeMap::new())?;
        let url: MasterList = cluster.url().parse()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        // A few connections, as gateways have them: what matters is how many requests are under way.
        let clients: Vec<Client> =
            (0..20).map(|_| runtime.block_on(Client::connect(&url))).collect::<Result<_, _>>()?;
        let submit = |number: usize| {
            let (client, spec) = (clients[number % clients.len()].clone(), spec.clone());
            runtime.spawn(async move { client.submit(spec, Some("nightly".to_owned())).await })
        };
        let submissions: Vec<_> = (0..SUBMISSIONS).map(submit).collect();
        let is_under_way = || submissions.iter().any(|submission| submission.is_finished());
        wait_for("the first answer", Deadline::after_seconds(60), || Ok(is_under_way().then_some(())))?;
        cluster.restart_master()?;
        let mut answered = BTreeSet::new();
        for submission in submissions {
            answered.insert(runtime.block_on(submission)??.job.to_string());
        }
        let jobs: BTreeSet<String> = listed(cluster)?.into_iter().collect();
        ensure!(answered.len() == 1 && answered == jobs, "answered were {answered:?}, there are {jobs:?}");
        let id = answered.pop_first().context("a job")?;
        assert_eq!(cluster.wait_for_end(&id, SECONDS_MAX)?["state"], "done");
        read_parquet_dir(&output)?.check_equal(large_answer()?)
    })
}
