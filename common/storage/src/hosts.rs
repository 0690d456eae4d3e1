//! Which hosts hold which bytes of a file: a hint for whoever chooses where it is read.

use std::net::IpAddr;
use std::ops::Range;

use hearth_hdfs::{BlockLocation, Replica};

use crate::location::Place;
use crate::{Location, Storage};

/// A range of a file, and who holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRange {
    /// Bytes of the file.
    pub range: Range<u64>,
    /// The hosts that hold them, nearest first; each by all of its names and addresses, in lower case.
    pub hosts: Vec<Vec<String>>,
}

impl Storage {
    /// Who holds the first `bytes` of a file, in order. Empty for a local file, and where nobody knows.
    pub async fn held_ranges(&self, file_url: &str, bytes: u64) -> Vec<HeldRange> {
        let Ok(location) = Location::parse(file_url) else { return Vec::new() };
        match location.place() {
            Place::Local(_) => Vec::new(),
            Place::Hdfs(url) => match self.hdfs(url) {
                Ok(hdfs) => hdfs.block_locations(url, 0..bytes).await.into_iter().map(held_range).collect(),
                Err(_) => Vec::new(),
            },
        }
    }
}

fn held_range(block: BlockLocation) -> HeldRange {
    HeldRange { range: block.range, hosts: block.replicas.into_iter().map(names_of).collect() }
}

/// An address that every host has names none of them.
fn names_of(replica: Replica) -> Vec<String> {
    let Replica { host, ip, .. } = replica;
    let is_loopback = |ip: &String| ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let short = host.split_once('.').filter(|_| host.parse::<IpAddr>().is_err()).map(|(short, _)| short.to_owned());
    let mut names = vec![host];
    names.extend(short);
    names.extend(Some(ip).filter(|ip| !ip.is_empty() && !is_loopback(ip)));
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, ip: &str, expected: &[&str]) {
        let replica = Replica { host: host.to_owned(), ip: ip.to_owned(), port: 9866, rack: String::new() };
        assert_eq!(names_of(replica), expected, "{host} {ip}");
    }

    #[test]
    fn a_host_has_its_full_name_its_short_one_and_its_address() {
        check("node1.example.org", "10.0.0.1", &["node1.example.org", "node1", "10.0.0.1"]);
        check("node1", "127.0.0.1", &["node1"]);
        check("10.0.0.1", "10.0.0.1", &["10.0.0.1"]);
        check("node1", "", &["node1"]);
    }

    #[tokio::test]
    async fn nobody_is_asked_about_local_files() {
        assert_eq!(Storage::default().held_ranges("/tmp/a", 10).await, []);
        assert_eq!(Storage::default().held_ranges("relative", 10).await, []);
    }
}
