//! A thousand workers and ten thousand attempts: answers are pages, and pages stay small in a browser.

use std::time::Duration;

use hearth_test_browser::Browser;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::scene::{RUNNING, Scene, snapshot};

#[tokio::test]
async fn answers_are_pages() {
    let scene = Scene::start(snapshot(1000, 10_000)).await;
    let workers = scene.get("/api/v1/workers?page_size=50&from=950").await.json();
    assert_eq!(
        (workers["workers"].as_array().unwrap().len(), &workers["total"], &workers["next"]),
        (50, &1000.into(), &().into())
    );
    assert_eq!(scene.get("/api/v1/workers?search=node0123").await.json()["total"], 1);
    assert_eq!(scene.get("/api/v1/workers?state=draining").await.json()["total"], 10);
    let attempts = scene.get(&format!("/api/v1/jobs/{RUNNING}/attempts?page_size=25")).await.json();
    assert_eq!((attempts["attempts"].as_array().unwrap().len(), &attempts["total"]), (25, &10_000.into()));
    assert_eq!(attempts["attempts"][0]["outcome"], "failed", "what went wrong comes first");
    let (mut partitions, mut from) = (Vec::new(), Some(0));
    while let Some(first) = from {
        let page = scene.get(&format!("/api/v1/jobs/{RUNNING}/attempts?page_size=333&from={first}")).await.json();
        partitions.extend(page["attempts"].as_array().unwrap().iter().map(|one| one["partition"].as_u64().unwrap()));
        from = page["next"].as_u64();
    }
    partitions.sort_unstable();
    assert_eq!(partitions, (0..10_000).collect::<Vec<u64>>(), "every attempt is on one page");
    let timeline = scene.get(&format!("/api/v1/jobs/{RUNNING}/timeline")).await;
    assert_eq!(timeline.json()["left_out"], 8000);
    let spreads = scene.get(&format!("/api/v1/jobs/{RUNNING}/spreads")).await.json();
    assert_eq!(spreads["stages"][0]["attempts"], 8999);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_them_page_by_page() {
    let scene = Scene::start(snapshot(1000, 10_000)).await;
    let (cluster, job) = (format!("http://{}/", scene.address), format!("http://{}/jobs/{RUNNING}", scene.address));
    tokio::task::spawn_blocking(move || {
        let mut browser = Browser::start().unwrap();
        let mut page = browser.open(&cluster, 1280).unwrap();
        page.wait_for("document.querySelectorAll('#workers tbody tr').length === 50", 60).unwrap();
        page.wait_for("document.querySelector('#workers-page').textContent === '1–50 of 1,000'", 10).unwrap();
        page.click("#workers-next").unwrap();
        page.wait_for("document.querySelector('#workers tbody').textContent.includes('node0050')", 10).unwrap();
        page.value_of(
            "(() => { const box = document.querySelector('#workers-filter input'); box.value = 'node0777'; \
                       box.dispatchEvent(new Event('input', { bubbles: true })); return 0; })()",
        )
        .unwrap();
        page.wait_for("document.querySelectorAll('#workers tbody tr').length === 1", 10).unwrap();
        page.go_to(&job).unwrap();
        page.wait_for("document.querySelectorAll('#attempts tbody tr').length === 25", 60).unwrap();
        page.wait_for("document.querySelector('#attempts-page').textContent === '1–25 of 10,000'", 10).unwrap();
        page.wait_for("document.querySelector('#timeline').textContent.includes('not drawn')", 30).unwrap();
        for (button, from, shown) in
            [("next", 25, "26–50 of 10,000"), ("next", 50, "51–75 of 10,000"), ("before", 25, "26–50 of 10,000")]
        {
            page.click(&format!("#attempts-{button}")).unwrap();
            page.wait_for(&format!("document.querySelector('#attempts-page').textContent === '{shown}'"), 10).unwrap();
            let same = format!(
                "fetch('/api/v1' + location.pathname + '/attempts?page_size=25&from={from}').then((answer) => answer.json()) \
                 .then(({{ attempts }}) => [...document.querySelectorAll('#attempts tbody tr')].map((row) => \
                 row.cells[0].firstChild.textContent).join() === attempts.map((one) => `${{one.stage}} / ${{one.partition}}`).join())"
            );
            page.wait_for(&same, 10).unwrap();
        }
        let nodes = page.value_of("document.querySelectorAll('*').length").unwrap();
        assert!(nodes.as_u64().unwrap() < 6000, "{nodes} nodes");
        assert_eq!(page.problems().unwrap(), Vec::<String>::new());
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn events_tell_changes_and_nothing_else() {
    let scene = Scene::start(snapshot(1000, 10_000)).await;
    let mut stream = TcpStream::connect(&scene.address).await.unwrap();
    let query = "jobs=true&workers=true&workers_page_size=50";
    let request = format!("GET /api/v1/events?{query} HTTP/1.1\r\nhost: {}\r\n\r\n", scene.address);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut heard = String::new();
    read_until(&mut stream, &mut heard, "event: workers").await;
    let before = heard.len();
    let mut changed = snapshot(1000, 10_000);
    changed.workers[3].memory_bytes_used = 12_345;
    changed.hour = scene.snapshots.borrow().hour.clone();
    changed.hours = scene.snapshots.borrow().hours.clone();
    changed.active.clone_from(&scene.snapshots.borrow().active);
    changed.ended.clone_from(&scene.snapshots.borrow().ended);
    scene.snapshots.send_replace(changed.into());
    read_until(&mut stream, &mut heard, "12345").await;
    read_until(&mut stream, &mut heard, "event: tick").await;
    let new = &heard[before..];
    assert!(!new.contains("event: jobs") && !new.contains("event: load"), "nothing of these changed: {new}");
    assert!(new.len() < 64 << 10, "{} bytes for one worker that changed", new.len());
}

async fn read_until(stream: &mut TcpStream, heard: &mut String, text: &str) {
    let mut buffer = vec![0; 1 << 16];
    while !heard.contains(text) {
        let read = tokio::time::timeout(Duration::from_secs(30), stream.read(&mut buffer)).await.unwrap().unwrap();
        assert!(read > 0, "the stream ended");
        heard.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
}
