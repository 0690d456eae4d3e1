//! One HDFS and one cluster of Hearth, on which schedules run one after the other.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hearth_test_hdfs::{Shape, until};
use serde_json::Value;

use super::{End, Expected, Moment, Planned, Schedule};
use crate::cluster::{Cluster, ClusterOptions};
use crate::command::run_hearth;
use crate::data::UserActions;
use crate::http::http_get;
use crate::job_file::JobFile;
use crate::rows::{Rows, read_parquet_dir, sql_in_one_process};
use crate::strikes::Strikes;

/// Many blocks in little data.
const DATA: UserActions = UserActions { rows: 60_000, users: 3_000, files: 6 };
const QUERY: &str = "SELECT email, action, count(*) AS freq FROM actions GROUP BY email, action";
const INPUT_BLOCK_BYTES: u32 = 64 << 10;
/// Nothing waits long for a server that was broken, and every output file has several blocks.
const CONFIG: &str =
    "[hdfs]\nio_timeout = \"3s\"\nrpc_timeout = \"3s\"\nwait_for_datanodes = \"2m\"\nblock_size = \"8KiB\"\n";
/// A worker that is held while HDFS enters safe mode is not lost.
const LEASE: &str = "lease = \"20s\"\n";
/// A job that is not at its end so long after the last change hangs.
const QUIET_MAX: Duration = Duration::from_secs(180);
/// Time for DataNodes that come back to tell of their replicas.
const READABLE_MAX: Duration = Duration::from_secs(90);
/// Time between two looks at a job. Commits take some tens of milliseconds.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

pub(super) struct Lane {
    pub(super) hdfs: hearth_test_hdfs::Cluster,
    pub(super) cluster: Cluster,
    /// Indexes of the workers that run.
    pub(super) workers: [usize; 2],
    /// The active NameNode when the job was submitted.
    pub(super) active: String,
    answer: Rows,
}

impl Lane {
    pub(super) fn start(shape: Shape) -> Result<Self> {
        let input = DATA.directory()?;
        let answer = sql_in_one_process(QUERY, &[("actions", &input)])?;
        let hdfs = hearth_test_hdfs::Cluster::start(shape)?;
        hdfs.run(&["fs", "-mkdir", "-p", "/data"])?;
        for replicas in ["1", "2"] {
            let replication = format!("-Ddfs.replication={replicas}");
            let blocks = format!("-Ddfs.blocksize={INPUT_BLOCK_BYTES}");
            let (from, to) = (input.to_string_lossy(), format!("/data/{replicas}"));
            hdfs.run(&["fs", &replication, &blocks, "-put", &from, &to])?;
        }
        let environment = vec![("HADOOP_CONF_DIR".to_owned(), hdfs.conf_dir().to_string_lossy().into_owned())];
        let cluster = Cluster::start(ClusterOptions {
            master_config: format!("{LEASE}{CONFIG}"),
            worker_configs: vec![CONFIG.to_owned()],
            environment,
            ..ClusterOptions::default()
        })?;
        Ok(Self { hdfs, cluster, workers: [0, 1], active: "1".to_owned(), answer })
    }

    /// Runs a job under a schedule. Answers with how it ended, and with the faults that struck: a job may end before all have.
    pub(super) fn run(&mut self, schedule: &Schedule) -> (Result<End>, Vec<Planned>) {
        let mut strikes = Strikes::new(&schedule.faults);
        let ended = self.run_job(schedule, &mut strikes).and_then(|status| {
            strikes.mend_all(self)?;
            // What is asked of HDFS after that finds it whole.
            self.heal()?;
            self.check(schedule, &status)
        });
        (ended, strikes.struck().to_vec())
    }

