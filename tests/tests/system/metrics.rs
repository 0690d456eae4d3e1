//! What Prometheus reads of master and workers, as another parser reads it; and that dashboards and alerts name what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::faults::Weather;
use hearth_tests::{Cluster, ClusterOptions, Deadline, http_get, need_tool, run_tool, wait_for, workspace_dir};
use serde_json::Value;

use crate::common::main_job;

/// The parser of the Python client of Prometheus: strict about what OpenMetrics asks for. Answers with the families as JSON.
const PARSER: &str = "
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
print(json.dumps([[f.name, f.type, f.documentation, [[s.name, s.labels, s.value] for s in f.samples]] for f in parse(sys.stdin.read())]))
";
/// Debian's, for which its packages are.
const PYTHON: &str = "/usr/bin/python3";

struct Family {
    kind: String,
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

/// Reads `/metrics` of an address; fails where anything of it is against the format, or not told.
fn read_metrics(address: &str) -> Result<BTreeMap<String, Family>> {
    let answer = http_get(address, "/metrics")?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    ensure!(answer.content_type.starts_with("application/openmetrics-text; version=1.0.0"), "{}", answer.content_type);
    ensure!(answer.body.ends_with("# EOF\n"), "it is whole: {}", answer.body);
    need_tool(&[PYTHON, "-c", "import prometheus_client.openmetrics.parser"], "python3-prometheus-client")?;
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), &answer.body)?;
    let parsed = run_tool(Command::new(PYTHON).args(["-c", PARSER]).stdin(fs::File::open(file.path())?))?;
    let mut families = BTreeMap::new();
    for family in serde_json::from_str::<Vec<(String, String, String, Vec<_>)>>(&parsed)? {
        let (name, kind, help, samples) = family;
        ensure!(!help.is_empty() && kind != "unknown", "{name} has no help or no type");
        ensure!(name.starts_with("hearth_"), "{name} is not ours");
        families.insert(name, Family { kind, samples });
    }
    check_names(&families)?;
    Ok(families)
}

/// Names tell units as Prometheus wants them, and labels have few values.
fn check_names(families: &BTreeMap<String, Family>) -> Result<()> {
    for (name, family) in families {
        for odd in ["_ms", "_millis", "_kb", "_mb", "_count", "_total"] {
            ensure!(!name.ends_with(odd), "{name} ends in {odd}");
        }
        let labels: BTreeSet<String> =
            family.samples.iter().map(|(name, labels, _)| format!("{name}{labels:?}")).collect();
        ensure!(labels.len() <= 24, "{name} has {} series", labels.len());
    }
    Ok(())
}

fn value(families: &BTreeMap<String, Family>, name: &str, label: Option<(&str, &str)>) -> Result<f64> {
    let samples = families.values().flat_map(|family| &family.samples);
    let fits = |labels: &BTreeMap<String, String>| {
        label.is_none_or(|(key, value)| labels.get(key).is_some_and(|found| found == value))
    };
    let mut found = samples.filter(|(found, labels, _)| found == name && fits(labels)).map(|(_, _, value)| *value);
    found.next().with_context(|| format!("find {name} {label:?}"))
}

/// A worker that was away for too long comes back under its old id, is refused, and joins anew.
#[test]
fn messages_that_come_too_late_are_counted() -> Result<()> {
    let count = |cluster: &Cluster| -> Result<f64> {
        value(&read_metrics(cluster.http())?, "hearth_stale_messages_total", Some(("kind", "worker")))
    };
    let states = |cluster: &Cluster| -> Result<BTreeMap<String, String>> {
        let listed = cluster.api("/api/v1/workers")?;
        let listed = listed["workers"].as_array().cloned().unwrap_or_default();
        let text = |worker: &Value, name: &str| worker[name].as_str().unwrap_or_default().to_owned();
        Ok(listed.iter().map(|worker| (text(worker, "id"), text(worker, "state"))).collect())
    };
    Cluster::run(ClusterOptions { links: true, ..ClusterOptions::default() }, |cluster| {
        assert_eq!(count(cluster)?, 0.0);
        let old = cluster.worker(0).id.clone();
        cluster.worker(0).link()?.set(Weather::Cut);
        wait_for("the loss of the worker", Deadline::after_seconds(60), || {
            Ok((states(cluster)?.get(&old).is_none_or(|state| state == "lost")).then_some(()))
        })?;
        cluster.worker(0).link()?.set(Weather::Fair);
        wait_for("the worker under a new id", Deadline::after_seconds(60), || {
            let alive = states(cluster)?.into_values().filter(|state| state == "alive").count();
            Ok((alive == 2).then_some(()))
        })?;
        ensure!(count(cluster)? >= 1.0, "its hello under the old id was refused");
        Ok(())
    })
}

