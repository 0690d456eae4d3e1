//! Makes batches of lines that are objects, and finds those that the decoder refuses: it tells that there is one, but not which.

use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::ReaderBuilder;
use datafusion::arrow::json::reader::Decoder;
use datafusion::arrow::record_batch::RecordBatch;

use super::lines::Line;

/// Parts in which lines are read again, of which one is bad.
const PARTS: usize = 16;

/// Decodes lines of one table.
pub(super) struct LineDecoder {
    schema: SchemaRef,
    batch_rows: usize,
    decoder: Decoder,
}

/// Lines that were decoded.
pub(super) struct Decoded {
    /// The rows of all that could be.
    pub(super) batch: RecordBatch,
    /// The others, by their position, in their order, each with what is wrong.
    pub(super) bad: Vec<(usize, ArrowError)>,
}

impl LineDecoder {
    /// For at most `batch_rows` lines at once.
    pub(super) fn new(schema: SchemaRef, batch_rows: usize) -> Result<Self, ArrowError> {
        let decoder = ReaderBuilder::new(SchemaRef::clone(&schema)).with_batch_size(batch_rows).build_decoder()?;
        Ok(Self { schema, batch_rows, decoder })
    }

    /// Decodes lines, each of which is one object.
    pub(super) fn decode(&mut self, lines: &[Line]) -> Result<Decoded, ArrowError> {
        let (mut batches, mut bad) = (Vec::new(), Vec::new());
        self.decode_part((lines, 0), &mut batches, &mut bad)?;
        let batch = match batches.len() {
            1 => batches.swap_remove(0),
            _ => concat_batches(&self.schema, &batches)?,
        };
        Ok(Decoded { batch, bad })
    }

    fn decode_part(
        &mut self,
        (lines, first): (&[Line], usize),
        batches: &mut Vec<RecordBatch>,
        bad: &mut Vec<(usize, ArrowError)>,
    ) -> Result<(), ArrowError> {
        match self.try_decode(lines) {
            Ok(batch) => batches.extend(batch),
            Err(error) => {
                *self = Self::new(SchemaRef::clone(&self.schema), self.batch_rows)?;
                if lines.len() == 1 {
                    bad.push((first, error));
                    return Ok(());
                }
                let length = lines.len().div_ceil(PARTS);
                for (part, lines) in lines.chunks(length).enumerate() {
                    self.decode_part((lines, first + part * length), batches, bad)?;
                }
            }
        }
        Ok(())
    }

    fn try_decode(&mut self, lines: &[Line]) -> Result<Option<RecordBatch>, ArrowError> {
        for line in lines {
            let used = self.decoder.decode(&line.bytes)?;
            if used < line.bytes.len() || self.decoder.has_partial_record() {
                return Err(ArrowError::JsonError("the decoder did not take the line as one record".to_owned()));
            }
        }
        self.decoder.flush()
    }
}

/// The first column that a line cannot be decoded for; `None` where it cannot be decoded for none.
pub(super) fn find_bad_column(line: &Line, schema: &Schema) -> Result<Option<usize>, ArrowError> {
    let is_bad = |columns: &[usize]| {
        let alone = SchemaRef::new(schema.project(columns)?);
        Ok::<_, ArrowError>(LineDecoder::new(alone, 1)?.try_decode(std::slice::from_ref(line)).is_err())
    };
    if is_bad(&[])? {
        return Ok(None);
    }
    for column in 0..schema.fields().len() {
        if is_bad(&[column])? {
            return Ok(Some(column));
        }
    }
    Ok(None)
}
