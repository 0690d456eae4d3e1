//! Reads the bytes of input splits: whole lines for formats made of lines, from a file proven to be the planned one.
//!
//! The content of a compressed file or one in UTF-16 is what it decodes to, and every position in it counts decoded bytes. What a line means is
//! not known here; quoting belongs to `hearth-csv`.

use std::fs::File;
use std::io::{BufRead, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion_execution::runtime_env::RuntimeEnv;
use futures::StreamExt;
use futures::stream::BoxStream;
use hearth_common::{Encoding, InputSplit};
use object_store::{GetOptions, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::decompress::Decompressor;
use crate::transcode::Transcoder;
use crate::{InputFile, Location, StorageError};

/// Bytes asked for at once: little enough to stay near the processor until they are decoded.
const CHUNK_BYTES: u64 = 128 << 10;

/// Bytes of a range of one file, or of its content, in order.
pub struct ByteSource {
    stored: Stored,
    decompressor: Option<Box<Decompressor>>,
    transcoder: Option<Box<Transcoder>>,
}

/// Bytes of a range of one file as it is stored.
struct Stored {
    url: String,
    payload: Payload,
    remaining: u64,
}

enum Payload {
    /// Read where it is polled: attempts have threads of their own.
    File(File),
    Stream(BoxStream<'static, object_store::Result<Bytes>>),
}

impl ByteSource {
    /// The next bytes; `None` after the last one.
    ///
    /// # Errors
    /// What the storage says, and [`StorageError::Unusable`] for compressed data that is truncated, corrupt or expands too far, and
    /// for UTF-16 that is none.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        if self.transcoder.is_none() {
            return self.next_decompressed().await;
        }
        while let Some(chunk) = self.next_decompressed().await? {
            let Some(transcoder) = &mut self.transcoder else { return Ok(Some(chunk)) };
            let text = transcoder.take(chunk)?;
            if !text.is_empty() {
                return Ok(Some(text));
            }
        }
        self.transcoder.as_ref().map_or(Ok(()), |transcoder| transcoder.end())?;
        Ok(None)
    }

    async fn next_decompressed(&mut self) -> Result<Option<Bytes>, StorageError> {
        let Some(decompressor) = &mut self.decompressor else { return self.stored.next().await };
        loop {
            if let Some(chunk) = decompressor.next()? {
                return Ok(Some(chunk));
            }
            match self.stored.next().await? {
                Some(stored) => decompressor.push(stored),
                None => return decompressor.end(),
            }
        }
    }
}

impl Stored {
    async fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        if self.remaining == 0 {
            return Ok(None);
        }
        let chunk = match &mut self.payload {
            Payload::File(file) => Some(read_chunk(file, self.remaining.min(CHUNK_BYTES)))
                .transpose()
                .map_err(|error| StorageError::from_io("read", &self.url, error))?,
            Payload::Stream(stream) => {
                stream.next().await.transpose().map_err(|error| StorageError::from_store("read", &self.url, error))?
            }
        };
        let mut chunk = chunk.unwrap_or_default();
        if chunk.is_empty() {
            return Err(StorageError::Io {
                action: "read",
                path: self.url.clone(),
                source: std::io::Error::from(std::io::ErrorKind::UnexpectedEof),
            });
        }
        chunk.truncate(usize::try_from(self.remaining).unwrap_or(usize::MAX));
        self.remaining -= chunk.len() as u64;
        Ok(Some(chunk))
    }
}

fn read_chunk(file: &mut File, bytes: u64) -> std::io::Result<Bytes> {
    let mut chunk = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default());
    file.take(bytes).read_to_end(&mut chunk)?;
    Ok(chunk.into())
}

/// The lines that start inside an input split, in pieces that know nothing of lines.
pub struct SplitLines {
    source: Option<ByteSource>,
    /// Offset in the file of the next byte that `source` gives.
    position: u64,
    /// Offset after the split's last byte.
    end: u64,
    /// Inside a line that belongs to the split before.
    skipping: bool,
}

/// Opens the lines that start inside `split`; where a link is told its first one, reading begins there.
///
/// # Errors
/// What the storage says, and [`StorageError::Changed`] for a file that is not the planned one.
pub async fn open_split(runtime: &RuntimeEnv, split: &InputSplit) -> Result<SplitLines, StorageError> {
    let file = file_of(split);
    let end = content_end(&file, split.end);
    let known = split.link.and_then(|link| link.known).map(|known| known.byte);
    let (from, skipping) = match known {
        Some(byte) => (byte, false),
        // The byte before the split tells whether a line starts with it.
        None => (split.start.saturating_sub(1), split.start > 0),
    };
    if split.start.max(from) >= end {
        return Ok(SplitLines { source: None, position: from, end, skipping: false });
    }
    let source = open_content(runtime, &file, from).await?;
    Ok(SplitLines { source: Some(source), position: from, end, skipping })
}

