//! `hearth check` tells what data holds, or where it is wrong, and writes nothing.

use std::path::Path;

use anyhow::{Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, ClusterOptions, JobFile, Outcome, part_files, run_hearth};

use crate::common::number;

/// Something cannot be read.
const UNREADABLE: i32 = 1;
/// The command line or the job file is wrong.
const USAGE: i32 = 2;

fn check(path: &Path, arguments: &[&str]) -> Result<Outcome> {
    run_hearth(&[&["check", &*path.to_string_lossy()], arguments].concat())
}

#[test]
fn good_data() -> Result<()> {
    let data = UserActions::SMALL.directory()?;
    let told = check(&data, &["--format", "csv"])?.success()?.stdout;
    for text in
        ["columns  3, inferred from samples of ", "records  300,000 (", "email      string", "timestamp  timestamp"]
    {
        ensure!(told.contains(text), "expected `{text}` in {told}");
    }
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("odd.csv");
    std::fs::write(&path, "n,\"a \"\"b\"\" | c\",Case\n1,,x\n2,y,\n3,,z\n")?;
    let told = check(&path, &["--json"])?.success()?.json()?;
    assert_eq!(told["readable"], true, "{told:#}");
    assert_eq!(number(&told, "/inputs/0/records"), 3);
    assert_eq!(told["inputs"][0]["columns"][1]["name"], "a \"b\" | c");
    assert_eq!(told["inputs"][0]["columns"][0]["type"], "int64");
    assert_eq!(number(&told, "/inputs/0/inferred/records"), 3);
    let nulls: Vec<u64> = (0..3).map(|column| number(&told, &format!("/inputs/0/columns/{column}/nulls"))).collect();
    assert_eq!(nulls, [0, 2, 1]);
    ensure!(part_files(directory.path())?.len() == 1, "a check writes nothing");
    Ok(())
}

#[test]
fn first_problem_and_its_place() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("numbers.csv");
    let rows: String = (0..400_000).map(|number| format!("{number},name {number}\n")).collect();
    std::fs::write(&path, format!("n,text\n{rows}x,bad\n{rows}"))?;
    let outcome = check(&path, &["--schema", "n int64, text string"])?.with_code(UNREADABLE)?;
    let place = ["numbers.csv, line 400002", "column `n`", "`x` is not of type int64"];
    let outcome = outcome.says(&place)?;
    for text in ["columns  2, declared", "problem  cannot read a CSV record"] {
        ensure!(outcome.stdout.contains(text), "expected `{text}` in {}", outcome.stdout);
    }
    let told = check(&path, &["--schema", "n int64, text string", "--json"])?.with_code(UNREADABLE)?.json()?;
    assert_eq!(told["readable"], false);
    assert_eq!(told["inputs"][0]["problem"]["place"]["line"], 400_002, "{told:#}");
    Ok(())
}

#[test]
fn a_job_tells_what_was_inferred() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("a.csv");
    std::fs::write(&path, "n,text,day\n1,a,2026-01-15\n,b,\n3,,\n")?;
    let input = format!("t={}", path.display());
    let submit = ["submit", "--master", "local[1]", "--input", &input, "--sql", "SELECT count(*) AS c FROM t"];
    let expected = "inferred   t, from 3 records: n int64 (1 NULL), text string (1 NULL), day date (2 NULLs)";
    let outcome = run_hearth(&submit)?.success()?;
    ensure!(outcome.stderr.contains(expected), "expected `{expected}` in {}", outcome.stderr);
    let told = run_hearth(&[&submit[..], &["--json"]].concat())?.success()?.json()?;
    assert_eq!(told["inferred"][0]["columns"][2]["type"], "date", "{told:#}");
    assert_eq!(number(&told, "/inferred/0/columns/2/nulls"), 2);
    let told = run_hearth(&[&submit[..], &["--json", "--schema", "n int64, text string, day date"]].concat())?;
    assert_eq!(told.success()?.json()?["inferred"].as_array().map(Vec::len), Some(0));
    Ok(())
}

#[test]
fn records_are_put_aside_where_the_flags_say_so() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("numbers");
    std::fs::write(&path, "n,text\n1,a\nx,b\n3,c\n")?;
    let flags = ["--format", "csv", "--schema", "n int64, text string", "--on-error", "reject"];
    let told = check(&path, &flags)?.success()?.stdout;
    for text in ["records  2 (", "rejects  1, among them", "numbers, line 3, byte 11, column `n`"] {
        ensure!(told.contains(text), "expected `{text}` in {told}");
    }
    let told = check(&path, &[&flags[..], &["--compression", "none", "--json"]].concat())?.success()?.json()?;
    assert_eq!(number(&told, "/inputs/0/rejected"), 1, "{told:#}");
    check(&path, &[&flags[..], &["--max-rejects", "0"]].concat())?.with_code(UNREADABLE)?.says(&["max_rejects"])?;
    let input = format!("t={}", path.display());
    let submit = ["submit", "--master", "local[1]", "--input", &input, "--sql", "SELECT sum(n) AS s FROM t", "--json"];
    let told = run_hearth(&[&submit[..], &flags].concat())?.success()?.json()?;
    assert_eq!((number(&told, "/result/0/s"), number(&told, "/inputs/0/rejected")), (4, 1), "{told:#}");
    Ok(())
}

#[test]
fn what_is_missing_or_mistyped() -> Result<()> {
    let directory = tempfile::tempdir()?;
    std::fs::write(directory.path().join("actions.csv"), "a,b\n1,2\n")?;
    let missing = check(&directory.path().join("action.csv"), &[])?.with_code(UNREADABLE)?;
    missing.says(&["no file found", "there is `actions.csv`"])?;
    let path = directory.path().join("actions.csv");
    check(&path, &["--shema", "a int64"])?.with_code(USAGE)?.says(&["--shema", "--schema"])?;
    check(&path, &["--schema", "a inr64"])?.with_code(USAGE)?.says(&["inr64"])?;
    Ok(())
}

#[test]
fn inputs_of_a_job_file_on_a_cluster() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 1, ..ClusterOptions::default() }, |cluster| {
        let (good, bad) = (cluster.directory().join("good.csv"), cluster.directory().join("bad.csv"));
        std::fs::write(&good, "a,b\n1,2\n3,4\n")?;
        std::fs::write(&bad, "a,b\n1,2\n3\n")?;
        let output = cluster.directory().join("out");
        let job = JobFile::new("both", "SELECT 1").csv("good", &good).csv("bad", &bad).output(&output, &[]);
        let file = job.write(cluster.directory())?.to_string_lossy().into_owned();
        cluster.hearth(&["check", "--job", &file, "--input", "good"])?.success()?;
        let both = cluster.hearth(&["check", "--job", &file])?.with_code(UNREADABLE)?;
        ensure!(both.stdout.contains("records  2 ("), "the good input is told as well: {}", both.stdout);
        both.says(&["input `bad` cannot be read", "bad.csv, line 3"])?;
        cluster.hearth(&["check", "--job", &file, "--input", "god"])?.with_code(USAGE)?.says(&["`god`", "`good`"])?;
        ensure!(!output.exists(), "a check writes nothing");
        Ok(())
    })
}
