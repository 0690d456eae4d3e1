//! Filters that scans of CSV take over give the same rows, rejects and counts as filters behind the scan, and stand in the plan.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use hearth_tests::{Cluster, ClusterOptions, JobFile, read_parquet_dir};
use serde_json::Value;

use crate::common::number;

const SCHEMA: &str = "schema = { id = \"int64\", kind = \"string\", price = \"decimal(8,2)\", note = \"string\" }";

/// A condition that scans take over, and the same one in a form that they do not know.
const CONDITIONS: [(&str, &str); 6] = [
    ("kind = 'B'", "upper(kind) = 'B'"),
    ("kind IN ('A', 'C') AND price < 40", "upper(kind) IN ('A', 'C') AND price + 1 < 41"),
    ("kind <> 'A'", "upper(kind) <> 'A'"),
    ("id BETWEEN 100 AND 199", "id + 1 BETWEEN 101 AND 200"),
    (
        "price IS NULL AND kind IN ('A', 'B', 'C', 'D', 'E')",
        "price + 1 IS NULL AND upper(kind) IN ('A', 'B', 'C', 'D', 'E')",
    ),
    ("id > 5000", "id + 1 > 5001"),
];

/// Records with line breaks in their notes, NULLs, and some that cannot be read: in the columns of filters, in others, and as a whole.
fn text(records: u64) -> String {
    let mut text = "id,kind,price,note\n".to_owned();
    for id in 0..records {
        let kind = ["A", "B", "\"C\"", "", "\"\""][usize::try_from(id % 5).unwrap_or_default()];
        let price = if id % 11 == 3 { String::new() } else { format!("{}.{:02}", id % 97, id % 100) };
        match id % 101 {
            17 => text.push_str(&format!("x{id},{kind},{price},bad id\n")),
            43 => text.push_str(&format!("{id},{kind},{price}9,\"bad\nprice\"\n")),
            71 => text.push_str(&format!("{id},{kind}\n")),
            _ => text.push_str(&format!("{id},{kind},{price},\"a note of {id}\nB,1\n7,B,1,\"\"x\"\"\"\n")),
        }
    }
    text
}

/// What a job with this condition gives.
#[derive(Debug, PartialEq)]
struct Outcome {
    rows: Vec<Vec<String>>,
    rejects: Vec<Vec<String>>,
    counts: [u64; 3],
}

fn run(cluster: &Cluster, (input, condition): (&Path, &str), split: &str) -> Result<(Outcome, String)> {
    let output = cluster.directory().join("out");
    let query = format!("SELECT id, price, note FROM t WHERE {condition}");
    let lines = ["format = \"csv\"", "on_error = \"reject\"", SCHEMA];
    let job = JobFile::new("filtered", &query).input("t", input, &lines).output(&output, &["mode = \"overwrite\""]);
    let status = cluster.run_job(&job.setting(&format!("split_bytes = \"{split}\"")))?;
    let id = status["id"].as_str().context("find the job's id")?;
    let plan = cluster.api(&format!("/api/v1/jobs/{id}/plan"))?.to_string();
    let label = status.pointer("/stages/0/label").and_then(Value::as_str).unwrap_or_default();
    ensure!(label.starts_with("scan t, filter"), "the stage's label does not tell the filter: {status:#}");
    let rejects = status.pointer("/output/rejects").and_then(Value::as_str).context("the job tells its rejects")?;
    let rejects = read_parquet_dir(Path::new(rejects).parent().context("find the directory of the rejects")?)?;
    let counts = ["/records", "/used", "/rejected"].map(|name| number(&status["inputs"][0], name));
    ensure!(counts[0] == counts[1] + counts[2], "{status:#}");
    ensure!(number(&status, "/metrics/input_rows") == counts[1], "{status:#}");
    // The file of rejects is named after its job.
    let rejects = rejects.sorted();
    Ok((Outcome { rows: read_parquet_dir(&output)?.sorted(), rejects, counts }, plan))
}

#[test]
fn filters_of_scans_change_nothing() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let input = cluster.directory().join("t.csv");
        std::fs::write(&input, text(3000))?;
        for (taken, behind) in CONDITIONS {
            let (expected, plan) = run(cluster, (&input, behind), "64MiB")?;
            ensure!(plan.contains("FilterExec") && !plan.contains("filtered by"), "{behind}: {plan}");
            for split in ["3KiB", "64MiB"] {
                let (found, plan) = run(cluster, (&input, taken), split)?;
                ensure!(plan.contains("filtered by=[") && !plan.contains("FilterExec"), "{taken}: {plan}");
                ensure!(found == expected, "{taken} in splits of {split}: {found:?} is not {expected:?}");
            }
            ensure!(expected.counts == [3000, 2914, 86] && expected.rejects.len() == 86, "{:?}", expected.counts);
        }
        Ok(())
    })
}

#[test]
fn a_filtered_job_stops_at_a_record_that_its_filter_leaves_out() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 1, ..ClusterOptions::default() }, |cluster| {
        let input = cluster.directory().join("t.csv");
        let check = |bad: &str, texts: &[&str]| -> Result<()> {
            std::fs::write(&input, format!("id,kind,price,note\n1,A,1.5,x\n2,B,2.5,y\n{bad}\n"))?;
            let query = "SELECT id, price FROM t WHERE kind = 'A' LIMIT 10";
            let job = JobFile::new("stops", query).input("t", &input, &["format = \"csv\"", SCHEMA]);
            cluster.submit(&job, &[])?.with_code(1)?.says(texts)?;
            Ok(())
        };
        check("x,B,3.5,z", &["`x` is not of type int64", "t.csv, line 4, byte 39, column `id`"])?;
        check("3,B,3.505,z", &["`3.505` is not of type decimal(8,2)", "t.csv, line 4, byte 39, column `price`"])?;
        check("3,B,3.5", &["the record has 3 fields, expected 4", "t.csv, line 4, byte 39"])
    })
}

#[test]
fn a_limit_counts_rows_that_pass() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 1, ..ClusterOptions::default() }, |cluster| {
        let input = cluster.directory().join("t.csv");
        let records: String = (0..40_000).map(|id| format!("{id},k{},1,x\n", id % 10_000)).collect();
        std::fs::write(&input, format!("id,kind,price,note\n{records}"))?;
        let output = cluster.directory().join("out");
        let ids = |limit: &str| -> Result<Vec<String>> {
            let query = format!("SELECT id FROM t WHERE kind = 'k77' {limit}");
            let job = JobFile::new("limit", &query).input("t", &input, &["format = \"csv\"", SCHEMA]);
            cluster.run_job(&job.output(&output, &["mode = \"overwrite\""]))?;
            Ok(read_parquet_dir(&output)?.sorted().into_iter().flatten().collect())
        };
        assert_eq!(ids("")?, ["10077", "20077", "30077", "77"]);
        assert_eq!(ids("LIMIT 9")?.len(), 4);
        assert_eq!(ids("LIMIT 3")?.len(), 3);
        Ok(())
    })
}
