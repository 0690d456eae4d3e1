//! Finding Chromium, and installing it where it is missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context as _, Result, bail};

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const INSTALL: &str = "apt-get install -y --no-install-recommends chromium";

static INSTALLING: Mutex<()> = Mutex::new(());

/// The command that starts a browser with a profile in `directory`, written after `entrance`. Its standard streams are the pipes of the
/// protocol, which it expects under other numbers.
pub(crate) fn command(directory: &Path, entrance: &[String]) -> Result<Command> {
    let browser = found_or_installed()?;
    // Root has no sandbox; the pages are our own.
    let sandbox = if rustix::process::getuid().is_root() { "--no-sandbox" } else { "--enable-sandbox" };
    let mut words = entrance.iter().map(String::as_str).chain(["sh"]);
    let mut command = Command::new(words.next().context("name a program")?);
    command.args(words).args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1"]).arg(browser);
    command.args([
        "--headless",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--remote-debugging-pipe",
    ]);
    command.arg(sandbox).arg(format!("--user-data-dir={}", directory.display())).arg("about:blank");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    Ok(command)
}

fn found_or_installed() -> Result<PathBuf> {
    let _one_at_a_time = INSTALLING.lock();
    if let Some(browser) = find() {
        return Ok(browser);
    }
    if rustix::process::getuid().is_root() {
        // What it prints would only hide the reason that is told below.
        let _ = Command::new("apt-get").args(["update", "-q"]).stdout(Stdio::null()).status();
        let mut words = INSTALL.split(' ');
        let program = words.next().context("name the installing program")?;
        let _ =
            Command::new(program).args(words).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null()).status();
    }
    match find() {
        Some(browser) => Ok(browser),
        None => bail!("tests of the pages need Chromium; install it with: sudo {INSTALL}"),
    }
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let candidates = NAMES.iter().flat_map(|name| directories.iter().map(move |directory| directory.join(name)));
    candidates.into_iter().find(|candidate| candidate.is_file())
}
