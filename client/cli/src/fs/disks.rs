//! Looking at files and directories, wherever they are.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, UNIX_EPOCH};

use hearth_hdfs::{Clusters, Depth, Entry, Hdfs, HdfsError, HdfsSettings, HdfsUrl, Kind, Waits};
use serde::Serialize;

use super::place::Place;
use crate::exit::CliError;
use crate::terminal::note;

/// Most entries of one listing.
const ENTRIES_MAX: usize = 1_000_000;

/// The local file system, and every HDFS that is named.
pub(super) struct Disks {
    settings: HdfsSettings,
    clusters: OnceLock<Clusters>,
    waits: Waits,
}

/// What stands under a name.
#[derive(Debug, Serialize)]
pub(super) struct Item {
    #[serde(serialize_with = "as_text")]
    pub(super) path: Place,
    pub(super) is_directory: bool,
    pub(super) bytes: u64,
    /// Milliseconds since 1970.
    pub(super) modified_ms: u64,
    /// Name, or the number of a local user.
    owner: String,
    /// In octal digits.
    permission: String,
    /// Replicas; 1 on this machine.
    replication: u32,
}

/// What is below a name, added up.
#[derive(Debug, Default, Serialize)]
pub(super) struct Sum {
    pub(super) bytes: u64,
    /// With all replicas.
    pub(super) bytes_on_disk: u64,
    pub(super) files: u64,
    pub(super) directories: u64,
}

fn as_text<S: serde::Serializer>(place: &Place, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(place)
}

/// What HDFS says, for people.
pub(super) fn hdfs_trouble(error: HdfsError) -> CliError {
    if matches!(error, HdfsError::Location { .. } | HdfsError::Configuration { .. }) {
        return CliError::usage(error);
    }
    let is_address_doubtful = matches!(error, HdfsError::Unreachable { .. } | HdfsError::GaveUp { .. });
    let failed = CliError::failed(error);
    match is_address_doubtful {
        true => failed.hint("is the address right? HADOOP_CONF_DIR or --conf-dir tells of name services and ports"),
        false => failed,
    }
}

pub(super) fn local_trouble(action: &str, path: &Path, error: &io::Error) -> CliError {
    CliError::failed(format!("cannot {action} {}: {error}", path.display()))
}

pub(super) fn missing(place: &Place) -> CliError {
    let failed = CliError::failed(format!("there is no {place}"));
    match place.parent() {
        Some(parent) => failed.hint(format!("`hearth fs ls {parent}` shows what is there")),
        None => failed,
    }
}

impl Disks {
    pub(super) fn new(settings: HdfsSettings) -> Self {
        Self { settings, clusters: OnceLock::new(), waits: Waits::default() }
    }

    /// Tells whoever looks why it takes so long.
    pub(super) fn tell_waits(&self) {
        let mut reader = self.waits.reader();
        tokio::spawn(async move {
            while let Some(because) = reader.next().await {
                because.iter().for_each(|because| note(&format!("waiting for HDFS: {because}")));
            }
        });
    }

    pub(super) fn hdfs(&self, url: &HdfsUrl) -> Result<Hdfs, CliError> {
        let clusters = match self.clusters.get() {
            Some(clusters) => clusters,
            None => {
                let made = Clusters::new(self.settings.clone()).map_err(hdfs_trouble)?;
                self.clusters.get_or_init(|| made)
            }
        };
        Ok(clusters.at(url).map_err(hdfs_trouble)?.telling(self.waits.clone()))
    }

    /// What stands under a name; `None` for nothing.
    pub(super) async fn look(&self, place: &Place) -> Result<Option<Item>, CliError> {
        match place {
            Place::Local(path) => match std::fs::metadata(path) {
                Ok(metadata) => Ok(Some(local_item(path, &metadata))),
                Err(error) if is_absent(&error) => Ok(None),
                Err(error) => Err(local_trouble("look at", path, &error)),
            },
            Place::Hdfs(url) => {
                let hdfs = self.hdfs(url)?;
                let entry = hdfs.wait_quietly(|| hdfs.entry(url)).await.map_err(hdfs_trouble)?;
                Ok(entry.map(|entry| hdfs_item(url, entry)))
            }
        }
    }

    /// What stands under a name that must be there.
    pub(super) async fn find(&self, place: &Place) -> Result<Item, CliError> {
        self.look(place).await?.ok_or_else(|| missing(place))
    }

