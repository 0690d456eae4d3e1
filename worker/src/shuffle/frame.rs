//! Rows to frames and back. The frame itself, with its length and checksum, is `hearth_plan::frame`'s.
//!
//! A frame holds one record batch: what it decodes to owns its memory alone, so that operators which count it count it right.
//! Its schema goes with it; at the usual size of a frame that is less than one hundredth.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{AsArray, BinaryViewArray, RecordBatch, StringViewArray};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow::ipc::{CompressionType, root_as_message};

use super::coded;

/// Largest sum of the sizes that the buffers of a frame claim to have when decompressed, in bytes.
const DECODED_BYTES_MAX: usize = 4 << 30;

/// How payloads are written: LZ4, because shuffles are bound by CPU before they are bound by disk.
pub(super) fn write_options() -> Result<IpcWriteOptions, ArrowError> {
    IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))
}

/// Appends the payload of a batch to `payload`.
pub(super) fn encode(batch: &RecordBatch, options: &IpcWriteOptions, payload: &mut Vec<u8>) -> Result<(), ArrowError> {
    let mut writer = StreamWriter::try_new_with_options(payload, &batch.schema(), options.clone())?;
    writer.write(batch)?;
    writer.finish()
}

/// The rows of a payload whose checksum is right.
///
/// Bytes that only pretend to be a payload are an error: sizes are checked before memory is taken, values are validated, and
/// a decoder that gives up by a panic is caught.
pub(super) fn decode(payload: Buffer, schema: &SchemaRef) -> Result<Vec<RecordBatch>, ArrowError> {
    let decoded = catch_unwind(AssertUnwindSafe(|| decode_stream(payload)));
    let batches = decoded.unwrap_or_else(|_| Err(ArrowError::IpcError("the decoder panicked".into())))?;
    batches.into_iter().map(|batch| with_schema(batch, schema)).collect()
}

fn decode_stream(mut payload: Buffer) -> Result<Vec<RecordBatch>, ArrowError> {
    check_messages(&payload)?;
    let mut decoder = StreamDecoder::new();
    let mut batches = Vec::with_capacity(1);
    while !payload.is_empty() {
        if let Some(batch) = decoder.decode(&mut payload)? {
            batches.push(batch);
        }
    }
    decoder.finish()?;
    Ok(batches)
}

/// Walks the messages of an IPC stream and adds up what their buffers claim.
fn check_messages(payload: &[u8]) -> Result<(), ArrowError> {
    let bad = |problem: &str| ArrowError::IpcError(problem.to_owned());
    let mut claimed = 0_usize;
    let mut rest = payload;
    while let Some((marker, tail)) = rest.split_first_chunk::<4>() {
        if *marker != [0xff; 4] {
            return Err(bad("a message does not start where it should"));
        }
        let (length, tail) = tail.split_first_chunk::<4>().ok_or_else(|| bad("a message is cut"))?;
        let length = u32::from_le_bytes(*length) as usize;
        if length == 0 {
            return if tail.is_empty() { check_claim(claimed) } else { Err(bad("bytes follow the end of the stream")) };
        }
        let (head, tail) = tail.split_at_checked(length).ok_or_else(|| bad("a message is cut"))?;
        let message = root_as_message(head).map_err(|error| ArrowError::IpcError(error.to_string()))?;
        let body_length = usize::try_from(message.bodyLength()).map_err(|_| bad("a body has a negative length"))?;
        let (body, tail) = tail.split_at_checked(body_length).ok_or_else(|| bad("a body is cut"))?;
        let batch = message
            .header_as_record_batch()
            .or_else(|| message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data()));
        let compressed = batch.is_some_and(|batch| batch.compression().is_some());
        for buffer in batch.and_then(|batch| batch.buffers()).iter().flatten() {
            let bytes =
                buffer_bytes(body, buffer.offset(), buffer.length()).ok_or_else(|| bad("a buffer lies outside"))?;
            claimed = claimed.saturating_add(if compressed { claimed_bytes(bytes) } else { bytes.len() });
        }
        rest = tail;
    }
    Err(bad("the stream has no end"))
}

fn check_claim(claimed: usize) -> Result<(), ArrowError> {
    if claimed > DECODED_BYTES_MAX {
        return Err(ArrowError::IpcError(format!("it claims {claimed} bytes of data")));
    }
    Ok(())
}

fn buffer_bytes(body: &[u8], offset: i64, length: i64) -> Option<&[u8]> {
    let (offset, length) = (usize::try_from(offset).ok()?, usize::try_from(length).ok()?);
    body.get(offset..offset.checked_add(length)?)
}

/// A compressed buffer begins with the length of its data; -1 for data that is not compressed.
fn claimed_bytes(buffer: &[u8]) -> usize {
    match buffer.first_chunk::<8>().map(|prefix| i64::from_le_bytes(*prefix)) {
        Some(length) => usize::try_from(length).unwrap_or(buffer.len()),
        None => 0,
    }
}

/// The batch under the schema its reader expects. Field names and metadata may differ between stages; types may not, but for
/// text, which has no views in frames: it is plain, or numbers with a list of texts.
fn with_schema(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if batch.schema_ref() == schema {
        return Ok(batch);
    }
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let (_, mut columns, _) = batch.into_parts();
    for (column, field) in columns.iter_mut().zip(schema.fields()) {
        match (column.data_type(), field.data_type()) {
            (DataType::Utf8, DataType::Utf8View) => {
                *column = Arc::new(StringViewArray::from(column.as_string::<i32>()))
            }
            (DataType::Binary, DataType::BinaryView) => {
                *column = Arc::new(BinaryViewArray::from(column.as_binary::<i32>()));
            }
            (DataType::Dictionary(..), DataType::Utf8View) => *column = coded::views(column)?,
            _ => {}
        }
    }
    RecordBatch::try_new_with_options(SchemaRef::clone(schema), columns, &options)
}
