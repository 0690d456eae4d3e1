//! Pictures of every page, for the docs: of a real cluster in which jobs run, wait, are done and failed, records are rejected, and a
//! worker was killed, so that attempts were repeated.

mod scene;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use hearth_test_browser::{Browser, Format, Theme};

use scene::Scene;

/// How wide a window is, in pixels.
const DESK: u32 = 1200;
/// How wide a phone is.
const PHONE: u32 = 390;
/// Most of a page that is shown, in pixels.
const HEIGHT_MAX: u32 = 1400;
/// Most of a page that is shown on a phone.
const PHONE_HEIGHT_MAX: u32 = 1400;
/// What is shown on a phone too.
const ON_PHONES: [&str; 3] = ["cluster", "job", "failed"];
/// Seconds for a page to have everything on it.
const SHOWS_WITHIN: u64 = 60;

/// A job that is done is all there.
const JOB_IS_WHOLE: &str = "document.querySelectorAll('#timeline .bar').length > 4 \
     && document.querySelector('#rejects').innerText !== '' && document.querySelectorAll('#attempts tbody tr').length > 4 \
     && (document.querySelector('#plan details').open = true) && document.querySelector('#plan table') !== null && document.querySelector('#log').innerText !== '' \
     && document.querySelector('#output').innerText !== ''";

/// A page, and when it has everything on it.
struct View<'a> {
    name: &'a str,
    url: String,
    is_whole: &'a str,
    /// Where the picture begins.
    from: &'a str,
}

/// Takes them, and tells their sizes as Markdown.
pub(crate) fn run(into: &Path, format: Format) -> Result<String> {
    std::fs::create_dir_all(into).with_context(|| format!("create {}", into.display()))?;
    let scene = Scene::play()?;
    let mut browser = Browser::start()?;
    let mut text = String::from("| picture | bytes |\n|---|---|\n");
    let mut total = 0;
    for view in views(&scene) {
        let places = [("", DESK, HEIGHT_MAX), ("phone-", PHONE, PHONE_HEIGHT_MAX)];
        let places = places.into_iter().take(if ON_PHONES.contains(&view.name) { 2 } else { 1 });
        for (place, width, height_max) in places {
            for theme in [Theme::Light, Theme::Dark] {
                let mut page = browser.open("about:blank", width)?;
                page.pose(theme)?;
                page.go_to(&view.url)?;
                page.wait_for(view.is_whole, SHOWS_WITHIN).with_context(|| format!("see the page of {}", view.name))?;
                let picture = page.picture(format, view.from, height_max)?;
                let name = format!("{place}{}-{}.{}", view.name, theme.name(), format.name());
                std::fs::write(into.join(&name), &picture)?;
                writeln!(text, "| {name} | {} |", picture.len())?;
                total += picture.len();
            }
        }
    }
    writeln!(text, "| all | {total} |")?;
    Ok(text)
}

fn views(scene: &Scene) -> Vec<View<'_>> {
    let url = |path: &str| format!("http://{}{path}", scene.http());
    let job = |id: &str| url(&format!("/jobs/{id}"));
    vec![
        View {
            name: "cluster",
            url: url("/"),
            is_whole: "document.querySelectorAll('#finished tbody tr').length > 4 \
                 && document.querySelectorAll('#running tbody tr').length > 0 \
                 && document.querySelectorAll('.charts svg .line').length > 2",
            from: "body",
        },
        View { name: "job", url: job(&scene.done), is_whole: JOB_IS_WHOLE, from: "body" },
        View { name: "plan", url: job(&scene.done), is_whole: JOB_IS_WHOLE, from: "#rejects" },
        View {
            name: "running",
            url: job(&scene.running),
            is_whole: "document.querySelectorAll('#timeline .bar').length > 1 \
                 && document.querySelectorAll('#attempts tbody tr').length > 1 && document.querySelector('#plan').innerText !== ''",
            from: "body",
        },
        View {
            name: "failed",
            url: job(&scene.failed),
            is_whole: "!document.querySelector('#failure').hidden && document.querySelector('#log').innerText !== '' \
                 && document.querySelector('#plan').innerText !== ''",
            from: "body",
        },
        View {
            name: "worker",
            url: url(&format!("/workers/{}", scene.worker())),
            is_whole: "document.querySelectorAll('#attempts tbody tr').length > 4 \
                 && document.querySelectorAll('.charts svg .line').length > 2 && document.querySelector('#log').innerText !== ''",
            from: "body",
        },
        View {
            name: "standby",
            url: format!("http://{}/", scene.standby_http),
            is_whole: "document.body.innerText !== ''",
            from: "body",
        },
    ]
}
