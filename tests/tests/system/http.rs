//! The web address: health, metrics, JSON, and a page on which text stays text.

use anyhow::{Context, Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, ClusterOptions, http_get};
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