#[test]
fn master_and_workers_tell_what_they_did() -> Result<()> {
    let worker_configs = vec!["http = \"127.0.0.1:0\"".to_owned()];
    Cluster::run(ClusterOptions { worker_configs, ..ClusterOptions::default() }, |cluster| {
        let output = cluster.directory().join("report");
        let status =
            cluster.run_job(&main_job(UserActions::SMALL)?.output(&output, &[]).setting("split_bytes = \"1MiB\""))?;
        let failing = hearth_tests::JobFile::new("wrong", "SELECT no_such FROM actions")
            .csv("actions", &UserActions::SMALL.directory()?);
        cluster.submit(&failing, &[])?;
        let master = read_metrics(cluster.http())?;
        let launched = status["attempts"]["launched"].as_f64().context("read the attempts")?;
        for (name, label, expected) in [
            ("hearth_jobs_submitted_total", None, 2.0),
            ("hearth_jobs_ended_total", Some(("state", "done")), 1.0),
            ("hearth_jobs_ended_total", Some(("state", "failed")), 1.0),
            ("hearth_jobs", Some(("state", "queued")), 0.0),
            ("hearth_attempts_finished_total", None, launched),
            ("hearth_attempts_failed_total", Some(("cause", "storage")), 0.0),
            ("hearth_input_rows_total", None, 300_000.0),
            ("hearth_first_launch_delay_seconds_count", None, 1.0),
            ("hearth_job_seconds_count", None, 2.0),
            ("hearth_hdfs_namenode_calls_total", None, 0.0),
            ("hearth_log_lines_dropped_total", None, 0.0),
        ] {
            assert_eq!(value(&master, name, label)?, expected, "{name} {label:?}");
        }
        for name in
            ["hearth_store_write_seconds_count", "hearth_disk_free_bytes", "hearth_process_resident_memory_bytes"]
        {
            ensure!(value(&master, name, None)? > 0.0, "{name}");
        }
        let workers = (0..2).map(|index| cluster.worker(index).http.clone().context("find its address"));
        let workers = workers.map(|address| read_metrics(&address?)).collect::<Result<Vec<_>>>()?;
        let sum = |name: &str, label| workers.iter().map(|worker| value(worker, name, label)).sum::<Result<f64>>();
        assert_eq!(sum("hearth_worker_attempts_launched_total", None)?, launched);
        assert_eq!(sum("hearth_worker_attempts_ended_total", Some(("outcome", "finished")))?, launched);
        assert_eq!(sum("hearth_worker_attempts_running", None)?, 0.0);
        assert_eq!(sum("hearth_worker_master_connected", None)?, 2.0);
        let fetched = sum("hearth_worker_shuffle_fetched_bytes_total", Some(("from", "other_worker")))?;
        assert_eq!(fetched, sum("hearth_worker_shuffle_served_bytes_total", None)?, "what one fetches another serves");
        ensure!(sum("hearth_worker_shuffle_written_bytes_total", None)? > 0.0);
        let (first, second) = workers.split_first().context("two workers")?;
        assert_eq!(first.keys().collect::<Vec<_>>(), second[0].keys().collect::<Vec<_>>());
        check_documents(&master, first)
    })
}

