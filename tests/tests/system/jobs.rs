//! Jobs that go well: the answer is that of plain DataFusion, in every format, and the commands say so.

use anyhow::{Context, Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::{
    Cluster, ClusterOptions, JobFile, Rows, part_files, read_parquet_dir, run_hearth, sql_in_one_process,
};
use serde_json::Value;

use crate::common::{
    MAIN_QUERY, check_committed, check_no_shuffle_files, check_only_lost_work_repeated, main_job, number, small_answer,
    work_dirs,
};

#[test]
fn main_job_equals_one_process() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let output = cluster.directory().join("report");
        let job = main_job(UserActions::SMALL)?.output(&output, &[]).setting("split_bytes = \"1MiB\"");
        let status = cluster.run_job(&job)?;
        read_parquet_dir(&output)?.check_equal(small_answer()?)?;
        check_committed(&output)?;
        assert_eq!(status["state"], "done");
        assert_eq!(number(&status, "/output/rows"), small_answer()?.rows.len() as u64);
        assert_eq!(number(&status, "/metrics/input_rows"), UserActions::SMALL.rows);
        check_only_lost_work_repeated(&status)?;
        for file in part_files(&output)? {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            ensure!(name.starts_with("part-") && name.ends_with(".parquet"), "unexpected name {name}");
        }
        let job = status["id"].as_str().context("find the job's id")?;
        check_no_shuffle_files(&work_dirs(cluster, 2), job)
    })
}

#[test]
fn both_workers_take_part() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let output = cluster.directory().join("report");
        let job = main_job(UserActions::SMALL)?.output(&output, &[]).setting("split_bytes = \"256KiB\"");
        let status = cluster.run_job(&job)?;
        ensure!(number(&status, "/stages/0/tasks") > 10, "one task per input split: {status:#}");
        ensure!(number(&status, "/metrics/shuffle_remote_bytes") > 0, "rows went from worker to worker: {status:#}");
        read_parquet_dir(&output)?.check_equal(small_answer()?)
    })
}

#[test]
fn job_without_output_prints_a_table() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let data = UserActions::SMALL.directory()?;
        let query = "SELECT count(*) AS actions, count(DISTINCT email) AS users FROM actions";
        let job = JobFile::new("counts", query).csv("actions", &data);
        let printed = cluster.submit(&job, &[])?.success()?.stdout;
        let expected = sql_in_one_process(query, &[("actions", &data)])?;
        let values = expected.rows.first().context("one row")?;
        for text in ["actions", "users"].into_iter().chain(values.iter().map(String::as_str)) {
            ensure!(printed.contains(text), "expected `{text}` in {printed}");
        }
        Ok(())
    })
}

#[test]
fn order_and_limit_hold_across_workers() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let query = format!("{MAIN_QUERY} ORDER BY freq DESC, email, action LIMIT 100");
        let data = UserActions::SMALL.directory()?;
        let output = cluster.directory().join("top");
        let job = JobFile::new("top", &query).csv("actions", &data).output(&output, &[]);
        cluster.run_job(&job.setting("split_bytes = \"1MiB\""))?;
        let found = read_parquet_dir(&output)?;
        assert_eq!(found.rows, sql_in_one_process(&query, &[("actions", &data)])?.rows);
        Ok(())
    })
}

#[test]
fn csv_and_json_output_read_back() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        for format in ["csv", "json"] {
            let output = cluster.directory().join(format);
            let format_line = format!("format = \"{format}\"");
            cluster.run_job(&main_job(UserActions::SMALL)?.output(&output, &[&format_line]))?;
            check_committed(&output)?;
            let mut found = Rows { columns: small_answer()?.columns.clone(), rows: Vec::new() };
            for file in part_files(&output)? {
                ensure!(
                    file.extension().is_some_and(|extension| extension == format),
                    "unexpected name {}",
                    file.display()
                );
                found.rows.extend(if format == "csv" { read_csv(&file)? } else { read_json(&file)? });
            }
            found.check_equal(small_answer()?)?;
        }
        Ok(())
    })
}

fn read_csv(path: &std::path::Path) -> Result<Vec<Vec<String>>> {
    let mut reader = csv::Reader::from_path(path)?;
    assert_eq!(reader.headers()?.iter().collect::<Vec<_>>(), ["email", "action", "freq"]);
    reader.records().map(|record| Ok(record?.iter().map(str::to_owned).collect())).collect()
}

