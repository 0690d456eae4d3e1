//! Writes one new file, and makes sure that it is on disk before anybody hears of it.
//!
//! It never replaces a file: two attempts that were given the same name must not be able to mix their rows.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::{Location, StorageError};

/// A file that is being written. Dropped before [`FileWriter::finish`], it is removed again.
#[derive(Debug)]
pub struct FileWriter {
    file: File,
    path: PathBuf,
    bytes: u64,
    finished: bool,
}

impl FileWriter {
    /// Makes a new file, and the directories above it.
    ///
    /// # Errors
    /// The location cannot be used, the file exists, or the file system refuses.
    pub fn create(location_url: &str) -> Result<Self, StorageError> {
        let location = Location::parse(location_url)?;
        let path = location.local_path().to_path_buf();
        let fail = |error| StorageError::from_io("create", path.display().to_string(), error);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(fail)?;
        }
        let file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(fail)?;
        Ok(Self { file, path, bytes: 0, finished: false })
    }

    /// Bytes written so far.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.bytes
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Brings the file and its name to the disk. Answers with its size in bytes.
    ///
    /// # Errors
    /// The file system refuses; the file is then removed.
    pub fn finish(mut self) -> Result<u64, StorageError> {
        let synced = self.file.sync_all().and_then(|()| sync_directory(&self.path));
        synced.map_err(|error| StorageError::from_io("write", self.path.display().to_string(), error))?;
        self.finished = true;
        Ok(self.bytes)
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

impl Write for FileWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.file.write(data)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "could not remove an unfinished file");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(directory: &tempfile::TempDir, name: &str) -> String {
        directory.path().join(name).display().to_string()
    }

    #[test]
    fn writes_below_directories_that_are_not_there_yet() {
        let directory = tempfile::tempdir().unwrap();
        let target = url(&directory, "a/b/c.bin");
        let mut writer = FileWriter::create(&target).unwrap();
        writer.write_all(b"rows").unwrap();
        assert_eq!(writer.bytes_written(), 4);
        assert_eq!(writer.finish().unwrap(), 4);
        assert_eq!(fs::read(target).unwrap(), b"rows");
    }

    #[test]
    fn never_overwrites() {
        let directory = tempfile::tempdir().unwrap();
        let target = url(&directory, "a.bin");
        fs::write(&target, b"first").unwrap();
        let error = FileWriter::create(&target).unwrap_err();
        assert!(matches!(error, StorageError::Exists { .. }), "{error}");
        assert_eq!(fs::read(&target).unwrap(), b"first", "the failed attempt removed nothing");
    }

    #[test]
    fn an_unfinished_file_goes_away() {
        let directory = tempfile::tempdir().unwrap();
        let target = url(&directory, "a.bin");
        let mut writer = FileWriter::create(&target).unwrap();
        writer.write_all(b"half").unwrap();
        drop(writer);
        assert!(!Path::new(&target).exists());
    }
}
