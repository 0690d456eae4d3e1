//! The main job from HDFS to HDFS, beside the same job on local files: one NameNode and two DataNodes on this machine.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use hearth_test_hdfs::Shape;
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, ClusterOptions, JobFile, run_hearth};

use crate::contender::{fresh, measure_submit};
use crate::digest::digest;
use crate::measure::Cost;
use crate::scenario::{ACTIONS_QUERY, machine};
use crate::table::{Line, render};

/// Where a job reads and writes.
struct Place {
    input: PathBuf,
    output: PathBuf,
}

/// Runs the job `rounds` times in each place, in turn, and compares what comes out.
pub(crate) fn run(rows: u64, rounds: usize) -> Result<String> {
    let input = UserActions { rows, users: 100_000, files: 8 }.directory()?;
    let local = Place { output: input.with_file_name(".hdfs-output"), input };
    let copy = local.output.with_file_name(".hdfs-output-copy");
    let hdfs = hearth_test_hdfs::Cluster::start(Shape::Single)?;
    let conf_dir = hdfs.conf_dir().to_string_lossy().into_owned();
    let at = |name: &str| PathBuf::from(format!("{}/{name}", hdfs.url()));
    let there = Place { input: at("actions"), output: at("report") };
    copy_files(&conf_dir, "put", &local.input, &there.input)?;

    let lines = ["HDFS, 2 DataNodes, 2 replicas", "local files"];
    let mut lines = lines.map(|engine| Line { engine: engine.to_owned(), ..Line::default() });
    for _ in 0..rounds.max(1) {
        fresh(&local.output)?;
        lines[0].costs.push(measure(&there, &conf_dir)?);
        lines[1].costs.push(measure(&local, &conf_dir)?);
    }
    fresh(&copy)?;
    copy_files(&conf_dir, "get", &there.output, &copy)?;
    let (expected, found) = (digest(&local.output)?, digest(&copy)?);
    fresh(&local.output)?;
    fresh(&copy)?;
    ensure!(found == expected, "{} rows in HDFS are not the {} local ones", found.rows, expected.rows);
    lines[0].remark = format!("{} rows, equal to the local ones", found.rows);
    Ok(render(&format!("hdfs: {rows} rows, {}; CPU and memory are Hearth's alone", machine()), &lines))
}

fn measure(place: &Place, conf_dir: &str) -> Result<Cost> {
    let environment = vec![("HADOOP_CONF_DIR".to_owned(), conf_dir.to_owned())];
    let cluster = Cluster::start(ClusterOptions { environment, ..ClusterOptions::default() })?;
    let job = JobFile::new("hdfs", ACTIONS_QUERY).csv("actions", &place.input);
    measure_submit(&cluster, &job.output(&place.output, &["mode = \"overwrite\""]))
}

fn copy_files(conf_dir: &str, verb: &str, from: &Path, to: &Path) -> Result<()> {
    let (from, to) = (from.to_string_lossy(), to.to_string_lossy());
    run_hearth(&["fs", "--conf-dir", conf_dir, verb, "--recursive", &from, &to])?.success().map(drop)
}