fn read_json(path: &std::path::Path) -> Result<Vec<Vec<String>>> {
    let text = std::fs::read_to_string(path)?;
    let rows = text.lines().map(|line| {
        let row: Value = serde_json::from_str(line)?;
        let text = |name: &str| row[name].as_str().map_or_else(|| row[name].to_string(), str::to_owned);
        Ok(vec![text("email"), text("action"), text("freq")])
    });
    rows.collect()
}

#[test]
fn json_and_parquet_input() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        for format in ["json", "parquet"] {
            let copy = cluster.directory().join(format!("copy-{format}"));
            let query = "SELECT email, timestamp, action FROM actions";
            let format_line = format!("format = \"{format}\"");
            let data = UserActions::SMALL.directory()?;
            let job = JobFile::new("copy", query).csv("actions", &data).output(&copy, &[&format_line]);
            cluster.run_job(&job)?;
            let output = cluster.directory().join(format!("report-{format}"));
            let job = JobFile::new("again", MAIN_QUERY).input("actions", &copy, &[&format_line]).output(&output, &[]);
            cluster.run_job(&job)?;
            read_parquet_dir(&output)?.check_equal(small_answer()?)?;
        }
        Ok(())
    })
}

#[test]
fn local_master_runs_everything_in_one_process() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let output = directory.path().join("report");
    let job = main_job(UserActions::SMALL)?.output(&output, &[]).write(directory.path())?;
    run_hearth(&["submit", "--master", "local[2]", &job.to_string_lossy()])?.success()?;
    read_parquet_dir(&output)?.check_equal(small_answer()?)?;
    check_committed(&output)
}

#[test]
fn flags_in_place_of_a_job_file() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let output = cluster.directory().join("report");
        let input = format!("actions={}", UserActions::SMALL.directory()?.display());
        let output_text = output.to_string_lossy().into_owned();
        cluster
            .hearth(&["submit", "--input", &input, "--format", "csv", "--sql", MAIN_QUERY, "--output", &output_text])?
            .success()?;
        read_parquet_dir(&output)?.check_equal(small_answer()?)
    })
}

#[test]
fn set_fills_the_job_file() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let template = cluster.directory().join("report-${date}");
        let job = main_job(UserActions::SMALL)?.output(&template, &[]);
        cluster.submit(&job, &["--set", "date=2026-01-15"])?.success()?;
        read_parquet_dir(&cluster.directory().join("report-2026-01-15"))?.check_equal(small_answer()?)
    })
}

#[test]
fn list_status_cancel_and_workers() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 1, ..ClusterOptions::default() }, |cluster| {
        let done =
            cluster.submit_detached(&main_job(UserActions::SMALL)?.output(&cluster.directory().join("a"), &[]))?;
        assert_eq!(cluster.wait_for_end(&done, 60)?["state"], "done");
        let output = cluster.directory().join("b");
        let long = main_job(UserActions::LARGE)?.output(&output, &[]).setting("split_bytes = \"64KiB\"");
        let waiting = cluster.submit_in_background(&long, &[])?;
        let cancelled = running_job(cluster, &done)?;
        cluster.wait_for_status(&cancelled, 60, |status| number(status, "/stages/0/tasks_done") > 0)?;
        cluster.hearth(&["cancel", &cancelled])?.success()?;
        waiting.finish()?.with_code(3)?;
        assert_eq!(cluster.status(&cancelled)?["state"], "cancelled");
        assert!(!output.exists(), "a cancelled job leaves no output");
        check_no_shuffle_files(&work_dirs(cluster, 1), &cancelled)?;

        let listed = cluster.hearth(&["list"])?.success()?.stdout;
        ensure!(listed.contains(&done) && listed.contains(&cancelled), "both jobs are listed: {listed}");
        let worker = cluster.worker(0).id.clone();
        let workers = cluster.hearth(&["workers", "--json"])?.success()?;
        ensure!(workers.stdout.contains(&worker), "the worker is listed: {}", workers.stdout);
        cluster
            .hearth(&["status", "00000000-0000-7000-8000-000000000000"])?
            .with_code(2)?
            .says(&["no job", "hearth list"])?;
        Ok(())
    })
}

/// Waits for a job beside `other` and returns its id.
fn running_job(cluster: &Cluster, other: &str) -> Result<String> {
    hearth_tests::wait_for("the second job", hearth_tests::Deadline::after_seconds(30), || {
        let listed = cluster.hearth(&["list", "--json"])?.success()?.json()?;
        let jobs = listed["jobs"].as_array().cloned().unwrap_or_default();
        let mut ids = jobs.iter().filter_map(|job| job["id"].as_str());
        Ok(ids.find(|id| *id != other).map(str::to_owned))
    })
}
