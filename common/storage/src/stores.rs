//! The object stores by URL, as an engine asks for them. Those of HDFS are made when they are asked for first.

use std::sync::Arc;

use datafusion_common::{DataFusionError, Result};
use datafusion_execution::object_store::{DefaultObjectStoreRegistry, ObjectStoreRegistry};
use hearth_hdfs::HdfsUrl;
use object_store::ObjectStore;
use url::{Position, Url};

use crate::{Storage, StorageError};

/// The local file system, and HDFS.
#[derive(Debug)]
pub(crate) struct Stores {
    storage: Storage,
    others: DefaultObjectStoreRegistry,
}

impl Stores {
    pub(crate) fn new(storage: Storage) -> Self {
        Self { storage, others: DefaultObjectStoreRegistry::new() }
    }
}

impl ObjectStoreRegistry for Stores {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        self.others.register_store(url, store)
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        if url.scheme() != "hdfs" {
            return self.others.get_store(url);
        }
        let authority = &url[Position::BeforeHost..Position::AfterPort];
        let found = HdfsUrl::parse(&format!("hdfs://{authority}/")).map_err(StorageError::from_hdfs);
        let store = found.and_then(|url| self.storage.hdfs_store(&url));
        Ok(Arc::new(store.map_err(|error| DataFusionError::External(Box::new(error)))?))
    }
}
