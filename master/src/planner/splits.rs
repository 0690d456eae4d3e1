//! Cuts the files of an input into input splits, and packs them into the partitions of its scan.
//!
//! Few and large is better than many and small: every scan task keeps its own partial aggregate, so a group that occurs
//! everywhere is shuffled once per task. Two tasks per slot are enough to even out differences between workers; below 64 MiB
//! the price of starting a task shows, and above 512 MiB a lost task repeats too much.

use hearth_common::{InputFormat, InputSplit, SplitLink};
use hearth_storage::InputFile;

const MIB: u64 = 1 << 20;
const SPLIT_BYTES_MIN: u64 = 64 * MIB;
const SPLIT_BYTES_MAX: u64 = 512 * MIB;
/// Most input splits of one input; more would burden every message about it.
const SPLITS_MAX: u64 = 100_000;
/// Most input splits of one task; an endless row of tiny files is spread over more tasks.
const SPLITS_PER_TASK_MAX: usize = 4096;

/// Size of an input split where the job does not set it.
pub(super) fn auto_split_bytes(input_bytes: u64, slots: u32) -> u64 {
    let tasks = u64::from(slots.max(1)) * 2;
    input_bytes.div_ceil(tasks).clamp(SPLIT_BYTES_MIN, SPLIT_BYTES_MAX)
}

/// The input splits of `files`, one list per partition of the scan; never without a partition. Empty files are left out. The pieces
/// of a file of text are links, which get their numbers where stages are made.
///
/// # Errors
/// The number of splits, when there are too many.
pub(super) fn pack_splits(
    files: &[InputFile],
    format: &InputFormat,
    split_bytes: u64,
) -> Result<Vec<Vec<InputSplit>>, String> {
    let split_bytes = split_bytes.max(1);
    let pieces: u64 = files.iter().map(|file| piece_count(file, split_bytes)).sum();
    if pieces > SPLITS_MAX {
        return Err(format!("would have {pieces} input splits, at most {SPLITS_MAX} are allowed; raise split_bytes"));
    }
    // A record of CSV may hold line breaks, so that nothing in its file tells where one starts. JSON lines do tell, but not how
    // many lines are before them; and the first of several errors is known only when all before it was read.
    let is_chained = match format {
        InputFormat::Csv(_) | InputFormat::Json => true,
        InputFormat::Parquet => false,
    };
    // Files of nearly equal size are not kept apart by the last bytes of one of them.
    let task_bytes_max = split_bytes.saturating_add(split_bytes / 8);
    let mut packed = Packed { task_bytes_max, partitions: Vec::new(), last_bytes: 0 };
    for file in files.iter().filter(|file| file.bytes > 0) {
        let count = piece_count(file, split_bytes);
        let share = |piece: u64| u64::try_from(u128::from(file.bytes) * u128::from(piece) / u128::from(count));
        for piece in 0..count {
            let (start, end) = (share(piece).unwrap_or(0), share(piece + 1).unwrap_or(file.bytes));
            let link = (is_chained && count > 1).then_some(SplitLink { number: 0, known: None });
            packed.add(file.split((start, end), link));
        }
    }
    if packed.partitions.is_empty() {
        packed.partitions.push(Vec::new());
    }
    Ok(packed.partitions)
}

/// Equal pieces, so that no task is left with a small rest. A file that is decoded can be read from its start alone.
fn piece_count(file: &InputFile, split_bytes: u64) -> u64 {
    let pieces = file.bytes.div_ceil(split_bytes);
    if file.is_decoded() { pieces.min(1) } else { pieces }
}

struct Packed {
    task_bytes_max: u64,
    partitions: Vec<Vec<InputSplit>>,
    last_bytes: u64,
}

impl Packed {
    fn add(&mut self, split: InputSplit) {
        let bytes = split.end - split.start;
        match self.partitions.last_mut() {
            Some(last) if self.last_bytes + bytes <= self.task_bytes_max && last.len() < SPLITS_PER_TASK_MAX => {
                self.last_bytes += bytes;
                last.push(split);
            }
            Some(_) | None => {
                self.last_bytes = bytes;
                self.partitions.push(vec![split]);
            }
        }
    }
}

/// Shuffle partitions of an exchange where the job does not set them: 8 MiB of input each, so that the groups of one stay near the
/// processor. The scheduler merges neighbours by their actual bytes, so too many cost little; a small input still gets few, and a large one at least two per slot.
pub(super) fn auto_shuffle_partitions(input_bytes: u64, slots: u32) -> u32 {
    let by_slots = u64::from(slots.max(1)) * 2;
    let least = by_slots.min(1 + input_bytes / MIB);
    let partitions = input_bytes.div_ceil(8 * MIB).max(least).clamp(1, 512);
    u32::try_from(partitions).unwrap_or(512)
}

#[cfg(test)]
mod tests {
    use hearth_common::{Encoding, FileCompression};

