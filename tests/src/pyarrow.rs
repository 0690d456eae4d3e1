//! An independent reader of outputs: pyarrow, in Python.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::binary::workspace_dir;
use crate::python::{python_modules, succeeded};

/// Has pyarrow count the actions in the CSV files of `input`, and compare the Parquet files of `output` with that. Answers with
/// the number of rows.
///
/// # Errors
/// They differ, `output` is not committed, or this machine lacks Python.
pub fn check_counted_actions(input: &Path, output: &Path) -> Result<u64> {
    let modules = python_modules("pyarrow")?;
    let script = workspace_dir().join("tests/readers/count_actions.py");
    let mut command = Command::new("python3");
    let ended = command.arg(script).args([input, output]).env("PYTHONPATH", modules).output()?;
    let said = String::from_utf8_lossy(&succeeded("count with pyarrow", ended)?.stdout).into_owned();
    said.trim().parse().with_context(|| format!("read a number of rows from `{said}`"))
}
