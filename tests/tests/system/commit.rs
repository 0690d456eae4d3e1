//! What becomes visible, and when: modes, markers, several files, directories by value, and what a failure leaves.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, ClusterOptions, JobFile, count_parquet_rows, part_files, read_parquet_dir};

use crate::common::{
    check_committed, check_no_shuffle_files, check_no_staging, main_job, number, shuffle_files, small_answer, work_dirs,
};

fn counts(output: &Path, lines: &[&str]) -> Result<JobFile> {
    let query = "SELECT action, count(*) AS freq FROM actions GROUP BY action";
    Ok(JobFile::new("counts", query).csv("actions", &UserActions::SMALL.directory()?).output(output, lines))
}

#[test]
fn existing_output_is_refused() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let output = cluster.directory().join("report");
        cluster.run_job(&counts(&output, &[])?)?;
        let before = part_files(&output)?;
        cluster.submit(&counts(&output, &[])?, &[])?.with_code(2)?.says(&[
            "exists",
            &output.to_string_lossy(),
            "overwrite",
        ])?;
        assert_eq!(part_files(&output)?, before, "the first output is untouched");
        check_no_staging(&output)
    })
}

#[test]
fn overwrite_replaces_everything() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let output = cluster.directory().join("report");
        cluster.run_job(&main_job(UserActions::SMALL)?.output(&output, &[]))?;
        let first: BTreeSet<_> = part_files(&output)?.into_iter().collect();
        cluster.run_job(&counts(&output, &["mode = \"overwrite\""])?)?;
        ensure!(part_files(&output)?.iter().all(|file| !first.contains(file)), "an old file is left");
        assert_eq!(read_parquet_dir(&output)?.names(), ["action", "freq"]);
        check_committed(&output)?;
        let beside: Vec<_> = std::fs::read_dir(cluster.directory())?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        ensure!(
            beside.iter().filter(|name| name.contains("report")).count() == 1,
            "the old directory is gone: {beside:?}"
        );
        Ok(())
    })
}

#[test]
fn failed_overwrite_keeps_the_old_output() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let output = cluster.directory().join("report");
        cluster.run_job(&main_job(UserActions::SMALL)?.output(&output, &[]))?;
        // Only the last row fails, so that attempts of other tasks have written by then.
        let query = "SELECT email, CAST(action AS BIGINT) AS n FROM actions";
        let data = UserActions::SMALL.directory()?;
        let job = JobFile::new("fails", query).csv("actions", &data).output(&output, &["mode = \"overwrite\""]);
        let id = cluster.submit_detached(&job)?;
        let status = cluster.wait_for_end(&id, 60)?;
        assert_eq!(status["state"], "failed");
        assert_eq!(status["failure"]["cause"], "task", "a bad value is nobody's fault but the data's: {status:#}");
        read_parquet_dir(&output)?.check_equal(small_answer()?)?;
        check_committed(&output)?;
        check_no_shuffle_files(&work_dirs(cluster, 2), &id)
    })
}

#[test]
fn append_adds_files() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let output = cluster.directory().join("report");
        let append = counts(&output, &["mode = \"append\""])?;
        cluster.run_job(&append)?;
        let once = read_parquet_dir(&output)?.rows.len();
        let first: BTreeSet<_> = part_files(&output)?.into_iter().collect();
        cluster.run_job(&append)?;
        assert_eq!(read_parquet_dir(&output)?.rows.len(), 2 * once);
        ensure!(first.is_subset(&part_files(&output)?.into_iter().collect()), "the first files are still there");
        check_committed(&output)
    })
}

#[test]
fn partition_by_makes_directories() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let output = cluster.directory().join("report");
        let job = main_job(UserActions::SMALL)?.output(&output, &["partition_by = [\"action\"]"]);
        cluster.run_job(&job)?;
        check_committed(&output)?;
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&output)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some(action) = name.strip_prefix("action=") else { continue };
            let rows = read_parquet_dir(&path)?;
            assert_eq!(rows.names(), ["email", "freq"]);
            found.extend(rows.rows.into_iter().map(|row| vec![row[0].clone(), action.to_owned(), row[1].clone()]));
        }
        found.sort_unstable();
        assert_eq!(found, small_answer()?.sorted());
        Ok(())
    })
}

#[test]
fn large_output_becomes_several_files() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let output = cluster.directory().join("copy");
        let query = "SELECT email, timestamp, action FROM actions";
        let data = UserActions::LARGE.directory()?;
        let lines = ["file_bytes_max = \"1MiB\"", "compression = \"none\""];
        let job = JobFile::new("copy", query).csv("actions", &data).output(&output, &lines);
        let status = cluster.run_job(&job.setting("split_bytes = \"64MiB\""))?;
        let files = part_files(&output)?;
        ensure!(files.len() > 4, "expected many files, found {files:?}");
        assert_eq!(number(&status, "/output/files"), files.len() as u64);
        assert_eq!(number(&status, "/output/rows"), UserActions::LARGE.rows);
        assert_eq!(count_parquet_rows(&output)?, UserActions::LARGE.rows);
        Ok(())
    })
}

#[test]
fn work_directory_is_clean_after_a_restart() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 1, ..ClusterOptions::default() }, |cluster| {
        let output = cluster.directory().join("report");
        let job = main_job(UserActions::LARGE)?.output(&output, &[]).setting("split_bytes = \"64KiB\"");
        let id = cluster.submit_detached(&job)?;
        cluster.wait_for_status(&id, 60, |status| number(status, "/stages/0/tasks_done") > 2)?;
        cluster.kill_worker(0)?;
        cluster.hearth(&["cancel", &id])?.success()?;
        let work_dir = cluster.worker(0).work_dir.clone();
        let left = shuffle_files(std::slice::from_ref(&work_dir), &id)?;
        ensure!(!left.is_empty(), "the killed worker left no files, so that the test shows nothing");
        let again = cluster.start_worker_in(work_dir.clone()).context("start a worker on the same directory")?;
        assert_ne!(cluster.worker(again).id, cluster.worker(0).id, "a worker id is never used again");
        check_no_shuffle_files(&[work_dir], &id)
    })
}
