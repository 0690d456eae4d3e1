//! What master and workers tell of a job: all of its life, kept when a worker or the master dies, and harmless to whoever reads it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::{Background, Cluster, ClusterOptions, Deadline, JobFile, http_get, run_hearth, wait_for};
use serde_json::Value;

use crate::common::{main_job, number};

/// The lines of `hearth logs JOB --json` with further arguments.
fn lines(cluster: &Cluster, job: &str, arguments: &[&str]) -> Result<Vec<Value>> {
    let printed = cluster.hearth(&[&["logs", job, "--json"], arguments].concat())?.success()?.stdout;
    printed.lines().map(|line| serde_json::from_str(line).with_context(|| format!("read {line}"))).collect()
}

fn message(line: &Value) -> &str {
    line["message"].as_str().unwrap_or_default()
}

/// Value of a field of a line.
fn field<'a>(line: &'a Value, name: &str) -> &'a str {
    let fields = line["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
    let field = fields.iter().find(|field| field["name"] == name);
    field.and_then(|field| field["value"].as_str()).unwrap_or_default()
}

/// The messages come in this order, with others between them.
fn check_order(lines: &[Value], expected: &[&str]) -> Result<()> {
    let mut messages = lines.iter().map(message);
    for wanted in expected {
        ensure!(messages.any(|found| found == *wanted), "`{wanted}` is missing, or too early, in {lines:#?}");
    }
    Ok(())
}

/// Nothing in a text that a terminal would obey, but line ends.
fn check_harmless(what: &str, text: &str) -> Result<()> {
    let is_obeyed = |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{202a}'..='\u{202e}');
    match text.chars().find(|c| is_obeyed(*c)) {
        Some(c) => anyhow::bail!("{what} has {c:?}: {text:?}"),
        None => Ok(()),
    }
}

#[test]
fn a_job_tells_its_life() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let output = cluster.directory().join("report");
        let job = main_job(UserActions::SMALL)?.output(&output, &[]).setting("split_bytes = \"64KiB\"");
        let status = cluster.run_job(&job)?;
        let id = status["id"].as_str().context("find the job's id")?;
        // `--follow` on an ended job waits until its workers can have no more to tell.
        let all = lines(cluster, id, &["--follow"])?;
        check_order(&all, &["job accepted", "planning started", "job planned", "stage planned", "stage started"])?;
        check_order(&all, &["stage started", "attempt launched", "stage finished", "stage started", "stage finished"])?;
        check_order(&all, &["commit started", "commit recorded; files are moved into place", "output published"])?;
        check_order(&all, &["output published", "commit ended", "job done"])?;

        let of_task = lines(cluster, id, &["--task", "0.1"])?;
        ensure!(of_task.iter().all(|line| line["stage"] == 0 && line["partition"] == 1), "{of_task:#?}");
        check_order(&of_task, &["attempt started", "link read", "shuffle output written"])?;
        let started = of_task.iter().find(|line| message(line) == "attempt started").context("find its start")?;
        let reads = field(started, "reads");
        ensure!(
            reads.contains("part-00000.csv bytes ") && reads.contains(" to "),
            "its input split is named: {started:#}"
        );
        let read = of_task.iter().find(|line| message(line) == "link read").context("find its link")?;
        ensure!(["guessed", "known"].contains(&field(read, "start")) && field(read, "link") == "1", "{read:#}");

        let worker = &cluster.worker(1).id;
        let of_worker = lines(cluster, id, &["--worker", worker])?;
        ensure!(!of_worker.is_empty() && of_worker.iter().all(|line| line["worker"] == worker.as_str()));
        check_pages(cluster, id, all.len())?;
        check_recent(cluster, &of_worker)?;
        check_problems(cluster, id)
    })
}

/// The pages of the API have every line once.
fn check_pages(cluster: &Cluster, id: &str, lines: usize) -> Result<()> {
    let (mut cursor, mut found) = (0, 0);
    loop {
        let page = cluster.api(&format!("/api/v1/jobs/{id}/logs?page_size=7&cursor={cursor}"))?;
        let listed = page["lines"].as_array().context("find the lines")?.len();
        ensure!(listed <= 7 && page["lines"][0]["at"].as_str().is_none_or(|at| at.ends_with('Z')), "{page:#}");
        found += listed;
        cursor = number(&page, "/next_cursor");
        if page["more"] == false {
            assert_eq!((found, &page["complete"]), (lines, &Value::Bool(true)), "{page:#}");
            return Ok(());
        }
    }
}