    /// What is in a directory, by name; with [`Depth::All`] also what is below it.
    pub(super) async fn list(&self, directory: &Place, depth: Depth) -> Result<Vec<Item>, CliError> {
        let mut items = match directory {
            Place::Local(path) => {
                let mut items = Vec::new();
                list_local(path, depth, &mut items)?;
                items
            }
            Place::Hdfs(url) => {
                let hdfs = self.hdfs(url)?;
                let entries =
                    hdfs.wait_quietly(|| hdfs.list_all(url, depth, ENTRIES_MAX)).await.map_err(hdfs_trouble)?;
                let item = |entry: Entry| {
                    let at = url.with_path(&entry.path).map_err(hdfs_trouble)?;
                    Ok(hdfs_item(&at, entry))
                };
                entries.into_iter().map(item).collect::<Result<Vec<Item>, CliError>>()?
            }
        };
        items.sort_by_cached_key(|item| item.path.to_string());
        Ok(items)
    }

    /// Adds up what is below a name.
    pub(super) async fn sum(&self, place: &Place) -> Result<Sum, CliError> {
        let item = self.find(place).await?;
        match place {
            Place::Local(path) => {
                let mut items = Vec::new();
                if item.is_directory {
                    list_local(path, Depth::All, &mut items)?;
                }
                items.push(item);
                let on_disk = |item: &Item| match &item.path {
                    Place::Local(path) => std::fs::symlink_metadata(path).map_or(0, |metadata| metadata.blocks() * 512),
                    Place::Hdfs(_) => 0,
                };
                Ok(items.iter().fold(Sum::default(), |sum, item| Sum {
                    bytes: sum.bytes + item.bytes,
                    bytes_on_disk: sum.bytes_on_disk + on_disk(item),
                    files: sum.files + u64::from(!item.is_directory),
                    directories: sum.directories + u64::from(item.is_directory),
                }))
            }
            Place::Hdfs(url) => {
                let hdfs = self.hdfs(url)?;
                let sum = hdfs.wait_quietly(|| hdfs.summary(url)).await.map_err(hdfs_trouble)?;
                let (bytes, bytes_on_disk) = (sum.bytes, sum.bytes_on_disk);
                Ok(Sum { bytes, bytes_on_disk, files: sum.files, directories: sum.directories })
            }
        }
    }

    pub(super) async fn make_directories(&self, place: &Place) -> Result<(), CliError> {
        match place {
            Place::Local(path) => {
                std::fs::create_dir_all(path).map_err(|error| local_trouble("make directory", path, &error))
            }
            Place::Hdfs(url) => {
                let hdfs = self.hdfs(url)?;
                hdfs.wait_quietly(|| hdfs.make_directories(url)).await.map_err(hdfs_trouble)
            }
        }
    }
}

fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.kind() == io::ErrorKind::NotADirectory
}

fn local_item(path: &Path, metadata: &Metadata) -> Item {
    let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Item {
        path: Place::Local(std::path::absolute(path).unwrap_or_else(|_| path.to_owned())),
        is_directory: metadata.is_dir(),
        bytes: if metadata.is_dir() { 0 } else { metadata.len() },
        modified_ms: u64::try_from(since.unwrap_or(Duration::ZERO).as_millis()).unwrap_or(0),
        owner: metadata.uid().to_string(),
        permission: format!("{:03o}", metadata.permissions().mode() & 0o7777),
        replication: 1,
    }
}

fn hdfs_item(at: &HdfsUrl, entry: Entry) -> Item {
    Item {
        path: Place::Hdfs(at.clone()),
        is_directory: entry.kind == Kind::Directory,
        bytes: entry.bytes,
        modified_ms: u64::try_from(entry.modified_ms).unwrap_or(0),
        owner: entry.owner,
        permission: format!("{:03o}", entry.permission),
        replication: entry.replication,
    }
}

/// Links are listed, and not followed down.
fn list_local(directory: &Path, depth: Depth, items: &mut Vec<Item>) -> Result<(), CliError> {
    let trouble = |error: &io::Error| local_trouble("list", directory, error);
    for entry in std::fs::read_dir(directory).map_err(|error| trouble(&error))? {
        let path = entry.map_err(|error| trouble(&error))?.path();
        let metadata = std::fs::symlink_metadata(&path).map_err(|error| local_trouble("look at", &path, &error))?;
        let is_directory = metadata.is_dir();
        items.push(local_item(&path, &metadata));
        if items.len() > ENTRIES_MAX {
            return Err(CliError::failed(format!("{} has more than {ENTRIES_MAX} entries", directory.display())));
        }
        if is_directory && depth == Depth::All {
            list_local(&path, depth, items)?;
        }
    }
    Ok(())
}
