//! The faults that need more than one master and two workers on one host: links between hosts, standbys, jobs beside each other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hearth_tests::faults::{Moment, Poison, Work};
use hearth_tests::pair::{Pair, PairOptions};
use hearth_tests::{Cluster, ClusterOptions, Deadline, Host, NodeOptions, Nodes, wait_for};
use rustix::process::Signal;
use serde_json::Value;

use super::{Measured, SLOTS};

/// When the fault comes.
const MOMENT: Moment = Moment::Done(25);
/// Far above what a job needs, also on a loaded machine.
const SECONDS_MAX: u64 = 300;
/// How long a link is down.
const DOWN: Duration = Duration::from_secs(2);
/// What is promised of a task that kills its workers.
const POISON_SECONDS_MAX: f64 = 30.0;
const POISON_WORKERS_MAX: usize = 3;

/// What becomes of the active master.
#[derive(Debug, Clone, Copy)]
pub(super) enum Gone {
    Killed,
    Stopped,
}

fn is_over(status: &Value) -> bool {
    matches!(status["state"].as_str(), Some("done" | "failed" | "cancelled"))
}

pub(super) fn measure_link(work: &Arc<Work>) -> Result<Measured> {
    Nodes::run(NodeOptions { slots: SLOTS, ..NodeOptions::default() }, |nodes| {
        nodes.start_worker(Host::Two)?;
        let run = |name: &str, is_cut: bool| {
            let output = nodes.directory().join(name);
            let begun = Instant::now();
            let id = nodes.submit(&work.job(&output)?)?;
            if is_cut {
                nodes.wait_for(&id, SECONDS_MAX, |status| MOMENT.has_come(status))?;
                nodes.hosts().set_link(false)?;
                std::thread::sleep(DOWN);
                nodes.hosts().set_link(true)?;
            }
            let status = nodes.wait_for_done(&id)?;
            let took = begun.elapsed().as_secs_f64();
            work.check(&output)?;
            anyhow::Ok((took, status))
        };
        let (faultless, _) = run("without", false)?;
        let (faulted, status) = run("with", true)?;
        let again = ["lost", "failed"].map(|name| status["attempts"][name].as_u64().unwrap_or_default());
        let broken = if again == [0, 0] { Vec::new() } else { vec![format!("{again:?} attempts lost and failed")] };
        Ok(Measured { faultless, faulted, broken, ..Measured::default() })
    })
}

pub(super) fn measure_standby(work: &Arc<Work>, gone: Gone) -> Result<Measured> {
    let mut pair = Pair::start(PairOptions { slots: SLOTS, ..PairOptions::default() })?;
    let mut run = |name: &str, gone: Option<Gone>| {
        let output = pair.directory().join(name);
        let file = work.job(&output)?.write(pair.directory())?;
        let begun = Instant::now();
        let submitted = pair.hearth(&["submit", "--detach", &file.to_string_lossy()])?.success()?;
        let id = submitted.stdout.trim().to_owned();
        let mut taken_over = 0.0;
        if let Some(gone) = gone {
            pair.wait_for_status(0, &id, |status| MOMENT.has_come(status))?;
            let struck = Instant::now();
            match gone {
                Gone::Killed => pair.masters[0].process.kill()?,
                Gone::Stopped => pair.masters[0].process.signal(Signal::STOP)?,
            }
            pair.wait_for_takeover(1, Deadline::after_seconds(60))?;
            taken_over = struck.elapsed().as_secs_f64();
        }
        let status = pair.wait_for_status(usize::from(gone.is_some()), &id, is_over)?;
        ensure!(status["state"] == "done", "{status:#}");
        work.check(&output)?;
        anyhow::Ok((begun.elapsed().as_secs_f64(), taken_over, status))
    };
    let (faultless, _, _) = run("without", None)?;
    let (faulted, taken_over, status) = run("with", Some(gone))?;
    let lost = &status["attempts"]["lost"];
    let remarks = vec![format!("active after {taken_over:.1} s; {lost} attempts lost")];
    Ok(Measured { faultless, faulted, remarks, ..Measured::default() })
}

/// Two jobs beside a third one, which is well, or whose first task kills whoever runs it.
pub(super) fn measure_poison(work: &Arc<Work>) -> Result<Measured> {
    let options = ClusterOptions { slots: SLOTS, ..ClusterOptions::default() };
    let mut cluster = Cluster::start(options)?;
    let (faultless, _) = run_three(&mut cluster, work, ("without", false))?;
    let (faulted, poisoned) = run_three(&mut cluster, work, ("with", true))?;
    let Poisoned { seconds, workers } = poisoned.context("the third job")?;
    let mut broken = Vec::new();
    if seconds > POISON_SECONDS_MAX || workers > POISON_WORKERS_MAX {
        broken.push("the third job took too long or too many workers".to_owned());
    }
    let remarks = vec![format!("the third failed after {seconds:.1} s, with {workers} workers")];
    Ok(Measured { faultless, faulted, remarks, broken, ..Measured::default() })
}

/// What became of the job that kills its workers.
struct Poisoned {
    seconds: f64,
    workers: usize,
}

/// Seconds until the other two are done, and what became of the third where it is poison.
fn run_three(cluster: &mut Cluster, work: &Work, (name, is_poison): (&str, bool)) -> Result<(f64, Option<Poisoned>)> {
    let begun = Instant::now();
    let submit = |which: &str| {
        let output = cluster.directory().join(format!("{name}-{which}"));
        anyhow::Ok((cluster.submit_detached(&work.job(&output)?)?, output))
    };
    let (third, others) = (submit("third")?.0, [submit("first")?, submit("second")?]);
    let mut poison = is_poison.then(|| Poison::in_job(third.clone()));
    let (mut failed, mut took) = (None, None);
    wait_for("the end of all three", Deadline::after_seconds(SECONDS_MAX), || {
        if failed.is_none()
            && let Some(poison) = &mut poison
        {
            failed = poison.act(cluster)?.map(|status| (status, begun.elapsed().as_secs_f64()));
        }
        let mut ended = true;
        for (id, _) in &others {
            ended &= is_over(&cluster.api(&format!("/api/v1/jobs/{id}"))?);
        }
        if ended && took.is_none() {
            took = Some(begun.elapsed().as_secs_f64());
        }
        let is_third_over = is_over(&cluster.api(&format!("/api/v1/jobs/{third}"))?);
        Ok((ended && is_third_over && failed.is_some() == is_poison).then_some(()))
    })?;
    for (id, output) in others {
        let status = cluster.status(&id)?;
        ensure!(status["state"] == "done", "{status:#}");
        work.check(&output)?;
    }
    let poisoned = match (poison, failed) {
        (Some(poison), Some((status, seconds))) => {
            ensure!(status["failure"]["cause"] == "poison", "it did not fail as poison: {status:#}");
            Some(Poisoned { seconds, workers: poison.killed() })
        }
        (_, _) => None,
    };
    Ok((took.context("the time of both")?, poisoned))
}
