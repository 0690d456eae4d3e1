//! HDFS as an object store, for engines that read through one. It only reads: files are written by [`Hdfs::upload`], which survives
//! failures that a store's interface cannot express.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::cached::CachedFiles;
use crate::{Depth, Entry, Hdfs, HdfsError, HdfsUrl, Kind, Listing, Waits};

const STORE: &str = "HDFS";

/// One cluster as an object store. Names that begin with `.` or `_` are not listed.
#[derive(Debug, Clone)]
pub struct HdfsStore {
    hdfs: Hdfs,
    files: Arc<CachedFiles>,
}

impl HdfsStore {
    /// A store over a cluster. Clones share what they know of its files.
    #[must_use]
    pub fn new(hdfs: Hdfs) -> Self {
        Self { hdfs, files: Arc::default() }
    }

    /// The same store, for work that tells why it waits.
    #[must_use]
    pub fn telling(&self, waits: Waits) -> Self {
        Self { hdfs: self.hdfs.telling(waits), files: Arc::clone(&self.files) }
    }

    /// The store's path of a file: the raw path, without the first slash. `Path::from` would encode it.
    ///
    /// # Errors
    /// [`HdfsError::Location`] for control characters, which a store's path cannot hold.
    pub fn object_path(url: &HdfsUrl) -> std::result::Result<Path, HdfsError> {
        Path::parse(url.path())
            .map_err(|error| HdfsError::Location { text: url.to_string(), problem: error.to_string() })
    }

    fn url(&self, path: &Path) -> Result<HdfsUrl> {
        self.hdfs.url(path.as_ref()).map_err(|error| store_error(path.as_ref(), error))
    }

    fn listing(&self, prefix: Option<&Path>, depth: Depth) -> Result<Listing> {
        let root = Path::default();
        let url = self.url(prefix.unwrap_or(&root))?;
        Ok(self.hdfs.list(&url, depth).visible())
    }
}

impl fmt::Display for HdfsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hdfs://{}", self.hdfs.authority())
    }
}

#[async_trait]
impl ObjectStore for HdfsStore {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(read_only())
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(read_only())
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let url = self.url(location)?;
        let fail = |error| store_error(location.as_ref(), error);
        // Whoever asks for the metadata alone wants to know what is there now.
        let entry = if options.head {
            self.files.look(&self.hdfs, &url).await
        } else {
            self.files.entry(&self.hdfs, &url).await
        };
        let entry = entry.map_err(fail)?;
        let meta = meta_of(location.clone(), &entry);
        options.check_preconditions(&meta)?;
        let range = match options.range.as_ref().filter(|_| entry.bytes > 0) {
            Some(range) => {
                range.as_range(entry.bytes).map_err(|error| Error::Generic { store: STORE, source: error.into() })?
            }
            None => 0..entry.bytes,
        };
        let payload = if options.head || range.is_empty() {
            stream::empty().boxed()
        } else {
            let (opened, file) = self.files.file(&self.hdfs, &url).await.map_err(fail)?;
            if opened != entry {
                return Err(fail(HdfsError::Changed { path: url.to_string(), before: entry.bytes, now: opened.bytes }));
            }
            let bytes = file.stream(range.clone()).map_err(fail)?;
            let path = location.clone();
            stream::try_unfold(bytes, |mut bytes| async move { Ok(bytes.next().await?.map(|chunk| (chunk, bytes))) })
                .map_err(move |error| store_error(path.as_ref(), error))
                .boxed()
        };
        let attributes = Attributes::default();
        Ok(GetResult { payload: GetResultPayload::Stream(payload), meta, range, attributes })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<bytes::Bytes>> {
        let url = self.url(location)?;
        let fail = |error| store_error(location.as_ref(), error);
        let (_, file) = self.files.file(&self.hdfs, &url).await.map_err(fail)?;
        let read = |range: Range<u64>| {
            let file = &file;
            async move { file.read_range(range).await.map_err(fail) }
        };
        object_store::coalesce_ranges(ranges, read, object_store::OBJECT_STORE_COALESCE_DEFAULT).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        locations.map(|_| Err(read_only())).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listing = match self.listing(prefix, Depth::All) {
            Ok(listing) => listing,
            Err(error) => return stream::once(async { Err(error) }).boxed(),
        };
        let entries = stream::try_unfold(listing, |mut listing| async move {
            match next_entry(&mut listing).await? {
                Some(entry) => Ok(Some((entry, listing))),
                None => Ok(None),
            }
        });
        let files = entries.try_filter(|entry| std::future::ready(entry.kind == Kind::File));
        files
            .and_then(|entry| {
                std::future::ready(Path::parse(&entry.path).map(|path| meta_of(path, &entry)).map_err(Error::from))
            })
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut listing = self.listing(prefix, Depth::One)?;
        let (mut common_prefixes, mut objects) = (Vec::new(), Vec::new());
        while let Some(entry) = next_entry(&mut listing).await? {
            let path = Path::parse(&entry.path)?;
            match entry.kind {
                Kind::Directory => common_prefixes.push(path),
                Kind::File => objects.push(meta_of(path, &entry)),
            }
        }
        Ok(ListResult { common_prefixes, objects })
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(read_only())
    }
}

/// A store has no directories: one that is missing has no objects.
async fn next_entry(listing: &mut Listing) -> Result<Option<Entry>> {
    match listing.next().await {
        Ok(entry) => Ok(entry),
        Err(HdfsError::Missing { .. }) if listing.is_at_root() => Ok(None),
        Err(error) => Err(store_error("", error)),
    }
}

fn meta_of(location: Path, entry: &Entry) -> ObjectMeta {
    ObjectMeta { location, last_modified: entry.modified(), size: entry.bytes, e_tag: None, version: None }
}

fn read_only() -> Error {
    Error::NotSupported { source: "files of HDFS are not written through an object store".into() }
}

/// The typed error stays inside, as the source.
fn store_error(path: &str, error: HdfsError) -> Error {
    let path = path.to_owned();
    let name = error.name();
    let source = Box::new(error);
    match name {
        "missing" => Error::NotFound { path, source },
        "exists" => Error::AlreadyExists { path, source },
        "denied" => Error::PermissionDenied { path, source },
        _ => Error::Generic { store: STORE, source },
    }
}