/// The last lines of a worker, as its page shows them.
fn check_recent(cluster: &Cluster, of_worker: &[Value]) -> Result<()> {
    let path = format!("/api/v1/workers/{}/logs", cluster.worker(1).id);
    let recent = cluster.api(&format!("{path}?page_size=3"))?;
    let listed = recent["lines"].as_array().context("find the lines")?;
    let messages: Vec<&str> = listed.iter().map(message).collect();
    let expected: Vec<&str> = of_worker[of_worker.len() - 3..].iter().map(message).collect();
    assert_eq!(messages, expected);
    ensure!(listed.iter().all(|line| line["job"] == of_worker[0]["job"]), "{recent:#}");
    let answer = http_get(cluster.http(), "/api/v1/workers/00000000-0000-7000-8000-000000000000/logs")?;
    assert_eq!(answer.status, 404, "{}", answer.body);
    Ok(())
}

fn check_problems(cluster: &Cluster, id: &str) -> Result<()> {
    let nobody = "00000000-0000-7000-8000-000000000000";
    for (path, status) in [
        (format!("/api/v1/jobs/{nobody}/logs"), 404),
        ("/api/v1/jobs/x/logs".to_owned(), 400),
        (format!("/api/v1/jobs/{id}/logs?cursor=3"), 400),
        (format!("/api/v1/jobs/{id}/logs?cursor=-1"), 400),
        (format!("/api/v1/jobs/{id}/logs?task=3"), 400),
        (format!("/api/v1/jobs/{id}/logs?worker=w1"), 400),
        (format!("/api/v1/jobs/{id}/logs?lines=3"), 400),
    ] {
        let answer = http_get(cluster.http(), &path)?;
        let kind = answer.content_type.as_str();
        assert_eq!((answer.status, kind), (status, "application/problem+json"), "{path}: {}", answer.body);
    }
    cluster.hearth(&["logs", nobody])?.with_code(2)?.says(&["no job", nobody])?;
    cluster.hearth(&["logs", id, "--task", "7"])?.with_code(2)?.says(&["STAGE.PARTITION"])?;
    run_hearth(&["logs", id, "--master", "hearth://127.0.0.1:9"])?.with_code(4)?;
    Ok(())
}

#[test]
fn following_ends_with_the_job() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let output = cluster.directory().join("report");
        let job = main_job(UserActions::LARGE)?.output(&output, &[]).setting("split_bytes = \"256KiB\"");
        let id = cluster.submit_detached(&job)?;
        let mut follower = Background::start(&["logs", &id, "--follow", "--master", &cluster.url()])?;
        wait_for("a line while the job runs", Deadline::after_seconds(60), || {
            Ok(follower.process().stdout().contains("attempt started").then_some(()))
        })?;
        ensure!(!output.exists(), "the job ended before its log was seen");
        assert_eq!(cluster.wait_for_end(&id, 120)?["state"], "done");
        let told = follower.finish_within(60)?.success()?.stdout;
        ensure!(told.contains(" job done "), "the end is told: {told}");
        let again = cluster.hearth(&["logs", &id])?.success()?.stdout;
        // Both begin with the time.
        let by_time = |text: &str| -> Vec<String> {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort_by_key(|line| line.get(..23).unwrap_or_default().to_owned());
            lines
        };
        assert_eq!(
            by_time(&told),
            again.lines().collect::<Vec<_>>(),
            "who follows sees what is kept; else it is by time"
        );
        Ok(())
    })
}

