//! The file system primitives that the commit stands on, each atomic where it says so, and safe to ask for again.
//!
//! They know nothing of jobs, and never decide: a caller that meets an error looks at both names and decides itself.

use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use crate::{Location, StorageError};

mod hdfs;

pub(crate) use hdfs::HdfsCommitFs;

/// A file below a listed directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedFile {
    /// Path below the directory, with `/` between its components.
    pub path: String,
    /// Its size, in bytes.
    pub bytes: u64,
}

/// What stands under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory, or a link to one.
    Directory,
    /// Anything else.
    File,
}

/// Whether two directories changed places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchange {
    /// They did, in one step.
    Done,
    /// This file system cannot; nothing happened.
    Unsupported,
}

/// What a commit may do to a file system.
#[async_trait]
pub trait CommitFs: Send + Sync + std::fmt::Debug {
    /// What stands under a name; `None` for nothing.
    async fn kind(&self, at: &Location) -> Result<Option<EntryKind>, StorageError>;

    /// Every file below a directory, sorted; a directory that is missing has none. Links are not followed.
    async fn list(&self, directory: &Location) -> Result<Vec<ListedFile>, StorageError>;

    /// The content of a file of at most `bytes_max` bytes; `None` where it is missing. [`StorageError::Io`] or
    /// [`StorageError::Unusable`] for what is larger, or not a file.
    async fn read_small(&self, file: &Location, bytes_max: u64) -> Result<Option<Vec<u8>>, StorageError>;

    /// Makes a directory and those above it.
    async fn create_dir_all(&self, directory: &Location) -> Result<(), StorageError>;

    /// Makes one directory; [`StorageError::Missing`] where the one above it is missing. One that exists is fine.
    async fn create_dir(&self, directory: &Location) -> Result<(), StorageError>;

    /// The names in a directory, in no order; one that is missing has none.
    async fn names(&self, directory: &Location) -> Result<Vec<String>, StorageError>;

    /// Renames a file or directory in one step; [`StorageError::Exists`] where something stands under the new name.
    async fn rename_no_replace(&self, from: &Location, to: &Location) -> Result<(), StorageError>;

    /// Renames a file in one step, over a file that may stand under the new name.
    async fn rename_replace(&self, from: &Location, to: &Location) -> Result<(), StorageError>;

    /// Lets two names change places in one step.
    async fn exchange(&self, one: &Location, other: &Location) -> Result<Exchange, StorageError>;

    /// Writes a small file whole and syncs it, over one that a crash may have left half written. A crash may leave a second,
    /// hidden file beside it.
    async fn write_small(&self, file: &Location, content: Vec<u8>) -> Result<(), StorageError>;

    /// Removes a directory and all below it, links as links; one that is missing is fine.
    async fn remove_dir_all(&self, directory: &Location) -> Result<(), StorageError>;

    /// Removes a directory if it is empty.
    async fn remove_empty_dir(&self, directory: &Location) -> Result<(), StorageError>;

    /// Makes the names in a directory outlive a power cut.
    async fn sync_dir(&self, directory: &Location) -> Result<(), StorageError>;
}

/// The local file system, or one that is mounted like it.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalCommitFs;

#[async_trait]
impl CommitFs for LocalCommitFs {
    async fn kind(&self, at: &Location) -> Result<Option<EntryKind>, StorageError> {
        blocking(at, |path| match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => Ok(Some(EntryKind::Directory)),
            Ok(_) => Ok(Some(EntryKind::File)),
            // A link that leads nowhere still takes the name.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(std::fs::symlink_metadata(&path).is_ok().then_some(EntryKind::File))
            }
            Err(error) => Err(StorageError::from_io("look at", display(&path), error)),
        })
        .await
    }

    async fn list(&self, directory: &Location) -> Result<Vec<ListedFile>, StorageError> {
        blocking(directory, |root| {
            let mut files = Vec::new();
            list_into(&root, "", &mut files)?;
            files.sort_unstable();
            Ok(files)
        })
        .await
    }

    async fn read_small(&self, file: &Location, bytes_max: u64) -> Result<Option<Vec<u8>>, StorageError> {
        blocking(file, move |path| match read_at_most(&path, bytes_max) {
            Ok(content) => Ok(Some(content)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(StorageError::from_io("read", display(&path), error)),
        })
        .await
    }

    async fn create_dir_all(&self, directory: &Location) -> Result<(), StorageError> {
        blocking(directory, |path| retry_create(&path)).await
    }

    async fn create_dir(&self, directory: &Location) -> Result<(), StorageError> {
        blocking(directory, |path| match std::fs::create_dir(&path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            Err(error) => Err(StorageError::from_io("make directory", display(&path), error)),
        })
        .await
    }

    async fn names(&self, directory: &Location) -> Result<Vec<String>, StorageError> {
        blocking(directory, |path| {
            let failed = |error| StorageError::from_io("list", display(&path), error);
            let entries = match std::fs::read_dir(&path) {
                Ok(entries) => entries,
                Err(error) if is_absent(&error) => return Ok(Vec::new()),
                Err(error) => return Err(failed(error)),
            };
            entries.map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned())).collect()
        })
        .await
    }

    async fn rename_no_replace(&self, from: &Location, to: &Location) -> Result<(), StorageError> {
        let to = local(to)?;
        blocking(from, move |from| rename_no_replace(&from, &to)).await
    }

    async fn rename_replace(&self, from: &Location, to: &Location) -> Result<(), StorageError> {
        let to = local(to)?;
        blocking(from, move |from| std::fs::rename(&from, &to).map_err(|error| rename_error(&from, &to, error))).await
    }

    async fn exchange(&self, one: &Location, other: &Location) -> Result<Exchange, StorageError> {
        let other = local(other)?;
        blocking(one, move |one| match rustix::fs::renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(Exchange::Done),
            Err(error) if is_unsupported(error) => Ok(Exchange::Unsupported),
            Err(error) => Err(rename_error(&one, &other, error.into())),
        })
        .await
    }

    async fn write_small(&self, file: &Location, content: Vec<u8>) -> Result<(), StorageError> {
        blocking(file, move |path| {
            write_and_sync(&path, &content).map_err(|error| StorageError::from_io("write", display(&path), error))
        })
        .await
    }

    async fn remove_dir_all(&self, directory: &Location) -> Result<(), StorageError> {
        blocking(directory, |path| remove_all(&path)).await
    }

    async fn remove_empty_dir(&self, directory: &Location) -> Result<(), StorageError> {
        blocking(directory, |path| match std::fs::remove_dir(&path) {
            Ok(()) => Ok(()),
            Err(error) if is_absent(&error) || error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            Err(error) => Err(StorageError::from_io("remove", display(&path), error)),
        })
        .await
    }

    async fn sync_dir(&self, directory: &Location) -> Result<(), StorageError> {
        blocking(directory, |path| {
            let synced = std::fs::File::open(&path).and_then(|directory| directory.sync_all());
            synced.map_err(|error| StorageError::from_io("sync", display(&path), error))
        })
        .await
    }
}

