//! Finds the line that a batch could not be made of. The decoder tells what is wrong, but not where.

use bytes::Bytes;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::ReaderBuilder;

/// Records of one line that are read at once; mostly there is one.
const RECORDS_AT_ONCE: usize = 16;

/// The lines that were given to the decoder since its last batch.
pub(super) struct PendingLines {
    chunks: Vec<Bytes>,
    /// Position of their first byte in the file's content.
    start: u64,
    /// Line of it; `None` where the split does not begin its file.
    line: Option<u64>,
}

/// A line that cannot be read.
pub(super) struct BadLine {
    /// Position of its first byte.
    pub(super) byte: u64,
    /// Its number, from 1.
    pub(super) line: Option<u64>,
    /// What is wrong with it.
    pub(super) error: ArrowError,
}

impl PendingLines {
    /// For lines from `start` on, where the first one is the split's.
    pub(super) const fn new(start: u64, is_file_start: bool) -> Self {
        Self { chunks: Vec::new(), start, line: if is_file_start { Some(1) } else { None } }
    }

    /// The decoder took these bytes.
    pub(super) fn add(&mut self, chunk: Bytes) {
        self.chunks.push(chunk);
    }

    /// A batch was made of all of them.
    pub(super) fn clear(&mut self) {
        for chunk in self.chunks.drain(..) {
            self.start += chunk.len() as u64;
            self.line = self.line.map(|line| line + count_line_feeds(&chunk));
        }
    }

    /// The first line that cannot be read alone; `None` where each can.
    pub(super) fn find_bad(&self, make_reader: impl Fn() -> ReaderBuilder) -> Option<BadLine> {
        let bytes = self.chunks.concat();
        let mut position = 0;
        for (number, line) in (0..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
            if let Err(error) = read_line(line, make_reader()) {
                return Some(BadLine {
                    byte: self.start + position as u64,
                    line: self.line.map(|first| first + number),
                    error,
                });
            }
            position += line.len();
        }
        None
    }
}

fn read_line(mut line: &[u8], reader: ReaderBuilder) -> Result<(), ArrowError> {
    let mut decoder = reader.with_batch_size(RECORDS_AT_ONCE).build_decoder()?;
    loop {
        let used = decoder.decode(line)?;
        decoder.flush()?;
        line = &line[used..];
        if used == 0 || line.is_empty() {
            return Ok(());
        }
    }
}

fn count_line_feeds(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}
