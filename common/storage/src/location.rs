//! Where a file or directory is. The only place that turns a user's text into a path, and a path into a URL.
//!
//! A URL here is `file://` and the raw absolute path: nothing in it is percent-encoded, as Hadoop does it.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::object_store::local::LocalFileSystem;
use datafusion::object_store::path::Path as ObjectPath;

use crate::StorageError;

const LOCAL: &str = "file://";

/// A file, directory or glob on a storage this build can reach.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    path: PathBuf,
}

impl Location {
    /// Reads an absolute path or a `file://` URL. `.` and `..` are resolved by name.
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
            Some(("hdfs" | "viewfs" | "webhdfs", _)) => return Err(bad("HDFS is not supported by this build yet")),
            Some((scheme, _)) if is_scheme(scheme) => {
                return Err(bad(&format!("{scheme}:// is not supported; use an absolute path or a file:// URL")));
            }
            Some(_) | None => text.strip_prefix("file:").unwrap_or(text),
        };
        if !path.starts_with('/') {
            return Err(bad("it is relative; write an absolute path or a file:// URL"));
        }
        Ok(Self { path: normalize(Path::new(path)) })
    }

    /// The location of a local path that is absolute and normal already, such as one found by listing.
    pub(crate) fn from_local(path: PathBuf) -> Self {
        Self { path }
    }

    /// The location `name` levels below this one; `name` may hold several components.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        Self { path: normalize(&self.path.join(name.trim_start_matches('/'))) }
    }

    /// The directory this one is in; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.path.parent().map(|path| Self { path: path.to_owned() })
    }

    /// The last component; `None` for the root.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.path.file_name().and_then(|name| name.to_str())
    }

    /// The path on the local file system.
    #[must_use]
    pub fn local_path(&self) -> &Path {
        &self.path
    }

    /// The URL by which plans and messages name it; [`Location::parse`] reads it back.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{LOCAL}{}", self.path.display())
    }

    /// The store it is in, as DataFusion names it.
    #[must_use]
    pub fn store_url(&self) -> ObjectStoreUrl {
        ObjectStoreUrl::local_filesystem()
    }

    /// Its path inside that store.
    ///
    /// # Errors
    /// [`StorageError::Location`] for names that the store cannot express.
    pub fn object_path(&self) -> Result<ObjectPath, StorageError> {
        ObjectPath::from_absolute_path(&self.path)
            .map_err(|error| StorageError::Location { text: self.to_string(), problem: error.to_string() })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

/// Makes every storage of this build known to `runtime`.
pub fn register_stores(runtime: &RuntimeEnv) {
    let url = ObjectStoreUrl::local_filesystem();
    runtime.register_object_store(url.as_ref(), Arc::new(LocalFileSystem::new()));
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
    }

    #[test]
    fn refuses_what_it_cannot_reach() {
        check(
            "data/a.csv",
            Err("cannot use `data/a.csv` as a path: it is relative; write an absolute path or a file:// URL"),
        );
        check(
            "hdfs://nn:9000/a",
            Err("cannot use `hdfs://nn:9000/a` as a path: HDFS is not supported by this build yet"),
        );
        check(
            "s3://bucket/a",
            Err("cannot use `s3://bucket/a` as a path: s3:// is not supported; use an absolute path or a file:// URL"),
        );
        check("file://host/a", Err("cannot use `file://host/a` as a path: write file:///PATH, without a host"));
        check("", Err("cannot use `` as a path: it is relative; write an absolute path or a file:// URL"));
    }

    #[test]
    fn walks_up_and_down() {
        let location = Location::parse("/data/out").unwrap();
        assert_eq!(location.join("a/b").url(), "file:///data/out/a/b");
        assert_eq!(location.parent().unwrap().url(), "file:///data");
        assert_eq!(location.name(), Some("out"));
        assert_eq!(Location::parse("/").unwrap().parent(), None);
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
