//! Reads a split as segments: finds its first record, cuts what lies between two chunks out of both, and stops behind the last
//! record that starts in the split.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use hearth_common::{FailureCause, InputSplit, LinkEnd, LinkScan, LinkSpan};
use hearth_scan::{Dialect, Index, Scanner, State};
use hearth_storage::ByteSource;

use crate::header;
use crate::link::{self, Quoted};
use crate::problem::{Located, Reason};
use crate::segment::{Segment, count_line_feeds};

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// At a record's start.
    Record(u64),
    /// At the split's first byte, whatever that belongs to. Reading itself begins some bytes before.
    Guess,
}

/// The records that start in one split.
pub(crate) struct Segments {
    source: ByteSource,
    split: InputSplit,
    dialect: Dialect,
    record_bytes_max: u64,
    scanner: Scanner,
    /// Offset in the file of the next byte of `source`.
    position: u64,
    /// The bytes before a guessed beginning have to be looked at.
    needs_context: bool,
    /// The first bytes of `source`, until there are enough to begin with.
    first: BytesMut,
    /// First record start; what is before it belongs to the split before.
    start: Option<u64>,
    /// Line feeds from `start` to `position`.
    lines: i64,
    /// The beginning of a record whose end has not been read, and the line feeds before it.
    partial: BytesMut,
    partial_start: u64,
    partial_lines: i64,
    end: Option<LinkEnd>,
    quoted: Option<Quoted>,
    ready: VecDeque<Segment>,
    spare: Vec<Index>,
}

impl Segments {
    /// Records of `split`, whose bytes come from `source`: for a guess from at most [`link::CONTEXT_BYTES`] before its beginning.
    pub(crate) fn new(source: ByteSource, split: InputSplit, begin: Begin, (dialect, max): (Dialect, u64)) -> Self {
        let (position, start) = match begin {
            Begin::Record(byte) => (byte, Some(byte)),
            Begin::Guess => (split.start.saturating_sub(link::CONTEXT_BYTES), None),
        };
        Self {
            source,
            dialect,
            record_bytes_max: max,
            scanner: Scanner::new(dialect, State::RecordStart),
            position,
            needs_context: begin == Begin::Guess,
            first: BytesMut::new(),
            end: start.filter(|start| *start >= split.end).map(|byte| LinkEnd { byte, lines: 0 }),
            split,
            start,
            lines: 0,
            partial: BytesMut::new(),
            partial_start: 0,
            partial_lines: 0,
            quoted: None,
            ready: VecDeque::new(),
            spare: Vec::new(),
        }
    }

    /// The next records; `None` behind the last one.
    pub(crate) async fn next(&mut self) -> Result<Option<Segment>, Located> {
        loop {
            if let Some(segment) = self.ready.pop_front() {
                return Ok(Some(segment));
            }
            if self.is_ended() {
                return Ok(None);
            }
            match self.source.next().await.map_err(FailureCause::from)? {
                Some(chunk) => {
                    if let Some(chunk) = self.gather(chunk) {
                        self.take(chunk)?;
                    }
                }
                None if self.first.is_empty() => self.end_file()?,
                None => {
                    let rest = self.first.split().freeze();
                    self.take(rest)?;
                }
            }
        }
    }

    /// Joins chunks until they hold the context of a guess, or a byte order mark: a storage may give single bytes.
    fn gather(&mut self, chunk: Bytes) -> Option<Bytes> {
        let wanted = match self.position {
            _ if self.needs_context => usize::try_from(self.split.start - self.position).unwrap_or_default(),
            0 => header::BYTE_ORDER_MARK.len(),
            _ => 0,
        };
        if self.first.is_empty() && chunk.len() >= wanted {
            return Some(chunk);
        }
        self.first.extend_from_slice(&chunk);
        (self.first.len() >= wanted).then(|| self.first.split().freeze())
    }

    /// Takes back the index of a segment that has been read.
    pub(crate) fn recycle(&mut self, segment: Segment) {
        self.spare.push(segment.index);
    }

