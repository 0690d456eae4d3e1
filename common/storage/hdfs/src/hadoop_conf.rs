//! Hadoop's own configuration: `core-site.xml` and `hdfs-site.xml`, read as Hadoop's clients do.
//!
//! Values are trimmed and `${name}` in them is filled in; `XInclude` is not known.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use crate::{HdfsError, HdfsSettings, HdfsUrl};

/// Port of a NameNode where a URL names none.
const DEFAULT_PORT: u16 = 8020;
const EXPANSIONS_MAX: usize = 20;

/// The properties of one cluster, or of several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HadoopConf {
    properties: BTreeMap<String, String>,
}

/// The NameNodes behind an authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NameNodes {
    /// What the client is told to connect to.
    pub(crate) authority: String,
    /// Ids of the members of an HA name service; empty for a single NameNode.
    pub(crate) ids: Vec<String>,
    /// `host:port` of each.
    pub(crate) addresses: Vec<String>,
}

impl HadoopConf {
    /// Reads the files that the settings or the environment name, and the settings' own properties over them.
    ///
    /// # Errors
    /// [`HdfsError::Configuration`] for a directory or file that cannot be read.
    pub fn load(settings: &HdfsSettings) -> Result<Self, HdfsError> {
        let mut raw = BTreeMap::new();
        if let Some(directory) = settings.conf_dir.clone().or_else(directory_of_environment) {
            if !directory.is_dir() {
                let problem =
                    format!("{} is not a directory; check HADOOP_CONF_DIR or hdfs.conf_dir", directory.display());
                return Err(HdfsError::Configuration { problem });
            }
            for file in ["core-site.xml", "hdfs-site.xml"] {
                read_file(&directory.join(file), &mut raw)?;
            }
        }
        raw.extend(settings.properties.clone());
        Ok(Self::from_properties(raw))
    }

    /// Properties as they stand in a file: they are trimmed and expanded here.
    #[must_use]
    pub fn from_properties(raw: BTreeMap<String, String>) -> Self {
        let environment = |name: &str| std::env::var(name).ok();
        let expanded = raw.keys().map(|name| {
            let value = expand(&raw, &environment, &raw[name]);
            (name.trim().to_owned(), value.trim().to_owned())
        });
        Self { properties: expanded.collect() }
    }

    /// A property, if it is set and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether clients have to prove who they are.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.get("hadoop.security.authentication").is_some_and(|value| !value.eq_ignore_ascii_case("simple"))
    }

    /// The authority of `fs.defaultFS`.
    pub(crate) fn default_authority(&self) -> Result<String, HdfsError> {
        let missing = || {
            HdfsError::Configuration {
            problem: "the URL names no host, and fs.defaultFS is no hdfs:// URL; set HADOOP_CONF_DIR, or write hdfs://HOST:PORT/PATH"
                .to_owned(),
        }
        };
        let url = HdfsUrl::parse(self.get("fs.defaultFS").ok_or_else(missing)?).map_err(|_| missing())?;
        if url.authority().is_empty() { Err(missing()) } else { Ok(url.authority().to_owned()) }
    }

    /// The NameNodes behind an authority.
    ///
    /// # Errors
    /// [`HdfsError::Configuration`] for a name service whose members have no address.
    pub(crate) fn name_nodes(&self, authority: &str) -> Result<NameNodes, HdfsError> {
        if authority.contains(':') {
            return Ok(single(authority));
        }
        let ids = list(self.get(&format!("dfs.ha.namenodes.{authority}")));
        if ids.is_empty() {
            let address = self.get(&format!("dfs.namenode.rpc-address.{authority}"));
            return Ok(match address {
                Some(address) => single(&with_port(address)),
                None => single(&with_port(authority)),
            });
        }
        let mut addresses = Vec::new();
        for id in &ids {
            let name = format!("dfs.namenode.rpc-address.{authority}.{id}");
            let Some(address) = self.get(&name) else {
                let problem = format!("dfs.ha.namenodes.{authority} names `{id}`, and {name} is not set");
                return Err(HdfsError::Configuration { problem });
            };
            addresses.push(with_port(address));
        }
        Ok(NameNodes { authority: authority.to_owned(), ids, addresses })
    }

    /// All properties, with the members of the name service beginning at the one numbered `first`.
    pub(crate) fn for_client(&self, nodes: &NameNodes, first: usize) -> HashMap<String, String> {
        let mut properties: HashMap<String, String> = self.properties.clone().into_iter().collect();
        if !nodes.ids.is_empty() {
            let (service, count) = (&nodes.authority, nodes.ids.len());
            let order: Vec<&str> = (0..count).map(|at| nodes.ids[(at + first) % count].as_str()).collect();
            properties.insert(format!("dfs.ha.namenodes.{service}"), order.join(","));
            for (id, address) in nodes.ids.iter().zip(&nodes.addresses) {
                properties.insert(format!("dfs.namenode.rpc-address.{service}.{id}"), address.clone());
            }
        }
        properties
    }
}

