//! Rows on their way into frames: each goes to the columns of its shuffle partition as it comes, in one pass over a batch.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::cells::{Cells, Places, cells_for, frame_type};

/// The rows of all shuffle partitions that no frame was made of yet.
#[derive(Debug)]
pub(super) struct Scatter {
    /// Of frames.
    schema: SchemaRef,
    columns: Vec<Box<dyn Cells>>,
    rows: Vec<usize>,
    /// Rows of the batch at hand for each partition.
    counts: Vec<usize>,
}

impl Scatter {
    /// For batches of a schema; `None` where a column has a type that has to be gathered otherwise, or there is no column.
    pub(super) fn new(schema: &SchemaRef, partitions: usize) -> Option<Self> {
        let columns = schema.fields().iter().map(|field| cells_for(field.data_type(), partitions));
        let columns = columns.collect::<Option<Vec<_>>>().filter(|columns| !columns.is_empty())?;
        let counts = vec![0; partitions];
        Some(Self { schema: frame_schema(schema), columns, rows: counts.clone(), counts })
    }

    /// Takes rows, each of which belongs to the partition that stands at its place in `partitions`.
    pub(super) fn append(&mut self, batch: &RecordBatch, partitions: &[u32]) -> Result<(), ArrowError> {
        self.counts.fill(0);
        for partition in partitions {
            self.counts[*partition as usize] += 1;
        }
        let places = Places { partitions, counts: &self.counts };
        for (cells, array) in self.columns.iter_mut().zip(batch.columns()) {
            cells.append(array, places)?;
        }
        for (rows, more) in self.rows.iter_mut().zip(&self.counts) {
            *rows += more;
        }
        Ok(())
    }

    /// Rows of each partition.
    pub(super) fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// Bytes of the rows of a partition.
    pub(super) fn bytes(&self, partition: usize) -> usize {
        self.columns.iter().map(|cells| cells.bytes(partition)).sum()
    }

    /// Memory that is held.
    pub(super) fn capacity(&self) -> usize {
        let of_partition = |partition| self.columns.iter().map(|cells| cells.capacity(partition)).sum::<usize>();
        (0..self.rows.len()).map(of_partition).sum()
    }

    /// The rows of a partition, which is empty then.
    pub(super) fn take(&mut self, partition: usize) -> Result<RecordBatch, ArrowError> {
        self.rows[partition] = 0;
        let columns = self.columns.iter_mut().map(|cells| cells.take(partition));
        let columns = columns.collect::<Result<Vec<ArrayRef>, _>>()?;
        if !self.schema.fields().iter().zip(&columns).all(|(field, column)| field.data_type() == column.data_type()) {
            // What kind of text a column has shows as rows come.
            let types = columns.iter().map(|column| column.data_type().clone());
            self.schema = with_types(&self.schema, types);
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }

    /// Takes back the memory of what was taken, once nobody uses it any more.
    pub(super) fn take_back(&mut self) {
        self.columns.iter_mut().for_each(|cells| cells.take_back());
    }
}

/// The schema that rows of `schema` have in frames: without views among their columns.
pub(super) fn frame_schema(schema: &SchemaRef) -> SchemaRef {
    with_types(schema, schema.fields().iter().map(|field| frame_type(field.data_type())))
}

fn with_types(schema: &Schema, types: impl Iterator<Item = DataType>) -> SchemaRef {
    let fields =
        schema.fields().iter().zip(types).map(|(field, data_type)| Field::clone(field).with_data_type(data_type));
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

#[cfg(test)]
mod tests;
