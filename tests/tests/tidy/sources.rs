//! Files: their sizes, their headers, their names and their places.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hearth_tests::workspace_dir;

/// Longest file, in lines.
const LINES_MAX: usize = 500;
/// File names that tell nothing.
const EMPTY_NAMES: [&str; 6] = ["helper", "helpers", "manager", "misc", "types", "utils"];
const CODE: [&str; 8] = ["rs", "proto", "py", "sh", "js", "css", "html", "sql"];

/// Every file of the repository with one of these extensions, without what was built or installed.
pub(crate) fn files(extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let (mut pending, mut files) = (vec![workspace_dir().to_owned()], Vec::new());
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(&directory).with_context(|| format!("read {}", directory.display()))? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if entry.file_type()?.is_dir() {
                let is_ours =
                    !name.starts_with('.') && !["target", "node_modules", "__pycache__"].contains(&name.as_str());
                pending.extend(is_ours.then_some(path));
            } else if path.extension().is_some_and(|found| extensions.iter().any(|extension| found == *extension)) {
                files.push(path);
            }
        }
    }
    ensure!(!files.is_empty(), "found no sources below {}", workspace_dir().display());
    files.sort();
    Ok(files)
}

/// Checks every file and reports all that are wrong, not only the first.
pub(crate) fn check_each(extensions: &[&str], wrong: impl Fn(&Path, &str) -> Vec<String>) -> Result<()> {
    let mut all = Vec::new();
    for path in files(extensions)? {
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let shown = path.strip_prefix(workspace_dir()).unwrap_or(&path).display().to_string();
        all.extend(wrong(&path, &text).into_iter().map(|problem| format!("{shown}: {problem}")));
    }
    ensure!(all.is_empty(), "{} problems:\n{}", all.len(), all.join("\n"));
    Ok(())
}

#[test]
fn files_are_short() -> Result<()> {
    check_each(&CODE, |_, text| {
        let lines = text.lines().count();
        if lines > LINES_MAX { vec![format!("{lines} lines, at most {LINES_MAX}")] } else { Vec::new() }
    })
}

#[test]
fn files_say_what_they_are_for() -> Result<()> {
    check_each(&["rs"], |_, text| {
        if text.starts_with("//! ") { Vec::new() } else { vec!["does not begin with a `//!` header".to_owned()] }
    })
}

#[test]
fn file_names_tell_something() -> Result<()> {
    check_each(&CODE, |path, _| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if EMPTY_NAMES.contains(&stem.as_str()) { vec!["name it after what is in it".to_owned()] } else { Vec::new() }
    })
}

#[test]
fn no_test_is_skipped() -> Result<()> {
    let ignored = concat!("#[", "ignore");
    check_each(&["rs"], |_, text| if text.contains(ignored) { vec![format!("has `{ignored}`")] } else { Vec::new() })
}

#[test]
fn the_wire_contract_is_in_one_place() -> Result<()> {
    for path in files(&["proto"])? {
        ensure!(path.parent() == Some(&workspace_dir().join("proto")), "{} is not in proto/", path.display());
    }
    Ok(())
}
