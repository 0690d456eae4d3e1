//! A file whose bytes changed on the disk: it is refused, or what is read is what was written. Nothing panics.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::*;

/// Times that a bit is flipped, or the file cut.
const DAMAGES: u64 = 4_000;

fn open(path: &Path) -> Result<String, StoreError> {
    let file = StoreFile::open(path)?;
    load::load(&file).map(|stored| format!("{stored:?}"))
}

/// A file with what came, changed and went.
fn write(path: &Path) {
    let file = StoreFile::open(path).unwrap();
    for id in 1..=30 {
        let key = JobId::from_u128(id);
        let put = [
            record::put(Table::Jobs, key.to_string(), &accepted(id)).unwrap(),
            record::put(Table::Intents, key.to_string(), &intent(id)).unwrap(),
            record::put(Table::Intents, key.to_string(), &CommitIntent { files: vec![], ..intent(id) }).unwrap(),
        ];
        file.write(&put).unwrap();
        if id % 3 == 0 {
            file.write(&[record::remove(Table::Intents, key)]).unwrap();
        }
        if id % 5 == 0 {
            file.write(&record::forget(&[key])).unwrap();
        }
    }
}

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

#[test]
fn damage_is_refused_or_without_consequence() {
    // Every case syncs the file: where there is a file system in memory, that costs nothing.
    let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let path = root.path().join("jobs.redb");
    write(&path);
    let expected = open(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    let used: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    let (mut dice, mut refused) = (Dice(6), 0);
    for case in 0..DAMAGES {
        fs::write(&path, &whole).unwrap();
        let at = used[dice.roll(used.len())];
        let on_disk = File::options().write(true).open(&path).unwrap();
        if case % 10 == 0 {
            on_disk.set_len(at as u64).unwrap();
        } else {
            on_disk.write_all_at(&[whole[at] ^ (1 << dice.roll(8))], at as u64).unwrap();
        }
        match open(&path) {
            Ok(found) => assert!(found == expected, "case {case}, byte {at}: read as if nothing had happened: {found}"),
            Err(StoreError::Damaged { .. } | StoreError::Io { .. } | StoreError::Format { .. }) => refused += 1,
            Err(other) => panic!("case {case}: {other}"),
        }
    }
    assert!(refused > DAMAGES / 4, "{refused} were refused: what is damaged is used");
}
