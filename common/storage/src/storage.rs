//! The one handle of a process on every storage it can reach. Cheap to clone; all clones share their connections.
//!
//! It is made once from the configuration and handed to whoever lists, reads, writes or commits, so that nothing hidden decides
//! which cluster or user a job meets. HDFS is looked for when a location in it is used first: whoever has none pays nothing for it,
//! and a Hadoop configuration that is broken does not keep local jobs from running.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion_execution::object_store::ObjectStoreRegistry;
use hearth_hdfs::{Clusters, CountersSnapshot, Hdfs, HdfsError, HdfsSettings, HdfsStore, HdfsUrl, Waits};

use crate::commit_fs::HdfsCommitFs;
use crate::location::Place;
use crate::stores::Stores;
use crate::{CommitFs, LocalCommitFs, Location, StorageError};

/// Every storage that a process can reach.
#[derive(Debug, Clone)]
pub struct Storage {
    remote: Arc<Remote>,
    spool: PathBuf,
    waits: Waits,
}

#[derive(Debug)]
struct Remote {
    settings: HdfsSettings,
    open: Mutex<Open>,
}

/// What was used so far.
#[derive(Debug, Default)]
struct Open {
    clusters: Option<Clusters>,
    stores: BTreeMap<String, HdfsStore>,
}

impl Default for Storage {
    /// With default settings, and Hadoop's configuration where the environment says.
    fn default() -> Self {
        Self::new(HdfsSettings::default())
    }
}

impl Storage {
    /// With settings that were [validated](HdfsSettings::validate). Nothing is connected yet.
    #[must_use]
    pub fn new(settings: HdfsSettings) -> Self {
        let remote = Remote { settings, open: Mutex::default() };
        Self { remote: Arc::new(remote), spool: std::env::temp_dir(), waits: Waits::default() }
    }

    /// The same, with a directory of its own for files on their way to or from HDFS. It must exist when such a file is made.
    #[must_use]
    pub fn with_spool(&self, directory: PathBuf) -> Self {
        Self { spool: directory, ..self.clone() }
    }

    /// The same, for a piece of work that tells why it waits for HDFS.
    #[must_use]
    pub fn telling(&self, waits: Waits) -> Self {
        Self { waits, ..self.clone() }
    }

    /// The primitives for the storage that `location` is in.
    #[must_use]
    pub fn commit_fs(&self, location: &Location) -> Arc<dyn CommitFs> {
        match location.place() {
            Place::Local(_) => Arc::new(LocalCommitFs),
            Place::Hdfs(_) => Arc::new(HdfsCommitFs::new(self.clone())),
        }
    }

    /// Every storage as an object store, for an engine that reads through those.
    #[must_use]
    pub fn stores(&self) -> Arc<dyn ObjectStoreRegistry> {
        Arc::new(Stores::new(self.clone()))
    }

    /// What was asked of HDFS so far, over all clusters; nothing where none was used.
    #[must_use]
    pub fn hdfs_counts(&self) -> CountersSnapshot {
        self.with_open(|open| open.clusters.as_ref().map(Clusters::counts)).unwrap_or_default()
    }

    pub(crate) fn spool(&self) -> &Path {
        &self.spool
    }

    pub(crate) fn hdfs(&self, url: &HdfsUrl) -> Result<Hdfs, StorageError> {
        let hdfs = self.with_open(|open| open.cluster(&self.remote.settings, url));
        Ok(hdfs.map_err(StorageError::from_hdfs)?.telling(self.waits.clone()))
    }

    pub(crate) fn hdfs_store(&self, url: &HdfsUrl) -> Result<HdfsStore, StorageError> {
        let store = self.with_open(|open| -> Result<HdfsStore, HdfsError> {
            if let Some(store) = open.stores.get(url.authority()) {
                return Ok(store.clone());
            }
            let store = HdfsStore::new(open.cluster(&self.remote.settings, url)?);
            open.stores.insert(url.authority().to_owned(), store.clone());
            Ok(store)
        });
        Ok(store.map_err(StorageError::from_hdfs)?.telling(self.waits.clone()))
    }

    fn with_open<T>(&self, work: impl FnOnce(&mut Open) -> T) -> T {
        work(&mut self.remote.open.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Open {
    fn cluster(&mut self, settings: &HdfsSettings, url: &HdfsUrl) -> Result<Hdfs, HdfsError> {
        let clusters: &Clusters = match &self.clusters {
            Some(clusters) => clusters,
            None => self.clusters.insert(Clusters::new(settings.clone())?),
        };
        clusters.at(url)
    }
}
