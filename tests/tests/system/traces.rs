//! Traces of jobs, as OpenTelemetry's own classes decode them, and collectors that do not do what they should.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::{
    Cluster, ClusterOptions, Deadline, JobFile, hearth_binary, http_get, python_modules, run_hearth, run_tool,
    wait_for, workspace_dir,
};
use rustix::process::Signal;
use serde_json::Value;

use crate::common::{files_below, main_job, number};

/// Codes of OTLP.
const OK: u64 = 1;
const ERROR: u64 = 2;

/// A collector in Python. Dropped, it is ended.
struct Collector {
    process: Child,
    said: PathBuf,
}

impl Collector {
    fn start(directory: &Path, behaviour: &str) -> Result<Self> {
        let said = directory.join(format!("collector-{behaviour}"));
        let script = workspace_dir().join("tests/readers/receive_traces.py");
        let process = Command::new("python3")
            .arg(script)
            .arg(behaviour)
            .env("PYTHONPATH", python_modules("opentelemetry-proto")?)
            .stdout(File::create(&said)?)
            .spawn()?;
        Ok(Self { process, said })
    }

    fn endpoint(&self) -> Result<String> {
        let port = wait_for("the collector's port", Deadline::after_seconds(60), || {
            Ok(self.lines()?.first().cloned().filter(|line| !line.is_empty()))
        })?;
        Ok(format!("http://127.0.0.1:{port}"))
    }

    fn lines(&self) -> Result<Vec<String>> {
        let said = std::fs::read_to_string(&self.said)?;
        let whole = said.rsplit_once('\n').map(|(whole, _)| whole).unwrap_or_default();
        Ok(whole.lines().map(str::to_owned).collect())
    }

    /// All spans of a job, once its own one is there. The others are sent with it.
    fn spans(&self, job: &str) -> Result<Vec<Value>> {
        let trace = job.replace('-', "");
        wait_for("the trace", Deadline::after_seconds(60), || {
            let lines = self.lines()?;
            let spans = lines.iter().skip(1).map(|line| serde_json::from_str(line));
            let spans: Vec<Value> = spans.collect::<serde_json::Result<_>>()?;
            let spans: Vec<Value> = spans.into_iter().filter(|span| span["trace"] == trace.as_str()).collect();
            Ok((!spans.is_empty()).then_some(spans))
        })
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn options(endpoint: &str) -> ClusterOptions {
    let master_config = format!("[tracing]\notlp_endpoint = \"{endpoint}\"\n");
    ClusterOptions { master_config, ..ClusterOptions::default() }
}

/// A span's attribute.
fn attribute<'a>(span: &'a Value, name: &str) -> &'a Value {
    &span["attributes"][name]
}

fn named<'a>(spans: &'a [Value], name: &str) -> Vec<&'a Value> {
    spans.iter().filter(|span| span["name"] == name).collect()
}

/// One tree, in whose times children lie within their parents, up to the milliseconds by which workers and master differ.
fn check_tree(spans: &[Value]) -> Result<()> {
    let by_id: BTreeMap<&str, &Value> = spans.iter().filter_map(|span| Some((span["span"].as_str()?, span))).collect();
    ensure!(by_id.len() == spans.len(), "two spans have one id: {spans:#?}");
    let roots: Vec<&Value> = spans.iter().filter(|span| span["parent"] == "").collect();
    ensure!(roots.len() == 1 && roots[0]["name"] == "job", "the root is not the job: {roots:#?}");
    for span in spans {
        ensure!(number(span, "/start") <= number(span, "/end"), "it ends before it starts: {span:#}");
        ensure!(attribute(span, "hearth.job.id").is_null() || span["parent"] == "", "{span:#}");
        let Some(parent) = span["parent"].as_str().filter(|parent| !parent.is_empty()) else { continue };
        let parent = by_id.get(parent).with_context(|| format!("its parent is not there: {span:#}"))?;
        let within =
            number(parent, "/start") <= number(span, "/start") && number(span, "/end") <= number(parent, "/end");
        ensure!(within, "{span:#} is not within {parent:#}");
    }
    Ok(())
}

