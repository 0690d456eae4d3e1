//! A worker on which everything fails: jobs go on without it, and people see which one it is and why.

use std::fs;

use anyhow::{Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, ClusterOptions, JobFile, read_parquet_dir};
use serde_json::Value;

use crate::common::{main_job, number, small_answer};

/// Jobs after which the worker is excluded at the latest: two have to hold something against it.
const JOBS_MAX: usize = 4;

fn job(cluster: &Cluster, name: &str) -> Result<(JobFile, std::path::PathBuf)> {
    let output = cluster.directory().join(name);
    let job = main_job(UserActions::SMALL)?.output(&output, &[]).setting("split_bytes = \"32KiB\"");
    Ok((job, output))
}

/// Why the worker gets no attempts.
fn excluded(cluster: &Cluster, id: &str) -> Result<Option<String>> {
    let workers = cluster.api("/api/v1/workers")?;
    let list = workers["workers"].as_array().cloned().unwrap_or_default();
    let worker = list.into_iter().find(|worker| worker["id"] == id).unwrap_or_default();
    Ok(worker["excluded"].as_str().map(ToOwned::to_owned))
}

fn run(cluster: &Cluster, name: &str) -> Result<Value> {
    let (job, output) = job(cluster, name)?;
    let status = cluster.run_job(&job)?;
    read_parquet_dir(&output)?.check_equal(small_answer()?)?;
    Ok(status)
}

#[test]
fn a_worker_with_a_broken_disk_is_excluded_and_shown() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let id = cluster.worker(0).id.clone();
        // Where its shuffle outputs belong is a file now: nothing that it runs can be kept.
        let shuffle = cluster.worker(0).work_dir.join(&id).join("shuffle");
        fs::remove_dir_all(&shuffle)?;
        fs::write(&shuffle, "")?;
        let mut failed = 0;
        for number_of in 0..JOBS_MAX {
            let status = run(cluster, &format!("report-{number_of}"))?;
            failed += number(&status, "/attempts/failed");
            if excluded(cluster, &id)?.is_some() {
                break;
            }
        }
        let why = excluded(cluster, &id)?.unwrap_or_default();
        ensure!(failed > 0 && why.contains("no attempts for") && why.contains("shuffle"), "{failed} failed: {why}");

        let listed = cluster.hearth(&["workers"])?.success()?;
        ensure!(listed.stderr.contains(&format!("worker {id} is excluded")), "{listed:?}");
        let status = run(cluster, "report-without-it")?;
        assert_eq!(number(&status, "/attempts/failed"), 0, "{status:#}");
        Ok(())
    })
}
