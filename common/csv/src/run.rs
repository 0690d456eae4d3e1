//! Records that have what their file promises: the right number of fields and nothing against them.

use crate::segment::Segment;

/// Some records of a segment, one behind the other.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) bytes: &'a [u8],
    /// From the entry before the first record's first field.
    separators: &'a [u32],
    /// Fields of a record.
    fields: usize,
    /// Number of records.
    pub(crate) records: usize,
}

impl<'a> Run<'a> {
    /// The next `records` records of `segment`, which have `fields` fields each.
    pub(crate) fn new(segment: &'a Segment, fields: usize, records: usize) -> Self {
        let first = segment.peek().map_or(0, |record| record.entry);
        let separators = &segment.index.separators()[first..=first + records * fields];
        Self { bytes: &segment.bytes, separators, fields, records }
    }

    /// The bytes of one field of every record, with their position.
    #[inline]
    pub(crate) fn fields(self, number: usize) -> impl Iterator<Item = (usize, &'a [u8])> {
        let is_last = number + 1 == self.fields;
        let rows = self.separators.windows(2).skip(number).step_by(self.fields.max(1));
        rows.map(move |pair| self.between((pair[0], pair[1]), is_last))
    }

    /// One field of one record, with its position.
    #[inline]
    pub(crate) fn field(self, record: usize, number: usize) -> (usize, &'a [u8]) {
        let entry = record * self.fields + number;
        self.between((self.separators[entry], self.separators[entry + 1]), number + 1 == self.fields)
    }

    #[inline(always)]
    fn between(self, (before, after): (u32, u32), is_last: bool) -> (usize, &'a [u8]) {
        let (start, mut end) = (before.wrapping_add(1) as usize, after as usize);
        // The scan has seen that a carriage return here belongs to the line end.
        if is_last && end > start && self.bytes[end - 1] == b'\r' {
            end -= 1;
        }
        (start, &self.bytes[start..end])
    }

    /// Bytes of its records.
    pub(crate) fn length(self) -> usize {
        match self.separators {
            [first, .., last] => last.wrapping_sub(*first) as usize,
            [_] | [] => 0,
        }
    }
}
