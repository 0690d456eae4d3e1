//! What operators do: watch a job, find out why one failed, cancel, drain, and sit through a restart of the master. No page is loaded
//! again meanwhile: a mark in its window would be gone.

use anyhow::{Context, Result, ensure};
use hearth_test_browser::{Browser, Page};
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, ClusterOptions, JobFile};

use crate::common::main_job;

/// Seconds for anything to show; generous, because other tests run beside.
const SHOWS_WITHIN: u64 = 60;
const MARK: &str = "window.mark = true";
const IS_MARKED: &str = "window.mark === true";

fn url(cluster: &Cluster, path: &str) -> String {
    format!("http://{}{path}", cluster.http())
}

fn without_workers() -> ClusterOptions {
    ClusterOptions { workers: 0, ..ClusterOptions::default() }
}

fn check_calm(page: &mut Page<'_>) -> Result<()> {
    let problems = page.problems()?;
    ensure!(problems.is_empty(), "the page has problems: {problems:?}");
    Ok(())
}

fn shows(selector: &str, text: &str) -> String {
    format!("document.querySelector({selector:?})?.innerText.includes({text:?}) === true")
}

#[test]
fn a_job_is_watched_from_submit_to_done() -> Result<()> {
    Cluster::run(without_workers(), |cluster| {
        let mut browser = Browser::start()?;
        let mut page = browser.open(&url(cluster, "/"), 1280)?;
        page.wait_for(&shows("#workers", "No workers yet. Start one"), SHOWS_WITHIN)?;
        page.wait_for(&shows("#running", "Nothing runs. Submit a job"), SHOWS_WITHIN)?;
        page.value_of(MARK)?;
        let output = cluster.directory().join("report");
        let job = cluster.submit_detached(&main_job(UserActions::SMALL)?.output(&output, &[]))?;
        page.wait_for(&shows("#running", "waits for workers"), SHOWS_WITHIN)?;
        ensure!(page.value_of(IS_MARKED)? == true, "the page was loaded again");

        page.click("#running tbody a")?;
        page.wait_for(&shows("#state", "running"), SHOWS_WITHIN)?;
        page.value_of(MARK)?;
        cluster.start_worker()?;
        page.wait_for(&shows("#state", "done"), SHOWS_WITHIN)?;
        page.wait_for(&shows("#states", "committing"), SHOWS_WITHIN)?;
        page.wait_for(&shows("#output", "part-00000"), SHOWS_WITHIN)?;
        page.wait_for(&shows("#inputs", "actions"), SHOWS_WITHIN)?;
        page.wait_for("document.querySelectorAll('#graph .stage.done').length === 2", SHOWS_WITHIN)?;
        page.wait_for("document.querySelectorAll('#timeline .bar.done').length > 1", SHOWS_WITHIN)?;
        page.wait_for(&shows("#attempts", "done"), SHOWS_WITHIN)?;
        page.wait_for("document.querySelector('#plan').textContent.includes('AggregateExec')", SHOWS_WITHIN)?;
        ensure!(page.value_of(IS_MARKED)? == true, "the page was loaded again");
        let address = page.text_of("location.pathname")?;
        ensure!(address == format!("/jobs/{job}"), "the link led to {address}");
        check_calm(&mut page)?;

        page.go_to(&url(cluster, "/"))?;
        page.wait_for(&shows("#finished", "user-actions"), SHOWS_WITHIN)?;
        page.wait_for(&shows("#workers", "alive"), SHOWS_WITHIN)?;
        check_calm(&mut page)
    })
}

/// A browser opens six connections to a host. Tabs that nobody sees must leave them to others, and know what is new when they are
/// seen again.
#[test]
fn a_tab_that_nobody_sees_gives_its_connection_up() -> Result<()> {
    Cluster::run(without_workers(), |cluster| {
        let mut browser = Browser::start()?;
        let hide = |is_hidden: bool| {
            format!(
                "Object.defineProperty(document, 'hidden', {{ configurable: true, value: {is_hidden} }}); \
                 document.dispatchEvent(new Event('visibilitychange')); 0"
            )
        };
        for _ in 0..8 {
            let mut page = browser.open(&url(cluster, "/"), 1280)?;
            page.wait_for(&shows("#workers", "No workers yet"), SHOWS_WITHIN)?;
            page.wait_for(&shows("#finished", "No job has ended yet"), SHOWS_WITHIN)?;
            page.value_of(&hide(true))?;
        }
        let mut page = browser.open(&url(cluster, "/"), 1280)?;
        page.wait_for(&shows("#workers", "No workers yet"), SHOWS_WITHIN)?;
        page.value_of(&hide(true))?;
        cluster.start_worker()?;
        // Nothing tells of a job again that ended before.
        cluster.run_job(&JobFile::new("unseen", "SELECT 1 AS one"))?;
        page.value_of(&hide(false))?;
        page.wait_for(&shows("#workers", "alive"), SHOWS_WITHIN)?;
        page.wait_for(&shows("#finished", "unseen"), SHOWS_WITHIN)?;
        check_calm(&mut page)
    })
}

