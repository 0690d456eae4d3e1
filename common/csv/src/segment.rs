//! A stretch of a file that holds whole records, with the index of their fields.

use bytes::Bytes;
use hearth_scan::{Index, Problem, ProblemKind};

/// Some records of a file, in one piece of memory.
pub(crate) struct Segment {
    pub(crate) bytes: Bytes,
    /// Offset in the file of the first byte.
    pub(crate) offset: u64,
    pub(crate) index: Index,
    /// Line feeds from the start of the split's first record to the first byte; less than none where that record is in here.
    pub(crate) lines: i64,
    /// Every record in it is UTF-8.
    pub(crate) is_utf8: bool,
    /// The next record to give.
    next: usize,
    /// Record after the last one to give.
    end: usize,
    next_problem: usize,
    /// A position, and the line feeds before it in here: where they were counted last.
    counted: (usize, i64),
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    /// Entry before its first field's end.
    pub(crate) entry: usize,
    /// Number of its fields.
    pub(crate) fields: usize,
    /// Its first byte, in the segment.
    pub(crate) start: usize,
    /// The byte after its last one, without the line end.
    pub(crate) end: usize,
}

impl Segment {
    /// The records `next..end` of an index over `bytes`.
    pub(crate) fn new(bytes: Bytes, index: Index, (offset, lines): (u64, i64), (next, end): (usize, usize)) -> Self {
        let mut segment =
            Self { bytes, offset, index, lines, is_utf8: true, next, end, next_problem: 0, counted: (0, 0) };
        segment.skip_problems();
        segment.is_utf8 = segment.range().is_none_or(|range| simdutf8::basic::from_utf8(range).is_ok());
        segment
    }

    /// The next record; the caller goes on with [`Segment::pass`].
    pub(crate) fn peek(&self) -> Option<Record> {
        (self.next < self.end).then(|| self.record(self.next))
    }

    /// The first record that is neither blank nor a comment.
    pub(crate) fn first_content(&self, comment: Option<u8>) -> Option<Record> {
        let is_content = |record: &Record| {
            record.start < record.end && (comment.is_none() || self.bytes.get(record.start).copied() != comment)
        };
        (self.next..self.end).map(|number| self.record(number)).find(is_content)
    }

    /// Bytes follow the last record.
    pub(crate) fn has_rest(&self) -> bool {
        let last = self.index.record_ends().last().map_or(0, |end| self.index.separators()[*end as usize] as usize + 1);
        last < self.bytes.len()
    }

    /// The record that comes `ahead` after the next one, which must be there.
    pub(crate) fn peek_at(&self, ahead: usize) -> Record {
        self.record(self.next + ahead)
    }

    pub(crate) fn pass(&mut self, records: usize) {
        self.next += records;
        self.skip_problems();
    }

    /// How many of the next records have that many fields and nothing against them that the scan saw, `max` at most. One that
    /// begins with `comment` is none.
    pub(crate) fn regular(&self, fields: usize, max: usize, comment: Option<u8>) -> usize {
        let (ends, separators) = (self.index.record_ends(), self.index.separators());
        let mut last = self.next + max.min(self.end - self.next);
        if let Some(problem) = self.problem() {
            last = last.min(self.record_of(problem.position));
        }
        let mut before = self.entry_before(self.next);
        let regular = ends[self.next..last].iter().take_while(|end| {
            let begins = || self.bytes.get(separators[before].wrapping_add(1) as usize).copied();
            let is_regular = **end as usize - before == fields && (comment.is_none() || begins() != comment);
            before = **end as usize;
            is_regular
        });
        regular.count()
    }

    /// What the scan has against the next record.
    pub(crate) fn problem_of_next(&self) -> Option<ProblemKind> {
        let problem = self.problem()?;
        (self.record_of(problem.position) == self.next).then_some(problem.kind)
    }

    /// Line feeds from the start of the split's first record to a position in here. Positions that grow are counted once.
    pub(crate) fn lines_before(&mut self, position: usize) -> u64 {
        let (from, before) = if self.counted.0 <= position { self.counted } else { (0, 0) };
        let here = before + count_line_feeds(&self.bytes[from..position]);
        self.counted = (position, here);
        u64::try_from(self.lines.saturating_add(here)).unwrap_or_default()
    }

    fn problem(&self) -> Option<Problem> {
        self.index.problems().get(self.next_problem).copied()
    }

    fn skip_problems(&mut self) {
        while let Some(problem) = self.problem()
            && self.record_of(problem.position) < self.next
        {
            self.next_problem += 1;
        }
    }

    /// The record that holds a position.
    fn record_of(&self, position: u32) -> usize {
        let separators = self.index.separators();
        self.index.record_ends().partition_point(|end| separators[*end as usize] < position)
    }

    fn entry_before(&self, record: usize) -> usize {
        record.checked_sub(1).map_or(0, |before| self.index.record_ends()[before] as usize)
    }

    fn record(&self, number: usize) -> Record {
        let separators = self.index.separators();
        let entry = self.entry_before(number);
        let last = self.index.record_ends()[number] as usize;
        let start = separators[entry].wrapping_add(1) as usize;
        let end = separators[last] as usize;
        let has_return = end > start && self.bytes[end - 1] == b'\r';
        Record { entry, fields: last - entry, start, end: end - usize::from(has_return) }
    }

    /// The bytes of all its records.
    fn range(&self) -> Option<&[u8]> {
        let first = self.peek()?;
        let last = self.record(self.end - 1);
        self.bytes.get(first.start..last.end)
    }
}

pub(crate) fn count_line_feeds(bytes: &[u8]) -> i64 {
    bytes.iter().map(|byte| i64::from(*byte == b'\n')).sum()
}
