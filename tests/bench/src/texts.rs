//! Texts of the bench's own workloads, written as a stream, the same ones every time.

use std::fs::File;
use std::io::{BufWriter, Result, Write};
use std::path::Path;

/// Columns of a wide table.
const WIDE_COLUMNS: usize = 100;
const KINDS: u64 = 8;
/// Length of a note, in bytes: longer than an input split of its workload, shorter than records may be.
pub(crate) const NOTE_BYTES: u64 = 5 << 20;

/// Numbers that look random (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ mixed >> 31) % end
    }
}

/// Writes `files` files of a table, each with its share of the rows.
fn write_files(
    directory: &Path,
    (rows, files): (u64, u64),
    header: &str,
    mut record: impl FnMut(&mut BufWriter<File>, u64) -> Result<()>,
) -> Result<()> {
    for number in 0..files {
        let mut file = BufWriter::new(File::create(directory.join(format!("part-{number}.csv")))?);
        writeln!(file, "{header}")?;
        for row in rows * number / files..rows * (number + 1) / files {
            record(&mut file, row)?;
        }
        file.flush()?;
    }
    Ok(())
}

/// A hundred columns: whole numbers, words, numbers with two decimals and codes, by turns.
pub(crate) fn write_wide(directory: &Path, rows: u64) -> Result<()> {
    let mut random = Random(1);
    let header: Vec<String> = (0..WIDE_COLUMNS).map(|column| format!("c{column:02}")).collect();
    write_files(directory, (rows, 8), &header.join(","), |file, _| {
        for column in 0..WIDE_COLUMNS {
            let end = if column + 1 < WIDE_COLUMNS { ',' } else { '\n' };
            match column % 4 {
                0 => write!(file, "{}{end}", random.below(1_000_000))?,
                1 => write!(file, "word-{}{end}", random.below(50))?,
                2 => write!(file, "{}.{:02}{end}", random.below(10_000), random.below(100))?,
                _ => write!(file, "x{:09x}{end}", random.below(1 << 36))?,
            }
        }
        Ok(())
    })
}

/// Columns of a typed table, as a job file has them.
pub(crate) const TYPED_COLUMNS: &str =
    "id int64, kind string, quantity int32, price decimal(12;2), tax decimal(8;4), created timestamp, day date";

/// Whole numbers, decimals, dates and timestamps.
pub(crate) fn write_typed(directory: &Path, rows: u64) -> Result<()> {
    let mut random = Random(2);
    let header = "id,kind,quantity,price,tax,created,day";
    write_files(directory, (rows, 8), header, |file, row| {
        let (kind, quantity) = (random.below(KINDS), random.below(100));
        let (price, cents, tax) = (random.below(100_000), random.below(100), random.below(1_000_000));
        let (day, seconds) = (1 + random.below(28), random.below(86_400));
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(file, "{row},kind-{kind},{quantity},{price}.{cents:02},{}.{:04},", tax / 10_000, tax % 10_000)?;
        writeln!(file, "2026-01-{day:02} {hour:02}:{minute:02}:{second:02},2026-01-{day:02}")
    })
}

/// Columns of notes, as a job file has them.
pub(crate) const NOTE_COLUMNS: &str = "id int64, kind string, note string";

/// One file of notes in quotes, each of many lines that look like records: inside them every guess is wrong.
pub(crate) fn write_notes(directory: &Path, notes: u64) -> Result<()> {
    let mut random = Random(3);
    write_files(directory, (notes, 1), "id,kind,note", |file, row| {
        write!(file, "{row},kind-{},\"", random.below(KINDS))?;
        let mut bytes = 0;
        while bytes < NOTE_BYTES {
            bytes += write_line(file, &mut random)?;
        }
        writeln!(file, "\"")
    })
}

/// A plain file of the same columns and size, whose records are such lines.
pub(crate) fn write_plain_notes(directory: &Path, notes: u64) -> Result<()> {
    let mut random = Random(3);
    write_files(directory, (notes, 1), "id,kind,note", |file, _| {
        let mut bytes = 0;
        while bytes < NOTE_BYTES {
            bytes += write_line(file, &mut random)?;
        }
        Ok(())
    })
}

fn write_line(file: &mut BufWriter<File>, random: &mut Random) -> Result<u64> {
    let line = format!("{},kind-{},some plain words\n", random.below(1_000_000), random.below(KINDS));
    file.write_all(line.as_bytes())?;
    Ok(line.len() as u64)
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hasher};

    use super::*;

    /// Lines and bytes of what a generator writes, twice the same.
    fn check(write: impl Fn(&Path) -> Result<()>, lines: usize, fields: usize) {
        let digests: Vec<u64> = (0..2)
            .map(|_| {
                let directory = tempfile::tempdir().unwrap();
                write(directory.path()).unwrap();
                let mut paths: Vec<_> =
                    std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
                paths.sort();
                let text: String = paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
                if lines > 0 {
                    assert_eq!(text.lines().count(), lines);
                    assert!(text.lines().all(|line| line.split(',').count() == fields));
                }
                let mut hasher = DefaultHasher::new();
                hasher.write(text.as_bytes());
                hasher.finish()
            })
            .collect();
        assert_eq!(digests[0], digests[1]);
    }

    #[test]
    fn texts_are_the_same_every_time() {
        check(|directory| write_wide(directory, 100), 108, 100);
        check(|directory| write_typed(directory, 100), 108, 7);
        check(|directory| write_notes(directory, 1), 0, 0);
    }

    #[test]
    fn a_plain_file_has_the_size_of_one_of_notes() {
        let sizes = [write_notes, write_plain_notes].map(|write| {
            let directory = tempfile::tempdir().unwrap();
            write(directory.path(), 2).unwrap();
            std::fs::metadata(directory.path().join("part-0.csv")).unwrap().len()
        });
        assert!(sizes[0].abs_diff(sizes[1]) < 1000, "{sizes:?}");
        assert!(sizes[0] > 2 * NOTE_BYTES);
    }
}
