//! Tools of others that tests need: installed with apt-get where that is allowed, otherwise named with the command to type.

use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};

/// One installation at a time: apt-get locks its files.
static INSTALLING: Mutex<()> = Mutex::new(());

/// Makes sure that a command works, such as `["promtool", "--version"]`, by installing a Debian package where it does not.
///
/// # Errors
/// It does not work and cannot be installed; the message has the command to type.
pub fn need_tool(probe: &[&str], package: &str) -> Result<()> {
    let _installing = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if works(probe) {
        return Ok(());
    }
    let install = ["install", "--yes", "--no-install-recommends", package];
    let advice = format!("`{}` does not work here; install it: apt-get {}", probe.join(" "), install.join(" "));
    ensure!(rustix::process::geteuid().is_root(), "{advice}");
    let apt =
        |arguments: &[&str]| Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").output();
    let installed = apt(&install).context(advice.clone())?;
    if !installed.status.success() {
        apt(&["update"])?;
        apt(&install)?;
    }
    ensure!(works(probe), "{advice}");
    Ok(())
}

fn works(probe: &[&str]) -> bool {
    Command::new(probe[0]).args(&probe[1..]).output().is_ok_and(|output| output.status.success())
}

/// Runs a tool that must succeed, and gives what it printed.
///
/// # Errors
/// It fails; the message has all that it said.
pub fn run_tool(command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } = command.output().with_context(|| format!("run {command:?}"))?;
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    ensure!(status.success(), "{command:?} ended with {status}\n{stdout}\n{stderr}");
    Ok(stdout.into_owned())
}
