//! Modules of others for Python. They are installed once, into the user's cache directory.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};

/// The directory that has a module, for `PYTHONPATH`. One that exists is complete: it gets its name when all is there.
///
/// # Errors
/// This machine lacks Python, or the module cannot be installed.
pub fn python_modules(package: &str) -> Result<PathBuf> {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache =
        std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).context("find a cache directory")?;
    let tag = Command::new("python3").args(["-c", "import sys; print(sys.implementation.cache_tag)"]).output();
    let tag = succeeded("run python3; type: sudo apt-get install python3 python3-pip", tag?)?;
    let modules = cache.join("hearth").join(format!("{package}-{}", String::from_utf8_lossy(&tag.stdout).trim()));
    if modules.is_dir() {
        return Ok(modules);
    }
    std::fs::create_dir_all(cache.join("hearth"))?;
    need_pip(package)?;
    let partial = tempfile::tempdir_in(cache.join("hearth"))?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--target"]).arg(partial.path()).arg(package);
    succeeded(&format!("install {package}"), pip.output()?)?;
    match std::fs::rename(partial.path(), &modules) {
        // Another process was faster.
        Err(_) if modules.is_dir() => Ok(modules),
        Err(error) => Err(error).with_context(|| format!("create {}", modules.display())),
        Ok(()) => Ok(modules),
    }
}

fn need_pip(package: &str) -> Result<()> {
    let has_pip =
        || Command::new("python3").args(["-m", "pip", "--version"]).output().is_ok_and(|it| it.status.success());
    if has_pip() {
        return Ok(());
    }
    let install = "apt-get update -q && apt-get install -q -y --no-install-recommends python3-pip";
    let installed = Command::new("sh").args(["-c", install]).env("DEBIAN_FRONTEND", "noninteractive").output();
    if !installed.is_ok_and(|installed| installed.status.success() && has_pip()) {
        bail!("{package} needs pip; type: sudo apt-get install python3-pip");
    }
    Ok(())
}

pub(crate) fn succeeded(what: &str, ended: Output) -> Result<Output> {
    ensure!(ended.status.success(), "{what}: {}", String::from_utf8_lossy(&ended.stderr).trim());
    Ok(ended)
}
