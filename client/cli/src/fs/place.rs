//! Where `hearth fs` works: a path of this machine, or a URL of HDFS.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use hearth_hdfs::HdfsUrl;

/// A file or directory, there or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// On this machine.
    Local(PathBuf),
    /// In HDFS.
    Hdfs(HdfsUrl),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            Some(("hdfs" | "viewfs", _)) => HdfsUrl::parse(text).map(Self::Hdfs).map_err(|error| error.to_string()),
            Some(("file", path)) if path.starts_with('/') => Ok(Self::Local(path.into())),
            Some(("file", _)) => Err("write file:///PATH, without a host".to_owned()),
            Some((scheme, _)) if scheme.chars().all(|c| c.is_ascii_alphanumeric()) && !scheme.is_empty() => {
                Err(format!("{scheme}:// is not supported; give a path of this machine or an hdfs:// URL"))
            }
            Some(_) | None if text.is_empty() => Err("it is empty".to_owned()),
            Some(_) | None => Ok(Self::Local(text.into())),
        }
    }
}

impl Place {
    /// The place `name` below this one; `name` may hold several components.
    pub(super) fn join(&self, name: &str) -> Self {
        match self {
            Self::Local(path) => Self::Local(path.join(name)),
            Self::Hdfs(url) => Self::Hdfs(url.join_unchecked(name)),
        }
    }

    /// The last component; `None` for a root and the like.
    pub(super) fn name(&self) -> Option<String> {
        match self {
            Self::Local(path) => std::path::absolute(path).ok()?.file_name()?.to_str().map(str::to_owned),
            Self::Hdfs(url) => url.name().map(str::to_owned),
        }
    }

    /// The directory it is in.
    pub(super) fn parent(&self) -> Option<Self> {
        match self {
            Self::Local(path) => std::path::absolute(path).ok()?.parent().map(|path| Self::Local(path.to_owned())),
            Self::Hdfs(url) => url.parent().map(Self::Hdfs),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => path.display().fmt(f),
            Self::Hdfs(url) => url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let found = text.parse::<Place>().map(|place| place.to_string());
        assert_eq!(found.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn reads_paths_and_urls() {
        check("a/b.csv", Ok("a/b.csv"));
        check("/a//b", Ok("/a//b"));
        check("file:///a b", Ok("/a b"));
        check("odd path://x", Ok("odd path://x"));
        check("hdfs://nn:9000/a/../b/", Ok("hdfs://nn:9000/b"));
        check("hdfs:///a", Ok("hdfs:///a"));
        check("", Err("it is empty"));
        check("file://host/a", Err("write file:///PATH, without a host"));
        check("s3://b/a", Err("s3:// is not supported; give a path of this machine or an hdfs:// URL"));
        assert!("hdfs://nn:no/a".parse::<Place>().is_err_and(|error| error.contains("`no` is not a port")));
    }

    #[test]
    fn walks_up_and_down() {
        let check = |text: &str, name: Option<&str>, parent: Option<&str>| {
            let place: Place = text.parse().unwrap();
            assert_eq!(place.name().as_deref(), name, "{text}");
            assert_eq!(place.parent().map(|place| place.to_string()).as_deref(), parent, "{text}");
        };
        check("/a/b", Some("b"), Some("/a"));
        check("/", None, None);
        check("hdfs://nn/a/b", Some("b"), Some("hdfs://nn/a"));
        check("hdfs://nn/", None, None);
        assert_eq!("hdfs://nn/a".parse::<Place>().unwrap().join("b/c").to_string(), "hdfs://nn/a/b/c");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_place_or_an_error(text in "(hdfs://|file://|s3:|/)?[a-z0-9:/.%@ ü]{0,20}") {
            if let Ok(place) = text.parse::<Place>() {
                let again: Place = place.to_string().parse().unwrap();
                proptest::prop_assert_eq!(again, place);
            }
        }
    }
}