#[test]
fn a_job_is_one_trace() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let collector = Collector::start(directory.path(), "take")?;
    Cluster::run(options(&collector.endpoint()?), |cluster| {
        let output = cluster.directory().join("report");
        let job = main_job(UserActions::SMALL)?.output(&output, &[]).setting("split_bytes = \"1MiB\"");
        let status = cluster.run_job(&job)?;
        let id = status["id"].as_str().context("find the job's id")?;
        let spans = collector.spans(id)?;
        check_tree(&spans)?;
        let root = named(&spans, "job")[0];
        ensure!(number(root, "/status") == OK && attribute(root, "hearth.outcome") == "done", "{root:#}");
        ensure!(*attribute(root, "hearth.job.name") == status["name"], "{root:#}");
        ensure!(*attribute(root, "hearth.output.rows") == status["output"]["rows"], "{root:#}");
        assert_eq!(root["resource"]["service.name"], "hearth");
        for state in ["queued", "planning", "running", "committing"] {
            ensure!(named(&spans, state).len() == 1, "`{state}` is no span: {spans:#?}");
        }
        let mut attempts = 0;
        for stage in status["stages"].as_array().context("find the stages")? {
            let name = format!("stage {}", stage["id"]);
            let span = *named(&spans, &name).first().with_context(|| format!("{name} is no span"))?;
            ensure!(*attribute(span, "hearth.stage.tasks") == stage["tasks"], "{span:#}");
            ensure!(*attribute(span, "hearth.written.rows") == stage["metrics"]["output_rows"], "{span:#}");
            let of_stage = named(&spans, &format!("{name} attempt"));
            let rows: u64 = of_stage.iter().map(|one| number(one, "/attributes/hearth.written.rows")).sum();
            ensure!(rows == number(stage, "/metrics/output_rows"), "{rows} rows in {of_stage:#?}");
            attempts += of_stage.len() as u64;
            for one in of_stage {
                ensure!(one["parent"] == span["span"], "{one:#}");
                let worker = attribute(one, "hearth.worker.id").as_str().context("find its worker")?;
                ensure!((0..2).any(|index| cluster.worker(index).id == worker), "{worker} is no worker");
                ensure!(attribute(one, "hearth.outcome") == "done", "{one:#}");
            }
        }
        assert_eq!(attempts, number(&status, "/attempts/launched"));
        Ok(())
    })
}

#[test]
fn a_failure_is_told_by_its_trace() -> Result<()> {
    let directory = tempfile::tempdir()?;
    // Its first answer is that it is busy: the trace comes all the same, and once.
    let collector = Collector::start(directory.path(), "later")?;
    Cluster::run(options(&collector.endpoint()?), |cluster| {
        let data = cluster.directory().join("numbers.csv");
        std::fs::write(&data, "k,n\na,1\nb,two\n")?;
        let lines = ["format = \"csv\"", "schema = { k = \"string\", n = \"int64\" }"];
        let job = JobFile::new("broken totals", "SELECT k, sum(n) AS n FROM t GROUP BY k").input("t", &data, &lines);
        let id = cluster.submit_detached(&job)?;
        cluster.wait_for_end(&id, 60)?;
        let spans = collector.spans(&id)?;
        check_tree(&spans)?;
        for name in ["job", "stage 0 attempt"] {
            let [span] = named(&spans, name)[..] else { anyhow::bail!("`{name}` is not one span: {spans:#?}") };
            ensure!(number(span, "/status") == ERROR && attribute(span, "error.type") == "task", "{span:#}");
            ensure!(span["message"].as_str().is_some_and(|text| text.contains("two")), "{span:#}");
        }
        let job = cluster.submit_detached(&JobFile::new("again", "SELECT 1 AS one"))?;
        cluster.wait_for_end(&job, 60)?;
        collector.spans(&job)?;
        ensure!(named(&collector.spans(&id)?, "job").len() == 1, "it was sent twice");
        Ok(())
    })
}

/// Stops a master in the commit of a job, kills it there, and starts another one; says whether it was not too late.
fn kill_in_the_commit(cluster: &mut Cluster, id: &str, output: &Path) -> Result<bool> {
    let gathered = || {
        let staging = files_below(&output.with_file_name(".hearth-staging")).unwrap_or_default();
        staging.iter().any(|file| file.to_string_lossy().contains(id) && file.to_string_lossy().contains("/data/"))
    };
    wait_for("the commit", Deadline::after_seconds(90), || Ok((gathered() || output.exists()).then_some(())))?;
    cluster.signal_master(Signal::STOP)?;
    let is_in_time = !output.exists();
    if !is_in_time {
        cluster.signal_master(Signal::CONT)?;
        cluster.wait_for_end(id, 60)?;
        return Ok(false);
    }
    cluster.restart_master()?;
    Ok(true)
}

