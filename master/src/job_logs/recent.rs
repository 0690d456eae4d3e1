//! The last lines that one worker told, of whatever job: looked for in the ends of the logs that were written to last.

use std::cmp::Reverse;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::SystemTime;

use hearth_common::{LogLine, WorkerId};

/// Logs that are looked at.
const LOGS_MAX: usize = 32;
/// Bytes of each that are looked at.
const TAIL_BYTES_MAX: u64 = 256 << 10;

/// The last lines of a worker, oldest first.
pub(super) fn read_recent(paths: impl Iterator<Item = PathBuf>, worker: WorkerId, lines_max: usize) -> Vec<LogLine> {
    let written = |path: PathBuf| Some((path.metadata().ok()?.modified().ok()?, path));
    let mut logs: Vec<(SystemTime, PathBuf)> = paths.filter_map(written).collect();
    logs.sort_by_key(|(written, _)| Reverse(*written));
    logs.truncate(LOGS_MAX);
    // A log that cannot be read has no lines here; whoever asks for it by its job is told why.
    let tails = logs.iter().filter_map(|(_, path)| read_tail(path).ok());
    let mut found: Vec<LogLine> = tails.flat_map(|tail| lines_of(&tail, worker)).collect();
    found.sort_by_key(|line| (line.at_ms, line.number));
    found.drain(..found.len().saturating_sub(lines_max));
    found
}

/// The end of a log, from the start of a line.
fn read_tail(path: &PathBuf) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(TAIL_BYTES_MAX);
    let mut tail = vec![0; usize::try_from(length - start).unwrap_or_default()];
    file.read_exact_at(&mut tail, start)?;
    if start > 0 {
        let whole = tail.iter().position(|byte| *byte == b'\n').map_or(tail.len(), |end| end + 1);
        tail.drain(..whole);
    }
    Ok(tail)
}

fn lines_of(tail: &[u8], worker: WorkerId) -> Vec<LogLine> {
    let name = worker.to_string();
    let lines = tail.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    let named = lines.filter(|line| line.contains(&name));
    named
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &LogLine| line.worker == Some(worker))
        .collect()
}
