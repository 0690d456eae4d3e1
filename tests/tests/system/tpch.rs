//! All 22 TPC-H queries on two workers, compared with the answers of DuckDB.

use anyhow::{Context, Result, bail};
use hearth_tests::{Cluster, ClusterOptions, check_against_golden, read_parquet_dir, tpch, workspace_dir};

/// Scale of the data; the golden answers belong to it.
const SCALE: &str = "0.1";

#[test]
fn all_queries_give_the_golden_answers() -> Result<()> {
    let data = tpch::data_directory(SCALE)?;
    Cluster::run(ClusterOptions { memory: "2GiB".to_owned(), ..ClusterOptions::default() }, |cluster| {
        let mut wrong = Vec::new();
        for number in 1..=22 {
            if let Err(error) = check_query(cluster, number, &data) {
                wrong.push(format!("query {number}: {error:#}"));
            }
        }
        if wrong.is_empty() { Ok(()) } else { bail!("{} of 22 are wrong:\n{}", wrong.len(), wrong.join("\n")) }
    })
}

fn check_query(cluster: &Cluster, number: u32, data: &std::path::Path) -> Result<()> {
    let output = cluster.directory().join(format!("q{number:02}"));
    // Small input splits and few bytes for a broadcast: several tasks per stage, and both kinds of join.
    let job = tpch::job(number, data)?
        .output(&output, &[])
        .setting("split_bytes = \"8MiB\"")
        .setting("shuffle_partitions = 4")
        .setting("broadcast_bytes_max = \"1MiB\"");
    cluster.run_job(&job)?;
    let golden = workspace_dir().join(format!("tests/golden/tpch-sf{SCALE}/q{number:02}.csv"));
    check_against_golden(&read_parquet_dir(&output)?, &golden).context("compare with the golden answer")
}
