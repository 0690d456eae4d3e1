//! Cuts the bytes of an input split into lines, and counts them. Knows nothing of JSON.

use std::io::BufRead;

use bytes::{Buf, Bytes, BytesMut};
use datafusion::execution::runtime_env::RuntimeEnv;
use hearth_common::{InputSplit, LinkEnd, LinkScan, LinkSpan};
use hearth_csv::byte_order_mark;
use hearth_storage::{SplitLines, StorageError, open_split};

/// Bytes of the longest record: as much as CSV takes unless it is told otherwise.
pub(super) const LINE_BYTES_MAX: usize = 16 << 20;

/// One line, without its line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Its content; only the first [`LINE_BYTES_MAX`] where it is longer.
    pub(super) bytes: Bytes,
    /// It is longer.
    pub(super) is_cut: bool,
    /// Position of its first byte in the file's content.
    pub(super) byte: u64,
    /// Its number, counted from that of the split's first line.
    pub(super) number: u64,
}

/// The lines that start in one input split.
pub(super) struct Lines {
    source: SplitLines,
    split: InputSplit,
    /// First line start; `None` before the first byte.
    start: Option<u64>,
    /// Bytes that have not been looked at.
    chunk: Bytes,
    /// The beginning of a line whose end has not been read, and how much more of it is left out.
    partial: BytesMut,
    left_out: u64,
    /// Position of the next line.
    position: u64,
    /// Line feeds before it, from the first line on.
    line_feeds: u64,
    has_ended: bool,
}

impl Lines {
    pub(super) async fn open(split: InputSplit, runtime: &RuntimeEnv) -> Result<Self, StorageError> {
        Ok(Self {
            source: open_split(runtime, &split).await?,
            start: None,
            chunk: Bytes::new(),
            partial: BytesMut::new(),
            left_out: 0,
            position: split.link.and_then(|link| link.known).map_or(split.end, |known| known.byte.max(split.end)),
            line_feeds: 0,
            has_ended: false,
            split,
        })
    }

    /// The next line of the bytes at hand; `None` where more have to be read, or all were.
    pub(super) fn pop(&mut self) -> Option<Line> {
        let length = (&self.chunk[..]).skip_until(b'\n').unwrap_or_default();
        let has_end = self.chunk[..length].ends_with(b"\n");
        if !has_end {
            self.keep();
            let is_last = self.has_ended && self.unfinished() > 0;
            return is_last.then(|| self.finish_line(0));
        }
        if self.unfinished() > 0 {
            let rest = self.chunk.split_to(length);
            self.join(&rest[..length - 1]);
            return Some(self.finish_line(1));
        }
        let bytes = self.chunk.split_to(length);
        Some(self.line(bytes.slice(..length - 1), (length as u64, 1)))
    }

    /// Reads more bytes, once there is no line in those at hand; `false` behind the last ones.
    pub(super) async fn fill(&mut self) -> Result<bool, StorageError> {
        match self.source.next().await? {
            Some(chunk) => {
                if self.start.is_none() {
                    self.position = self.source.position() - chunk.len() as u64;
                    self.start = Some(self.position);
                }
                self.chunk = chunk;
                Ok(true)
            }
            None => {
                let had_ended = std::mem::replace(&mut self.has_ended, true);
                // The last line may have no end.
                Ok(!had_ended && self.unfinished() > 0)
            }
        }
    }

    /// Passes over what has not been read.
    pub(super) async fn finish(&mut self) -> Result<(), StorageError> {
        loop {
            while self.pop().is_some() {}
            if !self.fill().await? {
                return Ok(());
            }
        }
    }

    /// What was found out about the split, if it is a link.
    pub(super) fn scan(&self) -> Option<LinkScan> {
        let link = self.split.link?;
        let end = LinkEnd { byte: self.position, lines: self.line_feeds };
        let is_complete = self.has_ended && self.unfinished() == 0;
        let start = self.start.unwrap_or(self.position);
        let read = LinkSpan { start, end: is_complete.then_some(end) };
        Some(LinkScan { link: link.number, read, quoted: None })
    }

    fn unfinished(&self) -> u64 {
        self.partial.len() as u64 + self.left_out
    }

    /// The bytes at hand are the middle of a line.
    fn keep(&mut self) {
        let middle = std::mem::take(&mut self.chunk);
        self.join(&middle);
    }

    fn join(&mut self, more: &[u8]) {
        // One more than a line may have: it may be half of the line end.
        let room = (LINE_BYTES_MAX + 1).saturating_sub(self.partial.len()).min(more.len());
        self.partial.extend_from_slice(&more[..room]);
        self.left_out += (more.len() - room) as u64;
    }

    fn finish_line(&mut self, line_feeds: u64) -> Line {
        let length = self.unfinished() + line_feeds;
        let is_cut = std::mem::take(&mut self.left_out) > 0;
        let bytes = self.partial.split().freeze();
        let line = self.line(bytes, (length, line_feeds));
        Line { is_cut: is_cut || line.is_cut, ..line }
    }

    /// The line that is so long with its line feed.
    fn line(&mut self, mut bytes: Bytes, (length, line_feeds): (u64, u64)) -> Line {
        let mut byte = self.position;
        if byte == 0 {
            let mark = byte_order_mark(&bytes);
            bytes.advance(mark);
            byte += mark as u64;
        }
        if bytes.ends_with(b"\r") {
            bytes.truncate(bytes.len() - 1);
        }
        let is_cut = bytes.len() > LINE_BYTES_MAX;
        bytes.truncate(LINE_BYTES_MAX);
        let number = self.line_feeds;
        self.position += length;
        self.line_feeds += line_feeds;
        Line { bytes, is_cut, byte, number }
    }
}
