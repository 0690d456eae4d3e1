//! Two masters on one state directory, and an output on HDFS: the active one dies or hangs at a known step of its commit, the other
//! one carries that through, and what the first one still sends changes nothing.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use hearth_tests::Deadline;
use hearth_tests::pair::{Pair, PairOptions};
use rustix::process::Signal;

use crate::common::{check_only_lost_work_repeated, small_answer};
use crate::hdfs_fixture::{Hdfs, IMPATIENT, check_alone};
use crate::hdfs_proxy::{Hold, Proxy};
use crate::hdfs_takeover::{PUBLISH, job};

/// What is promised, in seconds.
const TAKEOVER_SECONDS_MAX: u64 = 15;
/// Time for a job that lost its master: far above what it needs, also on a loaded machine.
const SECONDS_MAX: u64 = 150;

/// What becomes of the active master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Active {
    Dies,
    HangsAndWakesUp,
}

/// The active master is held before or after the rename that publishes, and does not go on.
fn check(name: &str, hold: Hold, active: Active) -> Result<()> {
    check_alone(name, |hdfs| {
        let options =
            PairOptions { config: IMPATIENT.to_owned(), environment: hdfs.environment(), ..PairOptions::default() };
        Pair::run_with(options, |pair| check_commit(hdfs, pair, (hold, active)))
    })
}

fn check_commit(hdfs: &Hdfs, pair: &mut Pair, (hold, active): (Hold, Active)) -> Result<()> {
    let proxy = Proxy::to(hdfs)?;
    let held = proxy.hold_at(PUBLISH, hold);
    let client = pair.submit_in_background(&job(hdfs, &proxy, "error")?)?;
    held.wait()?;
    match active {
        Active::Dies => pair.masters[0].process.kill()?,
        Active::HangsAndWakesUp => pair.masters[0].process.signal(Signal::STOP)?,
    }
    pair.wait_for_takeover(1, Deadline::after_seconds(TAKEOVER_SECONDS_MAX))?;
    client.finish_within(SECONDS_MAX)?.success()?;
    hdfs.check_output("out", small_answer()?)?;
    let before = hdfs.names("out")?;

    // What the first master had sent, or sends now, comes to a NameNode where the output is published.
    let watcher = hdfs.watch("out");
    held.release();
    if active == Active::HangsAndWakesUp {
        pair.masters[0].process.signal(Signal::CONT)?;
        let exit = pair.masters[0].process.wait_for_exit(Deadline::after_seconds(20))?;
        let log = pair.masters[0].process.stderr();
        ensure!(exit.code() == Some(1) && log.contains("another master has taken over"), "{exit}: {log}");
    }
    // Later than that call: it passes the same NameNode.
    hdfs.put_text("later", &[("file", "x")])?;
    assert_eq!(watcher.seen()?, BTreeSet::from([before]), "one output, which nobody touches any more");
    hdfs.remove("later")?;
    hdfs.check_output("out", small_answer()?)?;
    check_one_job(hdfs, pair)
}

/// One job made one output, and nobody did its work twice.
fn check_one_job(hdfs: &Hdfs, pair: &Pair) -> Result<()> {
    let listed = pair.api(1, "/api/v1/jobs")?;
    let jobs = listed["jobs"].as_array().cloned().unwrap_or_default();
    let [only] = &jobs[..] else { anyhow::bail!("one submission, these jobs: {listed:#}") };
    let id = only["id"].as_str().unwrap_or_default();
    let status = pair.api(1, &format!("/api/v1/jobs/{id}"))?;
    ensure!(status["state"] == "done", "{status:#}");
    check_only_lost_work_repeated(&status)?;
    ensure!(hdfs.is_published(id)?, "the output is of that job: {:?}", hdfs.names("out")?);
    let outputs = hdfs.list()?;
    let elsewhere = outputs.lines().filter(|line| line.contains(id) && !line.contains("/out/"));
    ensure!(elsewhere.count() == 0, "files of the job are elsewhere too: {outputs}");
    Ok(())
}

#[test]
fn the_active_master_dies_before_its_output_is_published() -> Result<()> {
    check("standby-before", Hold::Before, Active::Dies)
}

#[test]
fn the_active_master_dies_when_its_output_is_published() -> Result<()> {
    check("standby-after", Hold::After, Active::Dies)
}

#[test]
fn the_active_master_hangs_before_its_output_is_published_and_wakes_up() -> Result<()> {
    check("standby-hangs", Hold::Before, Active::HangsAndWakesUp)
}
