//! Two hosts on one machine: network namespaces with a link between them, and a host name for each process.
//!
//! Each host has two addresses, one for its connections and one for its worker's shuffle outputs, so that the way between the
//! workers can be cut while both still reach the master. It needs root on Linux, `ip` (iproute2), `unshare` (util-linux) and curl.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};

use crate::binary::hearth_binary;
use crate::tools::{need_tool, run_tool};

/// How the names of namespaces begin; the id of the process that made them comes next.
const PREFIX: &str = "hearth-";

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// `node1`, for the master.
    One,
    /// `node2`.
    Two,
}

/// Two hosts. Dropped, they are gone; whatever runs there must have ended. Those of a process that was killed go when the next one makes
/// hosts.
#[derive(Debug)]
pub struct Hosts {
    names: [String; 2],
}

impl Host {
    const BOTH: [Self; 2] = [Self::One, Self::Two];

    /// What the host calls itself.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::One => "node1",
            Self::Two => "node2",
        }
    }

    /// Its address for connections.
    #[must_use]
    pub const fn address(self) -> &'static str {
        match self {
            Self::One => "10.77.0.1",
            Self::Two => "10.77.0.2",
        }
    }

    /// Its address for shuffle outputs.
    #[must_use]
    pub const fn shuffle_address(self) -> &'static str {
        match self {
            Self::One => "10.77.0.11",
            Self::Two => "10.77.0.12",
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::One => Self::Two,
            Self::Two => Self::One,
        }
    }
}

impl Hosts {
    /// Makes the hosts.
    ///
    /// # Errors
    /// Not root, or no `ip`; the message says what to do.
    pub fn start() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        ensure!(
            rustix::process::geteuid().is_root(),
            "two hosts need root, to make network namespaces: sudo -E cargo test --workspace --test system two_nodes"
        );
        need_tool(&["ip", "-V"], "iproute2")?;
        need_tool(&["curl", "--version"], "curl")?;
        remove_orphans()?;
        let number = format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let hosts = Self { names: ["a", "b"].map(|host| format!("{PREFIX}{number}-{host}")) };
        for name in &hosts.names {
            ip(&["netns", "add", name]).context("make a network namespace")?;
        }
        let [one, two] = &hosts.names;
        ip(&["link", "add", "link0", "netns", one, "type", "veth", "peer", "name", "link0", "netns", two])?;
        for host in Host::BOTH {
            for address in [host.address(), host.shuffle_address()] {
                hosts.ip(host, &["address", "add", &format!("{address}/24"), "dev", "link0"])?;
            }
            hosts.ip(host, &["link", "set", "lo", "up"])?;
            hosts.ip(host, &["link", "set", "link0", "up"])?;
        }
        Ok(hosts)
    }

    /// A `hearth` command on a host. The process that is started becomes `hearth` itself, so that signals reach it.
    ///
    /// # Errors
    /// The binary is missing or stale.
    pub fn hearth(&self, host: Host, arguments: &[&str]) -> Result<Command> {
        let mut command = self.command(host, "unshare");
        let rename = "hostname \"$1\" && shift && exec \"$@\"";
        command.args(["--uts", "sh", "-c", rename, "sh", host.name()]);
        command.arg(hearth_binary()?).args(arguments).env_remove("HEARTH_MASTER").env("NO_COLOR", "1");
        Ok(command)
    }

    /// A command of another program on a host's network.
    #[must_use]
    pub fn command(&self, host: Host, program: &str) -> Command {
        let [ip, arguments @ ..] = self.entrance(host);
        let mut command = Command::new(ip);
        command.args(arguments).arg(program);
        command
    }

    /// What to write before a command so that it runs on a host's network.
    #[must_use]
    pub fn entrance(&self, host: Host) -> [String; 4] {
        ["ip", "netns", "exec", self.name(host)].map(str::to_owned)
    }

    /// The body of `http://ADDRESS/PATH`, asked for on a host.
    ///
    /// # Errors
    /// Nobody listens, the answer is an error, or it takes more than ten seconds.
    pub fn http_get(&self, host: Host, address: &str, path: &str) -> Result<String> {
        let url = format!("http://{address}{path}");
        run_tool(self.command(host, "curl").args(["--silent", "--show-error", "--fail", "--max-time", "10", &url]))
    }

    /// Cuts the link between the hosts, or joins it again.
    ///
    /// # Errors
    /// `ip` fails.
    pub fn set_link(&self, is_up: bool) -> Result<()> {
        self.ip(Host::Two, &["link", "set", "link0", if is_up { "up" } else { "down" }])
    }

    /// Keeps the worker of a host from the shuffle outputs of the other, and from nothing else.
    ///
    /// # Errors
    /// `ip` fails.
    pub fn cut_shuffle_of(&self, host: Host) -> Result<()> {
        self.ip(host, &["route", "add", "blackhole", &format!("{}/32", host.other().shuffle_address())])
    }

    /// Takes that back.
    ///
    /// # Errors
    /// It was not cut.
    pub fn join_shuffle_of(&self, host: Host) -> Result<()> {
        self.ip(host, &["route", "delete", "blackhole", &format!("{}/32", host.other().shuffle_address())])
    }

    /// Drops all that the shuffle service of a host sends: who reads from there gets no answer, and no word that there is none.
    ///
    /// # Errors
    /// `ip` fails.
    pub fn silence_shuffle_of(&self, host: Host) -> Result<()> {
        self.ip(host, &["rule", "add", "blackhole", "from", host.shuffle_address()])
    }

    fn ip(&self, host: Host, arguments: &[&str]) -> Result<()> {
        ip(&[&["-netns", self.name(host)], arguments].concat())
    }

    fn name(&self, host: Host) -> &str {
        match host {
            Host::One => &self.names[0],
            Host::Two => &self.names[1],
        }
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for name in &self.names {
            // It may not have been made.
            let _ = ip(&["netns", "delete", name]);
        }
    }
}

/// Removes the hosts of processes that are gone: their names begin with the id of the process that made them.
fn remove_orphans() -> Result<()> {
    let listed = run_tool(Command::new("ip").args(["netns", "list"]))?;
    for name in listed.lines().filter_map(|line| line.split_whitespace().next()) {
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner.to_string()).exists()) {
            // Another run may remove it at this moment.
            let _ = ip(&["netns", "delete", name]);
        }
    }
    Ok(())
}

fn ip(arguments: &[&str]) -> Result<()> {
    run_tool(Command::new("ip").args(arguments)).map(drop)
}
