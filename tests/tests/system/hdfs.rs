//! Jobs that read from HDFS and commit to it. Inputs are put there, and outputs read back, by Hadoop's own shell.

use anyhow::{Context as _, Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, ClusterOptions, JobFile, check_counted_actions, http_get, run_hearth};

use crate::common::{MAIN_QUERY, number, small_answer};
use crate::hdfs_fixture::{Hdfs, check, check_with};

fn small_job(hdfs: &Hdfs, output: &str, lines: &[&str]) -> Result<JobFile> {
    let job = JobFile::new("user-actions", MAIN_QUERY).csv("actions", &hdfs.actions(UserActions::SMALL)?);
    Ok(job.output(&hdfs.url(output), lines).setting("split_bytes = \"1MiB\""))
}

#[test]
fn the_main_job_in_every_mode() -> Result<()> {
    check("modes", |hdfs, cluster| {
        let status = cluster.run_job(&small_job(hdfs, "out", &[])?)?;
        ensure!(status["output"]["path"] == *hdfs.url("out").to_string_lossy(), "{status:#}");
        hdfs.check_output("out", small_answer()?)?;
        let refused = cluster.submit(&small_job(hdfs, "out", &[])?, &[])?;
        refused.with_code(2)?.says(&["exists", &hdfs.url("out").to_string_lossy(), "overwrite"])?;
        let counts = "SELECT action, count(*) AS n FROM actions GROUP BY action";
        let counts = JobFile::new("counts", counts).csv("actions", &hdfs.actions(UserActions::SMALL)?);
        cluster.run_job(&counts.output(&hdfs.url("out"), &["mode = \"overwrite\""]))?;
        assert_eq!(hdfs.rows("out")?.names(), ["action", "n"]);
        cluster.run_job(&small_job(hdfs, "out", &["mode = \"overwrite\""])?)?;
        hdfs.check_output("out", small_answer()?)?;
        let append = small_job(hdfs, "more", &["mode = \"append\""])?;
        cluster.run_job(&append)?;
        hdfs.check_output("more", small_answer()?)?;
        cluster.run_job(&append)?;
        let mut twice = small_answer()?.clone();
        twice.rows.extend(small_answer()?.rows.clone());
        hdfs.check_output("more", &twice)
    })
}

/// Bytes by Hadoop's own shell, content by pyarrow, which also counts the actions itself.
#[test]
fn readers_of_others_find_the_right_rows() -> Result<()> {
    check("readers", |hdfs, cluster| {
        let status = cluster.run_job(&small_job(hdfs, "out", &[])?)?;
        let rows = check_counted_actions(&UserActions::SMALL.directory()?, &hdfs.copy("out")?)?;
        assert_eq!(rows, number(&status, "/output/rows"));
        hdfs.check_output("out", small_answer()?)
    })
}

#[test]
fn an_output_that_holds_an_input_is_refused() -> Result<()> {
    check("over-input", |hdfs, cluster| {
        let input = hdfs.actions(UserActions::SMALL)?;
        let job = JobFile::new("user-actions", MAIN_QUERY).csv("actions", &input.join("*.csv"));
        let job = job.output(&input, &["mode = \"overwrite\""]);
        cluster.submit(&job, &[])?.with_code(2)?.says(&["would delete the input"]).map(drop)
    })
}

#[test]
fn json_parquet_and_globs() -> Result<()> {
    check("formats", |hdfs, cluster| {
        let globs = hdfs.actions(UserActions::SMALL)?.to_string_lossy().replace("/actions-", "/act?ons-");
        for format in ["json", "parquet"] {
            let line = format!("format = \"{format}\"");
            let copy = JobFile::new("copy", "SELECT email, timestamp, action FROM actions");
            let copy =
                copy.csv("actions", format!("{globs}/*.{{csv,tsv}}").as_ref()).output(&hdfs.url(format), &[&line]);
            cluster.run_job(&copy)?;
            let again = JobFile::new("again", MAIN_QUERY).input("actions", &hdfs.url(format), &[&line]);
            let again = again.output(&hdfs.url("again"), &["mode = \"overwrite\""]);
            cluster.run_job(&again.setting("split_bytes = \"1MiB\""))?;
            hdfs.check_output("again", small_answer()?)?;
        }
        Ok(())
    })
}

