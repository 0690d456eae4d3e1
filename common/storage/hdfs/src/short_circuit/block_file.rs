//! A replica in the files of its `DataNode`: the bytes, and beside them the checksums that every read is held against.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bytes::Bytes;
use crc_fast::CrcAlgorithm;

use crate::protocol::{BlockId, BlockPaths};

/// A file of checksums begins with a version, the kind of checksum, and how many bytes each is of.
const HEAD_BYTES: usize = 7;
const VERSION: u16 = 1;
const SUM_BYTES: u64 = 4;
/// HDFS takes 512. What is far from that is not a file of checksums.
const CHUNK_BYTES_MAX: u32 = 1 << 20;

/// Why a replica is not read from its files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlockFileError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("`{0}` is no name that a DataNode gives to a file of this block")]
    Name(String),
    #[error("its checksums cannot be read: {0}")]
    Sums(String),
    #[error("it ends at byte {0}")]
    Short(u64),
    #[error("its bytes from {0} on do not match their checksum")]
    Mismatch(u64),
}

/// An open replica.
#[derive(Debug)]
pub(crate) struct BlockFile {
    data: File,
    sums: File,
    algorithm: CrcAlgorithm,
    chunk_bytes: u64,
    /// Where `data` is read next.
    position: u64,
}

impl BlockFile {
    /// Opens the files of a block that a `DataNode` named. They must have the names of that block's files: what answers on the port of a
    /// `DataNode` does not get to choose what is read.
    pub(crate) fn open(block: &BlockId, paths: &BlockPaths) -> Result<Self, BlockFileError> {
        let (data, sums) = (Path::new(&paths.data), Path::new(&paths.sums));
        let name = format!("blk_{}", block.id);
        if !data.is_absolute() || data.file_name().is_none_or(|file| file != name.as_str()) {
            return Err(BlockFileError::Name(paths.data.clone()));
        }
        let file = sums.file_name().and_then(|file| file.to_str()).unwrap_or_default();
        let stamp = file.strip_prefix(&name).and_then(|rest| rest.strip_prefix('_')?.strip_suffix(".meta"));
        if sums.parent() != data.parent() || stamp.is_none_or(|stamp| stamp.parse::<u64>().is_err()) {
            return Err(BlockFileError::Name(paths.sums.clone()));
        }
        Self::from_files(File::open(data)?, File::open(sums)?)
    }

    fn from_files(data: File, sums: File) -> Result<Self, BlockFileError> {
        let mut head = [0; HEAD_BYTES];
        sums.read_exact_at(&mut head, 0)?;
        let [v0, v1, kind, c0, c1, c2, c3] = head;
        let (version, chunk_bytes) = (u16::from_be_bytes([v0, v1]), u32::from_be_bytes([c0, c1, c2, c3]));
        let bad = |problem: String| Err(BlockFileError::Sums(problem));
        if version != VERSION {
            return bad(format!("version {version} is not known"));
        }
        if !(1..=CHUNK_BYTES_MAX).contains(&chunk_bytes) {
            return bad(format!("one for {chunk_bytes} bytes each"));
        }
        let algorithm = match kind {
            1 => CrcAlgorithm::Crc32IsoHdlc,
            2 => CrcAlgorithm::Crc32Iscsi,
            other => return bad(format!("kind {other} is not known")),
        };
        Ok(Self { data, sums, algorithm, chunk_bytes: u64::from(chunk_bytes), position: 0 })
    }

    /// A range of the block, held against its checksums.
    pub(crate) fn read(&mut self, range: Range<u64>) -> Result<Bytes, BlockFileError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let first_chunk = range.start / self.chunk_bytes;
        let chunks = range.end.div_ceil(self.chunk_bytes) - first_chunk;
        let from = first_chunk * self.chunk_bytes;
        // The last chunk of a block is as long as it is; its checksum is of what there is.
        let data = self.read_data(from, chunks * self.chunk_bytes)?;
        let end = from + data.len() as u64;
        if end < range.end {
            return Err(BlockFileError::Short(end));
        }
        let mut sums = vec![0; index(chunks * SUM_BYTES)];
        self.sums.read_exact_at(&mut sums, HEAD_BYTES as u64 + first_chunk * SUM_BYTES)?;
        let (sums, _) = sums.as_chunks::<{ SUM_BYTES as usize }>();
        for (at, (chunk, sum)) in data.chunks(index(self.chunk_bytes)).zip(sums).enumerate() {
            if crc_fast::checksum(self.algorithm, chunk) != u64::from(u32::from_be_bytes(*sum)) {
                return Err(BlockFileError::Mismatch(from + at as u64 * self.chunk_bytes));
            }
        }
        Ok(Bytes::from(data).slice(index(range.start - from)..index(range.end - from)))
    }

    /// Reads on from where the last read ended, mostly.
    fn read_data(&mut self, from: u64, length: u64) -> io::Result<Vec<u8>> {
        if self.position != from {
            self.data.seek(SeekFrom::Start(from))?;
        }
        self.position = u64::MAX;
        let mut data = Vec::with_capacity(index(length));
        let read = (&self.data).take(length).read_to_end(&mut data)?;
        self.position = from + read as u64;
        Ok(data)
    }
}

