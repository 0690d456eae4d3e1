//! Two nodes, as operators run them: a worker joins on another host while a job runs, and the network between them breaks.
//!
//! The hosts are network namespaces: these tests need root.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::{Host, Hosts, JobFile, NodeOptions, Nodes, read_parquet_dir};
use serde_json::Value;

use crate::common::{check_committed, check_only_lost_work_repeated, large_answer, main_job, number, tasks};

/// How long the link is cut, as somebody at a switch would. Not a wait for anything.
const CUT: std::time::Duration = std::time::Duration::from_secs(2);

/// Many tasks, and an exchange between all of them.
fn job(output: &Path) -> Result<JobFile> {
    let job = main_job(UserActions::LARGE)?.output(output, &[]).setting("split_bytes = \"256KiB\"");
    Ok(job.setting("shuffle_partitions = 8").setting("merge_bytes = \"1KiB\""))
}

fn is_half_way(status: &Value) -> bool {
    number(status, "/stages/0/tasks_done") >= number(status, "/stages/0/tasks") / 3 && tasks(status) > 8
}

#[test]
fn a_worker_on_another_host_takes_its_share() -> Result<()> {
    Nodes::run(NodeOptions::default(), |nodes| {
        let output = nodes.directory().join("report");
        let id = nodes.submit(&job(&output)?)?;
        nodes.wait_for(&id, 60, |status| number(status, "/stages/0/tasks_done") > 0)?;
        let second = nodes.start_worker(Host::Two)?;
        let status = nodes.wait_for_done(&id)?;

        check_only_lost_work_repeated(&status)?;
        let lines = nodes.lines_of(&id, &second)?;
        let stages: BTreeSet<u64> = lines.iter().map(|line| number(line, "/stage")).collect();
        assert_eq!(stages, BTreeSet::from([0, 1]), "it has its share of both stages: {lines:#?}");
        ensure!(number(&status, "/metrics/shuffle_remote_bytes") > 0, "shuffle outputs went across: {status:#}");
        let workers: Value = serde_json::from_str(&nodes.hearth(&["workers", "--json"])?)?;
        let listed = |worker: &Value| [worker["host"].to_string(), worker["shuffle_address"].to_string()].join(" ");
        let listed: BTreeSet<String> = workers["workers"].as_array().context("find them")?.iter().map(listed).collect();
        let expected = Host::One.shuffle_address().to_owned();
        let expected = [(Host::One, expected), (Host::Two, Host::Two.shuffle_address().to_owned())];
        let expected = expected.map(|(host, address)| format!("\"{}\" \"{address}:7177\"", host.name()));
        assert_eq!(listed, BTreeSet::from(expected));
        ensure!(nodes.hearth(&["workers"])?.contains(" node2 "), "people see the host too");
        check_committed(&output)?;
        read_parquet_dir(&output)?.check_equal(large_answer()?)
    })
}

#[test]
fn a_link_that_is_cut_for_two_seconds_costs_no_work() -> Result<()> {
    Nodes::run(NodeOptions::default(), |nodes| {
        let second = nodes.start_worker(Host::Two)?;
        let output = nodes.directory().join("report");
        let id = nodes.submit(&job(&output)?)?;
        nodes.wait_for(&id, 60, |status| is_half_way(status) && number(status, "/stages/0/tasks_running") > 0)?;
        nodes.hosts().set_link(false)?;
        std::thread::sleep(CUT);
        nodes.hosts().set_link(true)?;
        let status = nodes.wait_for_done(&id)?;
        for count in ["lost", "failed"] {
            assert_eq!(number(&status, &format!("/attempts/{count}")), 0, "{count}: {status:#}");
        }
        check_only_lost_work_repeated(&status)?;
        ensure!(!nodes.lines_of(&id, &second)?.is_empty(), "what the worker told while it was cut off is there");
        read_parquet_dir(&output)?.check_equal(large_answer()?)
    })
}

#[test]
fn workers_that_do_not_reach_each_other_for_a_while_cost_no_job() -> Result<()> {
    Nodes::run(NodeOptions::default(), |nodes| {
        nodes.start_worker(Host::Two)?;
        let output = nodes.directory().join("report");
        let id = nodes.submit(&job(&output)?)?;
        nodes.wait_for(&id, 60, is_half_way)?;
        for host in [Host::One, Host::Two] {
            nodes.hosts().cut_shuffle_of(host)?;
        }
        std::thread::sleep(CUT);
        for host in [Host::One, Host::Two] {
            nodes.hosts().join_shuffle_of(host)?;
        }
        nodes.wait_for_done(&id)?;
        check_committed(&output)?;
        read_parquet_dir(&output)?.check_equal(large_answer()?)
    })
}

/// Whether a job goes on with one worker that reads all.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hub {
    Needed,
    NotNeeded,
}

/// Runs two jobs while the way between the workers is cut for good: the first one finds it out, the second one profits.
fn check_cut_for_good(hub: Hub, cut: fn(&Hosts) -> Result<()>) -> Result<()> {
    Nodes::run(NodeOptions::default(), |nodes| {
        nodes.start_worker(Host::Two)?;
        let outputs = ["first", "second"].map(|name| nodes.directory().join(name));
        let id = nodes.submit(&job(&outputs[0])?)?;
        nodes.wait_for(&id, 60, is_half_way)?;
        cut(nodes.hosts())?;
        let status = nodes.wait_for_done(&id)?;
        // Each output is made again once at most, and few readers have to find out.
        let (lost, failed) = (number(&status, "/attempts/lost"), number(&status, "/attempts/failed"));
        ensure!(lost <= number(&status, "/stages/0/tasks") && failed <= 10, "{lost} lost, {failed} failed: {status:#}");
        check_only_lost_work_repeated(&status)?;
        let log = nodes.hearth(&["logs", &id])?;
        let line = log.lines().find(|line| line.contains("workers do not reach each other"));
        ensure!(line.is_some() == (hub == Hub::Needed), "its log tells of the hub where there is one: {log}");
        let is_whole =
            |line: &str| ["hub=", "reader_host=node", "its_host=node"].iter().all(|text| line.contains(text));
        ensure!(line.is_none_or(is_whole), "{line:?}");

        let id = nodes.submit(&job(&outputs[1])?)?;
        let status = nodes.wait_for_done(&id)?;
        let again = number(&status, "/attempts/failed") + number(&status, "/attempts/lost");
        ensure!(again == 0, "the cut is known: {status:#}");
        for output in &outputs {
            check_committed(output)?;
            read_parquet_dir(output)?.check_equal(large_answer()?)?;
        }
        Ok(())
    })
}

#[test]
fn a_worker_that_never_reaches_the_other_costs_no_job() -> Result<()> {
    check_cut_for_good(Hub::NotNeeded, |hosts| hosts.cut_shuffle_of(Host::Two))
}

#[test]
fn workers_that_never_reach_each_other_cost_no_job() -> Result<()> {
    check_cut_for_good(Hub::Needed, |hosts| {
        [Host::One, Host::Two].into_iter().try_for_each(|host| hosts.cut_shuffle_of(host))
    })
}

#[test]
fn workers_that_never_hear_of_each_other_again_cost_no_job() -> Result<()> {
    check_cut_for_good(Hub::Needed, |hosts| {
        [Host::One, Host::Two].into_iter().try_for_each(|host| hosts.silence_shuffle_of(host))
    })
}