/// What the next master carries through has a trace too, and that one is whole but for the attempts, which nobody knows any more.
#[test]
fn a_job_that_a_starting_master_settles_is_traced() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let collector = Collector::start(directory.path(), "take")?;
    Cluster::run(options(&collector.endpoint()?), |cluster| {
        for round in 0..10 {
            let output = cluster.directory().join(format!("report-{round}"));
            let job = main_job(UserActions::SMALL)?.output(&output, &[]).setting("shuffle_partitions = 100");
            let id = cluster.submit_detached(&job.setting("merge_bytes = \"1KiB\""))?;
            if !kill_in_the_commit(cluster, &id, &output)? {
                continue;
            }
            let status = cluster.wait_for_end(&id, 60)?;
            ensure!(status["state"] == "done", "{status:#}");
            let spans = collector.spans(&id)?;
            check_tree(&spans)?;
            let root = named(&spans, "job")[0];
            ensure!(number(root, "/status") == OK && attribute(root, "hearth.outcome") == "done", "{root:#}");
            let left_out = number(root, "/attributes/hearth.attempts.left_out");
            ensure!(left_out == number(&status, "/attempts/launched"), "{left_out} attempts left out of {status:#}");
            for state in ["queued", "planning", "running", "committing"] {
                ensure!(named(&spans, state).len() == 1, "`{state}` is no span: {spans:#?}");
            }
            // A start that settles nothing tells nothing.
            cluster.restart_master()?;
            let last = cluster.run_job(&JobFile::new("last", "SELECT 1 AS one"))?;
            collector.spans(last["id"].as_str().context("find the job's id")?)?;
            ensure!(named(&collector.spans(&id)?, "job").len() == 1, "it was sent twice");
            return Ok(());
        }
        anyhow::bail!("every commit was through before its master could be stopped")
    })
}

fn counted(cluster: &Cluster, name: &str) -> Result<u64> {
    let text = http_get(cluster.http(), "/metrics")?.body;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).context("find the counter")?;
    Ok(value.parse()?)
}

/// The flag goes before the file, and the file before the environment.
#[test]
fn the_endpoint_is_the_nearest_that_is_named() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("master.toml");
    std::fs::write(&file, "[tracing]\notlp_endpoint = \"http://file:1\"\n")?;
    let dumped = |arguments: &[&str], environment: &str| -> Result<String> {
        let mut command = Command::new(hearth_binary()?);
        command.args(["master", "--dump-config"]).args(arguments).env("OTEL_EXPORTER_OTLP_ENDPOINT", environment);
        let dumped = run_tool(&mut command)?;
        Ok(dumped.lines().find_map(|line| line.strip_prefix("otlp_endpoint = ")).unwrap_or_default().to_owned())
    };
    let config = ["--config", file.to_str().context("a path")?];
    let flag = [config[0], config[1], "--otlp-endpoint", "http://flag:1"];
    assert_eq!(dumped(&flag, "http://environment:1")?, "\"http://flag:1\"");
    assert_eq!(dumped(&config, "http://environment:1")?, "\"http://file:1\"");
    assert_eq!(dumped(&[], "http://environment:1")?, "\"http://environment:1\"");
    assert_eq!(dumped(&[], "")?, "");
    let refused = run_hearth(&["master", "--otlp-endpoint", "https://collector"])?.with_code(2)?;
    ensure!(refused.stderr.contains("tracing.otlp_endpoint"), "{}", refused.stderr);
    Ok(())
}

/// Collectors that hang, refuse, or are not there: jobs end as ever, the losses are counted, and a stop waits only for a moment.
#[test]
fn a_broken_collector_disturbs_nobody() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let hanging = Collector::start(directory.path(), "hang")?;
    let refusing = Collector::start(directory.path(), "refuse")?;
    for endpoint in [hanging.endpoint()?, refusing.endpoint()?, "http://127.0.0.1:9".to_owned()] {
        Cluster::run(ClusterOptions { workers: 1, ..options(&endpoint) }, |cluster| {
            for _ in 0..3 {
                let started = Instant::now();
                let status = cluster.run_job(&JobFile::new("one", "SELECT 1 AS one"))?;
                ensure!(status["state"] == "done", "{status:#}");
                ensure!(started.elapsed() < Duration::from_secs(30), "the job waited for {endpoint}");
            }
            wait_for("the losses", Deadline::after_seconds(90), || {
                Ok((counted(cluster, "hearth_traces_lost_total")? == 3).then_some(()))
            })?;
            assert_eq!(counted(cluster, "hearth_traces_sent_total")?, 0);
            cluster.run_job(&JobFile::new("last", "SELECT 1 AS one"))?;
            let started = Instant::now();
            cluster.stop_master(Signal::TERM)?;
            ensure!(started.elapsed() < Duration::from_secs(15), "the stop waited for {endpoint}");
            Ok(())
        })?;
    }
    Ok(())
}
