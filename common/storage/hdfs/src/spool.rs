//! A local file that keeps what is to be written to HDFS until it is there, so that a write that fails can begin again.

use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::{Content, HdfsError};

/// The content of one file to be, on the local disk. Dropped, it is removed.
#[derive(Debug)]
pub struct Spool {
    file: NamedTempFile,
    bytes: u64,
}

impl Spool {
    /// An empty spool in a local directory that exists.
    ///
    /// # Errors
    /// [`HdfsError::Local`].
    pub fn create_in(directory: &Path) -> Result<Self, HdfsError> {
        let file = tempfile::Builder::new().prefix("spool-").tempfile_in(directory);
        let path = directory.display().to_string();
        let file = file.map_err(|source| HdfsError::Local { action: "make a spool in", path, source })?;
        Ok(Self { file, bytes: 0 })
    }

    /// Bytes written so far.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.bytes
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// What to give to [`crate::Hdfs::upload`]. The spool must live until that is done.
    #[must_use]
    pub fn content(&self) -> Content {
        Content::File(self.file.path().to_owned())
    }
}

impl Write for Spool {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.file.write(data)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
