//! Masters that die, or only seem to, at a known step of a commit to HDFS, while somebody lists the destination all the time.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, Deadline, JobFile, wait_for};
use rustix::process::Signal;

use crate::common::{MAIN_QUERY, small_answer};
use crate::hdfs_fixture::{Hdfs, check};
use crate::hdfs_proxy::{Held, Hold, Proxy};

/// The rename that moves an old output aside.
const ASIDE: &[&str] = &["rename2", "/old-0"];
/// The rename that publishes.
pub(crate) const PUBLISH: &[&str] = &["rename2", "/data", "/out"];
/// A rename of a file into the destination.
const JOIN: &[&str] = &["rename2", "/out/part-"];

pub(crate) fn job(hdfs: &Hdfs, proxy: &Proxy, mode: &str) -> Result<JobFile> {
    let job = JobFile::new("user-actions", MAIN_QUERY).csv("actions", &hdfs.actions(UserActions::SMALL)?);
    let job = job.output(&proxy.url(hdfs, "out"), &[&format!("mode = \"{mode}\"")]);
    Ok(job.setting("shuffle_partitions = 24").setting("merge_bytes = \"1KiB\""))
}

type Listing = Option<Vec<String>>;

/// Runs a job twice; the second time its master is held at a call of the commit, and `happens` then. Afterwards the call goes on.
/// Answers with what a reader saw from the hold on, and what the destination held before and holds after.
fn hold_second(
    (hdfs, cluster, mode): (&Hdfs, &mut Cluster, &str),
    (texts, hold): (&'static [&'static str], Hold),
    happens: impl FnOnce(&mut Cluster, (&Proxy, &Held)) -> Result<()>,
) -> Result<(BTreeSet<Listing>, [Listing; 2])> {
    let proxy = Proxy::to(hdfs)?;
    let job = job(hdfs, &proxy, mode)?;
    cluster.run_job(&job)?;
    let before = hdfs.names("out")?;
    let watcher = hdfs.watch("out");
    let held = proxy.hold_at(texts, hold);
    let id = cluster.submit_detached(&job)?;
    held.wait()?;
    happens(cluster, (&proxy, &held))?;
    held.release();
    cluster.wait_for_end(&id, 90)?;
    hdfs.check_no_staging()?;
    Ok((watcher.seen()?, [before, hdfs.names("out")?]))
}

/// Readers see the old output, nothing for the moment between two renames, or the new one.
#[test]
fn a_master_dies_between_the_two_renames_of_an_overwrite() -> Result<()> {
    check("take-over", |hdfs, cluster| {
        let kill = |cluster: &mut Cluster, _: (&Proxy, &Held)| {
            wait_for("the old output moved aside", Deadline::after_seconds(30), || {
                Ok(hdfs.names("out")?.is_none().then_some(()))
            })?;
            cluster.restart_master()
        };
        let (seen, [before, after]) = hold_second((hdfs, cluster, "overwrite"), (ASIDE, Hold::After), kill)?;
        ensure!(before != after, "the second output is there");
        assert_eq!(seen, BTreeSet::from([before, None, after]));
        hdfs.check_output("out", small_answer()?)
    })
}

/// A rename that a dead master sent reaches the NameNode when the next one has just published, and has removed nothing yet.
#[test]
fn a_late_rename_of_a_dead_master_changes_nothing() -> Result<()> {
    check("late", |hdfs, cluster| {
        let mut seen_after = BTreeSet::new();
        let kill = |cluster: &mut Cluster, (proxy, late): (&Proxy, &Held)| {
            let published = proxy.hold_at(PUBLISH, Hold::After);
            let watcher = std::thread::scope(|scope| {
                let releasing = scope.spawn(|| {
                    published.wait()?;
                    wait_for("the published output", Deadline::after_seconds(30), || {
                        Ok(hdfs.names("out")?.is_some().then_some(()))
                    })?;
                    let watcher = hdfs.watch("out");
                    late.release();
                    anyhow::Ok(watcher)
                });
                cluster.restart_master()?;
                releasing.join().map_err(|_| anyhow::anyhow!("the release panicked"))?
            })?;
            hdfs.check_no_staging()?;
            published.release();
            seen_after = watcher.seen()?;
            Ok(())
        };
        let (seen, [before, after]) = hold_second((hdfs, cluster, "overwrite"), (ASIDE, Hold::Before), kill)?;
        assert_eq!(seen_after, BTreeSet::from([after.clone()]), "what the next master published stays");
        ensure!(before != after && seen.is_subset(&BTreeSet::from([before, None, after])), "a reader saw {seen:#?}");
        hdfs.check_output("out", small_answer()?)
    })
}

