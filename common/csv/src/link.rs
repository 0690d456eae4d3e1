//! The two assumptions about a split that does not begin where a record is known to start: outside quotes, and inside.

use hearth_common::{LinkEnd, LinkSpan};
use hearth_scan::{Dialect, Index, Scanner, State};

use crate::segment::count_line_feeds;

/// Bytes before a split that tell its states.
pub(crate) const CONTEXT_BYTES: u64 = 64;

/// The states in which a split may begin, by the bytes before it: had they been outside quotes, and inside.
///
/// A run of quotes and escapes at the end of the context is stepped through, for its parity tells a closing quote from a doubled one.
pub(crate) fn states(context: &[u8], dialect: &Dialect) -> (State, State) {
    let is_mark = |byte: &u8| Some(*byte) == dialect.quote || Some(*byte) == dialect.escape;
    let run = context.iter().rev().take_while(|byte| is_mark(byte)).count();
    let (before, run) = context.split_at(context.len() - run);
    let outside = match before.last() {
        Some(b'\n') => State::RecordStart,
        Some(b'\r') => State::CarriageReturn,
        Some(byte) if *byte == dialect.delimiter => State::FieldStart,
        Some(_) | None => State::Unquoted,
    };
    let step = |state: State, byte: &u8| state.step(*byte, dialect).0;
    (run.iter().fold(outside, step), run.iter().fold(State::Quoted, step))
}

/// Finds out what the records of a split would be, had it begun inside quotes. Looks at structure alone.
pub(crate) struct Quoted {
    scanner: Scanner,
    quote: u8,
    escape: Option<u8>,
    index: Index,
    split_end: u64,
    bytes_max: u64,
    /// Bytes since the last record start, or since the split's beginning.
    unfinished: u64,
    start: Option<u64>,
    lines: i64,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Looking,
    Found(LinkSpan),
    /// No record starts in the split, or one is longer than records may be.
    None,
}

impl Quoted {
    /// `None` where there are no quotes to be inside of.
    pub(crate) fn new(dialect: Dialect, state: State, split_end: u64, bytes_max: u64) -> Option<Self> {
        dialect.quote.map(|quote| Self {
            scanner: Scanner::new(dialect, state),
            quote,
            escape: dialect.escape,
            index: Index::new(),
            split_end,
            bytes_max,
            unfinished: 0,
            start: None,
            lines: 0,
            progress: Progress::Looking,
        })
    }

    pub(crate) fn is_looking(&self) -> bool {
        self.progress == Progress::Looking
    }

    pub(crate) fn span(&self) -> Option<LinkSpan> {
        match self.progress {
            Progress::Found(span) => Some(span),
            Progress::Looking | Progress::None => None,
        }
    }

    /// Takes the bytes at `offset` of the file.
    pub(crate) fn take(&mut self, chunk: &[u8], offset: u64) {
        if !self.is_looking() {
            return;
        }
        if self.start.is_none() && offset >= self.split_end {
            self.progress = Progress::None;
            return;
        }
        // Most files hold no quotes: then nothing can be scanned but their absence. An escape may have its effect on the next chunk.
        let is_quiet = !chunk.contains(&self.quote) && self.escape.is_none_or(|escape| !chunk.contains(&escape));
        if self.scanner.state() == State::Quoted && is_quiet {
            if self.start.is_some() {
                self.lines += count_line_feeds(chunk);
            }
            self.note_unfinished(chunk.len());
            return;
        }
        self.scanner.scan(chunk, &mut self.index);
        let lines_at_chunk = self.lines;
        self.lines += i64::try_from(self.index.line_feeds()).unwrap_or(i64::MAX);
        self.unfinished += chunk.len() as u64;
        self.follow(chunk, offset, lines_at_chunk);
        if self.is_looking() && self.unfinished > self.bytes_max {
            self.progress = Progress::None;
        }
    }

    /// The file ends at `offset`.
    pub(crate) fn end(&mut self, offset: u64) {
        match (self.progress, self.start) {
            (Progress::Looking, Some(start)) if self.scanner.state().is_in_quotes() => {
                self.progress = Progress::Found(LinkSpan { start, end: None });
            }
            (Progress::Looking, Some(start)) => self.finish(start, offset, self.lines),
            (Progress::Looking, None) => self.progress = Progress::None,
            (Progress::Found(_) | Progress::None, _) => {}
        }
    }

    fn follow(&mut self, chunk: &[u8], offset: u64, lines_at_chunk: i64) {
        let separators = self.index.separators();
        let starts = self.index.record_ends().iter().map(|end| separators[*end as usize] as usize + 1);
        let mut last = None;
        for start in starts {
            let position = offset + start as u64;
            last = Some(start);
            if self.start.is_none() {
                self.start = Some(position);
                self.lines -= lines_at_chunk + count_line_feeds(&chunk[..start]);
            }
            if position >= self.split_end {
                let lines = self.lines - count_line_feeds(&chunk[start..]);
                let first = self.start.unwrap_or(position);
                self.finish(first, position, lines);
                return;
            }
        }
        if let Some(last) = last {
            self.unfinished = (chunk.len() - last) as u64;
        }
    }

    fn finish(&mut self, start: u64, end: u64, lines: i64) {
        let end = LinkEnd { byte: end.max(start), lines: u64::try_from(lines).unwrap_or_default() };
        self.progress = Progress::Found(LinkSpan { start, end: Some(end) });
    }

    fn note_unfinished(&mut self, bytes: usize) {
        self.unfinished += bytes as u64;
        if self.unfinished > self.bytes_max {
            self.progress = Progress::None;
        }
    }
}
