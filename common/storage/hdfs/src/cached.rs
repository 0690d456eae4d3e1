//! Files that were looked at or opened a moment ago, so that many short reads of one file cost few calls.
//!
//! Parquet is read in ranges, each a request of its own. A file is looked at again after a while, and opened again when its length or
//! time differs. Until then readers see the file as it was: HDFS files do not change, they are replaced.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::client::lock;
use crate::error::Action;
use crate::{Entry, Hdfs, HdfsError, HdfsFile, HdfsUrl, Kind, Waits};

/// How long a look is believed.
const FRESH: Duration = Duration::from_secs(5);
const FILES_MAX: usize = 512;

/// The files known of one cluster.
#[derive(Debug, Default)]
pub(crate) struct CachedFiles {
    files: Mutex<BTreeMap<String, Known>>,
}

#[derive(Debug, Clone)]
struct Known {
    entry: Entry,
    file: Option<HdfsFile>,
    looked: Instant,
    used: Instant,
}

impl CachedFiles {
    /// What stands under the name of a file, or stood there a moment ago.
    pub(crate) async fn entry(&self, hdfs: &Hdfs, url: &HdfsUrl) -> Result<Entry, HdfsError> {
        match self.known(url).filter(|known| known.looked.elapsed() < FRESH) {
            Some(known) => Ok(known.entry),
            None => self.look(hdfs, url).await,
        }
    }

    /// What stands under the name of a file now. Later reads are of that file. A `NameNode` that does not answer is waited for.
    pub(crate) async fn look(&self, hdfs: &Hdfs, url: &HdfsUrl) -> Result<Entry, HdfsError> {
        let known = self.known(url);
        let entry = hdfs.wait_quietly(|| hdfs.stat(url)).await;
        let action = Action { verb: "read", path: url };
        let entry = match entry {
            Ok(entry) if entry.kind == Kind::File => entry,
            Ok(_) => return Err(action.is_directory()),
            Err(error) => {
                lock(&self.files).remove(url.path());
                return Err(error);
            }
        };
        let file = known.and_then(|known| known.file.filter(|_| known.entry == entry));
        self.remember(url, entry.clone(), file);
        Ok(entry)
    }

    /// The file, open.
    pub(crate) async fn file(&self, hdfs: &Hdfs, url: &HdfsUrl) -> Result<(Entry, HdfsFile), HdfsError> {
        let entry = self.entry(hdfs, url).await?;
        if let Some(file) = self.known(url).filter(|known| known.entry == entry).and_then(|known| known.file) {
            return Ok((entry, file.through(hdfs)));
        }
        let file = hdfs.wait_quietly(|| HdfsFile::open(hdfs, url)).await?;
        if file.bytes() != entry.bytes {
            lock(&self.files).remove(url.path());
            return Err(HdfsError::Changed { path: url.to_string(), before: entry.bytes, now: file.bytes() });
        }
        // What is kept must not keep the waits of one piece of work alive.
        self.remember(url, entry.clone(), Some(file.through(&hdfs.telling(Waits::default()))));
        Ok((entry, file))
    }

    fn known(&self, url: &HdfsUrl) -> Option<Known> {
        let mut files = lock(&self.files);
        let known = files.get_mut(url.path())?;
        known.used = Instant::now();
        Some(known.clone())
    }

    fn remember(&self, url: &HdfsUrl, entry: Entry, file: Option<HdfsFile>) {
        let now = Instant::now();
        let mut files = lock(&self.files);
        files.insert(url.path().to_owned(), Known { entry, file, looked: now, used: now });
        if files.len() > FILES_MAX {
            let oldest = files.iter().min_by_key(|(_, known)| known.used).map(|(path, _)| path.clone());
            oldest.and_then(|path| files.remove(&path));
        }
    }
}
