//! Reads CPU time and memory of running processes from Linux' `/proc`.

use std::collections::BTreeSet;

/// Clock ticks per second in `/proc`; the same on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds of a process so far, with those of its children that ended; 0 when it is gone.
pub(crate) fn cpu_seconds(process: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name in brackets may have spaces; utime is the twelfth field after it.
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

/// CPU seconds of all children of this process that ended.
pub(crate) fn ended_children_cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

/// Resident memory of a process in bytes; 0 when it is gone.
pub(crate) fn resident_bytes(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// The given processes and everything they started.
pub(crate) fn family(roots: &[u32]) -> BTreeSet<u32> {
    let (mut pending, mut found) = (roots.to_vec(), BTreeSet::new());
    while let Some(process) = pending.pop() {
        if found.insert(process) {
            pending.extend(children(process));
        }
    }
    found
}

fn children(process: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("children")).ok());
    let ids = lists.flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>());
    ids.collect()
}