#[test]
fn partitions_and_rejects() -> Result<()> {
    check("rejects", |hdfs, cluster| {
        let local = tempfile::tempdir()?;
        let lines: String =
            (0..5000).map(|n| if n == 4321 { "bad,x\n".to_owned() } else { format!("k{},{n}\n", n % 3) }).collect();
        std::fs::write(local.path().join("a.csv"), format!("k,n\n{lines}"))?;
        hdfs.put(local.path(), "in")?;
        let schema = ["format = \"csv\"", "on_error = \"reject\"", "schema = { k = \"string\", n = \"int64\" }"];
        let job = JobFile::new("sums", "SELECT k, sum(n) AS s, count(*) AS c FROM t GROUP BY k");
        let job = job.input("t", &hdfs.url("in"), &schema).output(&hdfs.url("out"), &["partition_by = [\"k\"]"]);
        let status = cluster.run_job(&job.setting("split_bytes = \"4KiB\""))?;
        assert_eq!(status["inputs"][0]["rejected"], 1, "{status:#}");
        let mut counts: Vec<String> = hdfs.rows("out")?.rows.into_iter().map(|row| row[1].clone()).collect();
        counts.sort_unstable();
        assert_eq!(counts, ["1666", "1666", "1667"]);
        let listed = hdfs.list()?;
        ensure!(listed.contains("/out/k=k0/part-") && listed.contains("/out/_rejects/rejects-"), "{listed}");
        hdfs.check_no_staging()
    })
}

#[test]
fn a_missing_path_names_what_is_there() -> Result<()> {
    check("missing", |hdfs, cluster| {
        hdfs.put_text("actions", &[("a.txt", "x")])?;
        let job = |name: &str| JobFile::new("user-actions", MAIN_QUERY).csv("actions", &hdfs.url(name));
        let near = cluster.submit(&job("action"), &[])?.with_code(1)?;
        near.says(&["no file found at", "/missing/action; there is `actions`"])?;
        cluster.submit(&job("actions/*.csv"), &[])?.with_code(1)?.says(&["no file found at"])?;
        let wrong = JobFile::new("user-actions", MAIN_QUERY).csv("actions", "hdfs://nn:port/a".as_ref());
        cluster.submit(&wrong, &[])?.with_code(2)?.says(&["`port` is not a port"]).map(drop)
    })
}

#[test]
fn hidden_names_are_no_input() -> Result<()> {
    check("hidden", |hdfs, cluster| {
        let row = |n: u32| format!("n\n{n}\n");
        let seen = [("a.csv", row(1)), ("sub/b.csv", row(2)), ("sub/day=1/c.csv", row(4))];
        let hidden =
            [(".a.csv", row(8)), ("_b.csv", row(16)), ("sub/_temporary/0/c.csv", row(32)), (".x/d.csv", row(64))];
        let files: Vec<(&str, &str)> = seen.iter().chain(&hidden).map(|(name, text)| (*name, text.as_str())).collect();
        hdfs.put_text("in", &files)?;
        let sum = |path: &str, output: &str| {
            let job = JobFile::new("sum", "SELECT sum(n) AS s FROM t").csv("t", &hdfs.url(path));
            cluster.run_job(&job.output(&hdfs.url(output), &[]))?;
            anyhow::Ok(hdfs.rows(output)?.rows)
        };
        assert_eq!(sum("in", "whole")?, [["7"]]);
        assert_eq!(sum("in/{*.csv,s?b}", "globs")?, [["7"]]);
        assert_eq!(sum("in/_b.csv", "named")?, [["16"]], "a name that is given is meant");
        Ok(())
    })
}

#[test]
fn a_cluster_that_is_not_there_is_waited_for_and_then_named() -> Result<()> {
    let settings = "[hdfs]\nrpc_timeout = \"1s\"\nrpc_tries = 1\nwait_for_namenode = \"6s\"\n".to_owned();
    let options = ClusterOptions { master_config: settings, ..ClusterOptions::default() };
    check_with("nowhere", options, |_, cluster| {
        let nowhere = JobFile::new("user-actions", MAIN_QUERY).csv("actions", "hdfs://127.0.0.1:1/in".as_ref());
        let job = cluster.submit_detached(&nowhere)?;
        let waiting = cluster.wait_for_status(&job, 30, |status| !status["waiting_for"].is_null())?;
        let reason = waiting["waiting_for"].as_str().unwrap_or_default();
        ensure!(reason.starts_with("HDFS: ") && reason.contains("hdfs://127.0.0.1:1/in"), "{waiting:#}");
        let failed = cluster.wait_for_end(&job, 60)?;
        let message = failed["failure"]["message"].as_str().unwrap_or_default();
        ensure!(failed["state"] == "failed" && failed["waiting_for"].is_null(), "{failed:#}");
        ensure!(["waited ", " s for HDFS", "127.0.0.1:1/in"].iter().all(|part| message.contains(part)), "{failed:#}");
        Ok(())
    })
}