/// Runs a blocking call away from the async threads.
async fn blocking<T: Send + 'static>(
    at: &Location,
    call: impl FnOnce(PathBuf) -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    let path = local(at)?;
    let shown = display(&path);
    match tokio::task::spawn_blocking(move || call(path)).await {
        Ok(outcome) => outcome,
        Err(error) => Err(StorageError::from_io("work on", shown, io::Error::other(error))),
    }
}

fn local(at: &Location) -> Result<PathBuf, StorageError> {
    at.local_path().map(Path::to_owned).ok_or_else(|| StorageError::Location {
        text: at.to_string(),
        problem: "it is not on the local file system".to_owned(),
    })
}

fn display(path: &Path) -> String {
    path.display().to_string()
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn is_unsupported(error: Errno) -> bool {
    [Errno::NOSYS, Errno::INVAL, Errno::OPNOTSUPP, Errno::NOTSUP].contains(&error)
}

/// Names both ends; where the error is about one of them, the one it is about.
fn rename_error(from: &Path, to: &Path, error: io::Error) -> StorageError {
    let kind = error.kind();
    if kind == io::ErrorKind::NotFound {
        StorageError::from_io("rename", display(from), error)
    } else if kind == io::ErrorKind::AlreadyExists || kind == io::ErrorKind::DirectoryNotEmpty {
        StorageError::Exists { path: display(to) }
    } else {
        StorageError::from_io("rename", format!("{} to {}", from.display(), to.display()), error)
    }
}

fn rename_no_replace(from: &Path, to: &Path) -> Result<(), StorageError> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(error) if is_unsupported(error) => rename_after_look(from, to),
        Err(error) => Err(rename_error(from, to, error.into())),
    }
}

/// For file systems without `RENAME_NOREPLACE` (some network mounts). Between the look and the rename another process could
/// take the name; the names that commits use carry a job id, so only the destination itself could be contested.
fn rename_after_look(from: &Path, to: &Path) -> Result<(), StorageError> {
    match std::fs::symlink_metadata(to) {
        Ok(_) => Err(StorageError::Exists { path: display(to) }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::rename(from, to).map_err(|error| rename_error(from, to, error))
        }
        Err(error) => Err(StorageError::from_io("look at", display(to), error)),
    }
}

fn list_into(directory: &Path, below: &str, files: &mut Vec<ListedFile>) -> Result<(), StorageError> {
    let failed = |error| StorageError::from_io("list", display(directory), error);
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if below.is_empty() && error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let path = if below.is_empty() {
            name.to_string_lossy().into_owned()
        } else {
            format!("{below}/{}", name.to_string_lossy())
        };
        let metadata = entry.metadata().map_err(failed)?;
        if metadata.is_dir() {
            list_into(&entry.path(), &path, files)?;
        } else {
            files.push(ListedFile { path, bytes: metadata.len() });
        }
    }
    Ok(())
}

fn read_at_most(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut content = Vec::new();
    std::fs::File::open(path)?.take(bytes_max + 1).read_to_end(&mut content)?;
    if content.len() as u64 > bytes_max {
        return Err(io::Error::other(format!("it is larger than {bytes_max} bytes")));
    }
    Ok(content)
}

/// Another job may remove an empty parent between two steps of the call, so a parent that vanished is made again.
fn retry_create(path: &Path) -> Result<(), StorageError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match std::fs::create_dir_all(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < 10 => {}
            Err(error) => return Err(StorageError::from_io("make directory", display(path), error)),
        }
    }
}

fn write_and_sync(path: &Path, content: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// A writer that was told to stop may still add a file while the directory is removed; a few more tries get that too.
fn remove_all(path: &Path) -> Result<(), StorageError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let is_link = std::fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_dir());
        let removed = if is_link { std::fs::remove_file(path) } else { std::fs::remove_dir_all(path) };
        match removed {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && tries < 10 => {}
            Err(error) => return Err(StorageError::from_io("remove", display(path), error)),
        }
    }
}

#[cfg(test)]
mod tests;
