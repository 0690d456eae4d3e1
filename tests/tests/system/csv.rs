//! Large CSV files whose fields have lines that look like records, in input splits smaller than the fields: nothing comes twice,
//! nothing is lost, the work is done at most twice, and what is wrong is told with its place in the file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use hearth_tests::{Cluster, ClusterOptions, JobFile, Rows, read_parquet_dir};
use serde_json::Value;

use crate::common::{check_committed, number, tasks};

/// The job failed.
const FAILED: i32 = 1;
const SCHEMA: [&str; 2] = ["format = \"csv\"", "schema = { id = \"int64\", body = \"string\" }"];

/// A file of records with a number and a text of many lines, each of which is a record too, were it not for the quotes.
#[derive(Debug, Clone, Copy)]
struct Bodies {
    records: usize,
    /// Lines of the shortest text; the longest has half as many more.
    lines: usize,
}

impl Bodies {
    fn body(self, id: usize) -> String {
        let lines = self.lines + id * 37 % (self.lines / 2 + 1);
        (0..lines)
            .map(|line| if line % 5 == 0 { format!("{line},\"of {id}\"\n") } else { format!("{id},line {line}\n") })
            .collect()
    }

    fn record(self, id: usize) -> String {
        format!("{id},\"{}\"\n", self.body(id).replace('"', "\"\""))
    }

    fn text(self) -> String {
        std::iter::once("id,body\n".to_owned()).chain((0..self.records).map(|id| self.record(id))).collect()
    }

    fn rows(self) -> Vec<Vec<String>> {
        (0..self.records).map(|id| vec![id.to_string(), self.body(id)]).collect()
    }

    fn write(self, cluster: &Cluster) -> Result<PathBuf> {
        let path = cluster.directory().join("bodies.csv");
        std::fs::write(&path, self.text())?;
        Ok(path)
    }
}

fn job(query: &str, path: &Path, split_bytes: usize) -> JobFile {
    JobFile::new("bodies", query).input("t", path, &SCHEMA).setting(&format!("split_bytes = {split_bytes}"))
}

fn check_rows(found: &Rows, mut expected: Vec<Vec<String>>) -> Result<()> {
    expected.sort_unstable();
    let found = found.sorted();
    let ids = |rows: &[Vec<String>]| rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    ensure!(found == expected, "expected the records {:?}, found {:?}", ids(&expected), ids(&found));
    Ok(())
}

/// Beyond one attempt per task there is one more for those that guessed wrong: a parallel round, not one after the other.
fn check_attempts(status: &Value) -> Result<()> {
    let (launched, scans) = (number(status, "/attempts/launched"), number(status, "/stages/0/tasks"));
    ensure!(launched <= tasks(status) + scans, "{launched} attempts for {scans} tasks that read: {status:#}");
    ensure!(number(status, "/attempts/failed") == 0, "a wrong guess is nobody's fault: {status:#}");
    Ok(())
}

#[test]
fn fields_longer_than_splits() -> Result<()> {
    const BODIES: Bodies = Bodies { records: 60, lines: 2000 };
    Cluster::run(ClusterOptions::default(), |cluster| {
        let path = BODIES.write(cluster)?;
        for (at, split_bytes) in [8 << 10, 30_000, 100_000].into_iter().enumerate() {
            let output = cluster.directory().join(format!("out-{at}"));
            let status = cluster.run_job(&job("SELECT * FROM t", &path, split_bytes).output(&output, &[]))?;
            check_committed(&output)?;
            check_rows(&read_parquet_dir(&output)?, BODIES.rows())?;
            check_attempts(&status)?;
            let expected = std::fs::metadata(&path)?.len().div_ceil(split_bytes as u64);
            ensure!(number(&status, "/stages/0/tasks") == expected, "expected {expected} tasks that read: {status:#}");
            ensure!(
                number(&status, "/metrics/input_rows") == BODIES.records as u64,
                "every record is read once: {status:#}"
            );
        }
        Ok(())
    })
}

#[test]
fn wrong_guesses_before_a_shuffle() -> Result<()> {
    const BODIES: Bodies = Bodies { records: 300, lines: 300 };
    Cluster::run(ClusterOptions::default(), |cluster| {
        let path = BODIES.write(cluster)?;
        let (job, output) = counting_job(cluster, &path, 4 << 10);
        let status = cluster.run_job(&job)?;
        check_counts(&output, BODIES)?;
        check_attempts(&status)
    })
}