#[test]
fn the_reason_of_a_failure_is_one_click_away() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 1, ..ClusterOptions::default() }, |cluster| {
        let data = cluster.directory().join("numbers.csv");
        std::fs::write(&data, "k,n\na,1\nb,two\n")?;
        let lines = ["format = \"csv\"", "schema = { k = \"string\", n = \"int64\" }"];
        let job = JobFile::new("broken totals", "SELECT k, sum(n) AS n FROM t GROUP BY k").input("t", &data, &lines);
        let id = cluster.submit_detached(&job)?;
        cluster.wait_for_end(&id, SHOWS_WITHIN)?;
        let mut browser = Browser::start()?;
        let mut page = browser.open(&url(cluster, "/"), 1280)?;
        page.wait_for(&shows("#finished", "broken totals"), SHOWS_WITHIN)?;
        page.click("#finished tbody a")?;
        page.wait_for(&shows("#failure", "Why it failed"), SHOWS_WITHIN)?;
        for text in ["two", "numbers.csv", "Line\n3", "Column\nn", "stage 0, task 0, attempt 0", "bytes 0 to"] {
            page.wait_for(&shows("#failure", text), SHOWS_WITHIN)?;
        }
        for text in ["job accepted", "error 0.0.0 attempt failed", "job failed"] {
            page.wait_for(&shows("#log", text), SHOWS_WITHIN)?;
        }
        page.click("#failure a")?;
        page.wait_for(&shows("#attempts", "failed"), SHOWS_WITHIN)?;
        page.wait_for(&shows("#log", &format!("error {id} 0.0.0 attempt failed cause=task")), SHOWS_WITHIN)?;
        let address = page.text_of("location.pathname")?;
        ensure!(address == format!("/workers/{}", cluster.worker(0).id), "the link led to {address}");
        check_calm(&mut page)
    })
}

#[test]
fn a_job_is_cancelled_with_the_keyboard() -> Result<()> {
    Cluster::run(without_workers(), |cluster| {
        let job = cluster.submit_detached(&main_job(UserActions::SMALL)?)?;
        let mut browser = Browser::start()?;
        let mut page = browser.open(&url(cluster, &format!("/jobs/{job}")), 390)?;
        page.wait_for("document.querySelector('#cancel').hidden === false", SHOWS_WITHIN)?;
        page.value_of(MARK)?;
        for _ in 0..20 {
            if page.value_of("document.activeElement.id === 'cancel'")? == true {
                break;
            }
            page.press("Tab")?;
        }
        ensure!(page.value_of("document.activeElement.id === 'cancel'")? == true, "the keyboard reaches the button");
        page.press("Enter")?;
        page.wait_for(&shows("#cancel", "sure?"), SHOWS_WITHIN)?;
        assert_eq!(cluster.api(&format!("/api/v1/jobs/{job}"))?["state"], "running", "one press does nothing yet");
        page.press("Enter")?;
        page.wait_for(&shows("#state", "cancelled"), SHOWS_WITHIN)?;
        assert_eq!(cluster.api(&format!("/api/v1/jobs/{job}"))?["state"], "cancelled");
        page.wait_for("document.querySelector('#cancel').hidden", SHOWS_WITHIN)?;
        ensure!(page.value_of(IS_MARKED)? == true, "the page was loaded again");
        let wide = page.value_of("document.documentElement.scrollWidth")?;
        ensure!(wide.as_u64().is_some_and(|wide| wide <= 390), "a phone would have to scroll sideways: {wide}");
        check_calm(&mut page)
    })
}

#[test]
fn a_worker_is_drained_by_its_button() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let worker = cluster.worker(1).id.clone();
        let mut browser = Browser::start()?;
        let mut page = browser.open(&url(cluster, &format!("/workers/{worker}")), 1280)?;
        page.wait_for(&shows("#state", "alive"), SHOWS_WITHIN)?;
        page.click("#drain")?;
        page.wait_for(&shows("#drain", "sure?"), SHOWS_WITHIN)?;
        page.click("#drain")?;
        page.wait_for(&shows("#state", "left"), SHOWS_WITHIN)?;
        cluster.wait_for_worker_exit(1, hearth_tests::Deadline::after_seconds(SHOWS_WITHIN))?;
        check_calm(&mut page)?;
        page.go_to(&url(cluster, "/"))?;
        page.wait_for(&shows("#workers", "left"), SHOWS_WITHIN)?;
        page.wait_for(&shows("#workers", "alive"), SHOWS_WITHIN)
    })
}

#[test]
fn a_page_outlives_its_master() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 1, ..ClusterOptions::default() }, |cluster| {
        let done = cluster.run_job(&main_job(UserActions::SMALL)?)?;
        let id = done["id"].as_str().context("find the job's id")?.to_owned();
        let mut browser = Browser::start()?;
        let mut page = browser.open(&url(cluster, "/"), 1280)?;
        page.wait_for(&shows("#finished", "user-actions"), SHOWS_WITHIN)?;
        page.wait_for(&shows("#live", "live"), SHOWS_WITHIN)?;
        page.value_of(MARK)?;
        cluster.stop_master(rustix::process::Signal::KILL)?;
        page.wait_for("document.querySelector('#banner').hidden === false", SHOWS_WITHIN)?;
        page.wait_for(&shows("#live", "not live"), SHOWS_WITHIN)?;
        cluster.restart_master()?;
        page.wait_for("document.querySelector('#banner').hidden", SHOWS_WITHIN)?;
        page.wait_for(&shows("#workers", "alive"), SHOWS_WITHIN)?;
        page.wait_for(&shows("#finished", "user-actions"), SHOWS_WITHIN)?;
        ensure!(page.value_of(IS_MARKED)? == true, "the page was loaded again");
        check_calm(&mut page)?;
        page.go_to(&url(cluster, &format!("/jobs/{id}")))?;
        page.wait_for(&shows("#attempts", "done"), SHOWS_WITHIN)?;
        page.wait_for(&shows("#states", "planning"), SHOWS_WITHIN)?;
        page.wait_for("document.querySelector('#plan').textContent.includes('AggregateExec')", SHOWS_WITHIN)
    })
}
