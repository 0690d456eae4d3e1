//! What several groups of tests share: the main job, its answer, and what must be true after every job.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, Deadline, JobFile, Rows, sql_in_one_process, wait_for};
use serde_json::Value;

/// The query of the main job.
pub(crate) const MAIN_QUERY: &str = "SELECT email, action, count(*) AS freq FROM actions GROUP BY email, action";

/// The main job over user actions, without an output.
pub(crate) fn main_job(data: UserActions) -> Result<JobFile> {
    Ok(JobFile::new("user-actions", MAIN_QUERY).csv("actions", &data.directory()?))
}

/// The right answer of the main job over the small data, computed once.
pub(crate) fn small_answer() -> Result<&'static Rows> {
    static ANSWER: Answer = Answer::new();
    answer(&ANSWER, UserActions::SMALL)
}

/// The right answer of the main job over the large data, computed once.
pub(crate) fn large_answer() -> Result<&'static Rows> {
    static ANSWER: Answer = Answer::new();
    answer(&ANSWER, UserActions::LARGE)
}

type Answer = OnceLock<std::result::Result<Rows, String>>;

fn answer(kept: &'static Answer, data: UserActions) -> Result<&'static Rows> {
    let compute = || sql_in_one_process(MAIN_QUERY, &[("actions", &data.directory()?)]);
    let answer = kept.get_or_init(|| compute().map_err(|error| format!("{error:#}")));
    answer.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}

/// A number in a JSON document; 0 when it is not there.
pub(crate) fn number(document: &Value, pointer: &str) -> u64 {
    document.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

/// A worker in what the API tells of all.
pub(crate) fn worker_in<'a>(workers: &'a Value, id: &str) -> Option<&'a Value> {
    let list = workers["workers"].as_array()?;
    list.iter().find(|worker| worker["id"] == id)
}

/// Waits until the lease of a worker has ended. Before that it is silent: what it runs is not lost then.
pub(crate) fn wait_until_lost(cluster: &Cluster, id: &str) -> Result<()> {
    wait_for("the loss of the worker", Deadline::after_seconds(40), || {
        let workers = cluster.api("/api/v1/workers")?;
        Ok(worker_in(&workers, id).is_some_and(|worker| worker["state"] == "lost").then_some(()))
    })
}

/// Waits until there are two workers alive, neither of them under the id of one that was lost.
pub(crate) fn wait_for_new_id(cluster: &Cluster, old: &str) -> Result<()> {
    wait_for("the worker under a new id", Deadline::after_seconds(40), || {
        let workers = cluster.api("/api/v1/workers")?;
        let list = workers["workers"].as_array().cloned().unwrap_or_default();
        let alive: Vec<_> = list.iter().filter(|worker| worker["state"] == "alive").collect();
        Ok((alive.len() == 2 && alive.iter().all(|worker| worker["id"] != old)).then_some(()))
    })
}

/// Tasks of all stages together.
pub(crate) fn tasks(status: &Value) -> u64 {
    let stages = status["stages"].as_array().map(Vec::as_slice).unwrap_or_default();
    stages.iter().map(|stage| number(stage, "/tasks")).sum()
}

/// Every attempt beyond one per task was lost, failed, or started beside a slow one: nothing was repeated without a reason.
/// Outputs may be lost that nobody has to read any more; these are not made again.
pub(crate) fn check_only_lost_work_repeated(status: &Value) -> Result<()> {
    let count = |name: &str| number(status, &format!("/attempts/{name}"));
    let (launched, lost, failed, second) = (count("launched"), count("lost"), count("failed"), count("second"));
    ensure!(
        launched <= tasks(status) + lost + failed + second,
        "{launched} attempts were launched for {} tasks, {lost} were lost, {failed} failed, {second} second: {status:#}",
        tasks(status)
    );
    Ok(())
}

/// A committed output has its marker, and its staging directory is gone.
pub(crate) fn check_committed(output: &Path) -> Result<()> {
    ensure!(output.join("_SUCCESS").is_file(), "{} has no _SUCCESS", output.display());
    check_no_staging(output)
}

/// Nothing is left of any staging directory beside an output.
pub(crate) fn check_no_staging(output: &Path) -> Result<()> {
    let parent = output.parent().context("find the output's parent")?;
    wait_for("the staging directory to go", Deadline::after_seconds(20), || {
        let left = files_below(&parent.join(".hearth-staging"))?;
        Ok(left.is_empty().then_some(()))
    })
    .with_context(|| format!("left in staging: {:?}", files_below(&parent.join(".hearth-staging"))))
}

/// No file that carries the job's id is left in the work directories.
pub(crate) fn check_no_shuffle_files(work_dirs: &[PathBuf], job: &str) -> Result<()> {
    let gone = wait_for("the shuffle files to go", Deadline::after_seconds(30), || {
        Ok(shuffle_files(work_dirs, job)?.is_empty().then_some(()))
    });
    gone.with_context(|| format!("left: {:?}", shuffle_files(work_dirs, job)))
}

/// Files in the work directories that carry the job's id.
pub(crate) fn shuffle_files(work_dirs: &[PathBuf], job: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for directory in work_dirs {
        found.extend(files_below(directory)?.into_iter().filter(|path| path.to_string_lossy().contains(job)));
    }
    Ok(found)
}

/// Work directories of the first `count` workers.
pub(crate) fn work_dirs(cluster: &Cluster, count: usize) -> Vec<PathBuf> {
    (0..count).map(|index| cluster.worker(index).work_dir.clone()).collect()
}

/// Every file below a directory; none when the directory is not there.
pub(crate) fn files_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        // A directory may be removed while it is read: then nothing of it is left.
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        for entry in entries {
            let Ok(entry) = entry else { continue };
            if entry.file_type()?.is_dir() { pending.push(entry.path()) } else { files.push(entry.path()) }
        }
    }
    Ok(files)
}