impl SplitLines {
    /// The next bytes; `None` after the last line's end.
    ///
    /// # Errors
    /// As [`ByteSource::next`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        while let Some(source) = &mut self.source {
            let Some(chunk) = source.next().await? else {
                break;
            };
            let lines = self.cut(&chunk);
            if !lines.is_empty() {
                return Ok(Some(chunk.slice(lines)));
            }
        }
        self.source = None;
        Ok(None)
    }

    /// Offset in the file after the last byte that was given.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// The part of `chunk` that belongs to the split. Closes the source behind its last line.
    fn cut(&mut self, chunk: &[u8]) -> Range<usize> {
        let chunk_start = self.position;
        let offset = |position: u64| usize::try_from(position - chunk_start).unwrap_or(usize::MAX).min(chunk.len());
        self.position += chunk.len() as u64;
        let mut first = 0;
        if self.skipping {
            first = after_line_feed(chunk).unwrap_or(chunk.len());
            self.skipping = after_line_feed(chunk).is_none();
            if chunk_start + first as u64 >= self.end {
                self.source = None;
                return 0..0;
            }
        }
        if self.position < self.end {
            return first..chunk.len();
        }
        let last = offset((self.end - 1).max(chunk_start)).max(first);
        let Some(length) = after_line_feed(&chunk[last..]) else {
            return first..chunk.len();
        };
        self.source = None;
        self.position = chunk_start + (last + length) as u64;
        first..last + length
    }
}

/// Number of bytes up to and with the first line feed.
fn after_line_feed(mut bytes: &[u8]) -> Option<usize> {
    let all = bytes;
    let count = bytes.skip_until(b'\n').ok()?;
    (count > 0 && all[count - 1] == b'\n').then_some(count)
}

/// The first bytes of a file's content.
#[derive(Debug, Clone)]
pub struct FileStart {
    /// The bytes.
    pub bytes: Bytes,
    /// They are all.
    pub is_whole: bool,
}

/// At most `bytes_max` bytes from the start of a file's content.
///
/// # Errors
/// As [`open_split`] and [`ByteSource::next`].
pub async fn read_start(runtime: &RuntimeEnv, file: &InputFile, bytes_max: u64) -> Result<FileStart, StorageError> {
    if !file.is_decoded() {
        let bytes = read_range(runtime, file, 0..file.bytes.min(bytes_max)).await?;
        return Ok(FileStart { bytes, is_whole: file.bytes <= bytes_max });
    }
    let mut source = open_content(runtime, file, 0).await?;
    let mut bytes = Vec::new();
    // One byte more tells whether there are more.
    while bytes.len() as u64 <= bytes_max
        && let Some(chunk) = source.next().await?
    {
        bytes.extend_from_slice(&chunk);
    }
    let is_whole = bytes.len() as u64 <= bytes_max;
    bytes.truncate(usize::try_from(bytes_max).unwrap_or(usize::MAX));
    Ok(FileStart { bytes: bytes.into(), is_whole })
}

