//! What operators of a plan did, on the pages and in the API: the sums are those of the job, and outlive its master.

use anyhow::{Context, Result, ensure};
use hearth_test_browser::Browser;
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, ClusterOptions, Deadline, wait_for};
use rustix::process::Signal;
use serde_json::Value;

use crate::common::{main_job, number};

fn stages(cluster: &Cluster, job: &str) -> Result<Vec<Value>> {
    let answer = cluster.api(&format!("/api/v1/jobs/{job}/operators"))?;
    answer["stages"].as_array().cloned().context("find the stages")
}

fn operators(stages: &[Value]) -> impl Iterator<Item = &Value> {
    stages.iter().flat_map(|stage| stage["operators"].as_array().into_iter().flatten())
}

/// A figure of all operators of that name, added up.
fn sum(stages: &[Value], name: &str, figure: &str) -> u64 {
    let named = operators(stages).filter(|operator| operator["name"] == name);
    named.map(|operator| number(operator, &format!("/{figure}"))).sum()
}

/// Every operator gave rows, took time, and stands in the plan.
fn check_all_told(stages: &[Value]) -> Result<()> {
    for operator in operators(stages) {
        ensure!(number(operator, "/rows") > 0, "an operator does not tell its rows: {operator}");
        ensure!(operator["compute_ms"].as_f64() > Some(0.0), "an operator does not tell its time: {operator}");
        let is_sink = operator["depth"] == 0;
        ensure!(operator["text"].is_null() == is_sink, "an operator is not found in the plan: {operator}");
    }
    Ok(())
}

/// The sums are those that the status tells. Filters of the scans left out so many records.
fn check_sums(stages: &[Value], status: &Value, left_out: u64) -> Result<()> {
    let of_status = status["stages"].as_array().context("find the stages")?;
    ensure!(stages.len() == of_status.len(), "{} stages of {}", stages.len(), of_status.len());
    for (stage, told) in stages.iter().zip(of_status) {
        ensure!(stage["tasks"] == told["tasks"] && stage["tasks_left_out"] == 0, "{stage:#} is not all of {told:#}");
        // Operators of an attempt compute one after the other: no time is counted twice.
        let computed: f64 = operators(std::slice::from_ref(stage)).filter_map(|one| one["compute_ms"].as_f64()).sum();
        let elapsed = number(told, "/metrics/elapsed_ms") + number(told, "/tasks");
        ensure!(computed <= elapsed as f64, "{computed} ms were computed in {elapsed} ms: {stage:#}");
    }
    let read = number(status, "/metrics/input_rows");
    let given = sum(stages, "ScanExec", "rows");
    ensure!(given + left_out == read, "scans gave {given} rows and left out {left_out} of {read}: {stages:#?}");
    let shuffled = number(status, "/metrics/shuffle_read_rows");
    ensure!(sum(stages, "StageInputExec", "rows") == shuffled, "stages did not read {shuffled} rows: {stages:#?}");
    let written = number(status, "/output/rows");
    ensure!(sum(stages, "OutputWrite", "rows") == written, "{written} rows were not written: {stages:#?}");
    Ok(())
}

#[test]
fn operators_tell_what_they_did() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let output = cluster.directory().join("report");
        let job = main_job(UserActions::SMALL)?.output(&output, &[]).setting("split_bytes = \"64KiB\"");
        let status = cluster.run_job(&job)?;
        let id = status["id"].as_str().context("find the job's id")?;
        let told = stages(cluster, id)?;
        check_sums(&told, &status, 0)?;
        check_all_told(&told)?;
        ensure!(sum(&told, "TextCountExec", "max_memory_bytes") > 0, "the memory of groups is not told: {told:#?}");
        let shuffled = sum(&told, "ShuffleWrite", "rows");
        ensure!(shuffled == sum(&told, "StageInputExec", "rows"), "rows are lost on their way: {told:#?}");

        let mut browser = Browser::start()?;
        let mut page = browser.open(&format!("http://{}/jobs/{id}", cluster.http()), 1280)?;
        let rows = "[...document.querySelectorAll('#plan table.operators tbody tr')]";
        let count = operators(&told).count();
        page.wait_for(&format!("{rows}.length === {count}"), 60)?;
        let shown = page.text_of(&format!("{rows}.map((row) => row.innerText.replace(/\\s+/g, ' ')).join('\\n')"))?;
        let lines: Vec<&str> = shown.lines().collect();
        ensure!(lines.first().is_some_and(|line| line.starts_with("ShuffleWrite")), "{shown}");
        ensure!(lines.iter().any(|line| line.contains("run as TextCountExec")), "{shown}");
        let scan = lines.iter().find(|line| line.starts_with("ScanExec")).context("find the scan")?;
        ensure!(scan.contains("actions, csv") && scan.contains("300K"), "{scan}");
        for stage in status["stages"].as_array().context("find the stages")? {
            let graph = format!("document.querySelector('#graph [aria-label^=\"Stage {}, \"]').ariaLabel", stage["id"]);
            let said = page.text_of(&graph)?.replace(',', "");
            let wrote = format!("wrote {} rows", stage["metrics"]["output_rows"]);
            ensure!(said.contains(&wrote), "`{wrote}` is not what the graph says: {said}");
            let title = format!("document.querySelectorAll('#plan summary')[{}].textContent", stage["id"]);
            let title = page.text_of(&title)?;
            ensure!(title.ends_with(stage["label"].as_str().unwrap_or_default()), "{title} is not of {stage:#}");
        }
        ensure!(page.problems()?.is_empty(), "the page has problems");
        drop(page);

        cluster.restart_master()?;
        ensure!(stages(cluster, id)? == told, "another master tells something else");
        Ok(())
    })
}

