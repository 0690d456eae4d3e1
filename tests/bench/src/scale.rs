//! How much one master bears: a thousand workers, tasks that do nothing, a long queue, and a store with many jobs.
//!
//! The master is a real process. The workers are not: they are connections of this process that say hello, send heartbeats, and report
//! every attempt as finished at once, so that what is measured is the control plane alone.

mod queue;
mod workers;

use std::time::Instant;

use anyhow::{Result, ensure};
use hearth_tests::{Cluster, ClusterOptions, JobFile};

use crate::proc::{cpu_seconds, resident_bytes};
use crate::scenario::machine;
use workers::FakeWorkers;

/// Connected workers.
const WORKERS: u32 = 1_000;
/// How long they do nothing, in seconds.
const IDLE_SECONDS: u64 = 20;
/// Tasks of the stage that does nothing.
const TASKS: u32 = 30_000;
/// Shuffle partitions of that stage.
const PARTITIONS: u32 = 8;
/// Jobs that wait at the same time; the master takes no more by default.
const JOBS: u32 = 10_000;

/// Measures all of it once and tells the figures beside what they should be.
pub(crate) fn run() -> Result<String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut rows = Vec::new();
    measure_workers(&runtime, &mut rows)?;
    measure_queue(&runtime, &mut rows)?;
    let lines: String = rows.iter().map(|[what, found, goal]| format!("| {what} | {found} | {goal} |\n")).collect();
    Ok(format!("## scale: one master, {}\n\n| what | measured | goal |\n|---|---:|---:|\n{lines}", machine()))
}

fn measure_workers(runtime: &tokio::runtime::Runtime, rows: &mut Vec<[String; 3]>) -> Result<()> {
    let cluster = Cluster::start(ClusterOptions { workers: 0, ..ClusterOptions::default() })?;
    let master = cluster.process_ids()[0];
    let begun = Instant::now();
    let workers = runtime.block_on(FakeWorkers::attach(cluster.rpc(), WORKERS, PARTITIONS))?;
    let registered = begun.elapsed().as_secs_f64();
    rows.push([format!("{WORKERS} workers register"), format!("{registered:.2} s"), "10 s".to_owned()]);
    // What registering still costs is not what idling costs.
    std::thread::sleep(std::time::Duration::from_secs(3));
    let before = cpu_seconds(&master.to_string());
    std::thread::sleep(std::time::Duration::from_secs(IDLE_SECONDS));
    let share = 100.0 * (cpu_seconds(&master.to_string()) - before) / IDLE_SECONDS as f64;
    ensure!(workers.connected() == WORKERS, "only {} workers are still connected", workers.connected());
    rows.push([
        "they do nothing: share of a core of the master".to_owned(),
        format!("{share:.1} %"),
        "20 %".to_owned(),
    ]);
    let mib = resident_bytes(master) >> 20;
    rows.push(["and its memory".to_owned(), format!("{mib} MiB"), "-".to_owned()]);

    let input = cluster.directory().join("lines.json");
    let line = "{\"a\": 1}\n";
    std::fs::write(&input, line.repeat(TASKS as usize))?;
    let job =
        JobFile::new("nothing", "SELECT a, count(*) AS n FROM t GROUP BY a").input("t", &input, &["format = \"json\""]);
    let job = job
        .setting(&format!("split_bytes = \"{}B\"", line.len()))
        .setting(&format!("shuffle_partitions = {PARTITIONS}"));
    workers.hold();
    let id = cluster.submit_detached(&job)?;
    runtime.block_on(workers.wait_for_launches(WORKERS))?;
    let (begun, before) = (Instant::now(), cpu_seconds(&master.to_string()));
    workers.release();
    runtime.block_on(workers.wait_for_acknowledged(TASKS))?;
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds(&master.to_string()) - before);
    let per_second = f64::from(TASKS) / seconds;
    let what = format!("{TASKS} tasks that do nothing, on {WORKERS} workers: launched, reported, acknowledged");
    rows.push([what, format!("{per_second:.0} a second ({cpu:.1} s CPU of the master)"), "5,000".to_owned()]);
    cluster.hearth(&["cancel", &id])?.success()?;
    Ok(())
}

fn measure_queue(runtime: &tokio::runtime::Runtime, rows: &mut Vec<[String; 3]>) -> Result<()> {
    let mut cluster = Cluster::start(ClusterOptions { workers: 0, ..ClusterOptions::default() })?;
    let submitted = runtime.block_on(queue::submit(cluster.rpc(), cluster.directory(), JOBS))?;
    let told =
        |latencies: &queue::Latencies| format!("p50 {:.1} ms, p99 {:.1} ms", latencies.at(0.5), latencies.at(0.99));
    rows.push([format!("{JOBS} jobs submitted, 8 at a time"), told(&submitted.all), "-".to_owned()]);
    rows.push(["the last thousand of them".to_owned(), told(&submitted.last), "p99 50 ms".to_owned()]);
    cluster.kill_master()?;
    let begun = Instant::now();
    cluster.start_master_again()?;
    let ready = begun.elapsed().as_secs_f64();
    let count = cluster.api("/api/v1/cluster")?;
    let found =
        ["queued", "planning", "running"].iter().filter_map(|state| count["jobs"][*state].as_u64()).sum::<u64>();
    ensure!(found == u64::from(JOBS), "{found} of {JOBS} jobs are there again: {count}");
    rows.push([
        format!("started again after SIGKILL with {JOBS} jobs in its store: ready after"),
        format!("{ready:.2} s"),
        "5 s".to_owned(),
    ]);
    Ok(())
}
