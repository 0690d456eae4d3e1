//! Columns of short texts with few values, such as a country or a status: a frame has a list of the values, and a byte for each row.
//!
//! Whether a column is one shows as rows come. The first value that is long, or one too many, makes it a column of plain text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, StringViewArray, new_empty_array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, UInt8Type};
use arrow::error::ArrowError;
use hearth_plan::ShortTexts;

use super::cells::{Cells, FixedCells, Places, TextCells};

/// One column of all shuffle partitions.
#[derive(Debug)]
pub(super) enum ViewCells {
    /// All values so far are short, and few.
    Coded(Box<CodedCells>),
    Plain(TextCells),
}

impl ViewCells {
    pub(super) fn new(partitions: usize) -> Self {
        Self::Coded(Box::new(CodedCells {
            texts: ShortTexts::new(ShortTexts::MAX),
            list: new_empty_array(&DataType::Utf8),
            codes: FixedCells::new(DataType::UInt8, partitions),
            batch: Vec::new(),
        }))
    }

    /// The cells, whichever they are.
    fn cells(&self) -> &dyn Cells {
        match self {
            Self::Coded(cells) => &cells.codes,
            Self::Plain(cells) => cells,
        }
    }
}

impl Cells for ViewCells {
    fn append(&mut self, array: &ArrayRef, places: Places<'_>) -> Result<(), ArrowError> {
        match self {
            Self::Plain(cells) => cells.append(array, places)?,
            Self::Coded(cells) => {
                if !cells.append(array.as_string_view(), places) {
                    let mut plain = cells.plain()?;
                    plain.append(array, places)?;
                    *self = Self::Plain(plain);
                }
            }
        }
        Ok(())
    }

    fn bytes(&self, partition: usize) -> usize {
        self.cells().bytes(partition)
    }

    fn capacity(&self, partition: usize) -> usize {
        self.cells().capacity(partition)
    }

    fn take(&mut self, partition: usize) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Coded(cells) => cells.take(partition),
            Self::Plain(cells) => cells.take(partition),
        }
    }

    fn take_back(&mut self) {
        match self {
            Self::Coded(cells) => cells.codes.take_back(),
            Self::Plain(cells) => cells.take_back(),
        }
    }
}

/// Texts that have numbers.
#[derive(Debug)]
pub(super) struct CodedCells {
    texts: ShortTexts,
    /// The texts, as frames have them, when they were last needed.
    list: ArrayRef,
    codes: FixedCells<u8>,
    /// The numbers of the batch at hand.
    batch: Vec<u8>,
}

impl CodedCells {
    /// Appends all rows, or none of them where a value has no number.
    fn append(&mut self, array: &StringViewArray, places: Places<'_>) -> bool {
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        self.batch.clear();
        for (row, view) in array.views().iter().enumerate() {
            // What the view of a NULL says has no meaning.
            let number = if nulls.is_some_and(|nulls| nulls.is_null(row)) { Some(0) } else { self.texts.number(*view) };
            let Some(number) = number else { return false };
            self.batch.push(number as u8);
        }
        self.codes.append_values(&self.batch, nulls, places);
        true
    }

    fn take(&mut self, partition: usize) -> Result<ArrayRef, ArrowError> {
        if self.list.len() != self.texts.views().len() {
            let views = ScalarBuffer::from(self.texts.views().to_vec());
            self.list = cast(&StringViewArray::try_new(views, [], None)?, &DataType::Utf8)?;
        }
        let codes = self.codes.take(partition)?.as_primitive().clone();
        Ok(Arc::new(DictionaryArray::<UInt8Type>::try_new(codes, Arc::clone(&self.list))?))
    }

    /// The rows as plain text.
    fn plain(&mut self) -> Result<TextCells, ArrowError> {
        let count = self.codes.partitions();
        let mut plain = TextCells::new(DataType::Utf8, count);
        for partition in 0..count {
            let texts = views(&self.take(partition)?)?;
            let mut counts = vec![0; count];
            counts[partition] = texts.len();
            let partitions = vec![partition as u32; texts.len()];
            plain.append(&texts, Places { partitions: &partitions, counts: &counts })?;
        }
        Ok(plain)
    }
}

/// A column of numbers for texts as a column of views.
pub(super) fn views(coded: &dyn Array) -> Result<ArrayRef, ArrowError> {
    let Some(coded) = coded.as_any_dictionary_opt() else {
        return Err(ArrowError::CastError(format!("{} has no list of values", coded.data_type())));
    };
    take(&cast(coded.values(), &DataType::Utf8View)?, coded.keys(), None)
}
