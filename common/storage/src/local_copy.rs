//! A file as one on the local disk, for readers that seek: itself where it is local, else a copy that is removed with this value.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use hearth_hdfs::{Hdfs, HdfsFile, HdfsUrl, Spool};

use crate::location::Place;
use crate::{Location, Storage, StorageError};

/// A local file with the content of another.
#[derive(Debug)]
pub struct LocalCopy {
    path: PathBuf,
    _spool: Option<Spool>,
}

impl LocalCopy {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Storage {
    /// Brings a file to the local disk, if it is not there.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn local_copy(&self, file: &Location) -> Result<LocalCopy, StorageError> {
        match file.place() {
            Place::Local(path) => Ok(LocalCopy { path: path.clone(), _spool: None }),
            Place::Hdfs(url) => {
                let hdfs = self.hdfs(url)?;
                let spool = Spool::create_in(self.spool()).map_err(StorageError::from_hdfs)?;
                let spool = fetch(&hdfs, url, spool).await?;
                Ok(LocalCopy { path: spool.path().to_owned(), _spool: Some(spool) })
            }
        }
    }
}

async fn fetch(hdfs: &Hdfs, url: &HdfsUrl, mut spool: Spool) -> Result<Spool, StorageError> {
    let file = hdfs.wait_quietly(|| HdfsFile::open(hdfs, url)).await.map_err(StorageError::from_hdfs)?;
    let mut chunks = file.stream(0..file.bytes()).map_err(StorageError::from_hdfs)?;
    while let Some(chunk) = chunks.next().await.map_err(StorageError::from_hdfs)? {
        let written = spool.write_all(&chunk);
        written.map_err(|error| StorageError::from_io("write", spool.path().display().to_string(), error))?;
    }
    Ok(spool)
}