    /// First record start, and where the records end, as far as both are known.
    pub(crate) fn scan(&self, number: u32) -> LinkScan {
        let start = self.start.unwrap_or(self.split.end);
        let quoted = self.quoted.as_ref().and_then(Quoted::span);
        LinkScan { link: number, read: LinkSpan { start, end: self.end }, quoted }
    }

    /// Bytes of a segment from the start of the split's first record are not told by line when that start was a guess.
    pub(crate) const fn split(&self) -> &InputSplit {
        &self.split
    }

    /// Reads what is left for its structure alone.
    pub(crate) async fn finish(&mut self) -> Result<(), Located> {
        while let Some(segment) = self.next().await? {
            self.recycle(segment);
        }
        while self.quoted.as_ref().is_some_and(Quoted::is_looking) {
            match self.source.next().await.map_err(FailureCause::from)? {
                Some(chunk) => self.pass_quoted(&chunk),
                None => self.end_quoted(),
            }
        }
        Ok(())
    }

    fn is_ended(&self) -> bool {
        self.end.is_some()
    }

    fn take(&mut self, mut chunk: Bytes) -> Result<(), Located> {
        if std::mem::take(&mut self.needs_context) {
            self.begin_guess(&mut chunk);
        }
        if self.position == 0 {
            header::check_encoding(&chunk, &self.split.url)?;
            let mark = header::byte_order_mark(&chunk);
            chunk.advance(mark);
            self.position += mark as u64;
        }
        if let Some(quoted) = &mut self.quoted {
            quoted.take(&chunk, self.position);
        }
        if self.start.is_none() && self.position >= self.split.end {
            self.end = Some(LinkEnd { byte: self.split.end, lines: 0 });
            return Ok(());
        }
        let mut index = self.spare.pop().unwrap_or_default();
        self.scanner.scan(&chunk, &mut index);
        let line_feeds = i64::try_from(index.line_feeds()).unwrap_or(i64::MAX);
        let (lines, position) = (self.lines, self.position);
        self.lines += line_feeds;
        self.position += chunk.len() as u64;
        self.cut(chunk, index, (position, lines))
    }

    /// Looks at the bytes before the split, and leaves those of the split.
    fn begin_guess(&mut self, chunk: &mut Bytes) {
        let context = usize::try_from(self.split.start - self.position).unwrap_or_default().min(chunk.len());
        let (outside, inside) = link::states(&chunk[..context], &self.dialect);
        chunk.advance(context);
        self.position = self.split.start;
        self.scanner = Scanner::new(self.dialect, outside);
        self.quoted = Quoted::new(self.dialect, inside, self.split.end, self.record_bytes_max);
        if outside == State::RecordStart {
            self.start = Some(self.position);
        }
    }

    /// Makes segments of the records that end in a chunk.
    fn cut(&mut self, chunk: Bytes, index: Index, (position, lines): (u64, i64)) -> Result<(), Located> {
        let starts = |record: usize| index.separators()[index.record_ends()[record] as usize] as usize + 1;
        let records = index.record_ends().len();
        let mut first = 0;
        if self.start.is_none() {
            if records == 0 {
                self.spare.push(index);
                return Ok(());
            }
            let start = starts(0);
            self.start = Some(position + start as u64);
            self.lines -= lines + count_line_feeds(&chunk[..start]);
            first = 1;
        } else if !self.partial.is_empty() {
            let length = if records == 0 { chunk.len() } else { starts(0) };
            self.partial.extend_from_slice(&chunk[..length]);
            self.check_length()?;
            if records == 0 {
                self.spare.push(index);
                return Ok(());
            }
            self.finish_partial();
            first = 1;
        }
        let lines_at_chunk = self.lines - i64::try_from(index.line_feeds()).unwrap_or(i64::MAX);
        // Records that start before the split's end, and where the next one starts.
        let start_of = |record: usize| if record == 0 { position } else { position + starts(record - 1) as u64 };
        let split_end = self.split.end;
        let end = partition_point(first..records, |record| start_of(record) < split_end);
        let next_start = start_of(end.max(first));
        if next_start >= split_end {
            let rest = usize::try_from(next_start - position).unwrap_or(usize::MAX).min(chunk.len());
            let lines = self.lines - count_line_feeds(&chunk[rest..]);
            self.end = Some(LinkEnd { byte: next_start, lines: u64::try_from(lines).unwrap_or_default() });
        } else {
            let rest = usize::try_from(next_start - position).unwrap_or(usize::MAX).min(chunk.len());
            self.partial = BytesMut::from(&chunk[rest..]);
            self.partial_start = next_start;
            self.partial_lines = self.lines - count_line_feeds(&chunk[rest..]);
            self.check_length()?;
        }
        if end > first {
            self.ready.push_back(Segment::new(chunk, index, (position, lines_at_chunk), (first, end)));
        } else {
            self.spare.push(index);
        }
        Ok(())
    }

