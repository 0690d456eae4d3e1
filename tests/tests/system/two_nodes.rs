//! Two nodes, as operators run them: a worker joins on another host while a job runs, and the network between them breaks.
//!
//! The hosts are network namespaces: these tests need root.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::{Deadline, Host, Hosts, JobFile, Process, read_parquet_dir, run_tool, wait_for};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{check_committed, check_only_lost_work_repeated, large_answer, main_job, number, tasks};

/// How long the link is cut, as somebody at a switch would. Not a wait for anything.
const CUT: std::time::Duration = std::time::Duration::from_secs(2);

/// A master and a worker on the first host, and room for one on the second. The processes end before the hosts do.
struct Nodes {
    directory: TempDir,
    processes: Vec<Process>,
    hosts: Hosts,
}

impl Nodes {
    fn run(test: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let mut nodes = Self { directory: tempfile::tempdir()?, processes: Vec::new(), hosts: Hosts::start()? };
        let outcome = nodes.start_master().and_then(|()| nodes.start_worker(Host::One)).and_then(|_| test(&mut nodes));
        let logs = || nodes.processes.iter().map(Process::log_tails).collect::<Vec<_>>().join("\n");
        outcome.map_err(|error| error.context(logs()))
    }

    fn start_master(&mut self) -> Result<()> {
        let state = self.directory.path().join("state");
        let arguments = ["master", "--rpc", "0.0.0.0:7077", "--http", "0.0.0.0:8080", "--state-dir", &path(&state)];
        self.start("master", Host::One, &arguments)?
            .wait_for_line("hearth master ready", Deadline::after_seconds(60))?;
        Ok(())
    }

    /// Starts a worker with one slot, and gives its id.
    fn start_worker(&mut self, host: Host) -> Result<String> {
        let work = path(&self.directory.path().join(format!("work-{}", host.name())));
        let bind = format!("{}:7177", host.shuffle_address());
        let arguments =
            ["worker", "--master", MASTER, "--slots", "1", "--memory", "512MiB", "--work-dir", &work, "--bind", &bind];
        let worker = self.start(host.name(), host, &arguments)?;
        let ready = worker.wait_for_line("hearth worker ready", Deadline::after_seconds(60))?;
        let id = ready.split_whitespace().find_map(|word| word.strip_prefix("id="));
        id.map(str::to_owned).context("find the worker's id")
    }

    fn start(&mut self, name: &str, host: Host, arguments: &[&str]) -> Result<&mut Process> {
        let process = Process::start(name, &mut self.hosts.hearth(host, arguments)?, self.directory.path())?;
        self.processes.push(process);
        self.processes.last_mut().context("find the process")
    }

    /// A command on the first host.
    fn hearth(&self, arguments: &[&str]) -> Result<String> {
        run_tool(&mut self.hosts.hearth(Host::One, &[arguments, &["--master", MASTER]].concat())?)
    }

    fn submit(&self, job: &JobFile) -> Result<String> {
        let file = job.write(self.directory.path())?;
        Ok(self.hearth(&["submit", "--detach", &path(&file)])?.trim().to_owned())
    }

    fn status(&self, job: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.hearth(&["status", job, "--json"])?)?)
    }

    fn wait_for(&self, job: &str, seconds: u64, fulfils: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        let found = wait_for("a job's status", Deadline::after_seconds(seconds), || {
            last = self.status(job)?;
            Ok(fulfils(&last).then(|| last.clone()))
        });
        found.with_context(|| format!("last status: {last:#}"))
    }

    fn wait_for_done(&self, job: &str) -> Result<Value> {
        let is_over = |status: &Value| matches!(status["state"].as_str(), Some("done" | "failed" | "cancelled"));
        let status = self.wait_for(job, 180, is_over)?;
        ensure!(status["state"] == "done", "{status:#}");
        Ok(status)
    }

    /// Lines that a worker wrote about a job.
    fn lines_of(&self, job: &str, worker: &str) -> Result<Vec<Value>> {
        let printed = self.hearth(&["logs", job, "--json", "--worker", worker])?;
        printed.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }
}

const MASTER: &str = "hearth://10.77.0.1:7077";

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

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
    Nodes::run(|nodes| {
        let output = nodes.directory.path().join("report");
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
    Nodes::run(|nodes| {
        let second = nodes.start_worker(Host::Two)?;
        let output = nodes.directory.path().join("report");
        let id = nodes.submit(&job(&output)?)?;
        nodes.wait_for(&id, 60, |status| is_half_way(status) && number(status, "/stages/0/tasks_running") > 0)?;
        nodes.hosts.set_link(false)?;
        std::thread::sleep(CUT);
        nodes.hosts.set_link(true)?;
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
    Nodes::run(|nodes| {
        nodes.start_worker(Host::Two)?;
        let output = nodes.directory.path().join("report");
        let id = nodes.submit(&job(&output)?)?;
        nodes.wait_for(&id, 60, is_half_way)?;
        for host in [Host::One, Host::Two] {
            nodes.hosts.cut_shuffle_of(host)?;
        }
        std::thread::sleep(CUT);
        for host in [Host::One, Host::Two] {
            nodes.hosts.join_shuffle_of(host)?;
        }
        nodes.wait_for_done(&id)?;
        check_committed(&output)?;
        read_parquet_dir(&output)?.check_equal(large_answer()?)
    })
}

/// Runs two jobs while the way between the workers is cut for good: the first one finds it out, the second one profits.
fn check_cut_for_good(cut: fn(&Hosts) -> Result<()>) -> Result<()> {
    Nodes::run(|nodes| {
        nodes.start_worker(Host::Two)?;
        let outputs = ["first", "second"].map(|name| nodes.directory.path().join(name));
        let id = nodes.submit(&job(&outputs[0])?)?;
        nodes.wait_for(&id, 60, is_half_way)?;
        cut(&nodes.hosts)?;
        let status = nodes.wait_for_done(&id)?;
        // Each output is made again once at most, and few readers have to find out.
        let (lost, failed) = (number(&status, "/attempts/lost"), number(&status, "/attempts/failed"));
        ensure!(lost <= number(&status, "/stages/0/tasks") && failed <= 10, "{lost} lost, {failed} failed: {status:#}");
        check_only_lost_work_repeated(&status)?;

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
    check_cut_for_good(|hosts| hosts.cut_shuffle_of(Host::Two))
}

#[test]
fn workers_that_never_reach_each_other_cost_no_job() -> Result<()> {
    check_cut_for_good(|hosts| [Host::One, Host::Two].into_iter().try_for_each(|host| hosts.cut_shuffle_of(host)))
}

#[test]
fn workers_that_never_hear_of_each_other_again_cost_no_job() -> Result<()> {
    check_cut_for_good(|hosts| [Host::One, Host::Two].into_iter().try_for_each(|host| hosts.silence_shuffle_of(host)))
}