/// A short range of a file as it is stored, whole.
///
/// # Errors
/// As [`open_split`] and [`ByteSource::next`].
pub async fn read_range(runtime: &RuntimeEnv, file: &InputFile, range: Range<u64>) -> Result<Bytes, StorageError> {
    let mut source = open_range(runtime, file, range).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = source.next().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

/// Looks whether the split's file is still the planned one, and gives what a store needs to read it.
///
/// # Errors
/// What the storage says, and [`StorageError::Changed`].
pub async fn check_unchanged(runtime: &RuntimeEnv, file: &InputFile) -> Result<ObjectMeta, StorageError> {
    let location = Location::parse(&file.url)?;
    let meta = store_of(runtime, &location)?.head(&location.object_path()?).await;
    let meta = meta.map_err(|error| StorageError::from_store("read", &file.url, error))?;
    compare(file, &meta)?;
    Ok(meta)
}

/// Opens the content of a file from a position in it.
///
/// A file whose content is not what is stored is decoded from its first byte.
///
/// # Errors
/// As [`open_range`].
pub async fn open_content(runtime: &RuntimeEnv, file: &InputFile, from: u64) -> Result<ByteSource, StorageError> {
    if !file.is_decoded() {
        return open_range(runtime, file, from.min(file.bytes)..file.bytes).await;
    }
    let source = open_range(runtime, file, 0..file.bytes).await?;
    let transcoder = Transcoder::new(file.encoding, file.url.clone(), from).map(Box::new);
    // Positions count what is read in the end.
    let skip = if transcoder.is_some() { 0 } else { from };
    let decompressor = || Box::new(Decompressor::new(file.compression, file.url.clone(), skip));
    Ok(ByteSource { decompressor: file.compression.is_some().then(decompressor), transcoder, ..source })
}

/// The position in the content of a file before which the records of a split start that ends at `split_end`.
#[must_use]
pub fn content_end(file: &InputFile, split_end: u64) -> u64 {
    // Nobody knows how much there is before it is decoded, and it is one split.
    if file.is_decoded() { u64::MAX } else { split_end.min(file.bytes) }
}

/// Opens a range of a file as it is stored.
///
/// # Errors
/// What the storage says, and [`StorageError::Changed`] for a file that is not the planned one.
pub async fn open_range(runtime: &RuntimeEnv, file: &InputFile, range: Range<u64>) -> Result<ByteSource, StorageError> {
    if range.is_empty() {
        check_unchanged(runtime, file).await?;
        let payload = Payload::Stream(futures::stream::empty().boxed());
        let stored = Stored { url: file.url.clone(), payload, remaining: 0 };
        return Ok(ByteSource { stored, decompressor: None, transcoder: None });
    }
    let location = Location::parse(&file.url)?;
    if location.local_path().is_none() {
        // What a store remembers of its files may be older than the plan.
        check_unchanged(runtime, file).await?;
    }
    let options = GetOptions { range: Some(range.clone().into()), ..GetOptions::default() };
    let result = store_of(runtime, &location)?.get_opts(&location.object_path()?, options).await;
    let result = result.map_err(|error| StorageError::from_store("read", &file.url, error))?;
    compare(file, &result.meta)?;
    let payload = match result.payload {
        GetResultPayload::File(mut file_handle, _) => {
            let seek = file_handle.seek(SeekFrom::Start(range.start));
            seek.map_err(|error| StorageError::from_io("read", &file.url, error))?;
            Payload::File(file_handle)
        }
        GetResultPayload::Stream(stream) => Payload::Stream(stream),
    };
    let stored = Stored { url: file.url.clone(), payload, remaining: range.end - range.start };
    Ok(ByteSource { stored, decompressor: None, transcoder: None })
}

fn store_of(runtime: &RuntimeEnv, location: &Location) -> Result<Arc<dyn ObjectStore>, StorageError> {
    runtime.object_store(location.store_url()?).map_err(|error| StorageError::Location {
        text: location.to_string(),
        problem: format!("its storage is not known to this process: {error}"),
    })
}

fn compare(file: &InputFile, meta: &ObjectMeta) -> Result<(), StorageError> {
    if meta.size == file.bytes && meta.last_modified.timestamp_millis() == file.modified_ms {
        return Ok(());
    }
    Err(StorageError::Changed { path: file.url.clone(), before: file.bytes, now: meta.size })
}

/// The file that a split is a piece of, as UTF-8: the encoding of text is its reader's to know.
#[must_use]
pub fn file_of(split: &InputSplit) -> InputFile {
    InputFile {
        url: split.url.clone(),
        bytes: split.file_bytes,
        modified_ms: split.modified_ms,
        compression: split.compression,
        encoding: Encoding::Utf8,
    }
}

#[cfg(test)]
mod tests {
    use hearth_common::FileCompression;

    use super::*;

    async fn lines(file: &InputFile, start: u64, end: u64) -> String {
        let split = file.split((start, end), None);
        let mut lines = open_split(&RuntimeEnv::default(), &split).await.unwrap();
        let mut bytes = Vec::new();
        while let Some(chunk) = lines.next().await.unwrap() {
            bytes.extend_from_slice(&chunk);
        }
        String::from_utf8(bytes).unwrap()
    }

    async fn check_cover(text: &str) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        std::fs::write(&path, text).unwrap();
        let paths = [path.display().to_string()];
        let file = crate::list_inputs(&paths, &hearth_common::InputFormat::Json).await.unwrap().remove(0);
        for size in 1..=file.bytes + 1 {
            let mut all = String::new();
            for start in (0..file.bytes).step_by(usize::try_from(size).unwrap()) {
                all += &lines(&file, start, (start + size).min(file.bytes)).await;
            }
            assert_eq!(all, text, "splits of {size} bytes");
        }
    }

    #[tokio::test]
    async fn every_line_belongs_to_one_split() {
        for text in ["", "\n", "a", "a\n", "ab\ncd\n", "\n\na\r\n\nlong line here\nx", "a\n\n\n", "abcdefghij"] {
            check_cover(text).await;
        }
    }

    #[tokio::test]
    async fn a_changed_file_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        std::fs::write(&path, "a\nb\n").unwrap();
        let url = Location::parse(path.to_str().unwrap()).unwrap().url();
        let compression = FileCompression::None;
        let split =
            InputSplit { url: url.clone(), file_bytes: 3, modified_ms: 0, compression, start: 0, end: 3, link: None };
        let error = open_split(&RuntimeEnv::default(), &split).await.err().unwrap();
        let expected =
            format!("{url} changed while the job ran: 3 bytes when it was planned, 4 now; run the job again");
        assert_eq!(error.to_string(), expected);
    }
}
