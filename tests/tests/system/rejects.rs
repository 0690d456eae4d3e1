//! Records that cannot be read are put aside with their places, once each, whatever the splits, the workers and their deaths,
//! and become visible with the output or not at all.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use hearth_tests::{Cluster, ClusterOptions, JobFile, Rows, read_parquet_dir};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::common::{check_committed, check_no_staging, number};

const QUERY: &str = "SELECT id % 7 AS k, count(*) AS n, sum(id) AS ids FROM actions GROUP BY id % 7";
const SCHEMA: &str = "schema = { id = \"int64\", note = \"string\" }";

/// A file whose notes hold line breaks and text that looks like records, so that guesses go wrong, and its bad records.
struct Messy {
    text: String,
    /// Each as line, byte, column.
    rejects: Vec<[String; 3]>,
    rows: u64,
}

impl Messy {
    fn new(records: u64) -> Self {
        let mut messy = Self { text: "id,note\n".to_owned(), rejects: Vec::new(), rows: 0 };
        for id in 0..records {
            match id % 97 {
                13 => messy.reject("id", &format!("x{id},\"bad\n1,2\"\n")),
                41 => messy.reject("NULL", &format!("{id},too,many\n")),
                _ => {
                    let lines = "7,a note\n8,\"\"another\"\"\n\n".repeat(usize::try_from(id % 23).unwrap_or(0));
                    messy.text.push_str(&format!("{id},\"note {id}\n{lines}\"\n"));
                    messy.rows += 1;
                }
            }
        }
        messy
    }

    fn reject(&mut self, column: &str, record: &str) {
        let line = 1 + self.text.matches('\n').count();
        self.rejects.push([line.to_string(), self.text.len().to_string(), column.to_owned()]);
        self.text.push_str(record);
    }

    fn job(&self, cluster: &Cluster, lines: &[&str]) -> Result<JobFile> {
        let path = cluster.directory().join("actions.csv");
        std::fs::write(&path, &self.text)?;
        let lines = [&["format = \"csv\"", "on_error = \"reject\"", SCHEMA], lines].concat();
        Ok(JobFile::new("rejects", QUERY).input("actions", &path, &lines))
    }

    /// The rejects stand beside the output, each once and in the order of the file, and every count agrees.
    fn check(&self, status: &Value, output: &Path) -> Result<()> {
        check_committed(output)?;
        let path = status.pointer("/output/rejects").and_then(Value::as_str).context("the job tells its rejects")?;
        let found = read_rejects(Path::new(path))?;
        ensure!(found == self.rejects, "expected {:?}, found {found:?}", self.rejects);
        let rejected = self.rejects.len() as u64;
        let seal: Value = serde_json::from_slice(&std::fs::read(output.join("_SUCCESS"))?)?;
        for inputs in [&status["inputs"][0], &seal["inputs"][0]] {
            ensure!(inputs["input"] == "actions", "{inputs}");
            let found = ["/records", "/used", "/rejected"].map(|name| number(inputs, name));
            ensure!(found == [self.rows + rejected, self.rows, rejected], "{inputs}");
        }
        let rows: u64 = read_parquet_dir(output)?.rows.iter().filter_map(|row| row[1].parse::<u64>().ok()).sum();
        ensure!(rows.is_multiple_of(self.rows) && rows > 0, "{rows} rows were counted, {} are in the file", self.rows);
        Ok(())
    }
}

fn read_rejects(path: &Path) -> Result<Vec<[String; 3]>> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let mut rows = Rows::default();
    for batch in ParquetRecordBatchReaderBuilder::try_new(file)?.build()? {
        rows.add(&batch?)?;
    }
    ensure!(rows.names() == ["input", "file", "line", "byte", "column", "reason", "raw"], "{:?}", rows.names());
    Ok(rows.rows.into_iter().map(|row| [row[2].clone(), row[3].clone(), row[4].clone()]).collect())
}

fn check_splits(workers: usize) -> Result<()> {
    Cluster::run(ClusterOptions { workers, ..ClusterOptions::default() }, |cluster| {
        let messy = Messy::new(2000);
        for split in ["2KiB", "7KiB", "64KiB", "64MiB"] {
            let output = cluster.directory().join(format!("out-{split}"));
            let job = messy.job(cluster, &[])?.output(&output, &[]).setting(&format!("split_bytes = \"{split}\""));
            let status = cluster.run_job(&job)?;
            messy.check(&status, &output).with_context(|| format!("splits of {split}, {status:#}"))?;
        }
        Ok(())
    })
}

#[test]
fn splits_change_nothing_with_one_worker() -> Result<()> {
    check_splits(1)
}

#[test]
fn splits_change_nothing_with_two_workers() -> Result<()> {
    check_splits(2)
}

