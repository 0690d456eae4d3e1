//! Two masters on one state directory: whatever becomes of the active one, the other goes on, and nothing happens twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use hearth_client::job_file::read_job;
use hearth_client::{Client, MasterList};
use hearth_tests::data::UserActions;
use hearth_tests::pair::Pair;
use hearth_tests::{
    Background, Deadline, JobFile, count_parquet_rows, http_get, part_files, read_parquet_dir, run_hearth,
    wait_closely, wait_for,
};
use rustix::process::Signal;
use serde_json::Value;

use crate::common::{
    check_committed, check_no_shuffle_files, check_no_staging, check_only_lost_work_repeated, large_answer, main_job,
    number, tasks,
};

/// What is promised, in seconds.
const TAKEOVER_SECONDS_MAX: u64 = 15;
/// Time for a job that lost its master: far above what it needs, also on a loaded machine.
const SECONDS_MAX: u64 = 150;
/// Jobs that are tried until one is met in the right moment.
const TRIES: usize = 5;
/// As many attempts may be on their way to a worker when the master dies.
const SLOTS: u64 = 2;

/// A moment in the life of a job.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    Map,
    Reduce,
    Commit,
}

impl Moment {
    /// Waits for it. Gives what the job's status was then, or shortly before; `None` where it was over before anybody saw it.
    fn meet(self, pair: &Pair, id: &str, output: &Path) -> Result<Option<Value>> {
        let done = |status: &Value, stage: usize| number(status, &format!("/stages/{stage}/tasks_done"));
        let comes = |status: &Value| match self {
            Self::Map => done(status, 0) >= 4,
            Self::Reduce => done(status, 1) >= 4,
            Self::Commit => done(status, 1) > 0 && done(status, 1) + 4 >= number(status, "/stages/1/tasks"),
        };
        let status = pair.wait_for_status(0, id, |status| comes(status) || is_final(status))?;
        let is_met = !is_final(&status) && (self != Self::Commit || sees_commit(id, output)?);
        Ok(is_met.then_some(status))
    }
}

/// Waits until the master claims what the job wrote; not for long, for that is over some milliseconds later.
fn sees_commit(id: &str, output: &Path) -> Result<bool> {
    let (staging, claimed) = (output.with_file_name(".hearth-staging"), format!("{id}."));
    wait_closely("the commit", Deadline::after_seconds(60), || {
        let is_claimed = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(&claimed))
        };
        let sees_claim = std::fs::read_dir(&staging).is_ok_and(|mut entries| entries.any(is_claimed));
        Ok(if sees_claim { Some(true) } else { output.exists().then_some(false) })
    })
}

fn long_job(output: &Path) -> Result<JobFile> {
    let job = main_job(UserActions::LARGE)?.output(output, &[]);
    Ok(job.setting("split_bytes = \"512KiB\"").setting("shuffle_partitions = 24").setting("merge_bytes = \"1KiB\""))
}

fn tasks_done(status: &Value) -> u64 {
    let stages = status["stages"].as_array().cloned().unwrap_or_default();
    stages.iter().map(|stage| number(stage, "/tasks_done")).sum()
}

fn is_final(status: &Value) -> bool {
    matches!(status["state"].as_str(), Some("done" | "failed" | "cancelled"))
}

fn listed(pair: &Pair, index: usize) -> Result<Vec<String>> {
    let jobs = pair.api(index, "/api/v1/jobs?page_size=1000")?;
    let jobs = jobs["jobs"].as_array().cloned().unwrap_or_default();
    Ok(jobs.iter().filter_map(|job| job["id"].as_str().map(str::to_owned)).collect())
}

/// A job that the first master runs, and the command that waits for it.
struct Submitted {
    output: PathBuf,
    client: Background,
    id: String,
    /// When the test was about to disturb it.
    before: Value,
}

