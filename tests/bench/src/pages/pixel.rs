//! What only a browser can tell: the weight of a page, and when a change is seen on it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use hearth_test_browser::{Browser, Page};
use hearth_tests::{Cluster, JobFile};
use serde_json::Value;

/// Jobs that are submitted and cancelled while the page is watched.
const WATCHED: usize = 10;

/// The bytes of a page's files, and with the first answers of the API, as they come over the network.
pub(super) fn weight(browser: &mut Browser, url: &str) -> Result<(f64, f64)> {
    let mut page = browser.open(url, 1280)?;
    page.wait_for("document.querySelector('#live')?.textContent === 'live'", 60)?;
    std::thread::sleep(std::time::Duration::from_secs(2));
    let sum = |of: &str| {
        format!(
            "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]\
             .filter((one) => {of}).reduce((sum, one) => sum + one.encodedBodySize, 0)"
        )
    };
    let bytes = |page: &mut Page<'_>, of: &str| page.value_of(&sum(of))?.as_f64().context("a sum");
    Ok((bytes(&mut page, "!one.name.includes('/api/')")?, bytes(&mut page, "true")?))
}

/// Watches what the page of the cluster says of jobs: the time at which the state of a job is first painted.
const WATCH: &str = "window.seen = {}; window.look = () => { \
    for (const link of document.querySelectorAll('main a[href^=\"/jobs/\"]')) { \
        const state = link.closest('tr')?.querySelector('.state')?.textContent; \
        if (state) window.seen[link.getAttribute('href').slice(6) + ' ' + state] ??= Date.now(); \
    } }; \
    new MutationObserver(() => requestAnimationFrame(() => setTimeout(window.look, 0))) \
        .observe(document.querySelector('main'), { childList: true, subtree: true, characterData: true }); 0";

/// Milliseconds from the times in the histories of jobs to those at which the page showed them, sorted.
pub(super) fn delays(browser: &mut Browser, cluster: &Cluster) -> Result<Vec<u64>> {
    let mut page = browser.open(&format!("http://{}/", cluster.http()), 1280)?;
    page.wait_for("document.querySelectorAll('#running tbody tr').length > 5", 60)?;
    page.value_of(WATCH)?;
    let mut jobs = Vec::new();
    for number in 0..WATCHED {
        let job = cluster.submit_detached(&JobFile::new(&format!("watched {number}"), "SELECT 1 AS one"))?;
        std::thread::sleep(std::time::Duration::from_millis(900));
        if !cluster.api(&format!("/api/v1/jobs/{job}"))?["finished_at"].is_string() {
            cluster.hearth(&["cancel", &job])?.success()?;
        }
        jobs.push(job);
    }
    std::thread::sleep(std::time::Duration::from_secs(2));
    let seen = page.value_of("window.seen")?;
    let seen: BTreeMap<&str, u64> = seen
        .as_object()
        .context("what was seen")?
        .iter()
        .filter_map(|(key, at)| Some((key.as_str(), ms(at)?)))
        .collect();
    let mut delays = Vec::new();
    for job in jobs {
        // Times in the API are texts; the browser reads them.
        let states = page.value_of(&format!(
            "fetch('/api/v1/jobs/{job}').then((answer) => answer.json()).then((job) => \
             job.details.states.map((change) => [change.state, Date.parse(change.since_at)]))"
        ))?;
        for change in states.as_array().context("its states")? {
            let (state, since) = (change[0].as_str().unwrap_or_default(), ms(&change[1]).unwrap_or_default());
            // States that last for less than the time between two events are not shown.
            delays.extend(seen.get(format!("{job} {state}").as_str()).map(|at| at.saturating_sub(since)));
        }
    }
    ensure!(delays.len() >= WATCHED, "the page showed {} changes: {seen:?}", delays.len());
    delays.sort_unstable();
    Ok(delays)
}

fn ms(value: &Value) -> Option<u64> {
    value.as_f64().map(|ms| ms as u64)
}
