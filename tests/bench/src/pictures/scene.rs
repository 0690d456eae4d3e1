//! What the pictures show: a cluster, and what happened in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, ClusterOptions, Deadline, JobFile, Process, hearth_binary, wait_for};
use serde_json::Value;

/// Samples of the charts, one every ten seconds, that are waited for.
const SAMPLES: usize = 9;
/// What a person left in a file.
const LATE: &str = "email,timestamp,action\n\
    ada@example.com,2026-01-15 09:30:00,login\n\
    bob@example.com,yesterday,click\n\
    carol@example.com,2026-01-15 09:31:12\n\
    dan@example.com,2026-01-15 09:33:47,purchase\n\
    erin@example.com,2026-02-30 10:00:00,login\n";
const TOP: &str = "WITH freq AS (
  SELECT email, action, count(*) AS n, max(timestamp) AS last
  FROM actions
  GROUP BY email, action
), means AS (
  SELECT action, avg(n) AS mean FROM freq GROUP BY action
)
SELECT freq.email, freq.action, freq.n, freq.last
FROM freq JOIN means ON freq.action = means.action
WHERE freq.n > 1.5 * means.mean
ORDER BY freq.n DESC, freq.email, freq.action";
const COUNTS: &str = "SELECT email, action, count(*) AS freq FROM actions GROUP BY email, action";

/// A cluster with a past, a job that runs and one that waits.
pub(super) struct Scene {
    cluster: Cluster,
    /// A job that is done.
    pub(super) done: String,
    /// A job that failed.
    pub(super) failed: String,
    /// A job that runs.
    pub(super) running: String,
    /// `host:port` of a standby's page.
    pub(super) standby_http: String,
    _standby: Process,
    _directory: tempfile::TempDir,
}

impl Scene {
    /// Starts everything, and takes some minutes.
    pub(super) fn play() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("hearth-").rand_bytes(3).tempdir()?;
        let root = directory.path();
        let options = ClusterOptions {
            workers: 3,
            slots: 2,
            memory: "512MiB".to_owned(),
            master_config: "running_jobs_max = 1\n".to_owned(),
            ..ClusterOptions::default()
        };
        let mut cluster = Cluster::start(options)?;
        let (standby, standby_http) = start_standby(&cluster)?;
        for day in 12..15 {
            let name = format!("user actions, January {day}");
            cluster.run_job(&counts(&name)?.output(&root.join(format!("reports/2026-01-{day}")), &[]))?;
        }
        let failed = cluster.submit_detached(&broken(root)?)?;
        ensure!(cluster.wait_for_end(&failed, 120)?["state"] == "failed", "the job with a wrong amount fails");
        let cancelled = cluster.submit_detached(&slow("features, first try")?)?;
        cluster.wait_for_status(&cancelled, 120, has_begun)?;
        cluster.hearth(&["cancel", &cancelled])?.success()?;
        let done = cluster.submit_detached(&top(root)?)?;
        cluster.wait_for_status(&done, 120, |status| status["stages"][0]["tasks_done"].as_u64() > Some(12))?;
        cluster.kill_worker(2)?;
        let status = cluster.wait_for_end(&done, 300)?;
        ensure!(status["state"] == "done", "{status:#}");
        let running = cluster.submit_detached(&slow("customer features")?)?;
        cluster.submit_detached(&counts("user actions, January 15")?)?;
        wait_for("some samples of the charts", Deadline::after_seconds(300), || {
            let load = cluster.api("/api/v1/cluster/load")?;
            Ok(load["at"].as_array().is_some_and(|samples| samples.len() >= SAMPLES).then_some(()))
        })?;
        cluster.wait_for_status(&running, 300, has_begun)?;
        Ok(Self { cluster, done, failed, running, standby_http, _standby: standby, _directory: directory })
    }

    /// `host:port` of the master's pages.
    pub(super) fn http(&self) -> &str {
        self.cluster.http()
    }

    /// A worker that was there all the time.
    pub(super) fn worker(&self) -> &str {
        &self.cluster.worker(0).id
    }
}

fn has_begun(status: &Value) -> bool {
    status["stages"][0]["tasks_done"].as_u64() > Some(1)
}

fn counts(name: &str) -> Result<JobFile> {
    Ok(JobFile::new(name, COUNTS).csv("actions", &UserActions::SMALL.directory()?))
}

/// Several stages, records that cannot be read, and enough tasks to lose some.
fn top(root: &Path) -> Result<JobFile> {
    let input = root.join("raw/actions");
    std::fs::create_dir_all(&input)?;
    for file in std::fs::read_dir(UserActions::LARGE.directory()?)? {
        let file = file?;
        std::fs::copy(file.path(), input.join(file.file_name()))?;
    }
    std::fs::write(input.join("late.csv"), LATE)?;
    let schema = "schema = { email = \"string\", timestamp = \"timestamp\", action = \"string\" }";
    let job = JobFile::new("top customers per action", TOP).input(
        "actions",
        &input,
        &["format = \"csv\"", "on_error = \"reject\"", schema],
    );
    Ok(job.output(&root.join("reports/top"), &[]).setting("split_bytes = \"2MiB\"").setting("merge_bytes = \"256KiB\""))
}

/// An amount that is none, deep in a file.
fn broken(root: &Path) -> Result<JobFile> {
    let file: PathBuf = root.join("raw/payments.csv");
    std::fs::create_dir_all(root.join("raw"))?;
    let mut text = String::from("account,amount,note\n");
    for row in 0..60_000 {
        let amount = if row == 41_233 { "129.5O".to_owned() } else { format!("{}.{:02}", row % 900, row % 100) };
        text.push_str(&format!("DE{:08},{amount},invoice {row}\n", row * 37 % 5000));
    }
    std::fs::write(&file, text)?;
    let schema = "schema = { account = \"string\", amount = \"decimal(12,2)\", note = \"string\" }";
    let job =
        JobFile::new("payments per account", "SELECT account, sum(amount) AS total FROM payments GROUP BY account");
    Ok(job.input("payments", &file, &["format = \"csv\"", schema]).output(&root.join("reports/payments"), &[]))
}

/// Runs for minutes.
fn slow(name: &str) -> Result<JobFile> {
    let hash = (0..24).fold("email".to_owned(), |inner, _| format!("encode(sha512({inner}), 'hex')"));
    let query = format!("SELECT action, count(*) AS n, max({hash}) AS last FROM actions GROUP BY action");
    Ok(JobFile::new(name, &query).csv("actions", &UserActions::LARGE.directory()?).setting("split_bytes = \"1MiB\""))
}

fn start_standby(cluster: &Cluster) -> Result<(Process, String)> {
    let mut command = Command::new(hearth_binary()?);
    command.args(["master", "--standby", "--rpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--state-dir"]);
    command.arg(cluster.directory().join("state"));
    let mut standby = Process::start("standby", &mut command, cluster.directory())?;
    let told = standby.wait_for_line("hearth master standby", Deadline::after_seconds(60))?;
    let http = told.split_whitespace().find_map(|word| word.strip_prefix("http=")).context("find its page")?;
    Ok((standby, http.to_owned()))
}
