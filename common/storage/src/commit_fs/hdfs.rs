//! The primitives on HDFS. A lost answer is settled by looking, below; a NameNode that does not answer or is in safe mode is waited
//! for, as long as the settings say.

use std::future::Future;

use async_trait::async_trait;
use hearth_hdfs::{Content, Depth, Entry, Hdfs, HdfsError, HdfsUrl, Kind, Overwrite, Upload};

use super::{CommitFs, EntryKind, Exchange, ListedFile};
use crate::location::Place;
use crate::{FILES_MAX, Location, Storage, StorageError};

/// HDFS.
#[derive(Debug)]
pub(crate) struct HdfsCommitFs {
    storage: Storage,
}

impl HdfsCommitFs {
    pub(crate) const fn new(storage: Storage) -> Self {
        Self { storage }
    }

    fn open<'a>(&self, at: &'a Location) -> Result<(Hdfs, &'a HdfsUrl), StorageError> {
        let url = url_of(at)?;
        Ok((self.storage.hdfs(url)?, url))
    }

    async fn rename(&self, from: &Location, to: &Location, overwrite: Overwrite) -> Result<(), StorageError> {
        let ((hdfs, from), to) = (self.open(from)?, url_of(to)?);
        wait(&hdfs, || hdfs.rename(from, to, overwrite)).await
    }
}

fn url_of(at: &Location) -> Result<&HdfsUrl, StorageError> {
    match at.place() {
        Place::Hdfs(url) => Ok(url),
        Place::Local(_) => {
            Err(StorageError::Location { text: at.to_string(), problem: "it is not in HDFS".to_owned() })
        }
    }
}

async fn wait<T, F>(hdfs: &Hdfs, operation: impl Fn() -> F) -> Result<T, StorageError>
where
    F: Future<Output = Result<T, HdfsError>>,
{
    hdfs.wait_quietly(operation).await.map_err(StorageError::from_hdfs)
}

#[async_trait]
impl CommitFs for HdfsCommitFs {
    async fn kind(&self, at: &Location) -> Result<Option<EntryKind>, StorageError> {
        let (hdfs, url) = self.open(at)?;
        let entry = wait(&hdfs, || hdfs.entry(url)).await?;
        Ok(entry.map(|entry| match entry.kind {
            Kind::Directory => EntryKind::Directory,
            Kind::File => EntryKind::File,
        }))
    }

    async fn list(&self, directory: &Location) -> Result<Vec<ListedFile>, StorageError> {
        let (hdfs, url) = self.open(directory)?;
        match wait(&hdfs, || hdfs.list_all(url, Depth::All, FILES_MAX)).await {
            Ok(entries) => Ok(listed(url, entries)),
            // Also where a directory below it vanished while it was listed: the one that is asked for tells.
            Err(StorageError::Missing { .. }) if self.kind(directory).await?.is_none() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn read_small(&self, file: &Location, bytes_max: u64) -> Result<Option<Vec<u8>>, StorageError> {
        let (hdfs, url) = self.open(file)?;
        let content = hdfs.wait_quietly(|| hdfs.read_small(url, bytes_max)).await;
        match content {
            Ok(content) => Ok(content.map(Vec::from)),
            Err(error @ (HdfsError::IsDirectory { .. } | HdfsError::Refused { .. })) => {
                Err(StorageError::Unusable { path: url.to_string(), problem: error.to_string() })
            }
            Err(error) => Err(StorageError::from_hdfs(error)),
        }
    }

    async fn create_dir_all(&self, directory: &Location) -> Result<(), StorageError> {
        let (hdfs, url) = self.open(directory)?;
        wait(&hdfs, || hdfs.make_directories(url)).await
    }

    async fn create_dir(&self, directory: &Location) -> Result<(), StorageError> {
        let (hdfs, url) = self.open(directory)?;
        wait(&hdfs, || hdfs.ensure_directory(url)).await
    }

    async fn names(&self, directory: &Location) -> Result<Vec<String>, StorageError> {
        let (hdfs, url) = self.open(directory)?;
        let entries = match wait(&hdfs, || hdfs.list_all(url, Depth::One, FILES_MAX)).await {
            Err(StorageError::Missing { .. }) => Vec::new(),
            listed => listed?,
        };
        let name = |entry: &Entry| entry.path.rsplit('/').next().unwrap_or_default().to_owned();
        Ok(entries.iter().map(name).collect())
    }

    async fn rename_no_replace(&self, from: &Location, to: &Location) -> Result<(), StorageError> {
        self.rename(from, to, Overwrite::Never).await
    }

    async fn rename_replace(&self, from: &Location, to: &Location) -> Result<(), StorageError> {
        self.rename(from, to, Overwrite::File).await
    }

    async fn exchange(&self, _: &Location, _: &Location) -> Result<Exchange, StorageError> {
        Ok(Exchange::Unsupported)
    }

    async fn write_small(&self, file: &Location, content: Vec<u8>) -> Result<(), StorageError> {
        let (hdfs, url) = self.open(file)?;
        let upload = Upload { overwrite: Overwrite::File, ..Upload::new(Content::Bytes(content.into())) };
        wait(&hdfs, || hdfs.upload(url, &upload)).await.map(drop)
    }

    async fn remove_dir_all(&self, directory: &Location) -> Result<(), StorageError> {
        let (hdfs, url) = self.open(directory)?;
        wait(&hdfs, || hdfs.remove(url, Depth::All)).await.map(drop)
    }

    async fn remove_empty_dir(&self, directory: &Location) -> Result<(), StorageError> {
        let (hdfs, url) = self.open(directory)?;
        let removed = hdfs.wait_quietly(|| hdfs.remove(url, Depth::One)).await;
        match removed {
            Ok(_) | Err(HdfsError::NotEmpty { .. }) => Ok(()),
            Err(error) => Err(StorageError::from_hdfs(error)),
        }
    }

    /// The NameNode has every name on its disk before it answers.
    async fn sync_dir(&self, _: &Location) -> Result<(), StorageError> {
        Ok(())
    }
}

fn listed(root: &HdfsUrl, entries: Vec<Entry>) -> Vec<ListedFile> {
    let below = |path: &str| path.strip_prefix(root.path()).unwrap_or(path).trim_start_matches('/').to_owned();
    let files = entries.into_iter().filter(|entry| entry.kind == Kind::File);
    let mut files: Vec<ListedFile> =
        files.map(|entry| ListedFile { path: below(&entry.path), bytes: entry.bytes }).collect();
    files.sort_unstable();
    files
}