#[test]
fn a_failure_is_told_with_its_place_and_hostile_names_stay_text() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let data = cluster.directory().join("data");
        fs::create_dir(&data)?;
        let name = "a\u{9b}31m\u{202e}b.csv";
        fs::write(data.join(name), "n\n1\n2\n\u{1b}]0;title\u{7}\u{9b}2J\u{202e}\n")?;
        let job = JobFile::new("job \u{1b}[31m\nred", "SELECT sum(n) AS s FROM numbers");
        let job = job.input("numbers", &data, &["format = \"csv\"", "schema = { n = \"int64\" }"]);
        let failed = cluster.submit(&job.output(&cluster.directory().join("out"), &[]), &[])?.with_code(1)?;
        let listed = cluster.api("/api/v1/jobs")?;
        let id = listed["jobs"][0]["id"].as_str().context("find the job")?.to_owned();
        let followed = cluster.hearth(&["logs", &id, "--follow"])?.success()?.stdout;
        // Workers may tell more a while after the end.
        let (text, all) = wait_for("as many lines as there are to tell", Deadline::after_seconds(60), || {
            let text = cluster.hearth(&["logs", &id])?.success()?.stdout;
            let all = lines(cluster, &id, &[])?;
            Ok((text.lines().count() == all.len()).then_some((text, all)))
        })?;

        let told = all.iter().find(|line| message(line) == "attempt failed").context("find the failure")?;
        assert_eq!((told["level"].as_str(), field(told, "cause")), (Some("error"), "task"));
        let place = field(told, "place");
        ensure!(
            place.contains("line 4") && place.contains("\u{9b}31m\u{202e}"),
            "JSON has the name as it is: {told:#}"
        );
        check_order(&all, &["job failed"])?;
        for (what, said) in [("submit", &failed.stderr), ("logs", &text), ("logs --follow", &followed)] {
            check_harmless(what, said)?;
        }
        for command in [&["status", &id][..], &["list"], &["logs", &id, "--json"], &["status", &id, "--json"]] {
            let printed = cluster.hearth(command)?.success()?;
            check_harmless(&command.join(" "), &format!("{}{}", printed.stdout, printed.stderr))?;
        }
        check_process_logs(cluster.directory())
    })
}

/// The logs of the processes themselves.
fn check_process_logs(directory: &Path) -> Result<()> {
    for log in ["master.err", "worker-0.err", "worker-1.err"] {
        let text = String::from_utf8_lossy(&fs::read(directory.join(log))?).into_owned();
        check_harmless(log, &text)?;
    }
    Ok(())
}

#[test]
fn results_on_a_terminal_stay_text() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 1, ..ClusterOptions::default() }, |cluster| {
        let data = cluster.directory().join("hostile.csv");
        fs::write(&data, "t\nred\u{1b}[31m\u{9b}2J\u{202e}\n")?;
        let job = JobFile::new("hostile", "SELECT t FROM hostile").csv("hostile", &data);
        let printed = cluster.submit(&job, &[])?.success()?;
        ensure!(printed.stdout.contains("red\\u{1b}[31m"), "the value is there: {}", printed.stdout);
        check_harmless("the result", &printed.stdout)
    })
}

#[test]
fn the_last_lines_of_a_dead_worker_and_of_a_master_before_are_there() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let output = cluster.directory().join("report");
        let job = main_job(UserActions::LARGE)?.output(&output, &[]).setting("split_bytes = \"512KiB\"");
        let id = cluster.submit_detached(&job)?;
        let dead = cluster.worker(0).id.clone();
        wait_for("a line of the worker", Deadline::after_seconds(60), || {
            Ok((lines(cluster, &id, &["--worker", &dead])?.len() > 3).then_some(()))
        })?;
        cluster.kill_worker(0)?;
        assert_eq!(cluster.wait_for_end(&id, 120)?["state"], "done");
        let all = lines(cluster, &id, &["--follow"])?;
        check_order(&all, &["worker is gone; its attempts run again elsewhere", "job done"])?;
        let gone = all.iter().find(|line| message(line).starts_with("worker is gone")).context("find the loss")?;
        assert_eq!(field(gone, "worker"), dead);
        let last = lines(cluster, &id, &["--worker", &dead])?;
        check_order(&last, &["attempt started"])?;

        cluster.restart_master()?;
        let mut by_time = all.clone();
        by_time.sort_by_key(|line| number(line, "/at_ms"));
        assert_eq!(lines(cluster, &id, &[])?, by_time, "the next master has them too");
        let followed = lines(cluster, &id, &["--follow"])?;
        assert_eq!(followed, all, "in the order in which the master before heard of them");
        Ok(())
    })
}

#[test]
fn logs_go_with_the_history() -> Result<()> {
    let options =
        ClusterOptions { workers: 1, master_config: "jobs_kept_max = 1".to_owned(), ..ClusterOptions::default() };
    Cluster::run(options, |cluster| {
        let data = UserActions::SMALL.directory()?;
        let job = JobFile::new("count", "SELECT count(*) AS n FROM actions").csv("actions", &data);
        let first = cluster.submit_detached(&job)?;
        cluster.wait_for_end(&first, 60)?;
        let log = cluster.directory().join(format!("state/logs/{first}.jsonl"));
        ensure!(log.is_file(), "the log is a file of the state directory");
        let second = cluster.submit_detached(&job)?;
        cluster.wait_for_end(&second, 60)?;
        wait_for("the log to go", Deadline::after_seconds(20), || Ok((!log.exists()).then_some(())))?;
        cluster.hearth(&["logs", &first])?.with_code(2)?;
        Ok(())
    })
}
