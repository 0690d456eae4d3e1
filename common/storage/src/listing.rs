//! Finds the input files behind paths, directories and globs. An input that matches nothing is an error, never an empty table.
//!
//! Hidden names (`.x`, `_x`) are skipped as Hadoop does, unless they are named in full.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use hearth_common::{Encoding, FileCompression, InputCompression, InputFormat, InputSpec, OnError};

use crate::glob::Pattern;
use crate::{Location, StorageError};

/// Most files of one input.
pub const FILES_MAX: usize = 1_000_000;
/// Deepest directory below a path. Also ends loops of symbolic links.
const DEPTH_MAX: usize = 64;
const NEAR_NAMES_MAX: usize = 3;
/// Extensions of compressed files that cannot be read.
const UNREADABLE: [&str; 8] = ["xz", "lz4", "snappy", "zip", "deflate", "z", "lzo", "br"];
/// Text is about so many times larger than its compressed file.
const EXPANSION: u64 = 5;

/// One file of an input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InputFile {
    /// URL, as [`Location::url`] writes it.
    pub url: String,
    /// Size, in bytes.
    pub bytes: u64,
    /// Modification time, in milliseconds since 1970.
    pub modified_ms: i64,
    /// How it is compressed; never so for a format that compresses inside.
    pub compression: FileCompression,
    /// How its characters become bytes; UTF-8 for a format that has its own rules.
    pub encoding: Encoding,
}

impl InputFile {
    /// Whether its content is not what is stored: then it can be read from its first byte alone.
    #[must_use]
    pub const fn is_decoded(&self) -> bool {
        self.compression.is_some() || self.encoding.is_transcoded()
    }

    /// About how many bytes its content has: five times its size where it is compressed.
    #[must_use]
    pub const fn content_bytes_estimated(&self) -> u64 {
        if self.compression.is_some() { self.bytes.saturating_mul(EXPANSION) } else { self.bytes }
    }
}

/// Every file of an input, sorted by URL.
///
/// # Errors
/// A path that cannot be read or matches nothing, a file matched twice, a file compressed in a way that cannot be read, or too
/// many files.
pub async fn list_input(input: &InputSpec) -> Result<Vec<InputFile>, StorageError> {
    let paths = input.paths.clone();
    let compression = match &input.format {
        InputFormat::Csv(_) | InputFormat::Json => input.compression,
        InputFormat::Parquet => InputCompression::None,
    };
    let listing = tokio::task::spawn_blocking(move || list_all(&paths, compression));
    let listing = listing.await.map_err(|error| StorageError::from_io("list", "inputs", io::Error::other(error)))?;
    let mut files = listing?;
    if let InputFormat::Csv(options) = &input.format {
        files.iter_mut().for_each(|file| file.encoding = options.encoding);
    }
    Ok(files)
}

/// Every file behind `paths`, sorted by URL, and compressed as its extension says.
///
/// # Errors
/// As [`list_input`].
pub async fn list_inputs(paths: &[String], format: &InputFormat) -> Result<Vec<InputFile>, StorageError> {
    let (schema, on_error, compression) = (None, OnError::default(), InputCompression::Auto);
    list_input(&InputSpec { paths: paths.to_vec(), format: format.clone(), compression, schema, on_error }).await
}

fn list_all(paths: &[String], compression: InputCompression) -> Result<Vec<InputFile>, StorageError> {
    let mut found = BTreeMap::new();
    for path in paths {
        let location = Location::parse(path)?;
        let before = found.len();
        let mut walk = Walk { from: path, found: &mut found };
        let pattern = Pattern::parse(location.local_path());
        walk.expand(Path::new("/"), &pattern.components)?;
        if found.len() == before {
            return Err(missing(&location));
        }
    }
    let mut files: Vec<InputFile> = found.into_values().map(|(_, file)| file).collect();
    for file in &mut files {
        file.compression = compression_of(file, compression)?;
    }
    Ok(files)
}

/// Fills `found` with the files behind one path of the input.
struct Walk<'a> {
    from: &'a str,
    found: &'a mut BTreeMap<PathBuf, (String, InputFile)>,
}

