//! Finds the input files behind paths, directories and globs. An input that matches nothing is an error, never an empty table.
//!
//! Hidden names (`.x`, `_x`) are skipped as Hadoop does, unless they are named in full.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use hearth_common::{
    Encoding, FileCompression, InputCompression, InputFormat, InputSpec, InputSplit, OnError, SplitLink,
};

use crate::glob::Pattern;
use crate::location::Place;
use crate::{Location, Storage, StorageError};

mod hdfs;

/// Most files of one input.
pub const FILES_MAX: usize = 1_000_000;
/// Deepest directory below a path. Also ends loops of symbolic links.
const DEPTH_MAX: usize = 64;
const NEAR_NAMES_MAX: usize = 3;
const NO_FILES: &str = "the directory has no files (names that begin with `.` or `_` are skipped)";
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
    /// The piece of it from the first of two bytes on, up to the second.
    #[must_use]
    pub fn split(&self, (start, end): (u64, u64), link: Option<SplitLink>) -> InputSplit {
        InputSplit {
            url: self.url.clone(),
            file_bytes: self.bytes,
            modified_ms: self.modified_ms,
            compression: self.compression,
            start,
            end,
            link,
        }
    }

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

/// Files by where they are, each with the path of the input that matched it.
#[derive(Debug, Default)]
struct Found {
    files: BTreeMap<Location, (String, InputFile)>,
}

impl Found {
    fn add(&mut self, from: &str, at: Location, file: InputFile) -> Result<(), StorageError> {
        let shown = at.to_string();
        if let Some((first, _)) = self.files.insert(at, (from.to_owned(), file)) {
            let problem = format!("both `{first}` and `{from}` match it; its records would be read twice");
            return Err(StorageError::Unusable { path: shown, problem });
        }
        if self.files.len() > FILES_MAX {
            let problem = format!("the input has more than {FILES_MAX} files");
            return Err(StorageError::Unusable { path: shown, problem });
        }
        Ok(())
    }
}

impl Storage {
    /// Every file of an input, sorted by where it is.
    ///
    /// # Errors
    /// A path that cannot be read or matches nothing, a file matched twice, a file compressed in a way that cannot be read, or too
    /// many files.
    pub async fn list_input(&self, input: &InputSpec) -> Result<Vec<InputFile>, StorageError> {
        let compression = match &input.format {
            InputFormat::Csv(_) | InputFormat::Json => input.compression,
            InputFormat::Parquet => InputCompression::None,
        };
        let mut found = Found::default();
        for path in &input.paths {
            let location = Location::parse(path)?;
            found = match location.place() {
                Place::Local(_) => list_local_away(path.clone(), location, found).await?,
                Place::Hdfs(url) => hdfs::list(&self.hdfs(url)?, path, url, found).await?,
            };
        }
        let mut files = files_of(found, compression)?;
        if let InputFormat::Csv(options) = &input.format {
            files.iter_mut().for_each(|file| file.encoding = options.encoding);
        }
        Ok(files)
    }
}

/// Every file behind `paths`, sorted by where it is, and compressed as its extension says.
///
/// # Errors
/// As [`Storage::list_input`].
pub async fn list_inputs(paths: &[String], format: &InputFormat) -> Result<Vec<InputFile>, StorageError> {
    let (schema, on_error, compression) = (None, OnError::default(), InputCompression::Auto);
    let input = InputSpec { paths: paths.to_vec(), format: format.clone(), compression, schema, on_error };
    Storage::default().list_input(&input).await
}

/// Lists away from the async threads.
async fn list_local_away(from: String, location: Location, found: Found) -> Result<Found, StorageError> {
    let listing = tokio::task::spawn_blocking(move || list_local(&from, &location, found));
    listing.await.map_err(|error| StorageError::from_io("list", "inputs", io::Error::other(error)))?
}

fn list_local(from: &str, location: &Location, mut found: Found) -> Result<Found, StorageError> {
    let path = location.local_path().unwrap_or(Path::new("/"));
    let before = found.files.len();
    Walk { from, found: &mut found }.expand(Path::new("/"), &Pattern::parse(path).components)?;
    if found.files.len() == before {
        return Err(missing(location, path));
    }
    Ok(found)
}

fn files_of(found: Found, compression: InputCompression) -> Result<Vec<InputFile>, StorageError> {
    let files = found.files.into_iter().map(|(at, (_, file))| -> Result<InputFile, StorageError> {
        let compression = compression_of(&at, &file, compression)?;
        Ok(InputFile { compression, ..file })
    });
    files.collect()
}

/// Fills `found` with the files behind one path of the input.
struct Walk<'a> {
    from: &'a str,
    found: &'a mut Found,
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
        let at = Location::from_local(path.to_owned());
        let file = InputFile {
            url: at.url(),
            bytes: metadata.len(),
            modified_ms: milliseconds(modified),
            compression: FileCompression::None,
            encoding: Encoding::Utf8,
        };
        self.found.add(self.from, at, file)
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
fn compression_of(at: &Location, file: &InputFile, asked: InputCompression) -> Result<FileCompression, StorageError> {
    let unusable = |problem: String| Err(StorageError::Unusable { path: at.to_string(), problem });
    let extension = file.url.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    if asked == InputCompression::Auto && UNREADABLE.contains(&extension.as_str()) {
        return unusable(format!(
            "`.{extension}` files cannot be read; decompress the file, or compress it with gzip, bzip2 or zstd; if it is plain, set \
             compression = \"none\""
        ));
    }
    let compression = asked.of_file(&file.url);
    if compression.is_some() && file.bytes == 0 {
        return unusable(format!("it is truncated: a {} file is never empty; write it again", compression.name()));
    }
    Ok(compression)
}

/// The error for a path that matched nothing, with names in its directory that look alike.
fn missing(location: &Location, path: &Path) -> StorageError {
    if path.is_dir() {
        return unusable(path, NO_FILES);
    }
    let (Some(parent), Some(name)) = (path.parent(), location.name()) else {
        return StorageError::Missing { path: location.to_string(), near: Vec::new() };
    };
    let names = children(parent).unwrap_or_default();
    StorageError::Missing {
        path: location.to_string(),
        near: near_names(name, names.into_iter().map(|(name, _)| name)),
    }
}

/// Those of `names` that look like `name`, the likest first.
fn near_names(name: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    let mut near: Vec<(usize, String)> = names
        .map(|candidate| (strsim::damerau_levenshtein(name, &candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(name.len()) / 4)
        .collect();
    near.sort();
    near.truncate(NEAR_NAMES_MAX);
    near.into_iter().map(|(_, candidate)| candidate).collect()
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
