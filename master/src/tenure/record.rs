//! The file of an epoch: whose it is, where that master is reached, and the beat by which others see that it lives.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::OnceLock;

use hearth_common::Epoch;
use serde::{Deserialize, Serialize};

/// Every record fills its file, so that it is replaced by one write of the same length.
const RECORD_BYTES: usize = 1024;

/// Where a master is reached by others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reached {
    /// `host:port` for clients and workers.
    pub rpc: String,
    /// `host:port` of its pages.
    pub http: String,
}

/// What the file of an epoch says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub epoch: Epoch,
    pub reached: Reached,
    /// Of its host, for people.
    pub host: String,
    pub process: u32,
    /// The kernel's name for the time since its host was started: within it, locks that are free tell that their holder is dead.
    pub boot: String,
    /// Grows while the master lives.
    pub beat: u64,
    /// It has ended, and said so after its last act.
    pub has_ended: bool,
}

impl Record {
    pub(super) fn new(epoch: Epoch, reached: Reached) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let process = std::process::id();
        Self { epoch, reached, host, process, boot: boot_id().to_owned(), beat: 0, has_ended: false }
    }

    /// Replaces what the file says, on the disk too.
    pub(super) fn write(&self, file: &File) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(self)?;
        if bytes.len() >= RECORD_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the addresses of this master are too long"));
        }
        bytes.resize(RECORD_BYTES - 1, b' ');
        bytes.push(b'\n');
        file.write_all_at(&bytes, 0)?;
        file.sync_data()
    }

    /// Its host has been running since, so that its locks can be believed.
    pub(super) fn is_of_this_boot(&self) -> bool {
        !self.boot.is_empty() && self.boot == boot_id()
    }
}

/// The bytes of a record, and what they say. Bytes that say nothing are of a master that is just writing them, or died then.
pub(super) fn read(path: &Path) -> io::Result<(Vec<u8>, Option<Record>)> {
    let bytes = std::fs::read(path)?;
    let record = serde_json::from_slice(&bytes).ok();
    Ok((bytes, record))
}

/// Empty where the kernel does not tell: then no lock is believed.
fn boot_id() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        let read = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        read.map(|text| text.trim().to_owned()).unwrap_or_default()
    })
}