/// Records with an action.
fn records_of(action: &str) -> Result<u64> {
    let mut records = 0;
    for file in std::fs::read_dir(UserActions::SMALL.directory()?)? {
        let text = std::fs::read_to_string(file?.path())?;
        records += text.lines().filter(|line| line.ends_with(&format!(",{action}"))).count() as u64;
    }
    ensure!(records > 0, "no record has the action {action}");
    Ok(records)
}

/// Joins by hash and by sorting, windows, sorts that spill: also those tell.
#[test]
fn operators_of_all_kinds_tell() -> Result<()> {
    let query = "SELECT * FROM (SELECT a.email, a.action, b.n, \
         row_number() OVER (PARTITION BY a.email ORDER BY a.timestamp, a.action) AS place \
         FROM actions a JOIN (SELECT email, count(*) AS n, max(timestamp) AS last FROM actions GROUP BY email) b \
         ON a.email = b.email AND a.timestamp <= b.last WHERE a.action <> 'cart') WHERE place < 9 ORDER BY email, place";
    let left_out = records_of("cart")?;
    for setting in ["broadcast_bytes_max = \"64MiB\"", "broadcast_bytes_max = \"0B\""] {
        Cluster::run(ClusterOptions { workers: 1, ..ClusterOptions::default() }, |cluster| {
            let output = cluster.directory().join("report");
            let job = hearth_tests::JobFile::new("all kinds", query).csv("actions", &UserActions::SMALL.directory()?);
            let status = cluster.run_job(&job.output(&output, &[]).setting(setting))?;
            let told = stages(cluster, status["id"].as_str().context("find the job's id")?)?;
            check_sums(&told, &status, left_out)?;
            check_all_told(&told).with_context(|| setting.to_owned())
        })?;
    }
    Ok(())
}

#[test]
fn operators_of_a_job_outlive_the_master_it_began_under() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let output = cluster.directory().join("report");
        let job = main_job(UserActions::LARGE)?.output(&output, &[]).setting("split_bytes = \"512KiB\"");
        let id = cluster.submit_detached(&job)?;
        let before = cluster.wait_for_status(&id, 90, |status| number(status, "/stages/0/tasks_done") >= 4)?;
        ensure!(before["state"] == "running", "the job was over before the test could disturb it: {before:#}");
        cluster.stop_master(Signal::KILL)?;
        cluster.restart_master()?;
        let status = cluster.wait_for_end(&id, 150)?;
        ensure!(status["state"] == "done", "{status:#}");
        let told = wait_for("the operators", Deadline::after_seconds(10), || Ok(stages(cluster, &id).ok()))?;
        check_sums(&told, &status, 0)?;

        // Attempts that ended under the master before are not known, and that is said.
        let listed = cluster.api(&format!("/api/v1/jobs/{id}/attempts"))?;
        let (known, left_out) = (number(&listed, "/total"), number(&listed, "/left_out"));
        ensure!(left_out >= 3, "{left_out} attempts are left out of {listed:#}");
        assert_eq!(known + left_out, number(&status, "/attempts/launched"));
        let mut browser = Browser::start()?;
        let mut page = browser.open(&format!("http://{}/jobs/{id}", cluster.http()), 1280)?;
        let said = "document.querySelector('#attempts-left-out').textContent";
        page.wait_for(&format!("{said}.startsWith('{left_out} further attempts of this job are not listed')"), 60)
    })
}