#[test]
fn modes_treat_rejects_as_rows() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let output = cluster.directory().join("report");
        let (first, second) = (Messy::new(500), Messy::new(700));
        let count = || Ok::<_, anyhow::Error>(std::fs::read_dir(output.join("_rejects"))?.count());
        first.check(&cluster.run_job(&first.job(cluster, &[])?.output(&output, &[]))?, &output)?;
        let overwrite = second.job(cluster, &[])?.output(&output, &["mode = \"overwrite\""]);
        second.check(&cluster.run_job(&overwrite)?, &output)?;
        ensure!(count()? == 1, "the rejects of the first job are gone");
        let append = second.job(cluster, &[])?.output(&output, &["mode = \"append\""]);
        second.check(&cluster.run_job(&append)?, &output)?;
        ensure!(count()? == 2, "the rejects of both jobs are there");
        let told = cluster.submit(&append, &[])?.with_code(0)?.stdout;
        let (used, rejected) = (second.rows, second.rejects.len());
        let expected =
            format!("actions: 700 records read, {used} used, {rejected} rejected (see {}/_rejects/", output.display());
        ensure!(told.contains(&expected), "expected `{expected}` in {told}");
        Ok(())
    })
}

#[test]
fn too_many_rejects_fail_the_job() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let output = cluster.directory().join("report");
        let messy = Messy::new(2000);
        let (rejected, all) = (messy.rejects.len(), messy.rejects.len() as u64 + messy.rows);
        let check = |limit: &str, texts: &[&str]| -> Result<()> {
            for split in ["3KiB", "64MiB"] {
                let job = messy.job(cluster, &[&format!("max_rejects = {limit}")])?.output(&output, &[]);
                let job = job.setting(&format!("split_bytes = \"{split}\""));
                cluster.submit(&job, &[])?.with_code(1)?.says(texts)?;
                ensure!(!output.exists(), "nothing becomes visible");
                check_no_staging(&output)?;
            }
            Ok(())
        };
        let first = format!("actions.csv, line {}, byte {}", messy.rejects[0][0], messy.rejects[0][1]);
        check("0", &["input `actions`", "max_rejects = 0", &first])?;
        check("\"1%\"", &["rejects among ", "more than max_rejects = 1%", &first])?;
        let whole = messy.job(cluster, &["max_rejects = \"1%\""])?.output(&output, &[]);
        let text = format!("{rejected} rejects among {all} records, more than max_rejects = 1%");
        cluster.submit(&whole, &[])?.with_code(1)?.says(&[&text])?;
        let enough = messy.job(cluster, &[&format!("max_rejects = {rejected}")])?.output(&output, &[]);
        messy.check(&cluster.run_job(&enough)?, &output)
    })
}

/// Files of garbage before many good ones: the job stops long before their end, whichever kind of limit it has.
#[test]
fn a_job_that_cannot_end_well_any_more_stops_early() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 1, slots: 1, ..ClusterOptions::default() }, |cluster| {
        let input = cluster.directory().join("input");
        std::fs::create_dir(&input)?;
        let good: String = (0..4000).map(|id| format!("{id},\"a note that is long enough {id}\"\n")).collect();
        for file in 0..40 {
            let bad = if file < 4 { "x,y\n".repeat(2000) } else { String::new() };
            std::fs::write(input.join(format!("{file:02}.csv")), format!("id,note\n{bad}{good}"))?;
        }
        for (limit, expected) in
            [("\"0.1%\"", "read so far, more than max_rejects = 0.1%, whatever the rest holds"), ("5000", "")]
        {
            let limit = format!("max_rejects = {limit}");
            let job = JobFile::new("early", QUERY).input(
                "actions",
                &input,
                &["format = \"csv\"", "on_error = \"reject\"", SCHEMA, &limit],
            );
            let id = cluster.submit_detached(&job.setting("split_bytes = \"128KiB\""))?;
            let status = cluster.wait_for_end(&id, 90)?;
            let told = status["failure"]["message"].to_string();
            ensure!(status["state"] == "failed" && told.contains(expected), "{status:#}");
            ensure!(told.contains("00.csv, line 2, byte 8"), "the first reject is not told: {told}");
            let (done, tasks) = (number(&status, "/stages/0/tasks_done"), number(&status, "/stages/0/tasks"));
            ensure!(done * 2 < tasks && tasks > 30, "{done} of {tasks} tasks were done: {status:#}");
        }
        Ok(())
    })
}

#[test]
fn a_job_without_an_output_counts_and_shows_the_first() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 1, ..ClusterOptions::default() }, |cluster| {
        let messy = Messy::new(300);
        let job = messy.job(cluster, &[])?.setting("split_bytes = \"3KiB\"");
        let place = format!("actions.csv, line {}, byte {}", messy.rejects[0][0], messy.rejects[0][1]);
        cluster.submit(&job, &[])?.with_code(0)?.says(&["300 records read", "6 rejected", &place])?;
        Ok(())
    })
}

#[test]
fn a_killed_worker_changes_nothing() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let messy = Messy::new(60_000);
        let output = cluster.directory().join("report");
        let job = messy.job(cluster, &["max_rejects = \"5%\""])?.output(&output, &[]);
        let id = cluster.submit_detached(&job.setting("split_bytes = \"128KiB\""))?;
        let is_half_done = |status: &Value| number(status, "/stages/0/tasks_done") >= 8 || status["state"] == "done";
        cluster.wait_for_status(&id, 60, is_half_done)?;
        cluster.kill_worker(0)?;
        let status = cluster.wait_for_end(&id, 150)?;
        ensure!(status["state"] == "done", "{status:#}");
        ensure!(number(&status, "/attempts/lost") > 0, "the kill came too late: {status:#}");
        messy.check(&status, &output)
    })
}