    /// The record whose last byte has been read is complete.
    fn finish_partial(&mut self) {
        let bytes = self.partial.split().freeze();
        let mut index = self.spare.pop().unwrap_or_default();
        Scanner::new(self.dialect, State::RecordStart).scan(&bytes, &mut index);
        let records = index.record_ends().len();
        self.ready.push_back(Segment::new(bytes, index, (self.partial_start, self.partial_lines), (0, records)));
    }

    /// The file ends, perhaps in a record without a line end.
    fn end_file(&mut self) -> Result<(), Located> {
        self.end_quoted();
        if self.start.is_none() {
            self.end = Some(LinkEnd { byte: self.split.end, lines: 0 });
            return Ok(());
        }
        if !self.partial.is_empty() {
            let bytes = self.partial.split().freeze();
            let mut scanner = Scanner::new(self.dialect, State::RecordStart);
            let mut index = self.spare.pop().unwrap_or_default();
            scanner.scan(&bytes, &mut index);
            if scanner.state().is_in_quotes() {
                return Err(self.locate(Reason::UnclosedQuote, &bytes));
            }
            index.end_record(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            let records = index.record_ends().len();
            self.ready.push_back(Segment::new(bytes, index, (self.partial_start, self.partial_lines), (0, records)));
        }
        let end = self.position.max(self.split.end);
        self.end = Some(LinkEnd { byte: end, lines: u64::try_from(self.lines).unwrap_or_default() });
        Ok(())
    }

    /// The record in `partial` is not too long. Its line end, of which half may have been read, is no part of it.
    fn check_length(&self) -> Result<(), Located> {
        let record = self.partial.strip_suffix(b"\n").unwrap_or(&self.partial);
        let record = record.strip_suffix(b"\r").unwrap_or(record);
        if record.len() as u64 <= self.record_bytes_max {
            return Ok(());
        }
        // How much of it has been read depends on the split: shown is what every split has read.
        let shown = &record[..usize::try_from(self.record_bytes_max).unwrap_or(usize::MAX).min(record.len())];
        Err(self.locate(Reason::TooLong { bytes_max: self.record_bytes_max }, shown))
    }

    /// Something is wrong with the record that begins `partial`.
    fn locate(&self, reason: Reason, record: &[u8]) -> Located {
        let lines = u64::try_from(self.partial_lines).unwrap_or_default();
        Located::new(reason, record, (self.partial_start, lines))
    }

    fn pass_quoted(&mut self, chunk: &[u8]) {
        if let Some(quoted) = &mut self.quoted {
            quoted.take(chunk, self.position);
        }
        self.position += chunk.len() as u64;
    }

    fn end_quoted(&mut self) {
        if let Some(quoted) = &mut self.quoted {
            quoted.end(self.split.file_bytes);
        }
    }
}

/// The first number in the range for which `is_before` does not hold.
fn partition_point(range: std::ops::Range<usize>, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
