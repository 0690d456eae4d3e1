//! Everything an operator can set about a master, with defaults, checked once before anything starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use hearth_common::{ByteSize, duration};
use hearth_scheduler::SchedulerConfig;
use hearth_storage::HdfsSettings;
use serde::{Deserialize, Serialize};

use crate::job_logs::LogLimits;
use crate::tenure::SILENCE_MIN;
use crate::traces::{Endpoint, TracingConfig};

/// Settings of one master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MasterConfig {
    /// Where workers and clients connect. Port 0 takes a free one.
    pub rpc: SocketAddr,
    /// Where the pages, `/api/v1` and `/metrics` are. Port 0 takes a free one.
    pub http: SocketAddr,
    /// Jobs, how far they have come, their final states and stored results. Only one master may use it.
    pub state_dir: PathBuf,
    /// Host under which others reach it, where it is not that of `rpc` and `http`: standbys and their pages name it.
    pub advertise: Option<String>,
    /// Wait while another master uses the state directory, and take over when that one has died.
    pub standby: bool,
    /// How long a standby that sees no sign of life of the active master waits before it takes over.
    #[serde(with = "duration")]
    pub takeover_after: Duration,
    /// How often workers are told to send a heartbeat.
    #[serde(with = "duration")]
    pub heartbeat_interval: Duration,
    /// How long a silent worker is believed to live.
    #[serde(with = "duration")]
    pub lease: Duration,
    /// How long a worker whose connection broke may take to come back.
    #[serde(with = "duration")]
    pub disconnect_grace: Duration,
    /// How long a job waits while there is no worker, before it fails.
    #[serde(with = "duration")]
    pub no_worker_timeout: Duration,
    /// How long tasks wait for a free slot on a host that holds what they read, while others are free; 0s for not at all.
    #[serde(with = "duration")]
    pub locality_wait: Duration,
    /// Jobs that may wait their turn; more are refused.
    pub queued_jobs_max: usize,
    /// Jobs that are planned, run or commit at once.
    pub running_jobs_max: usize,
    /// Ended jobs that are remembered, with their results; older ones are forgotten.
    pub jobs_kept_max: usize,
    /// Most bytes of the log of one job; then only the master's own lines, warnings and errors find a little more room.
    pub job_log_bytes_max: ByteSize,
    /// Most bytes of the logs of all jobs together; those of the oldest jobs go first.
    pub logs_bytes_max: ByteSize,
    /// Slots that a job is planned for while no worker has joined yet.
    pub slots_assumed: u32,
    /// Largest request of a client, in bytes.
    pub request_bytes_max: usize,
    /// What becomes of jobs that have not ended when the master is told to stop.
    pub on_stop: OnStop,
    /// How long workers of the master before may take to come back after a restart, before they are lost; at least the lease.
    #[serde(with = "duration")]
    pub restart_grace: Duration,
    /// How long a stop waits for commits that have begun.
    #[serde(with = "duration")]
    pub stop_timeout: Duration,
    /// How HDFS is listed, and how output is committed there.
    pub hdfs: HdfsSettings,
    /// Where traces of ended jobs go.
    pub tracing: TracingConfig,
}

impl Default for MasterConfig {
    fn default() -> Self {
        let scheduler = SchedulerConfig::default();
        Self {
            rpc: SocketAddr::from((Ipv4Addr::LOCALHOST, 7077)),
            http: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            state_dir: PathBuf::from("hearth-state"),
            advertise: None,
            standby: false,
            takeover_after: Duration::from_secs(10),
            heartbeat_interval: Duration::from_secs(2),
            lease: scheduler.lease,
            disconnect_grace: scheduler.disconnect_grace,
            no_worker_timeout: scheduler.no_worker_timeout,
            locality_wait: scheduler.locality_wait,
            queued_jobs_max: scheduler.queued_jobs_max,
            running_jobs_max: scheduler.running_jobs_max,
            jobs_kept_max: 10_000,
            job_log_bytes_max: ByteSize::mib(16),
            logs_bytes_max: ByteSize::mib(512),
            slots_assumed: 8,
            request_bytes_max: 4 << 20,
            on_stop: OnStop::Keep,
            restart_grace: scheduler.restart_grace,
            stop_timeout: Duration::from_secs(20),
            hdfs: HdfsSettings::default(),
            tracing: TracingConfig::default(),
        }
    }
}

/// What becomes of jobs that have not ended when the master is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnStop {
    /// The next master on the same state directory goes on with them.
    Keep,
    /// They fail, and nothing of them is left: there will be no next one.
    Fail,
}

