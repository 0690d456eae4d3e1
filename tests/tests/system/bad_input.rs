//! Everything a user can get wrong is answered with what is wrong, where, and what to do, and with the right exit code.

use std::process::Command;

use anyhow::{Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, ClusterOptions, Deadline, JobFile, Process, hearth_binary, run_hearth};

use crate::common::main_job;

/// The job failed.
const FAILED: i32 = 1;
/// The command line or the job file is wrong.
const USAGE: i32 = 2;
/// Nobody answers at the master's address.
const NO_MASTER: i32 = 4;

fn job(query: &str) -> Result<JobFile> {
    Ok(JobFile::new("bad", query).csv("actions", &UserActions::SMALL.directory()?))
}

#[test]
fn wrong_queries() -> Result<()> {
    let cases: [(&str, &[&str]); 9] = [
        ("SELECT * FROM action", &["`action`", "line 1", "did you mean", "`actions`"]),
        ("SELECT emial FROM actions", &["`emial`", "line 1, column 8", "`email`"]),
        ("SELECT email\nFROM actions WHRE action = 'x' y", &["line 2"]),
        ("SELECT email FROM actions; SELECT action FROM actions", &["one"]),
        ("COPY actions TO '/tmp/stolen.csv'", &["SELECT"]),
        ("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'", &["SELECT"]),
        ("SET datafusion.execution.batch_size = 1", &["SELECT"]),
        ("INSERT INTO actions VALUES ('a', 'b', 'c')", &["SELECT"]),
        ("DROP TABLE actions", &["SELECT"]),
    ];
    Cluster::run(ClusterOptions { workers: 1, ..ClusterOptions::default() }, |cluster| {
        let check = |query: &str, texts: &[&str]| {
            let outcome = cluster.submit(&job(query)?, &[])?;
            ensure!(matches!(outcome.code, FAILED | USAGE), "{query}: code {}", outcome.code);
            outcome.says(texts)
        };
        let wrong = cases.iter().filter_map(|(query, texts)| check(query, texts).err());
        let wrong: Vec<String> = wrong.map(|error| format!("{error:#}")).collect();
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    })
}

#[test]
fn missing_input() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 1, ..ClusterOptions::default() }, |cluster| {
        let check = |path: &str, texts: &[&str]| {
            let path = cluster.directory().join(path);
            let job = JobFile::new("bad", "SELECT * FROM t").csv("t", &path);
            cluster.submit(&job, &[])?.with_code(FAILED)?.says(&[&[&*path.to_string_lossy()], texts].concat())
        };
        std::fs::write(cluster.directory().join("actions.csv"), "a,b\n1,2\n")?;
        std::fs::create_dir(cluster.directory().join("empty"))?;
        check("action.csv", &["no file found", "there is `actions.csv`"])?;
        check("nothing/*.csv", &["no file found"])?;
        check("*.nothing", &["no file found"])?;
        check("empty", &["has no files"])?;
        Ok(())
    })
}

#[test]
fn bad_record_names_its_place() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 1, ..ClusterOptions::default() }, |cluster| {
        let path = cluster.directory().join("numbers.csv");
        std::fs::write(&path, "n,text\n1,a\nx,b\n")?;
        let lines = ["format = \"csv\"", "schema = { n = \"int64\", text = \"string\" }"];
        let job = JobFile::new("bad", "SELECT sum(n) AS s FROM t").input("t", &path, &lines);
        cluster
            .submit(&job, &[])?
            .with_code(FAILED)?
            .says(&["numbers.csv, line 3, byte 11, column `n`", "`x` is not of type int64"])?;
        Ok(())
    })
}