    fn run_job(&mut self, schedule: &Schedule, strikes: &mut Strikes<Self>) -> Result<Value> {
        let job = JobFile::new("faults", QUERY)
            .csv("actions", &self.at(&format!("/data/{}", schedule.replicas)))
            .output(&self.at(&format!("/seed-{}/out", schedule.seed)), &[])
            .setting("split_bytes = \"64KiB\"")
            .setting("shuffle_partitions = 16")
            .setting("merge_bytes = \"1B\"");
        self.active = self.hdfs.active()?;
        let id = self.cluster.submit_detached(&job)?;
        loop {
            let status = self.cluster.api(&format!("/api/v1/jobs/{id}"))?;
            if matches!(status["state"].as_str(), Some("done" | "failed" | "cancelled")) {
                return Ok(status);
            }
            strikes.advance(self, |moment| has_come(moment, &status))?;
            let quiet = strikes.last_change().elapsed();
            ensure!(quiet < QUIET_MAX, "the job hangs; nothing has changed for {} s: {status:#}", quiet.as_secs());
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    fn check(&self, schedule: &Schedule, status: &Value) -> Result<End> {
        let home = format!("/seed-{}", schedule.seed);
        if status["state"] == "done" {
            self.wait_until_missing(&format!("{home}/.hearth-staging"))?;
            let copy = tempfile::tempdir()?;
            let (from, to) = (self.at(&format!("{home}/out")), copy.path().join("out"));
            // A DataNode that was away has to tell first which replicas it has.
            until(READABLE_MAX, "the output readable", || {
                let get = ["get", "--recursive", "--overwrite", &from.to_string_lossy(), &to.to_string_lossy()];
                self.fs(&get).is_ok()
            })?;
            read_parquet_dir(&to)?.check_equal(&self.answer)?;
            self.fs(&["rm", "--recursive", &self.at(&home).to_string_lossy()])?;
            return Ok(End::Rows);
        }
        ensure!(schedule.expected == Expected::RowsOrClearError, "the job did not outlive it: {status:#}");
        let message = status["failure"]["message"].as_str().unwrap_or_default();
        let names_it = message.contains("/data/1/") || message.contains("blk_");
        ensure!(names_it, "the error names neither block nor file: {status:#}");
        self.wait_until_missing(&format!("{home}/.hearth-staging"))?;
        self.wait_until_missing(&format!("{home}/out"))?;
        Ok(End::ClearError)
    }

    fn wait_until_missing(&self, path: &str) -> Result<()> {
        let is_missing = || {
            let listing = format!("/webhdfs/v1{path}?op=LISTSTATUS");
            let active = self.hdfs.http_of_active();
            active.and_then(|http| http_get(http, &listing)).is_ok_and(|answer| answer.status == 404)
        };
        until(Duration::from_secs(60), &format!("{path} going"), is_missing)
    }

    /// Makes everything whole again.
    pub(super) fn heal(&mut self) -> Result<()> {
        self.hdfs.heal().context("heal HDFS")
    }

    pub(super) fn log_tails(&self) -> String {
        self.cluster.log_tails()
    }

    fn at(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("{}{path}", self.hdfs.url()))
    }

    fn fs(&self, arguments: &[&str]) -> Result<()> {
        let conf_dir = self.hdfs.conf_dir();
        let common = ["fs", "--conf-dir", &conf_dir.to_string_lossy(), "--wait", "60s"];
        run_hearth(&[&common, arguments].concat())?.success().map(drop)
    }
}

fn has_come(moment: Moment, status: &Value) -> bool {
    let stages = status["stages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let percent = |stage: Option<&Value>| {
        let count = |name: &str| stage.and_then(|stage| stage[name].as_u64()).unwrap_or_default();
        (count("tasks_done") * 100).checked_div(count("tasks")).unwrap_or_default()
    };
    let has_begun = stages.first().is_some_and(|stage| stage["tasks"].as_u64() > Some(0));
    match moment {
        Moment::Read(done) => has_begun && percent(stages.first()) >= done.into(),
        Moment::Write(done) => percent(stages.first()) == 100 && percent(stages.last()) >= done.into(),
        Moment::Commit => status["state"] == "committing",
    }
}
