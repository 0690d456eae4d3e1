//! How much memory a worker takes when nobody says: a part of what this process may use.

use std::fs;

use hearth_common::ByteSize;

/// Six tenths of the machine's memory, or of the container's limit where that is less.
pub(super) fn default_memory() -> ByteSize {
    let info = rustix::system::sysinfo();
    let machine = u64::from(info.mem_unit).saturating_mul(info.totalram);
    let limit = fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse::<u64>().ok());
    let usable = limit.map_or(machine, |limit| limit.min(machine));
    ByteSize((usable / 10 * 6).max(ByteSize::mib(256).0))
}
