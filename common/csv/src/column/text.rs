//! Columns of text.

use std::borrow::Cow;

use arrow::array::ArrayRef;
use arrow::buffer::Buffer;

use super::{Column, Place};
use crate::run::Run;
use crate::views::Views;

pub(super) struct TextColumn {
    place: Place,
    views: Views,
}

impl TextColumn {
    pub(super) fn new(place: Place) -> Self {
        let views = Views::new(place.rows);
        Self { place, views }
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

    fn finish(&mut self) -> ArrayRef {
        self.views.finish(self.place.rows)
    }
}
