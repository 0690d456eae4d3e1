//! How long a commit of many files takes: a job whose output has one file per value of a column.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use hearth_tests::{Cluster, JobFile};
use serde_json::Value;

use super::name_node::Calls;

/// A commit.
pub(super) struct Commit {
    /// From its begin to the end of the job, in seconds.
    pub(super) seconds: f64,
    /// What the whole job asked of the NameNode.
    pub(super) calls: Calls,
}

/// Commits that many files, all in one directory.
pub(super) fn measure(cluster: &Cluster, hdfs: &hearth_test_hdfs::Cluster, files: u32) -> Result<Commit> {
    let input = tempfile::tempdir()?;
    // More keys than partitions, so that none stays empty.
    let rows: String = (0..u64::from(files) * 40).map(|n| format!("key-{n},{n}\n")).collect();
    std::fs::write(input.path().join("keys.csv"), format!("k,n\n{rows}"))?;
    let job = JobFile::new("commit", "SELECT k, sum(n) AS s FROM keys GROUP BY k")
        .csv("keys", input.path())
        .output(&PathBuf::from(format!("{}/many", hdfs.url())), &[])
        .setting(&format!("shuffle_partitions = {files}"))
        .setting("merge_bytes = \"1B\"");
    let before = Calls::counted(hdfs)?;
    let id = cluster.submit_detached(&job)?;
    let is_in = |states: &'static [&str]| move |status: &Value| states.iter().any(|state| status["state"] == *state);
    cluster.wait_for_status(&id, 900, is_in(&["committing", "done", "failed"]))?;
    let begun = Instant::now();
    let status = cluster.wait_for_status(&id, 300, is_in(&["done", "failed"]))?;
    let seconds = begun.elapsed().as_secs_f64();
    super::wait_for_clean_staging(hdfs)?;
    let after = Calls::counted(hdfs)?;
    let idle = Calls::counted(hdfs)?;
    let written = status.pointer("/output/files").and_then(Value::as_u64).context("find the number of files")?;
    ensure!(written == u64::from(files), "{written} files were committed instead of {files}: {status:#}");
    Ok(Commit { seconds, calls: Calls::between(&before, &after, &idle)? })
}
