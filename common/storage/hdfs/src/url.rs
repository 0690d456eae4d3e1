//! Where a file or directory of HDFS is. Raw text, never percent-encoded, as Hadoop does it.

use std::fmt;

use crate::HdfsError;

const SCHEME: &str = "hdfs://";

/// `hdfs://authority/path`; the authority is a host, a host and port, or a name service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HdfsUrl {
    authority: String,
    path: String,
}

impl HdfsUrl {
    /// Reads a URL. `.`, `..` and doubled slashes are resolved by name.
    ///
    /// # Errors
    /// [`HdfsError::Location`] for anything that is not the URL of a place in HDFS.
    pub fn parse(text: &str) -> Result<Self, HdfsError> {
        let bad = |problem: &str| HdfsError::Location { text: text.to_owned(), problem: problem.to_owned() };
        if text.starts_with("viewfs://") {
            return Err(bad("viewfs is not supported; write the hdfs:// URL that the mount table leads to"));
        }
        let Some(rest) = text.strip_prefix(SCHEME) else {
            return Err(bad("write hdfs://HOST:PORT/PATH or hdfs://NAMESERVICE/PATH"));
        };
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        check_authority(authority).map_err(|problem| bad(&problem))?;
        let path = normalize(path);
        check_path(&path).map_err(|problem| bad(&problem))?;
        Ok(Self { authority: authority.to_owned(), path })
    }

    /// Host, host and port, or name service; empty for `hdfs:///path`, which means the default file system.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The absolute path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The place `name` below this one; `name` may hold several components.
    ///
    /// # Errors
    /// [`HdfsError::Location`] for names that HDFS does not take.
    pub fn join(&self, name: &str) -> Result<Self, HdfsError> {
        self.with_path(&format!("{}/{name}", self.path))
    }

    /// The place `name` below this one, whatever is in `name`: HDFS itself refuses what it does not take.
    #[must_use]
    pub fn join_unchecked(&self, name: &str) -> Self {
        Self { authority: self.authority.clone(), path: normalize(&format!("{}/{name}", self.path)) }
    }

    /// Another path of the same cluster.
    ///
    /// # Errors
    /// [`HdfsError::Location`] for paths that HDFS does not take.
    pub fn with_path(&self, path: &str) -> Result<Self, HdfsError> {
        let path = normalize(path);
        check_path(&path).map_err(|problem| HdfsError::Location { text: path.clone(), problem })?;
        Ok(Self { authority: self.authority.clone(), path })
    }

    /// The directory this one is in; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (parent, name) = self.path.rsplit_once('/')?;
        let path = if parent.is_empty() { "/" } else { parent };
        (!name.is_empty()).then(|| Self { authority: self.authority.clone(), path: path.to_owned() })
    }

    /// The last component; `None` for the root.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.path.rsplit('/').next().filter(|name| !name.is_empty())
    }
}

impl fmt::Display for HdfsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}{}", self.authority, self.path)
    }
}

fn check_authority(authority: &str) -> Result<(), String> {
    if authority.contains('@') {
        return Err("leave the user out; it is set as `user` of [hdfs] or HADOOP_USER_NAME".to_owned());
    }
    if authority.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '%' | '?' | '#')) {
        return Err(format!("`{authority}` is not a host or name service"));
    }
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) => Ok(()),
        Some((_, port)) => Err(format!("`{port}` is not a port")),
        None => Ok(()),
    }
}

fn check_path(path: &str) -> Result<(), String> {
    if path.contains('\0') {
        return Err("it holds a NUL byte".to_owned());
    }
    match path.split('/').find(|component| component.contains(':')) {
        Some(component) => Err(format!("HDFS takes no `:` in a name, as in `{component}`; rename it")),
        None => Ok(()),
    }
}

fn normalize(path: &str) -> String {
    let mut components: Vec<&str> = Vec::new();
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                components.pop();
            }
            name => components.push(name),
        }
    }
    format!("/{}", components.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let found = HdfsUrl::parse(text).map(|url| url.to_string()).map_err(|error| error.to_string());
        assert_eq!(
            found.as_deref().map_err(|error| error.contains(expected.err().unwrap_or("@"))),
            expected.map_err(|_| true)
        );
    }

    #[test]
    fn reads_urls_raw() {
        check("hdfs://nn:9000/a/b", Ok("hdfs://nn:9000/a/b"));
        check("hdfs://nn", Ok("hdfs://nn/"));
        check("hdfs:///a", Ok("hdfs:///a"));
        check("hdfs://ns/a b/c%20d#e?ü=1", Ok("hdfs://ns/a b/c%20d#e?ü=1"));
        check("hdfs://ns//a/./b/../c/", Ok("hdfs://ns/a/c"));
        check("hdfs://ns/../..", Ok("hdfs://ns/"));
    }

    #[test]
    fn refuses_with_a_reason() {
        check("viewfs://ns/a", Err("viewfs is not supported"));
        check("/a", Err("write hdfs://HOST:PORT/PATH"));
        check("hdfs://nn:x/a", Err("`x` is not a port"));
        check("hdfs://nn:0/a", Err("`0` is not a port"));
        check("hdfs://me@nn/a", Err("leave the user out"));
        check("hdfs://a b/c", Err("is not a host or name service"));
        check("hdfs://nn/a:b", Err("no `:` in a name"));
        check("hdfs://nn/a\0b", Err("NUL"));
    }

    #[test]
    fn walks_up_and_down() {
        let url = HdfsUrl::parse("hdfs://ns/data/out").unwrap();
        assert_eq!(url.join("a/b").unwrap().path(), "/data/out/a/b");
        assert!(url.join("a:b").is_err());
        assert_eq!(url.parent().unwrap().path(), "/data");
        assert_eq!(url.name(), Some("out"));
        let root = HdfsUrl::parse("hdfs://ns/").unwrap();
        assert_eq!((root.parent(), root.name()), (None, None));
        assert_eq!(root.join("x").unwrap().parent(), Some(root));
    }

    proptest::proptest! {
        #[test]
        fn what_is_read_is_normal(path in "[a-c./%# ]{0,20}") {
            let url = HdfsUrl::parse(&format!("hdfs://ns/{path}")).unwrap();
            proptest::prop_assert_eq!(&HdfsUrl::parse(&url.to_string()).unwrap(), &url);
            proptest::prop_assert!(url.path().starts_with('/') && !url.path().contains("//"));
            proptest::prop_assert!(url.path().split('/').all(|name| name != "." && name != ".."));
        }
    }
}
