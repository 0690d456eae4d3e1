//! The master is killed while it commits to HDFS. Somebody who lists the destination all the time sees the output as it was before,
//! or whole; the next master finishes a commit that was recorded, and takes back one that was not.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, Deadline, JobFile, wait_for};

use crate::common::{MAIN_QUERY, small_answer};
use crate::hdfs_fixture::{Hdfs, check};

/// When the master is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So many files have their final names in the staging directory.
    Moved(usize),
    /// What tells that all are there is among them.
    Sealed,
    /// A file of this job is in the destination.
    Visible,
}

fn job(hdfs: &Hdfs, mode: &str) -> Result<JobFile> {
    let job = JobFile::new("user-actions", MAIN_QUERY).csv("actions", &hdfs.actions(UserActions::SMALL)?);
    let job = job.output(&hdfs.url("out"), &[&format!("mode = \"{mode}\"")]);
    Ok(job.setting("shuffle_partitions = 24").setting("merge_bytes = \"1KiB\""))
}

impl Moment {
    fn has_come(self, hdfs: &Hdfs, job: &str) -> Result<bool> {
        let staged = || hdfs.gathered(job);
        Ok(match self {
            Self::Moved(files) => staged()?.len() >= files,
            Self::Sealed => staged()?.iter().any(|name| name == "_SUCCESS"),
            Self::Visible => hdfs.names("out")?.unwrap_or_default().iter().any(|name| name.contains(job)),
        })
    }
}

/// Lets a master die at a moment of a job's commit. Answers with what the destination held from then on, and whether the job is done.
fn strike(hdfs: &Hdfs, cluster: &mut Cluster, mode: &str, moment: Moment) -> Result<(Option<Vec<String>>, bool)> {
    let before = hdfs.names("out")?;
    let watcher = hdfs.watch("out");
    let job = cluster.submit_detached(&job(hdfs, mode)?)?;
    wait_for("the moment of the commit, or its end", Deadline::after_seconds(60), || {
        Ok((moment.has_come(hdfs, &job)? || hdfs.is_published(&job)?).then_some(()))
    })?;
    cluster.restart_master()?;
    let status = cluster.wait_for_end(&job, 60)?;
    hdfs.check_no_staging()?;
    let (seen, after) = (watcher.seen()?, hdfs.names("out")?);
    let is_done = status["state"] == "done";
    ensure!(is_done == (after != before), "{mode} {moment:?}: the job is {}: {after:?}", status["state"]);
    let mut allowed = BTreeSet::from([before, after.clone()]);
    if mode == "overwrite" {
        // Between two renames nothing is there.
        allowed.insert(None);
    }
    ensure!(mode == "append" || seen.is_subset(&allowed), "{mode} {moment:?}: a reader saw {seen:#?}");
    Ok((after, is_done))
}

fn check_strikes(name: &str, mode: &str, moments: &[Moment]) -> Result<()> {
    check(name, |hdfs, cluster| {
        let (mut expected, mut done) = (Vec::new(), 0);
        if mode != "error" {
            cluster.run_job(&job(hdfs, mode)?)?;
            expected.push(small_answer()?);
        }
        for moment in moments {
            let (after, is_done) = strike(hdfs, cluster, mode, *moment)?;
            if is_done {
                done += 1;
                expected.truncate(if mode == "append" { expected.len() } else { 0 });
                expected.push(small_answer()?);
            }
            if after.is_some() {
                let mut rows = small_answer()?.clone();
                rows.rows = expected.iter().flat_map(|answer| answer.rows.clone()).collect();
                hdfs.check_output("out", &rows)?;
            }
            if mode == "error" && after.is_some() {
                hdfs.remove("out")?;
                expected.clear();
            }
        }
        ensure!(done > 0, "no commit was recorded before its master died");
        Ok(())
    })
}

#[test]
fn a_new_output_appears_whole() -> Result<()> {
    check_strikes("commit-new", "error", &[Moment::Moved(1), Moment::Moved(12), Moment::Sealed, Moment::Visible])
}

#[test]
fn an_overwritten_output_is_the_old_one_or_the_new_one() -> Result<()> {
    check_strikes("commit-over", "overwrite", &[Moment::Moved(1), Moment::Sealed, Moment::Visible])
}

#[test]
fn an_appended_output_has_its_rows_once() -> Result<()> {
    check_strikes("commit-append", "append", &[Moment::Moved(1), Moment::Sealed, Moment::Visible])
}
