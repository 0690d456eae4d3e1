//! Under which names and addresses others may know the host of this worker. Storage tells hosts by names of its own.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use hearth_proto::convert::control::NAMES_MAX;

use crate::WorkerConfig;

/// Name of the host, as it calls itself.
pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Its other names: those of the configuration, its short name, where it is advertised, and its address towards the master.
pub(crate) fn further_names(config: &WorkerConfig, master: Option<SocketAddr>) -> Vec<String> {
    let own = host_name();
    let short = own.split_once('.').map(|(short, _)| short.to_owned());
    let bound = Some(config.bind.ip()).filter(is_telling).map(|ip| ip.to_string());
    let towards_master = master.and_then(address_towards).filter(is_telling).map(|ip| ip.to_string());
    let names = config.names.iter().cloned().chain(config.advertise.clone()).chain(short).chain(bound);
    let mut further: Vec<String> = Vec::new();
    for name in names.chain(towards_master) {
        if name != own && !further.contains(&name) {
            further.push(name);
        }
    }
    further.truncate(NAMES_MAX);
    further
}

/// The address of this host from which others are reached. Nothing is sent.
fn address_towards(other: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = if other.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(other).ok()?;
    socket.local_addr().ok().map(|local| local.ip())
}

/// An address that other hosts have as well tells nothing.
fn is_telling(ip: &IpAddr) -> bool {
    !ip.is_unspecified() && !ip.is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_once_and_not_too_many() {
        let named = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            WorkerConfig { names, advertise: Some("node7".into()), ..WorkerConfig::default() }
        };
        let names = further_names(&named(&["w1", "node7", "w1"]), Some(([127, 0, 0, 1], 7077).into()));
        assert_eq!(names[..2], ["w1", "node7"], "and nothing that every host has: {names:?}");
        assert!(!names.iter().any(|name| name == "127.0.0.1" || *name == host_name()), "{names:?}");
        assert!(further_names(&named(&["1", "2", "3", "4", "5", "6", "7", "8", "9"]), None).len() == NAMES_MAX);
    }
}
