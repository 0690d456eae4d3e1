//! The main job from HDFS to HDFS, beside the same job on local files: one NameNode and two DataNodes on this machine, with blocks of
//! Hadoop's default size. Blocks are read through the DataNodes, and in another run past them, from their files.
//!
//! Besides the times it tells what the job asks of the NameNode, where it reads, and how long a commit of many files takes. What
//! it wrote is read back by Hadoop's own shell and by pyarrow.

mod commit_time;
mod name_node;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hearth_test_hdfs::{Shape, until};
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, ClusterOptions, JobFile, check_counted_actions, part_files, run_hearth};
use serde_json::Value;

use crate::contender::{fresh, measure_submit};
use crate::digest::digest;
use crate::measure::Cost;
use crate::scenario::{ACTIONS_QUERY, machine};
use crate::table::{Line, render};
use name_node::Calls;

/// Files of the commit that is timed.
const COMMIT_FILES: u32 = 1_000;

/// Blocks as large as Hadoop makes them where nobody says otherwise.
const BLOCK_SIZE: (&str, &str) = ("dfs.blocksize", "134217728");
const SHORT_CIRCUIT: [(&str, &str); 3] =
    [BLOCK_SIZE, ("dfs.client.read.shortcircuit", "true"), ("dfs.client.use.legacy.blockreader.local", "true")];

/// Where a job reads and writes.
struct Place {
    input: PathBuf,
    output: PathBuf,
}

/// What a run told besides its cost.
struct Figures {
    calls: Calls,
    status: Value,
}

/// Runs the job `rounds` times in each place, in turn, and compares what comes out.
pub(crate) fn run(rows: u64, rounds: usize) -> Result<String> {
    let input = UserActions { rows, users: 100_000, files: 8 }.directory()?;
    let local = Place { output: input.with_file_name(".hdfs-output"), input };
    let hdfs = hearth_test_hdfs::Cluster::start(Shape::Single)?;
    let (plain, short) = (hdfs.conf_dir_with("plain", &[BLOCK_SIZE])?, hdfs.conf_dir_with("short", &SHORT_CIRCUIT)?);
    let at = |name: &str| PathBuf::from(format!("{}/{name}", hdfs.url()));
    let there = Place { input: at("actions"), output: at("report") };
    copy_files(&plain, "put", &local.input, &there.input)?;

    let lines = ["HDFS, short-circuit reads", "HDFS, through DataNodes", "local files"];
    let mut lines = lines.map(|engine| Line { engine: engine.to_owned(), ..Line::default() });
    let mut told = None;
    for _ in 0..rounds.max(1) {
        fresh(&local.output)?;
        for (at, conf_dir) in [&short, &plain].into_iter().enumerate() {
            let (cost, figures) = measure_there(&hdfs, conf_dir, &there)?;
            lines[at].costs.push(cost);
            told = Some(figures);
        }
        lines[2].costs.push(measure(&start(&plain)?, &local)?);
    }
    let remark = compare(&hdfs, &local, &there)?;
    lines[..2].iter_mut().for_each(|line| line.remark.clone_from(&remark));
    fresh(&local.output)?;
    let Figures { calls, status } = told.context("run at least once")?;
    let commit = commit_time::measure(&start(&plain)?, &hdfs, COMMIT_FILES)?;
    let title = format!("hdfs: {rows} rows, 2 DataNodes, 2 replicas, {}; CPU and memory are Hearth's alone", machine());
    let table = render(&title, &lines);
    Ok(format!(
        "{table}\n- NameNode calls of one job: {}\n- {}\n- commit of {COMMIT_FILES} files: {:.2} s; NameNode calls of that job: {}\n",
        calls.told(),
        locality(&status),
        commit.seconds,
        commit.calls.told(),
    ))
}

/// Workers that stand, by their names, beside one DataNode each.
fn start(conf_dir: &Path) -> Result<Cluster> {
    let conf_dir = conf_dir.to_string_lossy().into_owned();
    let beside = |host: &str| format!("names = [\"{host}\"]\n");
    Cluster::start(ClusterOptions {
        environment: vec![("HADOOP_CONF_DIR".to_owned(), conf_dir)],
        worker_configs: vec![beside("worker1"), beside("worker2")],
        ..ClusterOptions::default()
    })
}

