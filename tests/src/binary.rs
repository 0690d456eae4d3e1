//! Finds the `hearth` binary that was built together with the running test, and refuses one that is missing or stale.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};

/// Where the sources of the binary are.
const PRODUCT: [&str; 5] = ["client", "common", "master", "proto", "worker"];

/// Root of the workspace.
#[must_use]
pub fn workspace_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new("."))
}

/// Directory of the running profile, such as `target/debug`.
///
/// # Errors
/// The running executable is not where cargo puts executables.
pub(crate) fn profile_dir() -> Result<PathBuf> {
    let executable = std::env::current_exe().context("find the running executable")?;
    let directory = executable.parent().context("find the directory of the running executable")?;
    let directory = if directory.ends_with("deps") { directory.parent().unwrap_or(directory) } else { directory };
    Ok(directory.to_owned())
}

/// The `hearth` binary beside the running executable.
///
/// # Errors
/// It is missing, or older than its sources; the message has the command to type.
pub fn hearth_binary() -> Result<&'static Path> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = BINARY.get_or_init(|| find_binary().map_err(|error| format!("{error:#}")));
    found.as_deref().map_err(|error| anyhow::anyhow!("{error}"))
}

fn find_binary() -> Result<PathBuf> {
    let directory = profile_dir()?;
    let binary = directory.join("hearth");
    let release = if directory.ends_with("release") { " --release" } else { "" };
    let advice =
        format!("type `cargo build{release} -p hearth` first, or test everything with `cargo test --workspace`");
    let built = modified(&binary).with_context(|| format!("find {}; {advice}", binary.display()))?;
    for part in PRODUCT {
        let newer = first_newer(&workspace_dir().join(part), built)?;
        ensure!(
            newer.is_none(),
            "{} is older than {}; {advice}",
            binary.display(),
            newer.unwrap_or_default().display()
        );
    }
    Ok(binary)
}

fn modified(path: &Path) -> Result<SystemTime> {
    Ok(std::fs::metadata(path)?.modified()?)
}

/// A source below `directory` that changed after `built`. Tests are not part of the binary.
fn first_newer(directory: &Path, built: SystemTime) -> Result<Option<PathBuf>> {
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(&directory).with_context(|| format!("read {}", directory.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                let is_product = !["tests", "benches"].iter().any(|name| path.ends_with(name));
                pending.extend(is_product.then_some(path));
            } else if !path.ends_with("tests.rs") && is_source(&path) && modified(&path)? > built {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}

fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs" || extension == "proto")
}
