//! Configuration of a worker. Checked once, before anything is started.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use hearth_common::ByteSize;
use hearth_proto::convert::control::{NAMES_MAX, SLOTS_MAX};
use hearth_storage::HdfsSettings;
use serde::{Deserialize, Serialize};

use crate::StartError;

/// Below this much memory per slot no operator can even spill.
const SLOT_MEMORY_MIN: ByteSize = ByteSize::mib(32);

/// Most masters that share a state directory.
const MASTERS_MAX: usize = 16;

/// Configuration of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerConfig {
    /// `host:port` of the master, or of several masters that share a state directory, with commas between them.
    pub master: String,
    /// Room for attempts.
    pub slots: u32,
    /// Memory limit of its attempts together; each has an equal part.
    pub memory: ByteSize,
    /// Shuffle outputs and spilled data are kept in a directory below it.
    pub work_dir: PathBuf,
    /// Address of its shuffle service. Port 0: any free one.
    pub bind: SocketAddr,
    /// Address of `/metrics`, `/healthz` and `/readyz`; left out: none. Port 0: any free one.
    pub http: Option<SocketAddr>,
    /// Host under which other workers and the master reach it; the bound address where it is left out.
    pub advertise: Option<String>,
    /// Further names and addresses of its host, such as the one by which HDFS knows the `DataNode` on it; tasks go where their data
    /// is by these.
    pub names: Vec<String>,
    /// Most bytes that its attempts may have spilled at a time.
    pub spill_bytes_max: ByteSize,
    /// How long attempts run on without a master before everything is discarded.
    #[serde(with = "hearth_common::duration")]
    pub master_timeout: Duration,
    /// How long a drain may take, attempts and shuffle outputs that are still needed included.
    #[serde(with = "hearth_common::duration")]
    pub drain_timeout: Duration,
    /// How HDFS is read and written.
    pub hdfs: HdfsSettings,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            master: "127.0.0.1:7077".into(),
            slots: thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1)),
            memory: half_of_the_machine(),
            work_dir: std::env::temp_dir().join("hearth-worker"),
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            http: None,
            advertise: None,
            names: Vec::new(),
            spill_bytes_max: ByteSize::gib(256),
            master_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(60),
            hdfs: HdfsSettings::default(),
        }
    }
}

fn half_of_the_machine() -> ByteSize {
    let info = rustix::system::sysinfo();
    let total = u64::from(info.mem_unit).saturating_mul(info.totalram);
    ByteSize(total / 2).max(ByteSize::mib(256))
}

impl WorkerConfig {
    /// Checks what can be checked without touching anything.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn validate(&self) -> Result<(), StartError> {
        if !(1..=SLOTS_MAX).contains(&self.slots) {
            return Err(StartError::Config(format!("slots must be 1 to {SLOTS_MAX}, found {}", self.slots)));
        }
        let least = ByteSize(SLOT_MEMORY_MIN.0 * u64::from(self.slots));
        if self.memory < least {
            let problem = format!("memory must be at least {least} for {} slots, found {}", self.slots, self.memory);
            return Err(StartError::Config(problem));
        }
        let masters = self.masters();
        if masters.len() > MASTERS_MAX {
            return Err(StartError::Config(format!("master must name at most {MASTERS_MAX} masters")));
        }
        for master in masters {
            let (host, port) = master.rsplit_once(':').unwrap_or_default();
            if host.is_empty() || !port.parse::<u16>().is_ok_and(|port| port > 0) {
                let problem = format!("master must be host:port, such as node1:7077, found `{master}`");
                return Err(StartError::Config(problem));
            }
        }
        if self.names.len() > NAMES_MAX || self.names.iter().any(|name| name.is_empty() || name.len() > 255) {
            let problem = format!("names must be at most {NAMES_MAX} names of this host, none of them empty");
            return Err(StartError::Config(problem));
        }
        self.hdfs.validate().map_err(|error| StartError::Config(error.to_string()))
    }

    /// `host:port` of each master.
    pub(crate) fn masters(&self) -> Vec<&str> {
        self.master.split(',').map(str::trim).collect()
    }

    /// The memory of one attempt, in bytes.
    pub(crate) fn attempt_memory_bytes(&self) -> usize {
        ByteSize(self.memory.0 / u64::from(self.slots.max(1))).as_usize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut WorkerConfig), expected: Option<&str>) {
        let mut config = WorkerConfig { slots: 2, memory: ByteSize::gib(1), ..WorkerConfig::default() };
        change(&mut config);
        assert_eq!(config.validate().err().map(|error| error.to_string()).as_deref(), expected);
    }

    #[test]
    fn says_which_setting_cannot_be_used() {
        check(|_| {}, None);
        check(|config| config.slots = 0, Some("start the worker: slots must be 1 to 4096, found 0"));
        check(
            |config| config.memory = ByteSize::mib(63),
            Some("start the worker: memory must be at least 64MiB for 2 slots, found 63MiB"),
        );
        check(
            |config| config.master = "node1".into(),
            Some("start the worker: master must be host:port, such as node1:7077, found `node1`"),
        );
        check(|config| config.master = "node1:7077, node2:7077".into(), None);
        check(
            |config| config.master = "node1:7077,".into(),
            Some("start the worker: master must be host:port, such as node1:7077, found ``"),
        );
        check(
            |config| config.names = vec![String::new()],
            Some("start the worker: names must be at most 8 names of this host, none of them empty"),
        );
        check(|config| config.hdfs.rpc_tries = 0, Some("start the worker: hdfs.rpc_tries must be between 1 and 20"));
    }
}