fn measure(cluster: &Cluster, place: &Place) -> Result<Cost> {
    let job = JobFile::new("hdfs", ACTIONS_QUERY).csv("actions", &place.input);
    measure_submit(cluster, &job.output(&place.output, &["mode = \"overwrite\""]))
}

fn measure_there(hdfs: &hearth_test_hdfs::Cluster, conf_dir: &Path, place: &Place) -> Result<(Cost, Figures)> {
    let cluster = start(conf_dir)?;
    let before = Calls::counted(hdfs)?;
    let cost = measure(&cluster, place)?;
    wait_for_clean_staging(hdfs)?;
    let after = Calls::counted(hdfs)?;
    let idle = Calls::counted(hdfs)?;
    let status = cluster.api("/api/v1/jobs")?["jobs"][0].clone();
    Ok((cost, Figures { calls: Calls::between(&before, &after, &idle)?, status }))
}

/// The end of a job does not wait for its staging to be removed, which is part of what it asks of the NameNode.
fn wait_for_clean_staging(hdfs: &hearth_test_hdfs::Cluster) -> Result<()> {
    let listing = "/webhdfs/v1/.hearth-staging?op=LISTSTATUS";
    let is_gone = || hearth_tests::http_get(hdfs.http(), listing).is_ok_and(|answer| answer.status == 404);
    until(Duration::from_secs(60), "the staging directory going", is_gone)
}

/// Bytes by attempts: input splits are about equal.
fn locality(status: &Value) -> String {
    let figure = |pointer: &str| status.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    let (local, remote) = (figure("/locality/local"), figure("/locality/remote"));
    let mib = figure("/metrics/input_bytes") as f64 / f64::from(1 << 20);
    let share = |attempts: u64| mib * attempts as f64 / (local + remote).max(1) as f64;
    format!(
        "read of {mib:.0} MiB: about {:.0} MiB near their data ({local} attempts), {:.0} MiB elsewhere ({remote} attempts)",
        share(local),
        share(remote)
    )
}

/// Three readers of what is in HDFS: ours, Hadoop's own, whose bytes must be the same, and pyarrow, for the content.
fn compare(hdfs: &hearth_test_hdfs::Cluster, local: &Place, there: &Place) -> Result<String> {
    let copies =
        tempfile::Builder::new().prefix("bench-").tempdir_in(local.output.parent().unwrap_or(Path::new(".")))?;
    let (ours, hadoops) = (copies.path().join("ours"), copies.path().join("hadoops"));
    copy_files(&hdfs.conf_dir(), "get", &there.output, &ours)?;
    hdfs.run(&["fs", "-get", &there.output.to_string_lossy(), &hadoops.to_string_lossy()])?;
    let files = part_files(&ours)?;
    ensure!(!files.is_empty() && files.len() == part_files(&hadoops)?.len(), "readers find different files");
    for file in files {
        let other = hadoops.join(file.file_name().context("find a file's name")?);
        ensure!(std::fs::read(&file)? == std::fs::read(&other)?, "{} differs from Hadoop's copy", file.display());
    }
    let (expected, found) = (digest(&local.output)?, digest(&hadoops)?);
    ensure!(found == expected, "{} rows in HDFS are not the {} local ones", found.rows, expected.rows);
    let counted = check_counted_actions(&local.input, &hadoops)?;
    ensure!(counted == expected.rows, "pyarrow counts {counted} rows, not {}", expected.rows);
    Ok(format!("{counted} rows, equal to the local ones and to pyarrow's count; bytes equal to Hadoop's copy"))
}

fn copy_files(conf_dir: &Path, verb: &str, from: &Path, to: &Path) -> Result<()> {
    let (from, to) = (from.to_string_lossy(), to.to_string_lossy());
    let arguments = ["fs", "--conf-dir", &conf_dir.to_string_lossy(), verb, "--recursive", &from, &to];
    run_hearth(&arguments)?.success().map(drop)
}
