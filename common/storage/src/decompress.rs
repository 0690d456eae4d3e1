//! Decodes a compressed file while it is read, in chunks, with bounded memory.
//!
//! A file is one member (gzip), stream (bzip2) or frame (Zstandard) after the other. All of it is decoded or an error says where
//! that ends: a file that stops inside a member never passes for a shorter one. One that stops exactly between two members is a
//! valid file, as nothing in it tells how many there were. Checksums are those of the formats; a Zstandard frame may have none.

mod decoder;

use bytes::{Buf, Bytes};
use hearth_common::{ByteSize, FileCompression};

use crate::StorageError;
use decoder::{Decoder, Step, begins_member};

/// Bytes that are given at once.
const CHUNK_BYTES: usize = 512 << 10;
/// What comes out may be this many times what went in, and [`FREE_BYTES`] more. Inflate reaches 1,032.
const EXPANSION_MAX: u64 = 1000;
const FREE_BYTES: u64 = 64 << 20;

/// The decoded bytes of one file. Whoever has it reads the file.
pub(crate) struct Decompressor {
    compression: FileCompression,
    url: String,
    stage: Stage,
    /// Compressed bytes that have been read and not decoded.
    input: Bytes,
    /// Compressed bytes that have been decoded.
    decoded: u64,
    /// Bytes that came out of them.
    content: u64,
    /// Bytes to leave out before the first one that is given.
    skip: u64,
    chunk: Vec<u8>,
    filled: usize,
}

enum Stage {
    /// Before the first member, or between two.
    Between,
    Inside(Decoder),
    Ended,
}

impl Decompressor {
    /// The content of the file at `url` from byte `skip` on.
    pub(crate) fn new(compression: FileCompression, url: String, skip: u64) -> Self {
        let (stage, input, chunk) = (Stage::Between, Bytes::new(), Vec::new());
        Self { compression, url, stage, input, decoded: 0, content: 0, skip, chunk, filled: 0 }
    }

    /// The next compressed bytes of the file. Those before must have been decoded.
    pub(crate) fn push(&mut self, input: Bytes) {
        self.input = input;
    }

    /// The next bytes; `None` where more have to be pushed first, or after the end.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        while self.decode()? {
            if self.filled == CHUNK_BYTES
                && let Some(chunk) = self.take_chunk()
            {
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }

    /// The last bytes of a file that has been pushed whole, once; then `None`.
    pub(crate) fn end(&mut self) -> Result<Option<Bytes>, StorageError> {
        match self.stage {
            Stage::Between if self.decoded > 0 => {
                self.stage = Stage::Ended;
                Ok(self.take_chunk())
            }
            Stage::Between => Err(self.problem("is truncated: the file is empty, but its data never is")),
            Stage::Inside(_) => Err(self.problem(&format!("is truncated: the file ends at byte {}", self.decoded))),
            Stage::Ended => Ok(None),
        }
    }

    /// Decodes as much as fits into the chunk; says whether that was anything.
    fn decode(&mut self) -> Result<bool, StorageError> {
        if matches!(self.stage, Stage::Between) && !self.input.is_empty() {
            self.begin_member()?;
        }
        let Stage::Inside(decoder) = &mut self.stage else { return Ok(false) };
        if self.chunk.is_empty() {
            self.chunk = vec![0; CHUNK_BYTES];
        }
        let step = decoder.step(&self.input, &mut self.chunk[self.filled..]);
        let Step { read, written, is_end } = step.map_err(|reason| self.corrupt(&reason))?;
        self.input.advance(read);
        self.filled += written;
        self.decoded += read as u64;
        self.content += written as u64;
        if is_end {
            self.stage = Stage::Between;
        } else if read == 0 && written == 0 && !self.input.is_empty() {
            return Err(self.corrupt("it cannot be decoded any further"));
        }
        self.check_expansion()?;
        Ok(is_end || read > 0 || written > 0)
    }

    fn begin_member(&mut self) -> Result<(), StorageError> {
        if !begins_member(self.compression, &self.input) {
            let problem = if self.decoded == 0 {
                format!(
                    "is corrupt at its first byte; set compression = \"none\" if the file is not {}",
                    self.compression.name()
                )
            } else {
                format!("is corrupt: it ends at byte {}, but the file goes on with something else", self.decoded)
            };
            return Err(self.problem(&problem));
        }
        let decoder =
            Decoder::new(self.compression).map_err(|error| StorageError::from_io("decode", &self.url, error))?;
        self.stage = Stage::Inside(decoder);
        Ok(())
    }

    fn check_expansion(&self) -> Result<(), StorageError> {
        if self.content <= self.decoded.saturating_mul(EXPANSION_MAX).saturating_add(FREE_BYTES) {
            return Ok(());
        }
        Err(self.problem(&format!(
            "expands to more than {EXPANSION_MAX} times its size ({} from the first {} bytes); decompress the file before if that is right",
            ByteSize(self.content),
            self.decoded
        )))
    }

    /// What has been decoded, without what is to be left out.
    fn take_chunk(&mut self) -> Option<Bytes> {
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.truncate(std::mem::take(&mut self.filled));
        let mut chunk = Bytes::from(chunk);
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(chunk.len());
        chunk.advance(skipped);
        self.skip -= skipped as u64;
        (!chunk.is_empty()).then_some(chunk)
    }

    fn corrupt(&self, reason: &str) -> StorageError {
        self.problem(&format!("is corrupt at byte {} of the file or some bytes before: {reason}", self.decoded))
    }

    fn problem(&self, what: &str) -> StorageError {
        let problem = format!("its {} data {what}", self.compression.name());
        StorageError::Unusable { path: self.url.clone(), problem }
    }
}

#[cfg(test)]
mod tests;
