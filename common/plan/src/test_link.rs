//! Links for tests that read pieces of a file without a scheduler.

use std::path::Path;

use hearth_common::{RecordStart, SplitLink};

/// A link that is told its start, in a file whose records are its lines.
pub(crate) fn line_link(path: &Path, start: u64) -> SplitLink {
    let bytes = std::fs::read(path).unwrap();
    let start = usize::try_from(start).unwrap();
    let is_start = |at: &usize| *at == 0 || bytes[at - 1] == b'\n';
    let byte = (start..bytes.len()).find(is_start).unwrap_or(bytes.len());
    let line = 1 + bytes[..byte].iter().filter(|byte| **byte == b'\n').count();
    SplitLink { number: 0, known: Some(RecordStart { byte: byte as u64, line: line as u64 }) }
}
