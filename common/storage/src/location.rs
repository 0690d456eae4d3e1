//! Where a file or directory is. The only place that turns a user's text into a path, and a path into a URL.
//!
//! A URL here is `file://` or `hdfs://AUTHORITY` and the raw absolute path: nothing in it is percent-encoded, as Hadoop does it.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use datafusion_execution::object_store::ObjectStoreUrl;
use hearth_hdfs::{HdfsStore, HdfsUrl};
use object_store::path::Path as ObjectPath;

use crate::StorageError;

const LOCAL: &str = "file://";

/// A file, directory or glob on a storage this build can reach.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    place: Place,
}

/// The storage it is in, and where there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Place {
    /// The local file system, or one that is mounted like it.
    Local(PathBuf),
    /// HDFS.
    Hdfs(HdfsUrl),
}

impl Location {
    /// Reads an absolute path, a `file://` URL or an `hdfs://` URL. `.` and `..` are resolved by name.
    ///
    /// # Errors
    /// [`StorageError::Location`] for relative paths and for storage that this build does not know.
    pub fn parse(text: &str) -> Result<Self, StorageError> {
        let bad = |problem: &str| StorageError::Location { text: text.to_owned(), problem: problem.to_owned() };
        if text.contains('\0') {
            return Err(bad("it holds a NUL byte"));
        }
        let path = match text.split_once("://") {
            Some(("file", path)) if path.starts_with('/') => path,
            Some(("file", _)) => return Err(bad("write file:///PATH, without a host")),
            Some(("hdfs" | "viewfs", _)) => {
                return HdfsUrl::parse(text).map(Self::from_hdfs).map_err(StorageError::from_hdfs);
            }
            Some(("webhdfs" | "swebhdfs", _)) => return Err(bad("write the same place as hdfs://HOST:PORT/PATH")),
            Some((scheme, _)) if is_scheme(scheme) => {
                let problem =
                    format!("{scheme}:// is not supported; use an absolute path, or a file:// or hdfs:// URL");
                return Err(bad(&problem));
            }
            Some(_) | None => text.strip_prefix("file:").unwrap_or(text),
        };
        if !path.starts_with('/') {
            return Err(bad("it is relative; write an absolute path, or a file:// or hdfs:// URL"));
        }
        Ok(Self::from_local(normalize(Path::new(path))))
    }

    /// The location of a local path that is absolute and normal already, such as one found by listing.
    pub(crate) const fn from_local(path: PathBuf) -> Self {
        Self { place: Place::Local(path) }
    }

    pub(crate) const fn from_hdfs(url: HdfsUrl) -> Self {
        Self { place: Place::Hdfs(url) }
    }

    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    /// The location `name` levels below this one; `name` may hold several components.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        match &self.place {
            Place::Local(path) => Self::from_local(normalize(&path.join(name.trim_start_matches('/')))),
            Place::Hdfs(url) => Self::from_hdfs(url.join_unchecked(name)),
        }
    }

    /// The directory this one is in; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        match &self.place {
            Place::Local(path) => path.parent().map(|path| Self::from_local(path.to_owned())),
            Place::Hdfs(url) => url.parent().map(Self::from_hdfs),
        }
    }

    /// The last component; `None` for the root.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.place {
            Place::Local(path) => path.file_name().and_then(|name| name.to_str()),
            Place::Hdfs(url) => url.name(),
        }
    }

    /// The path on the local file system; `None` for one that is elsewhere.
    #[must_use]
    pub fn local_path(&self) -> Option<&Path> {
        match &self.place {
            Place::Local(path) => Some(path),
            Place::Hdfs(_) => None,
        }
    }

    /// The same place with its links followed, as far as it exists. Blocks.
    #[must_use]
    pub fn followed(&self) -> Self {
        match &self.place {
            Place::Local(path) => Self::from_local(followed(path)),
            Place::Hdfs(_) => self.clone(),
        }
    }

    /// Whether it is `directory`, or below it.
    #[must_use]
    pub fn is_within(&self, directory: &Self) -> bool {
        match (&self.place, &directory.place) {
            (Place::Local(path), Place::Local(directory)) => path.starts_with(directory),
            (Place::Hdfs(url), Place::Hdfs(directory)) => {
                url.authority() == directory.authority() && Path::new(url.path()).starts_with(directory.path())
            }
            (Place::Local(_), Place::Hdfs(_)) | (Place::Hdfs(_), Place::Local(_)) => false,
        }
    }

    /// The URL by which plans and messages name it; [`Location::parse`] reads it back.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.place {
            Place::Local(path) => format!("{LOCAL}{}", path.display()),
            Place::Hdfs(url) => url.to_string(),
        }
    }

    /// The store it is in, as DataFusion names it.
    ///
    /// # Errors
    /// [`StorageError::Location`] for an authority that is no part of a URL.
    pub fn store_url(&self) -> Result<ObjectStoreUrl, StorageError> {
        match &self.place {
            Place::Local(_) => Ok(ObjectStoreUrl::local_filesystem()),
            Place::Hdfs(url) => {
                ObjectStoreUrl::parse(format!("hdfs://{}", url.authority())).map_err(|error| self.bad(&error))
            }
        }
    }

    /// Its path inside that store.
    ///
    /// # Errors
    /// [`StorageError::Location`] for names that the store cannot express.
    pub fn object_path(&self) -> Result<ObjectPath, StorageError> {
        match &self.place {
            Place::Local(path) => ObjectPath::from_absolute_path(path).map_err(|error| self.bad(&error)),
            Place::Hdfs(url) => HdfsStore::object_path(url).map_err(StorageError::from_hdfs),
        }
    }

    fn bad(&self, problem: &impl fmt::Display) -> StorageError {
        StorageError::Location { text: self.to_string(), problem: problem.to_string() }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Local(path) => path.display().fmt(f),
            Place::Hdfs(url) => url.fmt(f),
        }
    }
}