/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("set {setting}: {problem}")]
pub struct ConfigError {
    /// Name of the setting.
    pub setting: &'static str,
    /// What is wrong with its value.
    pub problem: String,
}

impl MasterConfig {
    /// Checks the settings against each other.
    ///
    /// # Errors
    /// The first one that cannot be.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let refuse = |setting, problem: &str| Err(ConfigError { setting, problem: problem.to_owned() });
        if self.heartbeat_interval.is_zero() {
            return refuse("heartbeat_interval", "must be longer than 0");
        }
        if self.lease < self.heartbeat_interval * 2 {
            return refuse("lease", "must be at least twice the heartbeat_interval, or healthy workers are lost");
        }
        if self.takeover_after < SILENCE_MIN {
            return refuse("takeover_after", "must be at least 8s, or a master that is only slow is fenced");
        }
        if self.advertise.as_ref().is_some_and(|host| host.is_empty() || host.len() > 255) {
            return refuse("advertise", "must be a host");
        }
        if self.running_jobs_max == 0 {
            return refuse("running_jobs_max", "must be at least 1");
        }
        if self.queued_jobs_max == 0 {
            return refuse("queued_jobs_max", "must be at least 1");
        }
        if self.jobs_kept_max == 0 {
            return refuse("jobs_kept_max", "must be at least 1");
        }
        if self.locality_wait > Duration::from_secs(60) {
            return refuse("locality_wait", "must be at most 1m: reading from another host takes less");
        }
        if self.job_log_bytes_max < ByteSize(64 << 10) {
            return refuse("job_log_bytes_max", "must be at least 64KiB");
        }
        if self.logs_bytes_max < self.job_log_bytes_max {
            return refuse("logs_bytes_max", "must be at least job_log_bytes_max");
        }
        if self.slots_assumed == 0 {
            return refuse("slots_assumed", "must be at least 1");
        }
        if self.rpc.port() != 0 && self.rpc.port() == self.http.port() {
            return refuse("http", "must have another port than rpc");
        }
        let hdfs = self.hdfs.validate();
        hdfs.map_err(|error| ConfigError { setting: "hdfs", problem: error.to_string() })?;
        self.otlp_endpoint().map(|_| ())
    }

    /// Where traces go, if anywhere.
    pub(crate) fn otlp_endpoint(&self) -> Result<Option<Endpoint>, ConfigError> {
        let setting = "tracing.otlp_endpoint";
        let endpoint = self.tracing.otlp_endpoint.as_deref().map(Endpoint::parse).transpose();
        endpoint.map_err(|problem| ConfigError { setting, problem })
    }

    pub(crate) const fn log_limits(&self) -> LogLimits {
        LogLimits { job_bytes_max: self.job_log_bytes_max, bytes_max: self.logs_bytes_max }
    }

    pub(crate) fn scheduler(&self) -> SchedulerConfig {
        SchedulerConfig {
            running_jobs_max: self.running_jobs_max,
            queued_jobs_max: self.queued_jobs_max,
            lease: self.lease,
            // Two heartbeats that do not come are no accident.
            silence: (self.lease / 2).max(self.heartbeat_interval * 5 / 2),
            disconnect_grace: self.disconnect_grace,
            no_worker_timeout: self.no_worker_timeout,
            locality_wait: self.locality_wait,
            restart_grace: self.restart_grace.max(self.lease),
            ..SchedulerConfig::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut MasterConfig), expected: Option<&str>) {
        let mut config = MasterConfig::default();
        change(&mut config);
        assert_eq!(config.validate().err().map(|error| error.setting), expected);
    }

    #[test]
    fn defaults_hold_and_contradictions_do_not() {
        check(|_| {}, None);
        check(|config| config.lease = Duration::from_secs(3), Some("lease"));
        check(|config| config.takeover_after = Duration::from_secs(7), Some("takeover_after"));
        check(|config| config.heartbeat_interval = Duration::ZERO, Some("heartbeat_interval"));
        check(|config| config.running_jobs_max = 0, Some("running_jobs_max"));
        check(|config| config.http.set_port(7077), Some("http"));
        check(|config| config.hdfs.rpc_tries = 0, Some("hdfs"));
        let endpoint = |text: &str| Some(text.to_owned());
        check(|config| config.tracing.otlp_endpoint = endpoint("node1:4318"), Some("tracing.otlp_endpoint"));
        check(|config| config.tracing.otlp_endpoint = endpoint("http://node1:4318"), None);
        check(
            |config| {
                config.rpc.set_port(0);
                config.http.set_port(0);
            },
            None,
        );
    }
}
