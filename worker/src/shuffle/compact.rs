//! Arrays that hold on to more memory than their rows need: how much the rows need, and copies without the rest.
//!
//! Text views point into buffers that many batches share; written to a frame as they are, every frame would carry all of them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait, RecordBatch, RecordBatchOptions, StructArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;

use super::cells::frame_type;
use super::scatter::frame_schema;

/// A view array is copied when its buffers are this many times larger than what its rows use of them.
const SPARSE: usize = 4;

/// Bytes that the rows of a batch need, whatever buffers they share with others.
pub(crate) fn row_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(array_bytes).sum()
}

fn array_bytes(array: &ArrayRef) -> usize {
    if let Some(views) = array.as_string_view_opt() {
        return views.len() * 16 + views.total_buffer_bytes_used();
    }
    if let Some(views) = array.as_binary_view_opt() {
        return views.len() * 16 + views.total_buffer_bytes_used();
    }
    array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size())
}

/// The batch as it goes into a frame: without views among its columns, and without the parts of shared buffers that its rows do
/// not use.
pub(super) fn compact(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    replace_columns(batch, frame_schema(&batch.schema()), |array| match frame_type(array.data_type()) {
        plain if plain != *array.data_type() => cast(array, &plain),
        _ => compact_array(array),
    })
}

/// The batch, compacted where it keeps much more memory alive than its rows need.
pub(super) fn compact_sparse(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    replace_columns(batch, batch.schema(), |array| {
        let sparse = |used: usize, buffers: &[arrow::buffer::Buffer]| {
            buffers.iter().map(arrow::buffer::Buffer::capacity).sum::<usize>() > SPARSE * used
        };
        if let Some(views) = array.as_string_view_opt() {
            return Ok(if sparse(views.total_buffer_bytes_used(), views.data_buffers()) {
                Arc::new(views.gc())
            } else {
                Arc::clone(array)
            });
        }
        if let Some(views) = array.as_binary_view_opt() {
            return Ok(if sparse(views.total_buffer_bytes_used(), views.data_buffers()) {
                Arc::new(views.gc())
            } else {
                Arc::clone(array)
            });
        }
        Ok(Arc::clone(array))
    })
}

fn replace_columns(
    batch: &RecordBatch,
    schema: SchemaRef,
    replace: impl Fn(&ArrayRef) -> Result<ArrayRef, ArrowError>,
) -> Result<RecordBatch, ArrowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = batch.columns().iter().map(replace).collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new_with_options(schema, columns, &options)
}

fn compact_array(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if let Some(views) = array.as_string_view_opt() {
        return Ok(Arc::new(views.gc()));
    }
    if let Some(views) = array.as_binary_view_opt() {
        return Ok(Arc::new(views.gc()));
    }
    if !has_views(array.data_type()) {
        return Ok(Arc::clone(array));
    }
    if let Some(list) = array.as_list_opt::<i32>() {
        return compact_list(list);
    }
    if let Some(list) = array.as_list_opt::<i64>() {
        return compact_list(list);
    }
    if let Some(rows) = array.as_struct_opt() {
        let columns = rows.columns().iter().map(compact_array).collect::<Result<Vec<_>, _>>()?;
        return Ok(Arc::new(StructArray::try_new(rows.fields().clone(), columns, rows.nulls().cloned())?));
    }
    Ok(Arc::clone(array))
}

fn compact_list<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> Result<ArrayRef, ArrowError> {
    let (field, offsets, values, nulls) = list.clone().into_parts();
    Ok(Arc::new(GenericListArray::<O>::try_new(field, offsets, compact_array(&values)?, nulls)?))
}

fn has_views(data_type: &DataType) -> bool {
    if let DataType::List(field) | DataType::LargeList(field) = data_type {
        return has_views(field.data_type());
    }
    if let DataType::Struct(fields) = data_type {
        return fields.iter().any(|field| has_views(field.data_type()));
    }
    matches!(data_type, DataType::Utf8View | DataType::BinaryView)
}
