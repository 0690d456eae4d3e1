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
const HEIGHT_MAX: u32 = 3200;
/// Most of a page that is shown on a phone.
const PHONE_HEIGHT_MAX: u32 = 2000;
/// Seconds for a page to have everything on it.
const SHOWS_WITHIN: u64 = 60;

/// A page, and when it has everything on it.
struct View<'a> {
    name: &'a str,
    url: String,
    is_whole: &'a str,
}

/// Takes them, and tells their sizes as Markdown.
pub(crate) fn run(into: &Path, format: Format) -> Result<String> {
    std::fs::create_dir_all(into).with_context(|| format!("create {}", into.display()))?;
    let scene = Scene::play()?;
    let mut browser = Browser::start()?;
    let mut text = String::from("| picture | bytes |\n|---|---|\n");
    let mut total = 0;
    for view in views(&scene) {
        for (place, width, height_max) in [("", DESK, HEIGHT_MAX), ("phone-", PHONE, PHONE_HEIGHT_MAX)] {
            for theme in [Theme::Light, Theme::Dark] {
                let mut page = browser.open("about:blank", width)?;
                page.set_theme(theme)?;
                page.go_to(&view.url)?;
                page.wait_for(view.is_whole, SHOWS_WITHIN).with_context(|| format!("see the page of {}", view.name))?;
                let picture = page.picture(format, height_max)?;
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
        },
        View {
            name: "job",
            url: job(&scene.done),
            is_whole: "document.querySelectorAll('#timeline .bar').length > 4 && document.querySelector('#rejects').innerText \
                 && document.querySelectorAll('#attempts tbody tr').length > 4 && document.querySelector('#plan').innerText \
                 && document.querySelector('#log').innerText !== '' && document.querySelector('#output').innerText !== ''",
        },
        View {
            name: "running",
            url: job(&scene.running),
            is_whole: "document.querySelectorAll('#timeline .bar').length > 1 \
                 && document.querySelectorAll('#attempts tbody tr').length > 1 && document.querySelector('#plan').innerText !== ''",
        },
        View {
            name: "failed",
            url: job(&scene.failed),
            is_whole: "!document.querySelector('#failure').hidden && document.querySelector('#log').innerText !== '' \
                 && document.querySelector('#plan').innerText !== ''",
        },
        View {
            name: "worker",
            url: url(&format!("/workers/{}", scene.worker())),
            is_whole: "document.querySelectorAll('#attempts tbody tr').length > 4 \
                 && document.querySelectorAll('.charts svg .line').length > 2 && document.querySelector('#log').innerText !== ''",
        },
        View {
            name: "standby",
            url: format!("http://{}/", scene.standby_http),
            is_whole: "document.body.innerText !== ''",
        },
    ]
}
