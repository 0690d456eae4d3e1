//! Hearth's own settings for HDFS: the table `[hdfs]` of a configuration file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use hearth_common::{Backoff, ByteSize};
use serde::{Deserialize, Serialize};

/// How this process uses HDFS. What is left out comes from Hadoop's configuration, or has the default named here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HdfsSettings {
    /// Directory of `core-site.xml` and `hdfs-site.xml`. Default: `HADOOP_CONF_DIR`, else `HADOOP_HOME/etc/hadoop`, else none.
    pub conf_dir: Option<PathBuf>,
    /// Properties that win over those of the files.
    pub properties: BTreeMap<String, String>,
    /// User on clusters without Kerberos. Default: `HADOOP_USER_NAME`, else the user who runs the process.
    pub user: Option<String>,
    /// Kerberos principal; needs `keytab`. Default: the ticket cache of the process.
    pub principal: Option<String>,
    /// Kerberos keytab of `principal`.
    pub keytab: Option<String>,
    /// Replicas of new files. Default: `dfs.replication`, else what the NameNode says.
    pub replication: Option<u32>,
    /// Block size of new files, a multiple of 512 bytes. Default: `dfs.blocksize`, else what the NameNode says.
    pub block_size: Option<ByteSize>,
    /// Longest wait for one answer of a NameNode. 20 s.
    #[serde(with = "hearth_common::duration")]
    pub rpc_timeout: Duration,
    /// Tries of one call before its failure is reported. 3.
    pub rpc_tries: u32,
    /// Longest wait for bytes to move to or from a DataNode before it is given up. 20 s.
    #[serde(with = "hearth_common::duration")]
    pub io_timeout: Duration,
    /// How long a NameNode that is not reached, or is in safe mode, is waited for. 5 min.
    #[serde(with = "hearth_common::duration")]
    pub wait_for_namenode: Duration,
    /// How long writing one file is tried again while DataNodes fail. A dead DataNode is believed alive for ten and a half
    /// minutes by default, and new blocks may go to it until then. 12 min.
    #[serde(with = "hearth_common::duration")]
    pub wait_for_datanodes: Duration,
    /// Bytes that are read ahead of a sequential reader. 4 MiB.
    pub read_ahead: ByteSize,
    /// Reads blocks from the files of this host's DataNodes, where `dfs.block.local-path-access.user` lets this user. Default: whether
    /// `dfs.client.read.shortcircuit` and `dfs.client.use.legacy.blockreader.local` are both true.
    pub short_circuit: Option<bool>,
}

impl Default for HdfsSettings {
    fn default() -> Self {
        Self {
            conf_dir: None,
            properties: BTreeMap::new(),
            user: None,
            principal: None,
            keytab: None,
            replication: None,
            block_size: None,
            rpc_timeout: Duration::from_secs(20),
            rpc_tries: 3,
            io_timeout: Duration::from_secs(20),
            wait_for_namenode: Duration::from_secs(300),
            wait_for_datanodes: Duration::from_secs(720),
            read_ahead: ByteSize::mib(4),
            short_circuit: None,
        }
    }
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("hdfs.{field} {problem}")]
pub struct SettingsError {
    field: &'static str,
    problem: String,
}

impl HdfsSettings {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// The first setting that cannot be used, with what it should be.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let bad = |field, problem: &str| Err(SettingsError { field, problem: problem.to_owned() });
        if self.user.as_ref().is_some_and(|user| user.trim().is_empty()) {
            return bad("user", "is empty; leave it out");
        }
        if self.keytab.is_some() && self.principal.is_none() {
            return bad("keytab", "needs `principal` as well");
        }
        if self.replication.is_some_and(|replication| !(1..=512).contains(&replication)) {
            return bad("replication", "must be between 1 and 512");
        }
        if self.block_size.is_some_and(|size| size.0 == 0 || size.0 % 512 != 0) {
            return bad("block_size", "must be a multiple of 512 bytes");
        }
        if !(1..=20).contains(&self.rpc_tries) {
            return bad("rpc_tries", "must be between 1 and 20");
        }
        let moment = Duration::from_millis(100);
        for (field, value) in [("rpc_timeout", self.rpc_timeout), ("io_timeout", self.io_timeout)] {
            if value < moment || value > Duration::from_secs(3600) {
                return bad(field, "must be between 100ms and 1h");
            }
        }
        if !(64 << 10..=1 << 30).contains(&self.read_ahead.0) {
            return bad("read_ahead", "must be between 64KiB and 1GiB");
        }
        Ok(())
    }

    /// Waits between tries of one call.
    pub(crate) fn call_backoff(&self) -> Backoff {
        Backoff { first: Duration::from_millis(100), max: Duration::from_secs(2) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let settings: HdfsSettings = toml::from_str(text).unwrap();
        assert_eq!(settings.validate().err().map(|error| error.to_string()).unwrap_or_default(), expected);
    }

    #[test]
    fn says_what_a_setting_should_be() {
        check("", "");
        check("user = 'etl'\nreplication = 2\nblock_size = '8MiB'\nrpc_timeout = '5s'\nio_timeout = '500ms'", "");
        check("replication = 0", "hdfs.replication must be between 1 and 512");
        check("block_size = 1000", "hdfs.block_size must be a multiple of 512 bytes");
        check("rpc_timeout = '1ms'", "hdfs.rpc_timeout must be between 100ms and 1h");
        check("io_timeout = '2h'", "hdfs.io_timeout must be between 100ms and 1h");
        check("rpc_tries = 0", "hdfs.rpc_tries must be between 1 and 20");
        check("user = ' '", "hdfs.user is empty; leave it out");
        check("keytab = '/k'", "hdfs.keytab needs `principal` as well");
        check("read_ahead = 1", "hdfs.read_ahead must be between 64KiB and 1GiB");
    }

    #[test]
    fn unknown_settings_are_refused() {
        let error = toml::from_str::<HdfsSettings>("rpc_timeuot = '5s'").unwrap_err();
        assert!(error.to_string().contains("rpc_timeuot"), "{error}");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let settings = HdfsSettings { user: Some("etl".to_owned()), ..HdfsSettings::default() };
        let text = toml::to_string(&settings).unwrap();
        assert_eq!(toml::from_str::<HdfsSettings>(&text).unwrap(), settings);
    }
}
