//! JSON lines that cannot be read are put aside with their places, once each, whatever the splits and the workers; they become
//! visible with the output or not at all, and every count agrees.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use flate2::{Compression, write::GzEncoder};
use hearth_tests::{Cluster, ClusterOptions, JobFile, Rows, read_parquet_dir, run_hearth};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::common::{check_committed, check_no_staging, number};

const QUERY: &str =
    "SELECT id % 7 AS k, count(*) AS n, sum(id) AS ids, count(note) AS notes FROM events GROUP BY id % 7";
const SCHEMA: &str = "schema = { id = \"int64\", note = \"string\" }";

/// Lines of very different lengths, and the bad ones among them.
struct Spoilt {
    text: String,
    /// Each as line, byte, column, record.
    rejects: Vec<[String; 4]>,
    rows: u64,
    ids: u64,
}

impl Spoilt {
    fn new(records: u64) -> Self {
        let mut spoilt = Self { text: String::new(), rejects: Vec::new(), rows: 0, ids: 0 };
        for id in 0..records {
            match id % 101 {
                13 => spoilt.reject("id", &format!("{{\"id\":\"x{id}\"}}")),
                29 => spoilt.reject("NULL", &format!("{{\"id\":{id}")),
                47 => spoilt.reject("id", &format!("{{\"id\":{id}.5,\"note\":\"n\"}}")),
                61 => spoilt.reject("note", &format!("{{\"id\":{id},\"note\":{id}}}")),
                83 => spoilt.text.push('\n'),
                _ => {
                    let note = "{\\\"id\\\":1}\\n".repeat(usize::try_from(id % 31).unwrap_or(0));
                    spoilt.text.push_str(&format!("{{\"id\":{id},\"note\":\"{note}\"}}\n"));
                    spoilt.rows += 1;
                    spoilt.ids += id;
                }
            }
        }
        spoilt
    }

    fn reject(&mut self, column: &str, record: &str) {
        let line = 1 + self.text.matches('\n').count();
        self.rejects.push([line.to_string(), self.text.len().to_string(), column.to_owned(), record.to_owned()]);
        self.text.push_str(record);
        self.text.push('\n');
    }

    fn job(&self, path: &Path, lines: &[&str]) -> Result<JobFile> {
        std::fs::write(path, &self.text)?;
        Ok(JobFile::new("rejects", QUERY).input("events", path, &[&["on_error = \"reject\"", SCHEMA], lines].concat()))
    }

    fn check(&self, status: &Value, output: &Path) -> Result<()> {
        check_committed(output)?;
        let path = status.pointer("/output/rejects").and_then(Value::as_str).context("the job tells its rejects")?;
        let found = read_rejects(Path::new(path))?;
        let difference = found.iter().zip(&self.rejects).find(|(found, expected)| found != expected);
        ensure!(found == self.rejects, "{} rejects, first difference (found, expected): {difference:?}", found.len());
        let rejected = self.rejects.len() as u64;
        let seal: Value = serde_json::from_slice(&std::fs::read(output.join("_SUCCESS"))?)?;
        for inputs in [&status["inputs"][0], &seal["inputs"][0]] {
            let found = ["/records", "/used", "/rejected"].map(|name| number(inputs, name));
            ensure!(found == [self.rows + rejected, self.rows, rejected], "{inputs}");
        }
        let rows = read_parquet_dir(output)?.rows;
        let sum = |column: usize| rows.iter().filter_map(|row| row[column].parse::<u64>().ok()).sum::<u64>();
        ensure!((sum(1), sum(2)) == (self.rows, self.ids), "{rows:?}");
        Ok(())
    }
}

fn read_rejects(path: &Path) -> Result<Vec<[String; 4]>> {
    let mut rows = Rows::default();
    for batch in ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()? {
        rows.add(&batch?)?;
    }
    ensure!(rows.names() == ["input", "file", "line", "byte", "column", "reason", "raw"], "{:?}", rows.names());
    let unhex = |text: &str| {
        let bytes = (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16));
        bytes.collect::<Result<Vec<_>, _>>().ok().and_then(|bytes| String::from_utf8(bytes).ok())
    };
    let record = |raw: &str| unhex(raw).unwrap_or_else(|| raw.to_owned());
    Ok(rows.rows.iter().map(|row| [row[2].clone(), row[3].clone(), row[4].clone(), record(&row[6])]).collect())
}

fn check_splits(workers: usize) -> Result<()> {
    Cluster::run(ClusterOptions { workers, ..ClusterOptions::default() }, |cluster| {
        let spoilt = Spoilt::new(1500);
        let path = cluster.directory().join("events.json");
        for split in ["2KiB", "5KiB", "64KiB", "64MiB"] {
            let output = cluster.directory().join(format!("out-{split}"));
            let job = spoilt.job(&path, &[])?.output(&output, &[]).setting(&format!("split_bytes = \"{split}\""));
            let status = cluster.run_job(&job)?;
            spoilt.check(&status, &output).with_context(|| format!("splits of {split}, {status:#}"))?;
        }
        Ok(())
    })
}

