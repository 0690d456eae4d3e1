//! Finds input files in HDFS: one call for a path without wildcards, else one listing per directory that a wildcard is looked for in.

use std::path::Path;

use hearth_common::{Encoding, FileCompression};
use hearth_hdfs::{Depth, Entry, Hdfs, HdfsError, HdfsUrl, Kind};

use super::{FILES_MAX, Found, InputFile, NO_FILES, is_hidden, near_names};
use crate::glob::{Component, Pattern};
use crate::{Location, StorageError};

/// A path that matches as far as it was looked at.
struct Candidate {
    url: HdfsUrl,
    /// What is there; `None` where nobody has looked.
    entry: Option<Entry>,
}

/// Adds the files behind one path of an input.
pub(super) async fn list(hdfs: &Hdfs, from: &str, url: &HdfsUrl, mut found: Found) -> Result<Found, StorageError> {
    let before = found.files.len();
    let matched = expand(hdfs, url).await.map_err(StorageError::from_hdfs)?;
    let is_directory = matched.iter().any(|(at, entry)| at == url && entry.kind == Kind::Directory);
    for (at, entry) in matched {
        take(hdfs, from, (&at, entry), &mut found).await?;
    }
    if found.files.len() > before {
        return Ok(found);
    }
    if is_directory {
        return Err(StorageError::Unusable { path: url.to_string(), problem: NO_FILES.to_owned() });
    }
    Err(missing(hdfs, url).await)
}

/// What is under the names that a pattern matches.
async fn expand(hdfs: &Hdfs, url: &HdfsUrl) -> Result<Vec<(HdfsUrl, Entry)>, HdfsError> {
    let mut candidates = vec![Candidate { url: url.with_path("/")?, entry: None }];
    for component in Pattern::parse(Path::new(url.path())).components {
        let mut next = Vec::new();
        for candidate in candidates {
            if component.is_name() {
                next.push(Candidate { url: candidate.url.join_unchecked(&component.text), entry: None });
            } else if !candidate.entry.as_ref().is_some_and(|entry| entry.kind == Kind::File) {
                next.extend(matching(hdfs, &candidate.url, &component).await?);
            }
        }
        candidates = next;
    }
    let mut matched = Vec::with_capacity(candidates.len());
    for Candidate { url, entry } in candidates {
        let entry = match entry {
            Some(entry) => Some(entry),
            None => hdfs.wait_quietly(|| hdfs.entry(&url)).await?,
        };
        matched.extend(entry.map(|entry| (url, entry)));
    }
    Ok(matched)
}

/// What in a directory matches a component. A name that is the pattern itself is meant alone.
async fn matching(hdfs: &Hdfs, directory: &HdfsUrl, component: &Component) -> Result<Vec<Candidate>, HdfsError> {
    let entries = match hdfs.wait_quietly(|| hdfs.list_all(directory, Depth::One, FILES_MAX)).await {
        Ok(entries) => entries,
        Err(HdfsError::Missing { .. } | HdfsError::NotDirectory { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut matched = Vec::new();
    // A file lists as itself.
    for entry in entries.into_iter().filter(|entry| entry.path != directory.path()) {
        let name = name_of(&entry);
        let candidate = || Candidate { url: directory.join_unchecked(name), entry: Some(entry.clone()) };
        if name == component.text {
            return Ok(vec![candidate()]);
        }
        if component.matches(name) && (component.names_hidden() || !is_hidden(name)) {
            matched.push(candidate());
        }
    }
    Ok(matched)
}

/// Takes a file, or every visible file below a directory.
async fn take(hdfs: &Hdfs, from: &str, (at, entry): (&HdfsUrl, Entry), found: &mut Found) -> Result<(), StorageError> {
    let entries = match entry.kind {
        Kind::File => vec![entry],
        Kind::Directory => hdfs.wait_quietly(|| below(hdfs, at)).await.map_err(StorageError::from_hdfs)?,
    };
    for entry in entries.into_iter().filter(|entry| entry.kind == Kind::File) {
        let url = at.with_path(&entry.path).map_err(StorageError::from_hdfs)?;
        let location = Location::from_hdfs(url);
        let file = InputFile {
            url: location.url(),
            bytes: entry.bytes,
            modified_ms: entry.modified_ms,
            compression: FileCompression::None,
            encoding: Encoding::Utf8,
        };
        found.add(from, location, file)?;
    }
    Ok(())
}

async fn below(hdfs: &Hdfs, directory: &HdfsUrl) -> Result<Vec<Entry>, HdfsError> {
    let (mut listing, mut entries) = (hdfs.list(directory, Depth::All).visible(), Vec::new());
    while let Some(entry) = listing.next().await? {
        entries.push(entry);
        if entries.len() > 2 * FILES_MAX {
            break;
        }
    }
    Ok(entries)
}

async fn missing(hdfs: &Hdfs, url: &HdfsUrl) -> StorageError {
    let mut near = Vec::new();
    if let (Some(parent), Some(name)) = (url.parent(), url.name())
        && let Ok(entries) = hdfs.list_all(&parent, Depth::One, FILES_MAX).await
    {
        near = near_names(name, entries.iter().map(|entry| name_of(entry).to_owned()));
    }
    StorageError::Missing { path: url.to_string(), near }
}

fn name_of(entry: &Entry) -> &str {
    entry.path.rsplit('/').next().unwrap_or(&entry.path)
}
