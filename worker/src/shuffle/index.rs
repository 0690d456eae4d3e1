//! Where the shuffle partitions of an output stand in its file, and how many rows they have.
//!
//! The index follows the frames: for each partition its rows (u64), the number of its extents (u32) and each extent's offset
//! and length (u64, u64). The footer follows the index: its length (u64), its XXH3-64 (u64), and eight bytes of magic. All
//! numbers are little endian.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use xxhash_rust::xxh3::xxh3_64;

const MAGIC: [u8; 8] = *b"HSHUFF01";
const FOOTER_BYTES: u64 = 24;
/// Far more than an output of the most partitions needs.
const INDEX_BYTES_MAX: u64 = 256 << 20;

/// A run of whole frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

/// One shuffle partition of an output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PartitionEntry {
    pub(super) rows: u64,
    pub(super) extents: Vec<Extent>,
}

/// All shuffle partitions of an output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ShuffleIndex {
    pub(super) partitions: Vec<PartitionEntry>,
}

impl PartitionEntry {
    /// Notes frames that were written for this partition.
    pub(super) fn add(&mut self, rows: u64, extent: Extent) {
        self.rows += rows;
        match self.extents.last_mut() {
            Some(last) if last.offset + last.bytes == extent.offset => last.bytes += extent.bytes,
            Some(_) | None => self.extents.push(extent),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.extents.iter().map(|extent| extent.bytes).sum()
    }
}

impl ShuffleIndex {
    pub(super) fn new(partitions: u32) -> Self {
        Self { partitions: vec![PartitionEntry::default(); partitions as usize] }
    }

    /// The extents of a range of partitions, in order, joined where they touch.
    pub(super) fn extents(&self, partitions: Range<u32>) -> Option<Vec<Extent>> {
        let entries = self.partitions.get(partitions.start as usize..partitions.end as usize)?;
        let mut joined = PartitionEntry::default();
        for extent in entries.iter().flat_map(|entry| &entry.extents) {
            joined.add(0, *extent);
        }
        Some(joined.extents)
    }

    /// Writes index and footer.
    pub(super) fn write(&self, file: &mut impl Write) -> io::Result<()> {
        let mut bytes = Vec::new();
        for entry in &self.partitions {
            bytes.extend(entry.rows.to_le_bytes());
            let count = u32::try_from(entry.extents.len()).map_err(io::Error::other)?;
            bytes.extend(count.to_le_bytes());
            for extent in &entry.extents {
                bytes.extend(extent.offset.to_le_bytes());
                bytes.extend(extent.bytes.to_le_bytes());
            }
        }
        let checksum = xxh3_64(&bytes);
        bytes.extend((bytes.len() as u64).to_le_bytes());
        bytes.extend(checksum.to_le_bytes());
        bytes.extend(MAGIC);
        file.write_all(&bytes)
    }

    /// Reads the index of a whole file, and checks it before it is believed.
    pub(super) fn read(file: &File) -> io::Result<Self> {
        let file_bytes = file.metadata()?.len();
        let footer_at = file_bytes.checked_sub(FOOTER_BYTES).ok_or_else(|| damaged("it is too short"))?;
        let mut footer = [0; FOOTER_BYTES as usize];
        file.read_exact_at(&mut footer, footer_at)?;
        let mut fields = Fields { rest: &footer };
        let (index_bytes, checksum) = (fields.u64()?, fields.u64()?);
        if fields.rest != MAGIC {
            return Err(damaged("it does not end as a shuffle output does"));
        }
        if index_bytes > footer_at || index_bytes > INDEX_BYTES_MAX {
            return Err(damaged("its index is larger than it can be"));
        }
        let frames_end = footer_at - index_bytes;
        let mut bytes = vec![0; usize::try_from(index_bytes).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, frames_end)?;
        if xxh3_64(&bytes) != checksum {
            return Err(damaged("its index has another checksum than it had"));
        }
        Self::parse(&bytes, frames_end)
    }

    fn parse(bytes: &[u8], frames_end: u64) -> io::Result<Self> {
        let mut fields = Fields { rest: bytes };
        let mut index = Self::default();
        while !fields.rest.is_empty() {
            let rows = fields.u64()?;
            let count = fields.u32()?;
            let mut entry = PartitionEntry { rows, extents: Vec::new() };
            for _ in 0..count {
                let extent = Extent { offset: fields.u64()?, bytes: fields.u64()? };
                if extent.offset.checked_add(extent.bytes).is_none_or(|end| end > frames_end) {
                    return Err(damaged("its index points outside"));
                }
                entry.extents.push(extent);
            }
            index.partitions.push(entry);
        }
        Ok(index)
    }
}

struct Fields<'a> {
    rest: &'a [u8],
}

impl Fields<'_> {
    fn u64(&mut self) -> io::Result<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn u32(&mut self) -> io::Result<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let (field, rest) = self.rest.split_first_chunk().ok_or_else(|| damaged("its index is cut"))?;
        self.rest = rest;
        Ok(*field)
    }
}

fn damaged(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the file is damaged: {problem}"))
}
