//! The process as the kernel sees it, and the disk that it writes to. What cannot be read is left out.

use std::fmt;
use std::path::PathBuf;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use crate::collect::one_gauge;

#[derive(Debug)]
pub(crate) struct ProcessFigures {
    pub(crate) directory: PathBuf,
}

impl Collector for ProcessFigures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if let Some(bytes) = resident_bytes() {
            one_gauge(&mut encoder, ("process_resident_memory_bytes", "Memory of this process"), bytes)?;
        }
        if let Some(count) = open_files() {
            one_gauge(&mut encoder, ("process_open_files", "Open files and connections of this process"), count)?;
        }
        if let Ok(stat) = rustix::fs::statvfs(&self.directory) {
            let (free, all) =
                (stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_blocks.saturating_mul(stat.f_frsize));
            one_gauge(&mut encoder, ("disk_free_bytes", "Free space where state or work is kept"), free)?;
            one_gauge(&mut encoder, ("disk_size_bytes", "Size of that file system"), all)?;
        }
        Ok(())
    }
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = resident.trim().strip_suffix(" kB")?.parse().ok()?;
    kib.checked_mul(1024)
}

fn open_files() -> Option<u64> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count() as u64)
}