    use super::*;

    fn file(url: &str, bytes: u64) -> InputFile {
        InputFile {
            url: url.to_owned(),
            bytes,
            modified_ms: 0,
            compression: FileCompression::None,
            encoding: Encoding::Utf8,
        }
    }

    fn pack(sizes: &[u64], split_bytes: u64) -> Vec<Vec<(String, u64, u64)>> {
        let files: Vec<InputFile> =
            sizes.iter().enumerate().map(|(index, bytes)| file(&index.to_string(), *bytes)).collect();
        let packed = pack_splits(&files, &InputFormat::Json, split_bytes).unwrap();
        packed
            .into_iter()
            .map(|list| list.into_iter().map(|split| (split.url, split.start, split.end)).collect())
            .collect()
    }

    #[test]
    fn large_files_are_cut_into_equal_pieces() {
        let one = |start, end| vec![("0".to_owned(), start, end)];
        assert_eq!(pack(&[250], 100), [one(0, 83), one(83, 166), one(166, 250)]);
    }

    #[test]
    fn the_pieces_of_a_file_of_text_are_links() {
        let csv = InputFormat::Csv(hearth_common::CsvOptions::default());
        for (format, linked) in [(csv, true), (InputFormat::Json, true), (InputFormat::Parquet, false)] {
            let packed = pack_splits(&[file("a", 90), file("b", 150), file("c", 50)], &format, 100).unwrap();
            let links: Vec<Vec<bool>> =
                packed.iter().map(|splits| splits.iter().map(|split| split.link.is_some()).collect()).collect();
            assert_eq!(links, [vec![false], vec![linked], vec![linked], vec![false]]);
        }
    }

    #[test]
    fn files_that_are_decoded_are_never_cut() {
        for format in [InputFormat::Csv(hearth_common::CsvOptions::default()), InputFormat::Json] {
            let gzip = InputFile { compression: FileCompression::Gzip, ..file("a", 1 << 40) };
            let packed = pack_splits(&[gzip], &format, 100).unwrap();
            let split = &packed[0][0];
            assert_eq!((packed.len(), packed[0].len()), (1, 1));
            assert_eq!((split.start, split.end, split.link), (0, 1 << 40, None));
            assert_eq!(split.compression, FileCompression::Gzip);
        }
        let utf16 = InputFile { encoding: Encoding::Utf16, ..file("a", 1 << 40) };
        let packed = pack_splits(&[utf16], &InputFormat::Csv(hearth_common::CsvOptions::default()), 100).unwrap();
        assert_eq!((packed.len(), packed[0].len(), packed[0][0].link), (1, 1, None));
    }

    #[test]
    fn small_files_share_a_partition_and_empty_ones_vanish() {
        let packed = pack(&[40, 0, 40, 40, 200], 100);
        let names: Vec<Vec<&str>> =
            packed.iter().map(|list| list.iter().map(|split| split.0.as_str()).collect()).collect();
        assert_eq!(names, [vec!["0", "2"], vec!["3"], vec!["4"], vec!["4"]]);
        assert_eq!(pack(&[0], 100), [vec![]]);
        let equal: Vec<usize> = pack(&[51, 49, 52, 50, 51, 50], 101).iter().map(Vec::len).collect();
        assert_eq!(equal, [2, 2, 2]);
    }

    #[test]
    fn every_byte_belongs_to_one_split() {
        for (bytes, split_bytes) in [(1, 1), (7, 3), (1 << 40, (1 << 31) + 7), (64 * MIB + 1, 64 * MIB)] {
            let packed = pack(&[bytes], split_bytes);
            let mut at = 0;
            for (_, start, end) in packed.into_iter().flatten() {
                assert_eq!(start, at);
                at = end;
            }
            assert_eq!(at, bytes);
        }
    }

    #[test]
    fn too_many_splits_are_refused() {
        let problem = pack_splits(&[file("a", 1 << 30)], &InputFormat::Json, 1).unwrap_err();
        assert_eq!(problem, "would have 1073741824 input splits, at most 100000 are allowed; raise split_bytes");
    }

    #[test]
    fn sizes_follow_input_and_slots() {
        let gib = 1024 * MIB;
        for (bytes, slots, expected) in
            [(0, 0, 64), (50 * MIB, 2, 64), (2 * gib, 2, 512), (gib, 2, 256), (900 * gib, 8, 512)]
        {
            assert_eq!(auto_split_bytes(bytes, slots), expected * MIB, "{bytes} {slots}");
        }
        for (bytes, slots, expected) in
            [(0, 64, 1), (3 * MIB, 64, 4), (gib, 2, 128), (gib, 64, 128), (900 * gib, 8, 512)]
        {
            assert_eq!(auto_shuffle_partitions(bytes, slots), expected, "{bytes} {slots}");
        }
    }
}