#[test]
fn wrong_job_files() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let good = job("SELECT * FROM actions")?.output(&directory.path().join("out"), &[]).text();
    let check = |text: &str, texts: &[&str]| -> Result<()> {
        let path = directory.path().join("job.toml");
        std::fs::write(&path, text)?;
        let outcome = run_hearth(&["submit", "--master", "hearth://127.0.0.1:1", &path.to_string_lossy()])?;
        outcome.with_code(USAGE)?.says(texts)?;
        Ok(())
    };
    check(&good.replace("query", "qery"), &["qery", "query"])?;
    check(&good.replace("path = ", "paht = "), &["paht", "path"])?;
    check(&good.replace("[output]", "[outptu]"), &["outptu", "output"])?;
    check(&good.replace("/out\"", "/${date}\""), &["date", "--set date="])?;
    check(&good.replace("format = \"csv\"", "format = \"xml\""), &["xml", "csv"])?;
    check(&good.replace("[output]\n", "[output]\nmode = \"replace\"\n"), &["replace", "overwrite"])?;
    check(&good.replace("inputs.actions", "inputs.\"my actions\""), &["my actions", "table name"])?;
    check(&good.replace("SELECT * FROM actions", &"x".repeat(2 << 20)), &["query", "too large"])?;
    check("name = \"x\nquery", &["job.toml"])?;
    run_hearth(&["submit", "/nowhere/job.toml"])?.with_code(USAGE)?.says(&["/nowhere/job.toml"])?;
    run_hearth(&["submit", "--no-such-flag"])?.with_code(USAGE)?;
    Ok(())
}

#[test]
fn no_master() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = job("SELECT * FROM actions")?.write(directory.path())?;
    // Nobody listens on port 1.
    let master = "hearth://127.0.0.1:1";
    let path = path.to_string_lossy();
    for arguments in [vec!["submit", &path], vec!["list"], vec!["workers"]] {
        run_hearth(&[&arguments[..], &["--master", master]].concat())?.with_code(NO_MASTER)?.says(&["127.0.0.1:1"])?;
    }
    run_hearth(&["list", "--master", "nonsense://x"])?.with_code(USAGE)?.says(&["nonsense", "hearth://"])?;
    Ok(())
}

#[test]
fn no_workers() -> Result<()> {
    let master_config = "no_worker_timeout = \"3s\"\n".to_owned();
    Cluster::run(ClusterOptions { workers: 0, master_config, ..ClusterOptions::default() }, |cluster| {
        let id = cluster.submit_detached(&main_job(UserActions::SMALL)?)?;
        let waiting = cluster.wait_for_status(&id, 20, |status| !status["waiting_for"].is_null())?;
        ensure!(waiting["waiting_for"].as_str().unwrap_or_default().contains("worker"), "{waiting:#}");
        let status = cluster.wait_for_end(&id, 30)?;
        assert_eq!(status["failure"]["cause"], "no_workers", "{status:#}");
        cluster.submit(&main_job(UserActions::SMALL)?, &[])?.with_code(FAILED)?.says(&["hearth worker"])?;
        Ok(())
    })
}

#[test]
fn second_master_on_the_same_port() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 0, ..ClusterOptions::default() }, |cluster| {
        let address = cluster.url().replace("hearth://", "");
        let state = cluster.directory().join("other-state");
        let state = state.to_string_lossy();
        let arguments = ["master", "--rpc", &address, "--http", "127.0.0.1:0", "--state-dir", &state];
        let outcome = run_hearth(&arguments)?.says(&[&address, "in use"])?;
        ensure!(outcome.code != 0, "a second master started on {address}");
        let same_state = cluster.directory().join("state");
        let same_state = same_state.to_string_lossy();
        let arguments = ["master", "--rpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--state-dir", &same_state];
        let outcome = run_hearth(&arguments)?.says(&[&same_state])?;
        ensure!(outcome.code != 0, "a second master started on the same state directory");
        Ok(())
    })
}

#[test]
fn unwritable_work_directory() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 0, ..ClusterOptions::default() }, |cluster| {
        // Below a file, so that it cannot be written by root either.
        let file = cluster.directory().join("file");
        std::fs::write(&file, "")?;
        let work_dir = file.join("work");
        let mut command = Command::new(hearth_binary()?);
        command.args(["worker", "--master", &cluster.url(), "--work-dir"]).arg(&work_dir);
        let mut worker = Process::start("bad-worker", &mut command, cluster.directory())?;
        let status = worker.wait_for_exit(Deadline::after_seconds(30))?;
        ensure!(!status.success(), "a worker started without a work directory");
        ensure!(worker.stderr().contains(&*work_dir.to_string_lossy()), "{}", worker.stderr());
        Ok(())
    })
}
