//! Jobs that read from HDFS and commit to it. Inputs are put there, and outputs read back, by Hadoop's own shell.

use anyhow::{Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::{JobFile, run_hearth};

use crate::common::{MAIN_QUERY, small_answer};
use crate::hdfs_fixture::{Hdfs, check};

fn small_job(hdfs: &Hdfs, output: &str, lines: &[&str]) -> JobFile {
    JobFile::new("user-actions", MAIN_QUERY)
        .csv("actions", &hdfs.url("in"))
        .output(&hdfs.url(output), lines)
        .setting("split_bytes = \"1MiB\"")
}

#[test]
fn the_main_job_in_every_mode() -> Result<()> {
    check("modes", |hdfs, cluster| {
        hdfs.put(&UserActions::SMALL.directory()?, "in")?;
        let status = cluster.run_job(&small_job(hdfs, "out", &[]))?;
        ensure!(status["output"]["path"] == *hdfs.url("out").to_string_lossy(), "{status:#}");
        hdfs.check_output("out", small_answer()?)?;
        let refused = cluster.submit(&small_job(hdfs, "out", &[]), &[])?;
        refused.with_code(2)?.says(&["exists", &hdfs.url("out").to_string_lossy(), "overwrite"])?;
        let counts = "SELECT action, count(*) AS n FROM actions GROUP BY action";
        let counts = JobFile::new("counts", counts).csv("actions", &hdfs.url("in"));
        cluster.run_job(&counts.output(&hdfs.url("out"), &["mode = \"overwrite\""]))?;
        assert_eq!(hdfs.rows("out")?.names(), ["action", "n"]);
        cluster.run_job(&small_job(hdfs, "out", &["mode = \"overwrite\""]))?;
        hdfs.check_output("out", small_answer()?)?;
        let append = small_job(hdfs, "more", &["mode = \"append\""]);
        cluster.run_job(&append)?;
        hdfs.check_output("more", small_answer()?)?;
        cluster.run_job(&append)?;
        let mut twice = small_answer()?.clone();
        twice.rows.extend(small_answer()?.rows.clone());
        hdfs.check_output("more", &twice)
    })
}

#[test]
fn an_output_that_holds_an_input_is_refused() -> Result<()> {
    check("over-input", |hdfs, cluster| {
        hdfs.put(&UserActions::SMALL.directory()?, "in")?;
        let job = small_job(hdfs, "in", &["mode = \"overwrite\""]);
        cluster.submit(&job, &[])?.with_code(2)?.says(&["would delete the input"]).map(drop)
    })
}

#[test]
fn json_parquet_and_globs() -> Result<()> {
    check("formats", |hdfs, cluster| {
        hdfs.put(&UserActions::SMALL.directory()?, "in")?;
        for format in ["json", "parquet"] {
            let line = format!("format = \"{format}\"");
            let copy = JobFile::new("copy", "SELECT email, timestamp, action FROM actions");
            let copy = copy.csv("actions", &hdfs.url("i?/*.{csv,tsv}")).output(&hdfs.url(format), &[&line]);
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
        hdfs.put(&UserActions::SMALL.directory()?, "actions")?;
        let job = |name: &str| JobFile::new("user-actions", MAIN_QUERY).csv("actions", &hdfs.url(name));
        let near = cluster.submit(&job("action"), &[])?.with_code(1)?;
        near.says(&["no file found at", "/missing/action; there is `actions`"])?;
        cluster.submit(&job("actions/*.tsv"), &[])?.with_code(1)?.says(&["no file found at"])?;
        let wrong = JobFile::new("user-actions", MAIN_QUERY).csv("actions", "hdfs://nn:port/a".as_ref());
        cluster.submit(&wrong, &[])?.with_code(2)?.says(&["`port` is not a port"]).map(drop)
    })
}

#[test]
fn a_local_master_reads_it_too() -> Result<()> {
    check("local", |hdfs, _| {
        hdfs.put(&UserActions::SMALL.directory()?, "in")?;
        let local = tempfile::tempdir()?;
        let file = small_job(hdfs, "out", &[]).write(local.path())?;
        run_hearth(&["submit", "--master", "local[2]", &file.to_string_lossy()])?.success()?;
        hdfs.check_output("out", small_answer()?)
    })
}
