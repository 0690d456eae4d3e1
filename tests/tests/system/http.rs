//! The web address: health, metrics, JSON, and a page on which text stays text.

use anyhow::{Context, Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, ClusterOptions, Deadline, http_get, wait_for};
use rustix::process::Signal;
use serde_json::Value;

use crate::common::{main_job, number};

#[test]
fn health_metrics_and_json() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let status =
            cluster.run_job(&main_job(UserActions::SMALL)?.output(&cluster.directory().join("report"), &[]))?;
        let id = status["id"].as_str().context("find the job's id")?;
        for path in ["/healthz", "/readyz"] {
            assert_eq!(http_get(cluster.http(), path)?.status, 200, "{path}");
        }
        check_metrics(cluster)?;

        let jobs = cluster.api("/api/v1/jobs")?;
        ensure!(list(&jobs, "jobs").iter().any(|job| job["id"] == id), "the job is listed: {jobs:#}");
        let job = cluster.api(&format!("/api/v1/jobs/{id}"))?;
        assert_eq!(job["state"], "done");
        assert_eq!(job["name"], "user-actions");
        let stages = list(&job, "stages");
        ensure!(stages.len() >= 2, "an aggregation has two stages: {job:#}");
        for stage in &stages {
            ensure!(
                number(stage, "/tasks") > 0 && stage["tasks"] == stage["tasks_done"],
                "all tasks are done: {stage:#}"
            );
        }
        let workers = cluster.api("/api/v1/workers")?;
        let workers = list(&workers, "workers");
        assert_eq!(workers.len(), 2);
        for worker in &workers {
            assert_eq!((worker["state"].as_str(), number(worker, "/slots")), (Some("alive"), 1), "{worker:#}");
        }
        Ok(())
    })
}

/// Charts go on where they ended, also those of a worker; a file that is damaged is left aside.
#[test]
fn charts_go_on_after_a_restart() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 1, ..ClusterOptions::default() }, |cluster| {
        let paths = ["/api/v1/cluster/load".to_owned(), format!("/api/v1/workers/{}/load", cluster.worker(0).id)];
        let samples = |cluster: &Cluster, path: &str, least: usize| {
            let found = wait_for("samples of a chart", Deadline::after_seconds(120), || {
                let times = list(&cluster.api(path)?, "at");
                Ok((times.len() >= least).then_some(times))
            });
            found.with_context(|| path.to_owned())
        };
        cluster.run_job(&main_job(UserActions::SMALL)?)?;
        let before = [samples(cluster, &paths[0], 2)?, samples(cluster, &paths[1], 1)?];
        ensure!(cluster.stop_master(Signal::TERM)?.success(), "the master ends well");
        cluster.start_master_again()?;
        for (path, before) in paths.iter().zip(&before) {
            let after = samples(cluster, path, before.len() + 1)?;
            ensure!(after.starts_with(before), "{path} had {before:?}, and has {after:?}");
        }
        let read: u64 = list(&cluster.api(&paths[0])?, "read_bytes").iter().filter_map(Value::as_u64).sum();
        ensure!(read > 0, "the bytes that the job read before are there");

        ensure!(cluster.stop_master(Signal::TERM)?.success(), "the master ends well");
        let file = cluster.directory().join("state/charts");
        let text = std::fs::read_to_string(&file)?;
        std::fs::write(&file, text.replacen("[1", "[2", 1))?;
        cluster.start_master_again()?;
        ensure!(list(&cluster.api(&paths[0])?, "at").len() <= 1, "what is damaged is not shown");
        ensure!(cluster.log_tails().contains("charts begin anew"), "it is told: {}", cluster.log_tails());
        Ok(())
    })
}

fn list(document: &Value, name: &str) -> Vec<Value> {
    document[name].as_array().cloned().unwrap_or_default()
}

fn check_metrics(cluster: &Cluster) -> Result<()> {
    let metrics = http_get(cluster.http(), "/metrics")?;
    assert_eq!(metrics.status, 200);
    ensure!(
        metrics.body.lines().any(|line| line.starts_with("# TYPE hearth_")),
        "Prometheus' format: {}",
        metrics.body
    );
    for line in metrics.body.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let value = line.rsplit(' ').next().unwrap_or_default();
        ensure!(value.parse::<f64>().is_ok(), "a sample ends with a number: {line}");
    }
    Ok(())
}

#[test]
fn unknown_paths_and_ids_are_not_found() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 0, ..ClusterOptions::default() }, |cluster| {
        for path in ["/nothing", "/api/v1/nothing", "/api/v1/jobs/00000000-0000-7000-8000-000000000000"] {
            assert_eq!(http_get(cluster.http(), path)?.status, 404, "{path}");
        }
        for path in ["/api/v1/jobs/..%2f..%2fetc%2fpasswd", "/api/v1/jobs/x"] {
            let status = http_get(cluster.http(), path)?.status;
            ensure!(status == 400 || status == 404, "{path} answered {status}");
        }
        Ok(())
    })
}

#[test]
fn hostile_text_stays_text() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let name = "<script>alert(1)</script>\"'&\u{1b}[2J";
        let data = UserActions::SMALL.directory()?;
        let job = hearth_tests::JobFile::new(name, "SELECT count(*) AS n FROM actions").csv("actions", &data);
        let id = cluster.submit_detached(&job)?;
        cluster.wait_for_end(&id, 60)?;
        assert_eq!(cluster.api(&format!("/api/v1/jobs/{id}"))?["name"], name);
        let page = http_get(cluster.http(), "/")?;
        assert_eq!(page.status, 200);
        ensure!(page.content_type.starts_with("text/html"), "{}", page.content_type);
        ensure!(!page.body.contains("<script>alert"), "the name became markup: {}", page.body);
        let listed = cluster.hearth(&["list"])?.success()?.stdout;
        ensure!(!listed.contains('\u{1b}'), "a control character reached the terminal: {listed:?}");
        Ok(())
    })
}
