//! Ports for masters that are started again on theirs.

use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, bail};

/// Below those that the system gives to connections: one of them could take a master's port while the master is down. Above them
/// are those of HDFS.
const FIRST: u16 = 10_000;
const COUNT: u16 = 10_000;

/// Differs between test programs that run at the same time.
static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(0) >> 1));

/// An address that nobody listens on, another one each time.
pub(crate) fn own_address() -> Result<String> {
    for _ in 0..COUNT {
        let number = NEXT.fetch_add(1, Ordering::Relaxed) % u64::from(COUNT);
        let address = format!("127.0.0.1:{}", u64::from(FIRST) + number);
        if TcpListener::bind(&address).is_ok() {
            return Ok(address);
        }
    }
    bail!("none of the ports from {FIRST} to {} is free", FIRST + COUNT - 1)
}