#[test]
fn json_rejects_with_one_worker() -> Result<()> {
    check_splits(1)
}

#[test]
fn json_rejects_with_two_workers() -> Result<()> {
    check_splits(2)
}

#[test]
fn json_rejects_with_five_workers() -> Result<()> {
    check_splits(5)
}

#[test]
fn json_rejects_have_a_limit() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let (spoilt, output) = (Spoilt::new(1500), cluster.directory().join("out"));
        let path = cluster.directory().join("events.json");
        let first = format!("events.json, line {}, byte {}", spoilt.rejects[0][0], spoilt.rejects[0][1]);
        for (limit, text) in [("0", "max_rejects = 0"), ("\"1%\"", "more than max_rejects = 1%")] {
            for split in ["3KiB", "64MiB"] {
                let job = spoilt.job(&path, &[&format!("max_rejects = {limit}")])?.output(&output, &[]);
                let job = job.setting(&format!("split_bytes = \"{split}\""));
                cluster.submit(&job, &[])?.with_code(1)?.says(&[text, &first])?;
                ensure!(!output.exists(), "nothing becomes visible");
                check_no_staging(&output)?;
            }
        }
        let job = spoilt.job(&path, &[&format!("max_rejects = {}", spoilt.rejects.len())])?.output(&output, &[]);
        spoilt.check(&cluster.run_job(&job)?, &output)
    })
}

/// A limit is met long before the files' ends, with and without rejects: links are complete all the same.
#[test]
fn json_limits_are_proved() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let path = cluster.directory().join("events.json");
        let spoilt = Spoilt::new(1500).text;
        let good: String = (0..5000).map(|id| format!("{{\"id\":{id}}}\n")).collect();
        for (on_error, text) in [("reject", spoilt), ("fail", good)] {
            std::fs::write(&path, text)?;
            let lines = [SCHEMA, &format!("on_error = \"{on_error}\"")];
            let job = JobFile::new("some", "SELECT id FROM events LIMIT 5").input("events", &path, &lines);
            let status = cluster.run_job(&job.setting("split_bytes = \"9KiB\""))?;
            ensure!(status["result"].as_array().is_some_and(|rows| rows.len() == 5), "{status:#}");
        }
        Ok(())
    })
}

#[test]
fn json_is_checked() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let spoilt = Spoilt::new(300);
    let plain = directory.path().join("events.json");
    std::fs::write(&plain, &spoilt.text)?;
    let packed = directory.path().join("events.json.gz");
    let mut encoder = GzEncoder::new(File::create(&packed)?, Compression::default());
    encoder.write_all(spoilt.text.as_bytes())?;
    encoder.finish()?;
    let [line, byte, column, _] = &spoilt.rejects[0];
    for path in [&plain, &packed] {
        let path = path.to_string_lossy();
        let place = format!("line {line}, byte {byte}, column `{column}`");
        let arguments = ["check", &path, "--schema", "id int64, note string"];
        let rejecting = [&arguments[..], &["--on-error", "reject"]].concat();
        let told = run_hearth(&rejecting)?.success()?.stdout;
        let (rows, rejects) =
            (format!("records  {} (", spoilt.rows), format!("rejects  {}, among them", spoilt.rejects.len()));
        for text in [&rows, &rejects, &place] {
            ensure!(told.contains(text.as_str()), "expected `{text}` in {told}");
        }
        let told = run_hearth(&[&rejecting[..], &["--json"]].concat())?.success()?.json()?;
        ensure!(number(&told, "/inputs/0/rejected") == spoilt.rejects.len() as u64, "{told:#}");
        run_hearth(&[&rejecting[..], &["--max-rejects", "0"]].concat())?
            .with_code(1)?
            .says(&["max_rejects", &place])?;
        let failed = run_hearth(&arguments)?.with_code(1)?;
        failed.says(&[
            "cannot read a JSON record",
            &place,
            "`\\\"x13\\\"` is not of type int64",
            "the record is `{",
        ])?;
    }
    // What is no object does not keep columns from being inferred.
    std::fs::write(&plain, "{\"id\":1}\nx\n{\"id\":2,\"note\":\"n\"}\n")?;
    let told = run_hearth(&["check", &plain.to_string_lossy(), "--on-error", "reject", "--json"])?.success()?.json()?;
    ensure!(number(&told, "/inputs/0/records") == 2 && number(&told, "/inputs/0/rejected") == 1, "{told:#}");
    Ok(())
}