fn index(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BLOCK: BlockId = BlockId { pool: String::new(), id: 7, stamp: 1, bytes: None };

    /// The files of a block, as a `DataNode` writes them.
    struct Files {
        directory: tempfile::TempDir,
        data: Vec<u8>,
        sums: Vec<u8>,
    }

    impl Files {
        fn new(data: Vec<u8>, kind: u8, chunk: u32) -> Self {
            let algorithm = if kind == 1 { CrcAlgorithm::Crc32IsoHdlc } else { CrcAlgorithm::Crc32Iscsi };
            let mut sums = [&[0, 1, kind][..], &chunk.to_be_bytes()].concat();
            for chunk in data.chunks(chunk as usize) {
                let sum = crc_fast::checksum(algorithm, chunk);
                sums.extend_from_slice(&u32::try_from(sum).unwrap().to_be_bytes());
            }
            Self { directory: tempfile::tempdir().unwrap(), data, sums }
        }

        fn paths(&self) -> BlockPaths {
            let path = |name| self.directory.path().join(name).to_str().unwrap().to_owned();
            BlockPaths { data: path("blk_7"), sums: path("blk_7_1.meta") }
        }

        fn open(&self) -> Result<BlockFile, BlockFileError> {
            std::fs::write(self.paths().data, &self.data).unwrap();
            std::fs::write(self.paths().sums, &self.sums).unwrap();
            BlockFile::open(&BLOCK, &self.paths())
        }
    }

    #[test]
    fn the_checksums_are_those_of_hadoop() {
        // The check values of both kinds, over "123456789".
        for (kind, sum) in [(1, 0xcbf4_3926_u32), (2, 0xe306_9283)] {
            let files = Files::new(b"123456789".to_vec(), kind, 512);
            assert_eq!(files.sums[HEAD_BYTES..], sum.to_be_bytes());
        }
    }

    #[test]
    fn files_of_other_names_are_not_opened() {
        let files = Files::new(vec![1; 10], 2, 512);
        files.open().unwrap();
        let own = files.paths();
        let elsewhere = |name: &str| own.data.replace("blk_7", name);
        for data in ["blk_8", "blk_7/../blk_8", "blk_77", "passwd", "blk_7_1.meta"] {
            let paths = BlockPaths { data: elsewhere(data), ..own.clone() };
            assert!(matches!(BlockFile::open(&BLOCK, &paths), Err(BlockFileError::Name(_))), "{data}");
        }
        for sums in ["blk_8_1.meta", "blk_7.meta", "blk_7_x.meta", "other/blk_7_1.meta"] {
            let paths = BlockPaths { sums: elsewhere(sums), ..own.clone() };
            assert!(matches!(BlockFile::open(&BLOCK, &paths), Err(BlockFileError::Name(_))), "{sums}");
        }
        let paths = BlockPaths { data: "blk_7".to_owned(), sums: "blk_7_1.meta".to_owned() };
        assert!(matches!(BlockFile::open(&BLOCK, &paths), Err(BlockFileError::Name(_))));
    }

    #[test]
    fn checksums_that_are_not_known_are_refused() {
        let mut files = Files::new(vec![1; 10], 2, 512);
        for (at, value, expected) in [(0, 9, "version"), (2, 0, "kind 0"), (3, 9, "bytes each")] {
            let before = std::mem::replace(&mut files.sums[at], value);
            assert!(files.open().unwrap_err().to_string().contains(expected), "{expected}");
            files.sums[at] = before;
        }
        files.sums.truncate(5);
        assert!(matches!(files.open(), Err(BlockFileError::Io(_))));
    }

    proptest! {
        #[test]
        fn ranges_give_their_bytes(
            data in proptest::collection::vec(any::<u8>(), 1..3000),
            kind in 1_u8..=2,
            chunk in 1_u32..700,
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 2..12),
        ) {
            let mut file = Files::new(data.clone(), kind, chunk).open().unwrap();
            for pair in cuts.windows(2) {
                let mut ends = [pair[0].index(data.len() + 1), pair[1].index(data.len() + 1)];
                ends.sort_unstable();
                let [from, to] = ends;
                prop_assert_eq!(&file.read(from as u64..to as u64).unwrap()[..], &data[from..to]);
            }
            let length = data.len() as u64;
            prop_assert!(matches!(file.read(0..length + 1), Err(BlockFileError::Short(_) | BlockFileError::Io(_))));
        }

        #[test]
        fn a_flipped_bit_or_a_missing_end_is_found(
            data in proptest::collection::vec(any::<u8>(), 1..3000),
            chunk in 1_u32..700,
            at in any::<prop::sample::Index>(),
            bit in 0_u8..8,
            cut in any::<bool>(),
            in_sums in any::<bool>(),
        ) {
            let mut files = Files::new(data.clone(), 2, chunk);
            let (damaged, head) = if in_sums { (&mut files.sums, HEAD_BYTES) } else { (&mut files.data, 0) };
            let at = head + at.index(damaged.len() - head);
            if cut { damaged.truncate(at) } else { damaged[at] ^= 1 << bit }
            let read = files.open().and_then(|mut file| file.read(0..data.len() as u64));
            prop_assert!(read.is_err());
        }
    }
}