impl Submitted {
    /// A commit may be over before anybody sees it: then another job is tried.
    fn when(pair: &Pair, moment: Moment) -> Result<Self> {
        let mut last = None;
        for number in 0..TRIES {
            let output = pair.directory().join(format!("report-{number}"));
            let known = listed(pair, 0)?;
            let client = pair.submit_in_background(&long_job(&output)?)?;
            let id = wait_for("the job", Deadline::after_seconds(60), || {
                Ok(listed(pair, 0)?.into_iter().find(|id| !known.contains(id)))
            })?;
            if let Some(before) = moment.meet(pair, &id, &output)? {
                return Ok(Self { output, client, id, before });
            }
            last = Some(client.finish()?.success()?);
        }
        bail!("the job was over before the test could disturb it: {last:#?}")
    }

    /// The second master takes over, the job goes on there, and the command ends as if nothing had happened.
    fn check(self, pair: &mut Pair, began: Instant) -> Result<PathBuf> {
        let Self { output, client, id, before } = self;
        pair.wait_for_takeover(1, Deadline::after_seconds(TAKEOVER_SECONDS_MAX))?;
        let took = began.elapsed();
        // What was seen last may not have been stored yet: workers tell it again. That it did not run again is counted below.
        let known = |status: &Value| tasks_done(status) >= tasks_done(&before) || is_final(status);
        pair.wait_for_status(1, &id, known)?;
        let ended = client.finish_within(SECONDS_MAX)?.success()?;
        let status = pair.wait_for_status(1, &id, is_final)?;
        ensure!(status["state"] == "done", "the job did not go on: {status:#} {ended:?}");
        check_committed(&output)?;
        read_parquet_dir(&output)?.check_equal(large_answer()?)?;
        check_no_staging(&output)?;
        check_no_shuffle_files(&pair.work_dirs(), &id)?;
        check_only_lost_work_repeated(&status)?;
        let count = |name: &str| number(&status, &format!("/attempts/{name}"));
        ensure!(count("lost") <= SLOTS, "work that workers held was lost after {took:?}: {status:#}");
        ensure!(count("launched") >= tasks(&status), "attempts of both masters count: {status:#}");
        ensure!(number(&status, "/metrics/input_rows") == UserActions::LARGE.rows, "rows of all tasks: {status:#}");
        Ok(output)
    }
}

fn check_active_killed(moment: Moment) -> Result<()> {
    Pair::run(2, |pair| {
        let submitted = Submitted::when(pair, moment)?;
        let began = Instant::now();
        pair.masters[0].process.kill()?;
        submitted.check(pair, began)?;
        Ok(())
    })
}

#[test]
fn active_master_killed_in_the_map_stage() -> Result<()> {
    check_active_killed(Moment::Map)
}

#[test]
fn active_master_killed_in_the_reduce_stage() -> Result<()> {
    check_active_killed(Moment::Reduce)
}

#[test]
fn active_master_killed_in_the_commit() -> Result<()> {
    check_active_killed(Moment::Commit)
}

/// The files of an output, and when each was last written.
fn files_and_times(output: &Path) -> Result<Vec<(PathBuf, std::time::SystemTime)>> {
    let mut files = part_files(output)?;
    files.push("_SUCCESS".into());
    files.sort();
    files.into_iter().map(|file| Ok((file.clone(), std::fs::metadata(output.join(&file))?.modified()?))).collect()
}