/// Every name in dashboards, alerts and the operators' table is one that is told, and every one that is told is in the table.
fn check_documents(master: &BTreeMap<String, Family>, worker: &BTreeMap<String, Family>) -> Result<()> {
    let families: BTreeMap<_, _> = master.iter().chain(worker).collect();
    let told: BTreeSet<String> = families.iter().flat_map(|(name, family)| names_of(name, &family.kind)).collect();
    for file in ["deploy/monitoring/alerts.yml", "deploy/monitoring/grafana.json"] {
        let named = metric_names(&fs::read_to_string(workspace_dir().join(file))?);
        ensure!(named.len() > 8, "{file} names metrics");
        for name in named {
            ensure!(told.contains(&name), "{file} names {name}, which nobody tells");
        }
    }
    let table = fs::read_to_string(workspace_dir().join("docs/operations.md"))?;
    let documented = metric_names(&table);
    for name in &documented {
        ensure!(told.contains(name), "docs/operations.md names {name}, which nobody tells");
    }
    for (name, family) in families {
        let documented = names_of(name, &family.kind).iter().any(|name| documented.contains(name));
        ensure!(documented, "docs/operations.md does not name {name}");
    }
    Ok(())
}

/// The names of a family's series.
fn names_of(name: &str, kind: &str) -> Vec<String> {
    let suffixes: &[&str] = match kind {
        "counter" => &["_total"],
        "histogram" => &["_bucket", "_sum", "_count", ""],
        "info" => &["_info"],
        _ => &[""],
    };
    suffixes.iter().map(|suffix| format!("{name}{suffix}")).collect()
}

/// Words that begin like our metrics.
fn metric_names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("hearth_")).map(str::to_owned).collect()
}

#[test]
fn a_worker_is_ready_while_its_master_is_there() -> Result<()> {
    let worker_configs = vec!["http = \"127.0.0.1:0\"".to_owned()];
    Cluster::run(ClusterOptions { workers: 1, worker_configs, ..ClusterOptions::default() }, |cluster| {
        let http = cluster.worker(0).http.clone().context("find its address")?;
        for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/", 404)] {
            assert_eq!(http_get(&http, path)?.status, status, "{path}");
        }
        cluster.stop_master(rustix::process::Signal::KILL)?;
        hearth_tests::wait_for("the worker to miss its master", hearth_tests::Deadline::after_seconds(30), || {
            Ok((http_get(&http, "/readyz")?.status == 503).then_some(()))
        })?;
        assert_eq!(http_get(&http, "/healthz")?.status, 200, "it lives");
        Ok(())
    })
}

#[test]
fn alerts_are_rules() -> Result<()> {
    need_tool(&["promtool", "--version"], "prometheus")?;
    let monitoring = workspace_dir().join("deploy/monitoring");
    run_tool(Command::new("promtool").args(["check", "rules", "--lint-fatal"]).arg(monitoring.join("alerts.yml")))?;
    run_tool(Command::new("promtool").args(["check", "config"]).arg(monitoring.join("prometheus.yml")))?;
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(monitoring.join("grafana.json"))?)?;
    let panels = dashboard["panels"].as_array().context("find the panels")?;
    for panel in panels {
        let targets = panel["targets"].as_array().context("find a panel's targets")?;
        for expression in targets.iter().map(|target| target["expr"].as_str().unwrap_or_default()) {
            // Formatting an expression parses it.
            run_tool(Command::new("promtool").args(["promql", "format", expression, "--experimental"]))
                .or_else(|_| check_expression(expression))?;
        }
    }
    Ok(())
}

/// As a rule: an older promtool has no other way to parse an expression.
fn check_expression(expression: &str) -> Result<String> {
    let rules = serde_json::json!({"groups": [{"name": "g", "rules": [{"record": "r", "expr": expression}]}]});
    let file = tempfile::Builder::new().suffix(".yml").tempfile()?;
    fs::write(file.path(), rules.to_string())?;
    run_tool(Command::new("promtool").args(["check", "rules"]).arg(file.path()))
}
