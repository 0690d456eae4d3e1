//! Writes one new file, and makes sure that it outlives a crash before anybody hears of it.
//!
//! It never replaces a file: two attempts that were given the same name must not be able to mix their rows. What is to be in HDFS
//! is kept on the local disk until it is there, because a write that fails there has to begin again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hearth_hdfs::{Depth, Hdfs, HdfsUrl, Spool, Upload};

use crate::location::Place;
use crate::{Location, Storage, StorageError};

/// A file that is being written. Dropped before [`FileWriter::finish`], it leaves nothing.
#[derive(Debug)]
pub struct FileWriter {
    target: Target,
    bytes: u64,
}

#[derive(Debug)]
enum Target {
    Local(LocalFile),
    Hdfs { hdfs: Hdfs, url: HdfsUrl, spool: Spool },
}

/// Removed with this value, unless it was finished.
#[derive(Debug)]
struct LocalFile {
    file: File,
    path: PathBuf,
    finished: bool,
}

/// A file that was written whole.
#[derive(Debug)]
pub struct StoredFile {
    place: StoredPlace,
    bytes: u64,
}

#[derive(Debug)]
enum StoredPlace {
    Local(PathBuf),
    Hdfs(Hdfs, HdfsUrl),
}

impl Storage {
    /// Begins a new file. On a local file system, the directories above it are made; in HDFS the one that it is in must exist, so
    /// that a writer that lives too long cannot bring back a directory that was removed.
    ///
    /// # Errors
    /// The location cannot be used, the file exists, or the file system refuses.
    pub fn create_file(&self, location_url: &str) -> Result<FileWriter, StorageError> {
        let location = Location::parse(location_url)?;
        let target = match location.place() {
            Place::Local(path) => Target::Local(LocalFile::create(path)?),
            Place::Hdfs(url) => {
                let spool = Spool::create_in(self.spool()).map_err(StorageError::from_hdfs)?;
                Target::Hdfs { hdfs: self.hdfs(url)?, url: url.clone(), spool }
            }
        };
        Ok(FileWriter { target, bytes: 0 })
    }
}

impl LocalFile {
    fn create(path: &Path) -> Result<Self, StorageError> {
        let fail = |error| StorageError::from_io("create", path.display().to_string(), error);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(fail)?;
        }
        let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(fail)?;
        Ok(Self { file, path: path.to_owned(), finished: false })
    }

    /// Brings the file and its name to the disk.
    fn finish(mut self) -> Result<PathBuf, StorageError> {
        let synced = self.file.sync_all().and_then(|()| sync_directory(&self.path));
        synced.map_err(|error| StorageError::from_io("write", self.path.display().to_string(), error))?;
        self.finished = true;
        Ok(self.path.clone())
    }
}

impl FileWriter {
    /// Bytes written so far.
    #[must_use]
    pub const fn bytes_written(&self) -> u64 {
        self.bytes
    }

    /// Brings the file and its name to disks. In HDFS that takes as long as its settings allow.
    ///
    /// # Errors
    /// The storage refuses; nothing is left then.
    pub async fn finish(self) -> Result<StoredFile, StorageError> {
        let bytes = self.bytes;
        let place = match self.target {
            Target::Local(file) => StoredPlace::Local(file.finish()?),
            Target::Hdfs { hdfs, url, mut spool } => {
                let flushed = spool.flush();
                flushed.map_err(|error| StorageError::from_io("write", spool.path().display().to_string(), error))?;
                hdfs.upload(&url, &Upload::new(spool.content())).await.map_err(StorageError::from_hdfs)?;
                StoredPlace::Hdfs(hdfs, url)
            }
        };
        Ok(StoredFile { place, bytes })
    }
}

impl StoredFile {
    /// Its size, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Removes it, as far as that is possible now: it is in a staging directory, which goes with its job in any case. In HDFS this
    /// goes on behind the caller's back.
    pub fn discard(self) {
        match self.place {
            StoredPlace::Local(path) => {
                if let Err(error) = fs::remove_file(&path) {
                    tracing::warn!(path = %path.display(), %error, "could not remove a staged file");
                }
            }
            StoredPlace::Hdfs(hdfs, url) => {
                let handle = hdfs.clone();
                drop(handle.spawn(async move {
                    if let Err(error) = hdfs.remove(&url, Depth::One).await {
                        tracing::warn!(%url, %error, "could not remove a staged file");
                    }
                }));
            }
        }
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
        let written = match &mut self.target {
            Target::Local(local) => local.file.write(data)?,
            Target::Hdfs { spool, .. } => spool.write(data)?,
        };
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.target {
            Target::Local(local) => local.file.flush(),
            Target::Hdfs { spool, .. } => spool.flush(),
        }
    }
}

impl Drop for LocalFile {
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

    fn create(target: &str) -> Result<FileWriter, StorageError> {
        Storage::default().create_file(target)
    }

    #[tokio::test]
    async fn writes_below_directories_that_are_not_there_yet() {
        let directory = tempfile::tempdir().unwrap();
        let target = url(&directory, "a/b/c.bin");
        let mut writer = create(&target).unwrap();
        writer.write_all(b"rows").unwrap();
        assert_eq!(writer.bytes_written(), 4);
        let stored = writer.finish().await.unwrap();
        assert_eq!(stored.bytes(), 4);
        assert_eq!(fs::read(&target).unwrap(), b"rows");
        stored.discard();
        assert!(!Path::new(&target).exists());
    }

    #[test]
    fn never_overwrites() {
        let directory = tempfile::tempdir().unwrap();
        let target = url(&directory, "a.bin");
        fs::write(&target, b"first").unwrap();
        let error = create(&target).unwrap_err();
        assert!(matches!(error, StorageError::Exists { .. }), "{error}");
        assert_eq!(fs::read(&target).unwrap(), b"first", "the failed attempt removed nothing");
    }

    #[test]
    fn an_unfinished_file_goes_away() {
        let directory = tempfile::tempdir().unwrap();
        let target = url(&directory, "a.bin");
        let mut writer = create(&target).unwrap();
        writer.write_all(b"half").unwrap();
        drop(writer);
        assert!(!Path::new(&target).exists());
    }
}
