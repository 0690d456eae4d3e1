//! The frames that shuffle outputs are made of, wherever their bytes are: in a file, on the wire, in a stored result.
//!
//! A frame is the length of its payload (u32, little endian), the XXH3-64 of its payload (u64, little endian) and the payload:
//! one whole Arrow IPC stream, so that every frame can be read alone. Nothing is decoded before length and checksum are right.

use std::io::Cursor;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use bytes::{Buf, Bytes, BytesMut};
use xxhash_rust::xxh3::xxh3_64;

/// Bytes before the payload.
pub const FRAME_HEADER_BYTES: usize = 12;

/// Largest payload, in bytes. A larger length is taken for damage.
pub const FRAME_PAYLOAD_BYTES_MAX: usize = 1 << 30;

/// Why bytes are not frames.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The length cannot be.
    #[error("frame claims {0} bytes, more than any frame has: the bytes are damaged")]
    TooLarge(usize),
    /// The payload is not what was written.
    #[error("frame has checksum {found:016x} instead of {expected:016x}: the bytes are damaged")]
    Checksum {
        /// Of the bytes that are there.
        found: u64,
        /// Of the bytes that were written.
        expected: u64,
    },
    /// The bytes end inside a frame.
    #[error("bytes end inside a frame: {0} are left over")]
    Cut(usize),
    /// The payload is right, but it is not an Arrow IPC stream.
    #[error("decode a frame: {0}")]
    Decode(#[from] ArrowError),
}

/// The header of a payload.
///
/// # Errors
/// [`FrameError::TooLarge`] for a payload beyond [`FRAME_PAYLOAD_BYTES_MAX`].
pub fn frame_header(payload: &[u8]) -> Result<[u8; FRAME_HEADER_BYTES], FrameError> {
    let length = u32::try_from(payload.len())
        .ok()
        .filter(|_| payload.len() <= FRAME_PAYLOAD_BYTES_MAX)
        .ok_or(FrameError::TooLarge(payload.len()))?;
    let mut header = [0; FRAME_HEADER_BYTES];
    header[..4].copy_from_slice(&length.to_le_bytes());
    header[4..].copy_from_slice(&xxh3_64(payload).to_le_bytes());
    Ok(header)
}

/// Cuts a stream of bytes, in chunks of any size, into verified payloads.
#[derive(Debug, Default)]
pub struct FrameSplitter {
    pending: BytesMut,
}

impl FrameSplitter {
    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole payload, if all its bytes are there.
    ///
    /// # Errors
    /// Damaged bytes; nothing after them can be trusted.
    pub fn next_payload(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some((length, expected)) = self.header() else { return Ok(None) };
        if length > FRAME_PAYLOAD_BYTES_MAX {
            return Err(FrameError::TooLarge(length));
        }
        if self.pending.len() < FRAME_HEADER_BYTES + length {
            return Ok(None);
        }
        self.pending.advance(FRAME_HEADER_BYTES);
        let payload = self.pending.split_to(length).freeze();
        let found = xxh3_64(&payload);
        if found == expected { Ok(Some(payload)) } else { Err(FrameError::Checksum { found, expected }) }
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// [`FrameError::Cut`] where the last frame is not whole.
    pub fn finish(self) -> Result<(), FrameError> {
        if self.pending.is_empty() { Ok(()) } else { Err(FrameError::Cut(self.pending.len())) }
    }

    fn header(&self) -> Option<(usize, u64)> {
        let (length, rest) = self.pending.split_first_chunk::<4>()?;
        let checksum = rest.first_chunk::<8>()?;
        Some((u32::from_le_bytes(*length) as usize, u64::from_le_bytes(*checksum)))
    }
}

/// The rows of one verified payload, and their schema.
///
/// # Errors
/// A payload that is not a whole Arrow IPC stream.
pub fn decode_payload(payload: Bytes) -> Result<(SchemaRef, Vec<RecordBatch>), FrameError> {
    let reader = StreamReader::try_new(Cursor::new(payload), None)?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>()?;
    Ok((schema, batches))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;
    use arrow::datatypes::{DataType, Field, Schema};
    use arrow::ipc::writer::StreamWriter;

    use super::*;

    fn frame(values: Vec<i64>) -> Vec<u8> {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int64Array::from(values))]).unwrap();
        let mut writer = StreamWriter::try_new(Vec::new(), &schema).unwrap();
        writer.write(&batch).unwrap();
        let payload = writer.into_inner().unwrap();
        [frame_header(&payload).unwrap().as_slice(), &payload].concat()
    }

    fn rows(bytes: &[u8], chunk: usize) -> Result<usize, FrameError> {
        let mut splitter = FrameSplitter::default();
        let mut rows = 0;
        for chunk in bytes.chunks(chunk) {
            splitter.push(chunk);
            while let Some(payload) = splitter.next_payload()? {
                rows += decode_payload(payload)?.1.iter().map(RecordBatch::num_rows).sum::<usize>();
            }
        }
        splitter.finish().map(|()| rows)
    }

    #[test]
    fn frames_survive_any_chunking() {
        let bytes = [frame(vec![1, 2, 3]), frame(vec![]), frame(vec![4])].concat();
        for chunk in [1, 7, 12, 13, 1000, bytes.len()] {
            assert_eq!(rows(&bytes, chunk).unwrap(), 4, "chunks of {chunk}");
        }
    }

    #[test]
    fn damage_is_always_noticed() {
        let bytes = frame(vec![1, 2, 3]);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            assert!(rows(&damaged, 64).is_err(), "byte {at}");
            if at > 0 {
                assert!(matches!(rows(&bytes[..at], 64), Err(FrameError::Cut(_))), "cut at {at}");
            }
        }
    }
}