/// Counts every record, and its characters, behind a shuffle.
fn counting_job(cluster: &Cluster, path: &Path, split_bytes: usize) -> (JobFile, PathBuf) {
    let output = cluster.directory().join("counts");
    let query = "SELECT id, count(*) AS n, sum(length(body)) AS chars FROM t GROUP BY id";
    let job = job(query, path, split_bytes).output(&output, &[]).setting("shuffle_partitions = 4");
    (job, output)
}

fn check_counts(output: &Path, bodies: Bodies) -> Result<()> {
    check_committed(output)?;
    let expected = (0..bodies.records)
        .map(|id| vec![id.to_string(), "1".to_owned(), bodies.body(id).chars().count().to_string()])
        .collect();
    check_rows(&read_parquet_dir(output)?, expected)
}

#[test]
fn a_bad_record_far_in_the_file() -> Result<()> {
    const BODIES: Bodies = Bodies { records: 400, lines: 60 };
    Cluster::run(ClusterOptions::default(), |cluster| {
        let good = BODIES.text();
        let (line, byte) = (good.matches('\n').count() + 1, good.len());
        // The records behind it are good, and are read before it is.
        let behind: String = (0..200).map(|id| BODIES.record(id)).collect();
        let path = cluster.directory().join("bad.csv");
        std::fs::write(&path, format!("{good}four hundred,\"1,x\n2,y\"\n{behind}"))?;
        for split_bytes in [1 << 10, 5000, 1 << 30] {
            let job = job("SELECT id % 10 AS k, count(*) AS n FROM t GROUP BY k", &path, split_bytes);
            let place = format!("file://{}, line {line}, byte {byte}, column `id`", path.display());
            let texts = [place.as_str(), "`four hundred` is not of type int64", "`four hundred,\\\"1,x\\n2,y\\\"`"];
            cluster.submit(&job, &[])?.with_code(FAILED)?.says(&texts)?;
        }
        Ok(())
    })
}

#[test]
fn a_limit_gives_rows_that_exist() -> Result<()> {
    const BODIES: Bodies = Bodies { records: 60, lines: 300 };
    Cluster::run(ClusterOptions::default(), |cluster| {
        let path = BODIES.write(cluster)?;
        let all: BTreeSet<Vec<String>> = BODIES.rows().into_iter().collect();
        for (limit, split_bytes) in [(1, 1 << 10), (7, 1 << 10), (25, 3000), (59, 10_000), (100, 3000)] {
            let output = cluster.directory().join(format!("out-{limit}"));
            let query = format!("SELECT * FROM t LIMIT {limit}");
            cluster.run_job(&job(&query, &path, split_bytes).output(&output, &[]))?;
            let rows = read_parquet_dir(&output)?.rows;
            let found: BTreeSet<Vec<String>> = rows.iter().cloned().collect();
            ensure!(rows.len() == limit.min(BODIES.records), "LIMIT {limit} gave {} rows", rows.len());
            ensure!(
                found.len() == rows.len() && found.is_subset(&all),
                "LIMIT {limit} gave rows that do not exist, or one twice"
            );
        }
        Ok(())
    })
}

#[test]
fn a_worker_killed_among_wrong_guesses() -> Result<()> {
    const BODIES: Bodies = Bodies { records: 600, lines: 3000 };
    Cluster::run(ClusterOptions::default(), |cluster| {
        let path = BODIES.write(cluster)?;
        let (job, output) = counting_job(cluster, &path, 32 << 10);
        let id = cluster.submit_detached(&job)?;
        let is_amidst = |status: &Value| {
            let (done, tasks) = (number(status, "/stages/0/tasks_done"), number(status, "/stages/0/tasks"));
            done >= 10 && done + 10 < tasks
        };
        let status = cluster.wait_for_status(&id, 60, |status| {
            is_amidst(status) || status["state"] != "running" && number(status, "/stages/0/tasks") > 0
        })?;
        ensure!(is_amidst(&status), "the job was over before the test could disturb it: {status:#}");
        cluster.kill_worker(0)?;
        let status = cluster.wait_for_end(&id, 120)?;
        ensure!(status["state"] == "done", "the job did not recover: {status:#}");
        ensure!(number(&status, "/attempts/lost") >= 1, "the killed worker held something: {status:#}");
        check_counts(&output, BODIES)
    })
}