impl Walk<'_> {
    /// Follows the rest of a pattern below `path`.
    fn expand(&mut self, path: &Path, rest: &[crate::glob::Component]) -> Result<(), StorageError> {
        let Some((component, rest)) = rest.split_first() else {
            return self.take(path, 0);
        };
        let named = path.join(&component.text);
        if component.is_name() || named.is_symlink() || named.exists() {
            return if named.is_symlink() || named.exists() { self.expand(&named, rest) } else { Ok(()) };
        }
        if !path.is_dir() {
            return Ok(());
        }
        for (name, child) in children(path)? {
            if component.matches(&name) && (component.names_hidden() || !is_hidden(&name)) {
                self.expand(&child, rest)?;
            }
        }
        Ok(())
    }

    /// Takes a file, or every visible file below a directory.
    fn take(&mut self, path: &Path, depth: usize) -> Result<(), StorageError> {
        let metadata = fs::metadata(path).map_err(|error| StorageError::from_io("read", show(path), error))?;
        if metadata.is_file() {
            return self.add(path, &metadata);
        }
        if !metadata.is_dir() {
            return Err(unusable(path, "it is neither a file nor a directory"));
        }
        if depth == DEPTH_MAX {
            return Err(unusable(path, "directories are nested too deeply; is there a loop of symbolic links?"));
        }
        for (name, child) in children(path)? {
            if !is_hidden(&name) {
                self.take(&child, depth + 1)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, metadata: &fs::Metadata) -> Result<(), StorageError> {
        let modified = metadata.modified().map_err(|error| StorageError::from_io("read", show(path), error))?;
        let file = InputFile {
            url: Location::from_local(path.to_owned()).url(),
            bytes: metadata.len(),
            modified_ms: milliseconds(modified),
            compression: FileCompression::None,
            encoding: Encoding::Utf8,
        };
        if let Some((first, _)) = self.found.insert(path.to_owned(), (self.from.to_owned(), file)) {
            let problem = format!("both `{first}` and `{}` match it; its records would be read twice", self.from);
            return Err(unusable(path, problem));
        }
        if self.found.len() > FILES_MAX {
            return Err(unusable(path, format!("the input has more than {FILES_MAX} files")));
        }
        Ok(())
    }
}

fn children(directory: &Path) -> Result<Vec<(String, PathBuf)>, StorageError> {
    let read = |error| StorageError::from_io("list", show(directory), error);
    let mut children = Vec::new();
    for entry in fs::read_dir(directory).map_err(read)? {
        let entry = entry.map_err(read)?;
        let Ok(name) = entry.file_name().into_string() else {
            return Err(unusable(&entry.path(), "its name is not valid UTF-8; rename it"));
        };
        children.push((name, entry.path()));
    }
    children.sort();
    Ok(children)
}

fn is_hidden(name: &str) -> bool {
    name.starts_with(['.', '_']) && !name.contains('=')
}

/// How a file is compressed, if it can be read.
fn compression_of(file: &InputFile, asked: InputCompression) -> Result<FileCompression, StorageError> {
    let path = Path::new(file.url.trim_start_matches("file://"));
    let extension = file.url.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    if asked == InputCompression::Auto && UNREADABLE.contains(&extension.as_str()) {
        let problem = format!(
            "`.{extension}` files cannot be read; decompress the file, or compress it with gzip, bzip2 or zstd; if it is plain, set \
             compression = \"none\""
        );
        return Err(unusable(path, problem));
    }
    let compression = asked.of_file(&file.url);
    if compression.is_some() && file.bytes == 0 {
        let problem = format!("it is truncated: a {} file is never empty; write it again", compression.name());
        return Err(unusable(path, problem));
    }
    Ok(compression)
}

/// The error for a path that matched nothing, with names in its directory that look alike.
fn missing(location: &Location) -> StorageError {
    let path = location.to_string();
    if location.local_path().is_dir() {
        return unusable(
            location.local_path(),
            "the directory has no files (names that begin with `.` or `_` are skipped)",
        );
    }
    let (Some(parent), Some(name)) = (location.parent(), location.name()) else {
        return StorageError::Missing { path, near: Vec::new() };
    };
    let names = children(parent.local_path()).unwrap_or_default();
    let mut near: Vec<(usize, String)> = names
        .into_iter()
        .map(|(candidate, _)| (strsim::damerau_levenshtein(name, &candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(name.len()) / 4)
        .collect();
    near.sort();
    near.truncate(NEAR_NAMES_MAX);
    StorageError::Missing { path, near: near.into_iter().map(|(_, candidate)| candidate).collect() }
}

fn unusable(path: &Path, problem: impl Into<String>) -> StorageError {
    StorageError::Unusable { path: show(path), problem: problem.into() }
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

/// Milliseconds since 1970, rounded down as the stores do it.
fn milliseconds(time: SystemTime) -> i64 {
    let clamp = |milliseconds: u128| i64::try_from(milliseconds).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => clamp(after.as_millis()),
        Err(before) => -clamp(before.duration().as_nanos().div_ceil(1_000_000)),
    }
}

#[cfg(test)]
mod tests;