/// The active master hangs, is succeeded, and wakes up.
fn check_active_hangs(moment: Moment) -> Result<()> {
    Pair::run(2, |pair| {
        let submitted = Submitted::when(pair, moment)?;
        let id = submitted.id.clone();
        let began = Instant::now();
        pair.masters[0].process.signal(Signal::STOP)?;
        let output = submitted.check(pair, began)?;
        let before = (files_and_times(&output)?, pair.api(1, &format!("/api/v1/jobs/{id}"))?);

        pair.masters[0].process.signal(Signal::CONT)?;
        let exit = pair.masters[0].process.wait_for_exit(Deadline::after_seconds(20))?;
        ensure!(exit.code() == Some(1), "the old master ended with {exit}");
        let log = pair.masters[0].process.stderr();
        ensure!(log.contains("another master has taken over"), "it says why it ended: {log}");
        let after = (files_and_times(&output)?, pair.api(1, &format!("/api/v1/jobs/{id}"))?);
        ensure!(before == after, "the old master changed something: {before:#?} {after:#?}");
        check_no_staging(&output)?;
        let workers = pair.api(1, "/api/v1/workers")?;
        let alive = workers["workers"].as_array().into_iter().flatten().filter(|worker| worker["state"] == "alive");
        ensure!(alive.count() == 2, "no worker has gone back: {workers:#}");
        let status = pair.hearth(&["status", &id, "--json"])?.success()?.json()?;
        assert_eq!(status["state"], "done");

        // On its feet again, it waits as a standby, and is not in the way.
        pair.start_again(0)?;
        let job = main_job(UserActions::SMALL)?.output(&pair.directory().join("next"), &[]);
        pair.submit_in_background(&job)?.finish()?.success()?;
        Ok(())
    })
}

#[test]
fn active_master_that_hangs_in_the_reduce_stage_is_fenced() -> Result<()> {
    check_active_hangs(Moment::Reduce)
}

#[test]
fn active_master_that_hangs_in_the_commit_is_fenced() -> Result<()> {
    check_active_hangs(Moment::Commit)
}

/// Jobs of the test below; each is submitted twice at once.
const KEYS: usize = 50;

#[test]
fn submissions_while_the_active_master_dies_make_one_job_per_key() -> Result<()> {
    Pair::run(2, |pair| {
        let input = pair.directory().join("in.csv");
        std::fs::write(&input, "a,b\n1,2\n3,4\n5,6\n")?;
        let mut specs = Vec::new();
        for key in 0..KEYS {
            let job = JobFile::new(&format!("job-{key}"), "SELECT a, b FROM t WHERE a > 1").csv("t", &input);
            let file = job.output(&pair.directory().join(format!("out-{key}")), &[]).write(pair.directory())?;
            specs.push(read_job(&file, &BTreeMap::new())?);
        }
        let masters: MasterList = pair.url().parse()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let clients: Vec<Client> =
            (0..10).map(|_| runtime.block_on(Client::connect(&masters))).collect::<Result<_, _>>()?;
        let submit = |number: usize| {
            let (key, client) = (number / 2, clients[number % clients.len()].clone());
            let spec = specs[key].clone();
            runtime.spawn(async move { (key, client.submit(spec, Some(format!("key-{key}"))).await) })
        };
        let submissions: Vec<_> = (0..2 * KEYS).map(submit).collect();
        let is_under_way = || submissions.iter().any(tokio::task::JoinHandle::is_finished);
        wait_for("the first answer", Deadline::after_seconds(60), || Ok(is_under_way().then_some(())))?;
        pair.masters[0].process.kill()?;
        let mut answered: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        for submission in submissions {
            let (key, submitted) = runtime.block_on(submission)?;
            answered.entry(key).or_default().insert(submitted?.job.to_string());
        }
        ensure!(answered.values().all(|jobs| jobs.len() == 1), "some key made two jobs: {answered:?}");
        let jobs: BTreeSet<String> = listed(pair, 1)?.into_iter().collect();
        ensure!(answered.values().flatten().cloned().collect::<BTreeSet<_>>() == jobs, "{answered:?} {jobs:?}");
        for (key, jobs) in answered {
            let status = pair.wait_for_status(1, jobs.first().context("a job")?, is_final)?;
            ensure!(status["state"] == "done", "{status:#}");
            let output = pair.directory().join(format!("out-{key}"));
            check_committed(&output)?;
            assert_eq!((part_files(&output)?.len(), count_parquet_rows(&output)?), (1, 2), "key {key}");
        }
        Ok(())
    })
}

