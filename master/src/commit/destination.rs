//! What can be said of a destination before any work is done: it is free, and it is not the job's own input.

use hearth_common::{JobSpec, OutputMode};
use hearth_storage::{CommitFs, EntryKind, Location};

use super::{CommitError, Staging};

/// Checks the output of a job, if it has one. The commit checks again: this is only to fail early.
pub(crate) async fn check_destination(fs: &dyn CommitFs, spec: &JobSpec) -> Result<(), CommitError> {
    let Some(output) = &spec.output else { return Ok(()) };
    let staging = Staging::of(hearth_common::JobId::from_u128(0), &output.path)?;
    let path = || staging.destination().to_string();
    match (output.mode, fs.kind(staging.destination()).await?) {
        (OutputMode::Error, Some(_)) => return Err(CommitError::Exists { path: path() }),
        (OutputMode::Overwrite | OutputMode::Append, Some(EntryKind::File)) => {
            return Err(CommitError::NotADirectory { path: path() });
        }
        (OutputMode::Overwrite | OutputMode::Append, Some(EntryKind::Directory)) | (_, None) => {}
    }
    match output.mode {
        OutputMode::Overwrite => {
            let paths = spec.inputs.values().flat_map(|input| input.paths.clone()).collect();
            check_inputs(output.path.clone(), paths, staging.destination().clone()).await
        }
        OutputMode::Error | OutputMode::Append => Ok(()),
    }
}

/// Follows links, so it looks at the file system.
async fn check_inputs(output: String, paths: Vec<String>, destination: Location) -> Result<(), CommitError> {
    let looked = tokio::task::spawn_blocking(move || {
        let destination = destination.followed();
        for path in paths {
            if Location::parse(fixed_part(&path))?.followed().is_within(&destination) {
                return Err(CommitError::OverInput { output, path });
            }
        }
        Ok(())
    });
    looked.await.unwrap_or_else(|error| Err(CommitError::Report(error.to_string())))
}

/// The part of a path before its first component with a wildcard.
fn fixed_part(path: &str) -> &str {
    match path.find(['*', '?', '[', '{']) {
        Some(at) => path[..at].rfind('/').map_or("/", |slash| &path[..slash + 1]),
        None => path,
    }
}

/// Whether one of the files that a job was planned to read stands below its destination.
pub(crate) fn finds_input_below(destination: &Location, mut urls: impl Iterator<Item = String>) -> Option<String> {
    let below = format!("{}/", destination.url());
    urls.find(|url| url.starts_with(&below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_a_path_at_its_first_wildcard() {
        for (path, expected) in [
            ("/data/in.csv", "/data/in.csv"),
            ("/data/2026-*/x.csv", "/data/"),
            ("/data/*.csv", "/data/"),
            ("/*", "/"),
            ("file:///data/a/{b,c}", "file:///data/a/"),
            ("hdfs://nn:9000/*", "hdfs://nn:9000/"),
        ] {
            assert_eq!(fixed_part(path), expected, "{path}");
        }
    }

    #[test]
    fn finds_inputs_that_would_be_replaced() {
        let destination = Location::parse("/data/out").unwrap();
        let urls = |urls: &[&str]| urls.iter().map(|url| (*url).to_owned()).collect::<Vec<_>>().into_iter();
        assert_eq!(finds_input_below(&destination, urls(&["file:///data/out2/a", "file:///data/outer"])), None);
        let found = finds_input_below(&destination, urls(&["file:///a", "file:///data/out/k=1/a"]));
        assert_eq!(found.as_deref(), Some("file:///data/out/k=1/a"));
    }
}