/// The first master is stopped, a second one takes its job over, and then the first one goes on where it was.
#[test]
fn a_master_that_lives_on_changes_nothing() -> Result<()> {
    check("zombie", |hdfs, cluster| {
        let mut seen_after = BTreeSet::new();
        let take_over = |cluster: &mut Cluster, _: (&Proxy, &Held)| {
            cluster.signal_master(Signal::STOP)?;
            let second = cluster.start_second_master()?;
            hdfs.check_output("out", small_answer()?)?;
            let watcher = hdfs.watch("out");
            cluster.signal_master(Signal::CONT)?;
            wait_for_first_end(cluster)?;
            seen_after = watcher.seen()?;
            drop(second);
            Ok(())
        };
        let (seen, [before, after]) = hold_second((hdfs, cluster, "overwrite"), (ASIDE, Hold::Before), take_over)?;
        assert_eq!(seen_after, BTreeSet::from([after.clone()]), "what the second master published stays");
        ensure!(before != after && seen.is_subset(&BTreeSet::from([before, None, after])), "a reader saw {seen:#?}");
        hdfs.check_output("out", small_answer()?)
    })
}

/// Waits until the first master's page no longer says that the job commits.
fn wait_for_first_end(cluster: &Cluster) -> Result<()> {
    wait_for("the first master's end of the job", Deadline::after_seconds(60), || {
        let jobs = cluster.api("/api/v1/jobs")?;
        Ok((jobs["jobs"][0]["state"] != "committing").then_some(()))
    })
}

/// The same, and the first master goes on in the moment in which the second one has published and has removed nothing yet: but for the
/// claim of the second one, every name that the first one knows would be there.
#[test]
fn a_master_that_lives_on_amid_the_next_ones_commit_changes_nothing() -> Result<()> {
    check("zombie-amid", |hdfs, cluster| {
        let mut seen_after = BTreeSet::new();
        let take_over = |cluster: &mut Cluster, (proxy, held): (&Proxy, &Held)| {
            cluster.signal_master(Signal::STOP)?;
            let published = proxy.hold_at(PUBLISH, Hold::After);
            let second = cluster.start_second_master()?;
            published.wait()?;
            wait_for("the published output", Deadline::after_seconds(30), || {
                Ok(hdfs.names("out")?.is_some().then_some(()))
            })?;
            let watcher = hdfs.watch("out");
            cluster.signal_master(Signal::CONT)?;
            held.release();
            wait_for_first_end(cluster)?;
            published.release();
            wait_for("the second master's end of the job", Deadline::after_seconds(60), || {
                Ok(hdfs.check_no_staging().is_ok().then_some(()))
            })?;
            seen_after = watcher.seen()?;
            drop(second);
            Ok(())
        };
        let (seen, [before, after]) = hold_second((hdfs, cluster, "overwrite"), (ASIDE, Hold::Before), take_over)?;
        assert_eq!(seen_after, BTreeSet::from([after.clone()]), "what the second master published stays");
        ensure!(before != after && seen.is_subset(&BTreeSet::from([before, None, after])), "a reader saw {seen:#?}");
        hdfs.check_output("out", small_answer()?)
    })
}

/// Files join one by one, so readers may see some of them: but none twice, and the rows are there once in the end.
#[test]
fn a_master_dies_in_the_middle_of_a_second_append() -> Result<()> {
    check("append-twice", |hdfs, cluster| {
        let (seen, [before, after]) =
            hold_second((hdfs, cluster, "append"), (JOIN, Hold::After), |cluster, _| cluster.restart_master())?;
        let names = |listing: &Listing| BTreeSet::from_iter(listing.clone().unwrap_or_default());
        let (first, last) = (names(&before), names(&after));
        ensure!(first.is_subset(&last) && first.len() < last.len(), "{first:?} {last:?}");
        for listing in &seen {
            let between = names(listing);
            ensure!(first.is_subset(&between) && between.is_subset(&last), "a reader saw {between:?}");
        }
        let mut twice = small_answer()?.clone();
        twice.rows.extend(small_answer()?.rows.clone());
        hdfs.check_output("out", &twice)
    })
}
