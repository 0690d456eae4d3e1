//! Two nodes with HDFS on both: a worker that joins while a job runs reads what its own DataNode holds, and serves what it made to the
//! other. The hosts are network namespaces: this needs root.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use hearth_test_browser::Browser;
use hearth_test_hdfs::{Cluster as Hdfs, Node};
use hearth_tests::data::UserActions;
use hearth_tests::{Host, Hosts, JobFile, NodeOptions, Nodes, read_parquet_dir};
use serde_json::Value;

use crate::common::{check_only_lost_work_repeated, large_answer, number};

const HOSTS: [Host; 2] = [Host::One, Host::Two];
/// Workers read past a DataNode on their own host, so that what came through one came from the other host.
const WORKER: &str = "http = \"0.0.0.0:8081\"\n[hdfs]\nshort_circuit = true\n";
/// Longer than anybody is slower than the other.
const MASTER: &str = "locality_wait = \"1m\"\n";
/// The rows of the main job, with hashes so that the first worker is not through before the second is there.
const QUERY: &str = "SELECT email, action, count(*) AS freq FROM actions \
     WHERE length(encode(sha512(encode(sha512(email), 'hex')), 'hex')) = 128 GROUP BY email, action";

fn start_hdfs(hosts: &Hosts) -> Result<Hdfs> {
    let node = |host: Host| Node { address: host.address().to_owned(), entrance: hosts.entrance(host).to_vec() };
    Hdfs::start_on(HOSTS.map(node).to_vec())
}

/// Puts half of the files on each host: a file lies where it was written, and has one replica. Answers with the bytes on the second.
fn put_halves(hdfs: &Hdfs) -> Result<u64> {
    let mut files: Vec<_> = std::fs::read_dir(UserActions::LARGE.directory()?)?.collect::<std::io::Result<_>>()?;
    files.sort_unstable_by_key(std::fs::DirEntry::file_name);
    hdfs.run(&["fs", "-mkdir", "/actions"])?;
    let halves = files.split_at(files.len() / 2);
    for (node, half) in [halves.0, halves.1].into_iter().enumerate() {
        let paths: Vec<String> = half.iter().map(|file| file.path().to_string_lossy().into_owned()).collect();
        let paths = paths.iter().map(String::as_str);
        let verb: Vec<&str> = ["fs", "-put"].into_iter().chain(paths).chain(["/actions"]).collect();
        hdfs.run_on(node, &verb)?;
    }
    halves.1.iter().map(|file| Ok(file.metadata()?.len())).sum()
}

/// A counter of a host's worker.
fn counter(nodes: &Nodes, host: Host, name: &str) -> Result<u64> {
    let metrics = nodes.hosts().http_get(host, "127.0.0.1:8081", "/metrics")?;
    let prefix = format!("hearth_worker_{name} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&prefix)).with_context(|| metrics.clone())?;
    value.parse().with_context(|| format!("read {name} from `{value}`"))
}

/// Submits a job with a page open; the second worker is started while it runs, and shows there. Answers with its id, and the job's status.
fn run_with_late_worker(nodes: &mut Nodes, job: &JobFile) -> Result<(String, Value)> {
    let mut browser = Browser::start_on(&nodes.hosts().entrance(Host::One))?;
    let mut page = browser.open(&format!("http://{}/", Nodes::PAGES), 1280)?;
    page.wait_for("document.querySelector('#workers').innerText.includes('node1')", 60)?;
    let id = nodes.submit(job)?;
    nodes.wait_for(&id, 60, |status| number(status, "/stages/0/tasks_done") > 0)?;
    let second = nodes.start_worker(Host::Two)?;
    page.wait_for("document.querySelector('#workers').innerText.includes('node2')", 60)?;
    ensure!(page.problems()?.is_empty(), "the page has problems: {:?}", page.problems()?);
    let workers: Value = serde_json::from_str(&nodes.hosts().http_get(Host::One, Nodes::PAGES, "/api/v1/workers")?)?;
    let workers = workers["workers"].as_array().context("find the workers")?;
    let listed = workers.iter().any(|worker| worker["id"] == *second && worker["host"] == "node2");
    ensure!(listed, "the second worker is in the list: {workers:#?}");
    let status = nodes.wait_for_done(&id)?;
    Ok((second, status))
}

#[test]
fn a_worker_that_joins_reads_its_own_blocks_and_serves_its_outputs() -> Result<()> {
    let hosts = Hosts::start()?;
    let hdfs = start_hdfs(&hosts)?;
    let bytes_there = put_halves(&hdfs)?;
    let environment = vec![("HADOOP_CONF_DIR", hdfs.conf_dir().to_string_lossy().into_owned())];
    let options =
        NodeOptions { master: MASTER.to_owned(), worker: WORKER.to_owned(), environment, ..NodeOptions::default() };
    Nodes::run_on(hosts, options, |nodes| {
        let url = |path: &str| format!("{}{path}", hdfs.url());
        let job = JobFile::new("user-actions", QUERY).csv("actions", url("/actions").as_ref());
        let job = job.output(url("/report").as_ref(), &[]).setting("split_bytes = \"256KiB\"");
        let job = job.setting("shuffle_partitions = 8").setting("merge_bytes = \"1KiB\"");
        let (second, status) = run_with_late_worker(nodes, &job)?;

        check_only_lost_work_repeated(&status)?;
        let lines = nodes.lines_of(&id_of(&status)?, &second)?;
        let stages: BTreeSet<u64> = lines.iter().map(|line| number(line, "/stage")).collect();
        assert_eq!(stages, BTreeSet::from([0, 1]), "it has its share of both stages: {lines:#?}");

        let (local, remote) = (number(&status, "/locality/local"), number(&status, "/locality/remote"));
        ensure!(local >= 3 * remote, "{local} attempts beside their data, {remote} elsewhere: {status:#}");
        let read = |by: &str| counter(nodes, Host::Two, &format!("hdfs_read_bytes_total{{by=\"{by}\"}}"));
        let (here, across) = (read("short_circuit")?, read("datanode")?);
        ensure!(here >= bytes_there / 2, "it read {here} bytes on its host, where {bytes_there} lie");
        ensure!(across <= here / 10, "it read {across} bytes across, and {here} on its host");

        let fetched = counter(nodes, Host::One, "shuffle_fetched_bytes_total{from=\"other_worker\"}")?;
        ensure!(fetched > 0, "the first worker fetches from the second");
        let served = counter(nodes, Host::Two, "shuffle_served_bytes_total")?;
        ensure!(served >= fetched, "the second worker served {served} bytes, the first fetched {fetched}");

        let copy = nodes.directory().join("copy");
        hdfs.run(&["fs", "-get", "/report", &copy.to_string_lossy()])?;
        ensure!(copy.join("_SUCCESS").is_file(), "the output has its marker");
        read_parquet_dir(&copy)?.check_equal(large_answer()?)
    })
}

fn id_of(status: &Value) -> Result<String> {
    status["id"].as_str().map(str::to_owned).context("find the job's id")
}
