//! What the pages cost: the master's share of a core with a hundred running jobs and some pages open, the time from a change of a
//! job to the pixel, and the weight of each page.
//!
//! The jobs are real: each has hundreds of tasks that compute hashes, on two workers with fifty slots each, so that all of them run at
//! once and each moves all the time. Workers have the lowest priority, as they would run on other machines. An open page is a reader of
//! `/api/v1/events` that asks for what the page's script asks for; the time to the pixel is taken in Chromium.

mod pixel;
mod reader;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hearth_test_browser::Browser;
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, ClusterOptions, Deadline, JobFile, wait_for};
use rustix::process::{Pid, setpriority_process};

use crate::proc::cpu_seconds;
use reader::Reader;

/// Jobs that run at once.
const JOBS: usize = 100;
/// How long the master is watched with so many pages open.
const WATCHED: Duration = Duration::from_secs(20);
/// Pages that are open, by turns.
const PAGES: [usize; 4] = [0, 1, 10, 50];

/// Slow enough for a job to run for minutes: a hundred thousand hashes of hashes for each second of a core.
fn slow_job(number: usize) -> Result<JobFile> {
    let hash = (0..24).fold("email".to_owned(), |inner, _| format!("encode(sha512({inner}), 'hex')"));
    let query = format!("SELECT action, count(*) AS n, max({hash}) AS last FROM actions GROUP BY action");
    let job = JobFile::new(&format!("job {number}"), &query).csv("actions", &UserActions::LARGE.directory()?);
    Ok(job.setting("split_bytes = \"256KiB\"").setting("shuffle_partitions = 4"))
}

/// Runs everything once, and tells the figures as Markdown.
pub(crate) fn run() -> Result<String> {
    let options = ClusterOptions {
        slots: (JOBS / 2) as u32,
        memory: "4GiB".to_owned(),
        master_config: format!("running_jobs_max = {}", JOBS * 2),
        ..ClusterOptions::default()
    };
    let cluster = Cluster::start(options)?;
    let mut browser = Browser::start()?;
    let mut text =
        String::from("### Weight\n\n| page | HTML, scripts, styles | with its first answers |\n|---|---|---|\n");
    for index in 0..JOBS {
        cluster.submit_detached(&slow_job(index)?)?;
    }
    yield_to_master(&cluster)?;
    let running = |cluster: &Cluster| -> Result<Vec<String>> {
        let jobs = cluster.api("/api/v1/jobs?state=running&page_size=200")?;
        let jobs = jobs["jobs"].as_array().context("find the jobs")?.clone();
        Ok(jobs.iter().filter_map(|job| job["id"].as_str().map(str::to_owned)).collect())
    };
    let jobs = wait_for("all jobs to run", Deadline::after_seconds(300), || {
        let jobs = running(&cluster)?;
        Ok((jobs.len() == JOBS).then_some(jobs))
    })?;
    for (name, path) in [
        ("cluster", "/".to_owned()),
        ("job", format!("/jobs/{}", jobs[0])),
        ("worker", format!("/workers/{}", cluster.worker(0).id)),
    ] {
        let (files, all) = pixel::weight(&mut browser, &format!("http://{}{path}", cluster.http()))?;
        writeln!(text, "| {name} | {:.1} kB | {:.1} kB |", files / 1000.0, all / 1000.0)?;
    }
    text.push_str("\n### Master, with 100 running jobs\n\n| pages open | share of a core | events and answers read |\n|---|---|---|\n");
    let master = cluster.process_ids().first().copied().context("find the master")?.to_string();
    for count in PAGES {
        // The first one is that of the cluster, the second one that of a job, and so on.
        let job_of = |index: usize| jobs.get(index).filter(|_| index % 2 == 1).map(String::as_str);
        let pages = (0..count).map(|index| Reader::open(cluster.http(), job_of(index)));
        let pages = pages.collect::<Result<Vec<Reader>>>()?;
        std::thread::sleep(Duration::from_secs(2));
        let (before, read, started) = (cpu_seconds(&master), Reader::bytes_of(&pages), Instant::now());
        std::thread::sleep(WATCHED);
        let seconds = started.elapsed().as_secs_f64();
        let share = (cpu_seconds(&master) - before) / seconds;
        let rate = (Reader::bytes_of(&pages) - read) as f64 / seconds;
        writeln!(text, "| {count} | {:.1} % | {:.0} kB/s |", share * 100.0, rate / 1000.0)?;
        pages.into_iter().try_for_each(Reader::close)?;
        ensure!(running(&cluster)?.len() == JOBS, "a job ended while the master was watched");
    }
    let delays = pixel::delays(&mut browser, &cluster)?;
    text.push_str("\n### From a change of a job to the pixel\n\n| changes seen | median | slowest |\n|---|---|---|\n");
    let (median, slowest) = (delays[delays.len() / 2], delays[delays.len() - 1]);
    writeln!(text, "| {} | {median} ms | {slowest} ms |", delays.len())?;
    Ok(text)
}

/// Workers share this machine with the master; they get what it leaves.
fn yield_to_master(cluster: &Cluster) -> Result<()> {
    for process in cluster.process_ids().into_iter().skip(1) {
        for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
            let id = thread?.file_name().to_string_lossy().parse::<i32>()?;
            // A thread may have ended.
            let _ = setpriority_process(Pid::from_raw(id), 19);
        }
    }
    Ok(())
}