fn single(address: &str) -> NameNodes {
    NameNodes { authority: address.to_owned(), ids: Vec::new(), addresses: vec![address.to_owned()] }
}

fn with_port(address: &str) -> String {
    if address.contains(':') { address.to_owned() } else { format!("{address}:{DEFAULT_PORT}") }
}

fn list(value: Option<&str>) -> Vec<String> {
    value
        .into_iter()
        .flat_map(|value| value.split(','))
        .map(|id| id.trim().to_owned())
        .filter(|id| !id.is_empty())
        .collect()
}

fn directory_of_environment() -> Option<PathBuf> {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("HADOOP_CONF_DIR").or_else(|| named("HADOOP_HOME").map(|home| home.join("etc/hadoop")))
}

fn read_file(path: &Path, properties: &mut BTreeMap<String, String>) -> Result<(), HdfsError> {
    let bad = |problem: String| HdfsError::Configuration { problem: format!("{}: {problem}", path.display()) };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(bad(error.to_string())),
    };
    properties.extend(parse(&text).map_err(|error| bad(format!("is not valid XML: {error}")))?);
    Ok(())
}

/// The `property` elements of a configuration, in order; later ones win.
fn parse(text: &str) -> Result<Vec<(String, String)>, roxmltree::Error> {
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..roxmltree::ParsingOptions::default() };
    let document = roxmltree::Document::parse_with_options(text, options)?;
    let child = |property: roxmltree::Node<'_, '_>, name| {
        let node = property.children().find(|node| node.has_tag_name(name))?;
        Some(node.text().unwrap_or_default().to_owned())
    };
    let properties = document.root_element().children().filter(|node| node.has_tag_name("property"));
    let pairs =
        properties.filter_map(|property| Some((child(property, "name")?.trim().to_owned(), child(property, "value")?)));
    Ok(pairs.collect())
}

/// Fills in `${name}`: another property, `${env.NAME}`, or `${env.NAME:-default}`. What is not known stays as it is.
fn expand(properties: &BTreeMap<String, String>, environment: &dyn Fn(&str) -> Option<String>, value: &str) -> String {
    let mut text = value.to_owned();
    for _ in 0..EXPANSIONS_MAX {
        let known = variables(&text).into_iter().find_map(|(from, to)| {
            let name = &text[from + 2..to - 1];
            let filled = match name.strip_prefix("env.") {
                Some(name) => {
                    let (name, default) =
                        name.split_once(":-").map_or((name, None), |(name, other)| (name, Some(other)));
                    environment(name).filter(|value| !value.is_empty()).or_else(|| default.map(str::to_owned))
                }
                None if name == "user.name" => whoami::username().ok(),
                None => properties.get(name).cloned(),
            };
            filled.filter(|filled| !filled.contains(&text[from..to])).map(|filled| (from, to, filled))
        });
        let Some((from, to, filled)) = known else { break };
        text.replace_range(from..to, &filled);
    }
    text
}