/// Each DataNode has files of its own, and is known under a name that one of the workers has as well.
#[test]
fn tasks_run_where_their_data_is() -> Result<()> {
    let worker = |host: &str| format!("names = [\"{host}\"]\n");
    let options = ClusterOptions {
        master_config: "locality_wait = \"20s\"\n".to_owned(),
        worker_configs: vec![worker("worker1"), worker("Worker2")],
        ..ClusterOptions::default()
    };
    let count = |hdfs: &Hdfs, cluster: &Cluster| {
        let job = JobFile::new("count", "SELECT count(*) AS n FROM t").csv("t", &hdfs.at("/data/scattered"));
        let status = cluster.run_job(&job.setting("split_bytes = \"64KiB\""))?;
        let tasks = number(&status, "/stages/0/tasks");
        anyhow::Ok((tasks, number(&status, "/locality/local"), number(&status, "/locality/remote")))
    };
    check_with("local", options, |hdfs, cluster| {
        let text: String = (0..10_000).map(|n| format!("{n}\n")).collect();
        let files: Vec<String> = (0..8).map(|n| format!("{n}.csv")).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|name| (name.as_str(), text.as_str())).collect();
        hdfs.put_scattered("/data/scattered", &files)?;
        let (tasks, local, remote) = count(hdfs, cluster)?;
        ensure!(tasks >= 8 && local >= tasks && remote == 0, "{local} local and {remote} remote of {tasks} tasks");
        Ok(())
    })?;
    check("remote", |hdfs, cluster| {
        let (tasks, local, remote) = count(hdfs, cluster)?;
        ensure!(tasks >= 8 && local == 0 && remote >= tasks, "{local} local and {remote} remote of {tasks} tasks");
        Ok(())
    })
}

/// CSV and Parquet read past the DataNodes give what they give through them.
#[test]
fn short_circuit_reads_give_the_same_rows() -> Result<()> {
    let config = "http = \"127.0.0.1:0\"\n[hdfs]\nshort_circuit = true\n".to_owned();
    let options = ClusterOptions { worker_configs: vec![config; 2], ..ClusterOptions::default() };
    check_with("short", options, |hdfs, cluster| {
        let parquet = "SELECT email, action FROM actions";
        let parquet = JobFile::new("parquet", parquet).csv("actions", &hdfs.actions(UserActions::SMALL)?);
        cluster.run_job(&parquet.output(&hdfs.url("parquet"), &[]).setting("split_bytes = \"1MiB\""))?;
        cluster.run_job(&small_job(hdfs, "out", &[])?)?;
        hdfs.check_output("out", small_answer()?)?;
        let again = JobFile::new("again", MAIN_QUERY).input("actions", &hdfs.url("parquet"), &["format = \"parquet\""]);
        cluster.run_job(&again.output(&hdfs.url("again"), &[]))?;
        hdfs.check_output("again", small_answer()?)?;
        let (mut through, mut past) = (0, 0);
        for index in 0..2 {
            let http = cluster.worker(index).http.clone().context("find the worker's address")?;
            let metrics = http_get(&http, "/metrics")?.body;
            let read = |by: &str| {
                let name = format!("hearth_worker_hdfs_read_bytes_total{{by=\"{by}\"}} ");
                let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
                value.and_then(|value| value.parse::<u64>().ok()).context("find the bytes read")
            };
            through += read("datanode")?;
            past += read("short_circuit")?;
        }
        ensure!(through == 0 && past > 1 << 20, "{through} bytes through DataNodes, {past} past them");
        Ok(())
    })
}

#[test]
fn a_local_master_reads_it_too() -> Result<()> {
    check("local", |hdfs, _| {
        let local = tempfile::tempdir()?;
        let file = small_job(hdfs, "out", &[])?.write(local.path())?;
        run_hearth(&["submit", "--master", "local[2]", &file.to_string_lossy()])?.success()?;
        hdfs.check_output("out", small_answer()?)
    })
}
