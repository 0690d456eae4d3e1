//! Columns of text.

use std::borrow::Cow;

use arrow::array::ArrayRef;
use arrow::buffer::Buffer;

use super::check::Checks;
use super::{Column, Place};
use crate::rows::Kept;
use crate::run::Run;
use crate::views::Views;

pub(super) struct TextColumn {
    place: Place,
    checks: Checks<Vec<u8>>,
    views: Views,
}

impl TextColumn {
    pub(super) fn new(place: Place, checks: Checks<Vec<u8>>) -> Self {
        let views = Views::new(place.rows);
        Self { place, checks, views }
    }

    /// The field passes the column's tests.
    #[inline]
    fn passes(&self, raw: &[u8]) -> bool {
        let rules = &self.place.rules;
        if !rules.is_plain(raw) {
            let field = rules.read(raw);
            let is_null = !field.was_quoted && rules.is_null(&field.text);
            return if is_null { self.checks.take_null() } else { self.checks.take_text(&field.text) };
        }
        if rules.is_null(raw) { self.checks.take_null() } else { self.checks.take_text(raw) }
    }

    /// Adds a field whose neighbours are left out: its text is copied, so that their bytes can go.
    fn add_alone(&mut self, run: Run<'_>, (start, raw): (usize, &[u8])) {
        let rules = &self.place.rules;
        let field = rules.read(raw);
        match &field.text {
            text if !field.was_quoted && rules.is_null(text) => self.views.push_null(),
            Cow::Borrowed(text) => {
                let cut = text.as_ptr().addr() - raw.as_ptr().addr();
                self.views.push_copy(run.bytes, (start + cut, text.len()));
            }
            Cow::Owned(text) => self.views.push_owned(text),
        }
    }

    /// A field with quotes, blanks to cut off, or bytes of another encoding.
    #[cold]
    fn add_unusual(&mut self, run: Run<'_>, (start, raw): (usize, &[u8]), buffer: &Buffer) {
        let field = self.place.rules.read(raw);
        if !field.was_quoted && self.place.rules.is_null(&field.text) {
            self.views.push_null();
            return;
        }
        match &field.text {
            Cow::Borrowed(text) => {
                let cut = text.as_ptr().addr() - raw.as_ptr().addr();
                self.views.push_at(run.bytes, (start + cut, text.len()), buffer);
            }
            Cow::Owned(text) => self.views.push_owned(text),
        }
    }
}

impl Column for TextColumn {
    fn begin_segment(&mut self) {
        self.views.begin_segment();
    }

    fn add(&mut self, run: Run<'_>, buffer: &Buffer, _bad: &mut Vec<usize>) {
        for (start, raw) in run.fields(self.place.field) {
            if !self.place.rules.is_plain(raw) {
                self.add_unusual(run, (start, raw), buffer);
            } else if self.place.rules.is_null(raw) {
                self.views.push_null();
            } else {
                self.views.push_at(run.bytes, (start, raw.len()), buffer);
            }
        }
    }

    fn narrow(&self, run: Run<'_>, keep: &mut [bool], _bad: &mut Vec<usize>) {
        for ((_, raw), keep) in run.fields(self.place.field).zip(keep) {
            *keep = *keep && self.passes(raw);
        }
    }

    fn add_kept(&mut self, (run, kept): (Run<'_>, &Kept), buffer: &Buffer, _bad: &mut Vec<usize>) {
        for row in &kept.rows {
            let (start, raw) = run.field(*row, self.place.field);
            if !kept.is_dense() {
                self.add_alone(run, (start, raw));
            } else if self.place.rules.is_plain(raw) && !self.place.rules.is_null(raw) {
                self.views.push_at(run.bytes, (start, raw.len()), buffer);
            } else {
                self.add_unusual(run, (start, raw), buffer);
            }
        }
    }

    fn finish(&mut self) -> ArrayRef {
        self.views.finish(self.place.rows)
    }
}