/// Where `${...}` without another one inside begin and end.
fn variables(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut from = None;
    for (at, character) in text.char_indices() {
        if text[at..].starts_with("${") {
            from = Some(at);
        } else if character == '}'
            && let Some(start) = from.take()
        {
            found.push((start, at + 1));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(pairs: &[(&str, &str)]) -> HadoopConf {
        HadoopConf::from_properties(
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        )
    }

    fn check_nodes(conf: &HadoopConf, authority: &str, expected: &[&str]) {
        assert_eq!(conf.name_nodes(authority).unwrap().addresses, expected, "{authority}");
    }

    #[test]
    fn finds_the_name_nodes() {
        let conf = conf(&[
            ("dfs.ha.namenodes.ns", " nn1, nn2 \n"),
            ("dfs.namenode.rpc-address.ns.nn1", " one:9000 "),
            ("dfs.namenode.rpc-address.ns.nn2", "two"),
            ("dfs.namenode.rpc-address.plain", "three:9001"),
            ("dfs.ha.namenodes.half", "nn1"),
        ]);
        check_nodes(&conf, "ns", &["one:9000", "two:8020"]);
        check_nodes(&conf, "plain", &["three:9001"]);
        check_nodes(&conf, "host", &["host:8020"]);
        check_nodes(&conf, "host:9", &["host:9"]);
        let error = conf.name_nodes("half").unwrap_err().to_string();
        assert!(error.contains("dfs.namenode.rpc-address.half.nn1 is not set"), "{error}");
    }

    #[test]
    fn the_first_member_can_be_another() {
        let conf = conf(&[
            ("dfs.ha.namenodes.ns", "a,b"),
            ("dfs.namenode.rpc-address.ns.a", "one:1"),
            ("dfs.namenode.rpc-address.ns.b", "two:2"),
        ]);
        let nodes = conf.name_nodes("ns").unwrap();
        assert_eq!(conf.for_client(&nodes, 0)["dfs.ha.namenodes.ns"], "a,b");
        assert_eq!(conf.for_client(&nodes, 1)["dfs.ha.namenodes.ns"], "b,a");
    }

    #[test]
    fn values_are_trimmed_and_filled_in() {
        let conf = conf(&[
            ("a", " ${b}/x "),
            ("b", "${c}"),
            ("c", "deep"),
            ("loop", "${loop}"),
            ("odd", "${unknown} ${ } $"),
            ("env", "${env.HEARTH_NO_SUCH_VARIABLE:-fallback}"),
        ]);
        assert_eq!(conf.get("a"), Some("deep/x"));
        assert_eq!(conf.get("loop"), Some("${loop}"));
        assert_eq!(conf.get("odd"), Some("${unknown} ${ } $"));
        assert_eq!(conf.get("env"), Some("fallback"));
        assert_eq!(conf.get("none"), None);
    }

    #[test]
    fn reads_files_and_lets_settings_win() {
        let directory = tempfile::tempdir().unwrap();
        let core = "<?xml version='1.0'?>\n<!-- c --><configuration><property><name> fs.defaultFS </name><value>\n hdfs://${host}\n</value>\
                    <final>true</final></property><property><name>host</name><value>nn1</value></property>\
                    <property><name>empty</name><value/></property></configuration>";
        std::fs::write(directory.path().join("core-site.xml"), core).unwrap();
        let mut settings = HdfsSettings { conf_dir: Some(directory.path().to_owned()), ..HdfsSettings::default() };
        let conf = HadoopConf::load(&settings).unwrap();
        assert_eq!((conf.default_authority().unwrap().as_str(), conf.get("empty")), ("nn1", None));
        settings.properties.insert("host".to_owned(), "nn2:9000".to_owned());
        assert_eq!(HadoopConf::load(&settings).unwrap().default_authority().unwrap(), "nn2:9000");
        std::fs::write(directory.path().join("hdfs-site.xml"), "<configuration>").unwrap();
        let error = HadoopConf::load(&settings).unwrap_err().to_string();
        assert!(error.contains("hdfs-site.xml: is not valid XML"), "{error}");
        settings.conf_dir = Some("/no/such/place".into());
        assert!(HadoopConf::load(&settings).unwrap_err().to_string().contains("is not a directory"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_expands_to_an_end(value in "[a-c${}. :-]{0,30}", other in "[a-c${}]{0,12}") {
            let properties = BTreeMap::from([("a".to_owned(), other), ("b".to_owned(), value)]);
            let _ = HadoopConf::from_properties(properties);
        }
    }
}
