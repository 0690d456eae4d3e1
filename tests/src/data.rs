//! Test data, made once per build directory and shared by all tests. Whoever makes it renames it into place, so that nobody
//! sees half of it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::binary::profile_dir;
use crate::command::Background;

/// Longest time to make a data set, in seconds; the bench's are large.
const MAKING_SECONDS_MAX: u64 = 1_800;

/// User actions as `hearth generate` makes them: email, timestamp, action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserActions {
    /// Number of rows.
    pub rows: u64,
    /// Number of distinct emails at most.
    pub users: u64,
    /// Number of files.
    pub files: u32,
}

impl UserActions {
    /// What most tests read: about 14 MB.
    pub const SMALL: Self = Self { rows: 300_000, users: 5_000, files: 4 };
    /// Enough that a job is still running when a test interferes: about 90 MB.
    pub const LARGE: Self = Self { rows: 2_000_000, users: 30_000, files: 8 };

    /// Directory of the CSV files; makes them when they are not there yet.
    ///
    /// # Errors
    /// `hearth generate` fails.
    pub fn directory(self) -> Result<PathBuf> {
        let Self { rows, users, files } = self;
        cached(&format!("user-actions-{rows}-{users}-{files}"), |directory| {
            let (rows, users, files) = (rows.to_string(), users.to_string(), files.to_string());
            let directory = directory.to_string_lossy();
            let arguments =
                ["generate", "--rows", &rows, "--users", &users, "--files", &files, "--seed", "7", &directory];
            Background::start(&arguments)?.finish_within(MAKING_SECONDS_MAX)?.success()?;
            Ok(())
        })
    }
}

/// The directory `name` among the test data; `make` fills it when it is not there yet.
///
/// # Errors
/// What `make` fails with, or a directory that cannot be written.
pub fn cached(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let profile = profile_dir()?;
    let root = profile.parent().context("find the build directory")?.join("test-data");
    let directory = root.join(name);
    if directory.is_dir() {
        return Ok(directory);
    }
    std::fs::create_dir_all(&root).with_context(|| format!("create {}", root.display()))?;
    let scratch = tempfile::Builder::new().prefix(".making-").tempdir_in(&root)?;
    let made = scratch.path().join(name);
    std::fs::create_dir(&made)?;
    make(&made).with_context(|| format!("make the test data `{name}`"))?;
    // When another test was faster, its directory stays: both are equal.
    match std::fs::rename(&made, &directory) {
        Err(_) if directory.is_dir() => Ok(directory),
        Err(error) => Err(error).with_context(|| format!("create {}", directory.display())),
        Ok(()) => Ok(directory),
    }
}