fn followed(path: &Path) -> PathBuf {
    for existing in path.ancestors() {
        if let Ok(real) = existing.canonicalize() {
            return path.strip_prefix(existing).map_or_else(|_| path.to_owned(), |rest| real.join(rest));
        }
    }
    path.to_owned()
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

fn normalize(path: &Path) -> PathBuf {
    let mut normal = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => normal.push(name),
            Component::ParentDir => {
                normal.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use object_store::local::LocalFileSystem;

    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let found = Location::parse(text).map(|location| location.url()).map_err(|error| error.to_string());
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned));
    }

    #[test]
    fn reads_paths_and_urls() {
        check("/data/a.csv", Ok("file:///data/a.csv"));
        check("file:///data/a b%20c.csv", Ok("file:///data/a b%20c.csv"));
        check("file:/data", Ok("file:///data"));
        check("/data/./x/../y/", Ok("file:///data/y"));
        check("/data/odd://name", Ok("file:///data/odd:/name"));
        check("/", Ok("file:///"));
        check("hdfs://nn:9000//a/../b c/{x,y}*/", Ok("hdfs://nn:9000/b c/{x,y}*"));
        check("hdfs:///a", Ok("hdfs:///a"));
    }

    #[test]
    fn refuses_what_it_cannot_reach() {
        check(
            "data/a.csv",
            Err(
                "cannot use `data/a.csv` as a path: it is relative; write an absolute path, or a file:// or hdfs:// URL",
            ),
        );
        check("hdfs://nn:no/a", Err("cannot use `hdfs://nn:no/a` as a path: `no` is not a port"));
        check(
            "webhdfs://nn:9870/a",
            Err("cannot use `webhdfs://nn:9870/a` as a path: write the same place as hdfs://HOST:PORT/PATH"),
        );
        check(
            "s3://bucket/a",
            Err(
                "cannot use `s3://bucket/a` as a path: s3:// is not supported; use an absolute path, or a file:// or hdfs:// URL",
            ),
        );
        check("file://host/a", Err("cannot use `file://host/a` as a path: write file:///PATH, without a host"));
        check("", Err("cannot use `` as a path: it is relative; write an absolute path, or a file:// or hdfs:// URL"));
    }

    #[test]
    fn walks_up_and_down() {
        let location = Location::parse("/data/out").unwrap();
        assert_eq!(location.join("a/b").url(), "file:///data/out/a/b");
        assert_eq!(location.parent().unwrap().url(), "file:///data");
        assert_eq!(location.name(), Some("out"));
        assert_eq!(Location::parse("/").unwrap().parent(), None);
        let location = Location::parse("hdfs://nn:9000/data/out").unwrap();
        assert_eq!(location.join("a/b").url(), "hdfs://nn:9000/data/out/a/b");
        assert_eq!(location.parent().unwrap().url(), "hdfs://nn:9000/data");
        assert_eq!(location.name(), Some("out"));
        assert_eq!(location.store_url().unwrap().as_str(), "hdfs://nn:9000/");
        assert_eq!(location.object_path().unwrap().as_ref(), "data/out");
    }

    #[test]
    fn knows_what_is_within_what() {
        let within = |one: &str, other: &str| Location::parse(one).unwrap().is_within(&Location::parse(other).unwrap());
        assert!(within("hdfs://nn/a/b", "hdfs://nn/a") && within("hdfs://nn/a", "hdfs://nn/a") && within("/a/b", "/a"));
        assert!(!within("hdfs://nn/ab", "hdfs://nn/a") && !within("hdfs://nn/a/b", "hdfs://other/a"));
        assert!(!within("/a/b", "hdfs://nn/a") && !within("hdfs://nn/a/b", "/a"));
    }

    #[test]
    fn names_survive_the_store() {
        for name in ["/a b/c%20d.csv", "/date=2026-01-15/x#y?.csv", "/ünï/코드.csv"] {
            let path = Location::parse(name).unwrap().object_path().unwrap();
            let back = LocalFileSystem::new().path_to_filesystem(&path).unwrap();
            assert_eq!(back, Path::new(name));
        }
    }
}