#[test]
fn standby_says_that_it_is_one_and_where_the_active_master_is() -> Result<()> {
    Pair::run(0, |pair| {
        let [active, standby] = &pair.masters;
        wait_for("the standby to see the active one", Deadline::after_seconds(20), || {
            Ok(http_get(&standby.http, "/")?.body.contains(&active.http).then_some(()))
        })?;
        let page = http_get(&standby.http, "/")?;
        let link = format!("<a href=\"http://{}/\">", active.http);
        ensure!(page.status == 200 && page.content_type.starts_with("text/html"), "{page:?}");
        ensure!(page.body.contains(&link) && page.body.contains("standby"), "{page:?}");
        for file in ["style.css", "components.css", "theme.js", "flame.svg"] {
            assert_eq!(http_get(&standby.http, &format!("/ui/{file}"))?.status, 200, "the page has its {file}");
        }
        let health = http_get(&standby.http, "/healthz")?;
        ensure!(health.status == 200, "{health:?}");
        for path in ["/readyz", "/api/v1/jobs", "/jobs/x"] {
            let answer = http_get(&standby.http, path)?;
            ensure!(answer.status == 503 && answer.body.contains(&active.http), "{path}: {answer:?}");
        }
        ensure!(http_get(&standby.http, "/metrics")?.body.contains("hearth_standby 1"));
        ensure!(http_get(&active.http, "/readyz")?.status == 200);

        // Who knows only the standby is led on; so is who knows an address where nobody is.
        let standby_only = format!("hearth://{}", standby.rpc);
        run_hearth(&["list", "--master", &standby_only])?.success()?;
        let dead_first = format!("hearth://127.0.0.1:1,{}", standby.rpc);
        run_hearth(&["list", "--master", &dead_first])?.success()?;
        let active = active.rpc.clone();
        pair.start_worker(&standby_only)?;
        pair.start_worker(&format!("127.0.0.1:1,{active}"))?;
        let job = main_job(UserActions::SMALL)?.output(&pair.directory().join("report"), &[]);
        pair.submit_in_background(&job)?.finish()?.success()?;
        let nobody = run_hearth(&["list", "--master", "127.0.0.1:1,127.0.0.1:2"])?.with_code(4)?;
        ensure!(nobody.stderr.contains("127.0.0.1:1") && nobody.stderr.contains("127.0.0.1:2"), "{nobody:?}");
        Ok(())
    })
}

#[test]
fn standby_that_died_is_no_loss_and_roles_change_as_often_as_needed() -> Result<()> {
    Pair::run(2, |pair| {
        pair.masters[1].process.kill()?;
        let submitted = Submitted::when(pair, Moment::Map)?;
        pair.start_again(1)?;
        let follower = pair.in_background(&["logs", &submitted.id, "--follow"])?;
        // Told to stop, the active one leaves at once; nobody has to wait for a silence.
        let began = Instant::now();
        pair.masters[0].process.signal(Signal::TERM)?;
        let exit = pair.masters[0].process.wait_for_exit(Deadline::after_seconds(30))?;
        ensure!(exit.success(), "the active master ended with {exit} after SIGTERM");
        let id = submitted.id.clone();
        pair.wait_for_takeover(1, Deadline::after_seconds(TAKEOVER_SECONDS_MAX))?;
        pair.start_again(0)?;
        submitted.check(pair, began)?;
        let log = follower.finish_within(SECONDS_MAX)?.success()?;
        ensure!(log.stdout.contains("job accepted") && log.stdout.contains("output published"), "{log:?}");

        // And back.
        pair.masters[1].process.kill()?;
        pair.wait_for_takeover(0, Deadline::after_seconds(TAKEOVER_SECONDS_MAX))?;
        assert_eq!(pair.api(0, &format!("/api/v1/jobs/{id}"))?["state"], "done", "history goes with it");
        let job = main_job(UserActions::SMALL)?.output(&pair.directory().join("next"), &[]);
        pair.submit_in_background(&job)?.finish()?.success()?;
        Ok(())
    })
}
