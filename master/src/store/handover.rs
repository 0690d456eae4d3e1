//! The store of the next epoch: made of the one before. A file of the store is written by one master only, so that one who wakes up
//! after it was fenced cannot damage what its successor has.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use crate::tenure::Handover;

/// A fenced master can finish one write after it was fenced; then it looks, and ends.
const COPIES_MAX: usize = 20;
const PIECE_BYTES: usize = 1 << 20;

/// The store of an epoch; 0 is that of masters that knew no epochs.
pub(crate) fn store_file(state_dir: &Path, epoch: u64) -> PathBuf {
    match epoch {
        0 => state_dir.join("jobs.redb"),
        epoch => state_dir.join(format!("jobs-{epoch:010}.redb")),
    }
}

/// Makes the store of an epoch of the newest one before it, if there is one. Blocks.
pub(crate) fn hand_over(state_dir: &Path, epoch: u64, handover: Handover) -> io::Result<()> {
    match try_hand_over(state_dir, epoch, handover) {
        // A master that was fenced while it took over has just given the file its own name: under that it is found again.
        Err(error) if error.kind() == io::ErrorKind::NotFound => try_hand_over(state_dir, epoch, handover),
        done => done,
    }
}

fn try_hand_over(state_dir: &Path, epoch: u64, handover: Handover) -> io::Result<()> {
    let Some(last) = stores(state_dir)?.into_iter().rfind(|store| *store < epoch) else { return Ok(()) };
    let (from, to) = (store_file(state_dir, last), store_file(state_dir, epoch));
    // The master of an epoch between that one and ours made no store, but may still be about to.
    if handover == Handover::InPlace && last + 1 == epoch {
        std::fs::rename(&from, &to)?;
    } else {
        let unfinished = to.with_extension("new");
        copy(&from, &unfinished)?;
        std::fs::rename(&unfinished, &to)?;
    }
    File::open(state_dir)?.sync_all()
}

/// Removes the stores of all epochs before this one: it has all that they had.
pub(crate) fn forget_before(state_dir: &Path, epoch: u64) -> io::Result<()> {
    for old in stores(state_dir)?.into_iter().filter(|store| *store < epoch) {
        std::fs::remove_file(store_file(state_dir, old))?;
    }
    Ok(())
}

/// The epochs that have a store, in order.
fn stores(state_dir: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(state_dir)? {
        let name = entry?.file_name();
        let epoch = name.to_str().and_then(|name| match name {
            "jobs.redb" => Some(0),
            name => name.strip_prefix("jobs-")?.strip_suffix(".redb")?.parse().ok(),
        });
        found.extend(epoch);
    }
    found.sort_unstable();
    Ok(found)
}

/// Copies a file that somebody may be writing to, as it was at one moment: between a copy and a look that finds no difference.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    for _ in 0..COPIES_MAX {
        let mut copied = File::options().read(true).write(true).create(true).truncate(true).open(to)?;
        source.rewind()?;
        io::copy(&mut source, &mut copied)?;
        if are_equal(&mut source, &mut copied)? {
            return copied.sync_all();
        }
    }
    let problem = format!("{} changes all the time: the master before has not ended", from.display());
    Err(io::Error::new(io::ErrorKind::ResourceBusy, problem))
}

fn are_equal(one: &mut File, other: &mut File) -> io::Result<bool> {
    one.rewind()?;
    other.rewind()?;
    let (mut left, mut right) = (vec![0; PIECE_BYTES], vec![0; PIECE_BYTES]);
    loop {
        let (read, compared) = (fill(one, &mut left)?, fill(other, &mut right)?);
        if left[..read] != right[..compared] {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn check(found: &[u64], (epoch, handover): (u64, Handover), expected: &[&str]) {
        let directory = tempfile::tempdir().unwrap();
        for number in found {
            std::fs::write(store_file(directory.path(), *number), number.to_string()).unwrap();
        }
        hand_over(directory.path(), epoch, handover).unwrap();
        assert_eq!(names(directory.path()), expected, "{found:?} {epoch} {handover:?}");
        if let Some(last) = found.last() {
            assert_eq!(std::fs::read_to_string(store_file(directory.path(), epoch)).unwrap(), last.to_string());
        }
        forget_before(directory.path(), epoch).unwrap();
        assert!(names(directory.path()).len() <= 1);
    }

    #[test]
    fn the_newest_store_is_gone_on_with_and_only_a_dead_masters_in_place() {
        let [zero, one, two, three] =
            ["jobs.redb", "jobs-0000000001.redb", "jobs-0000000002.redb", "jobs-0000000003.redb"];
        check(&[], (1, Handover::InPlace), &[]);
        check(&[0], (1, Handover::InPlace), &[one]);
        check(&[1], (2, Handover::InPlace), &[two]);
        check(&[1], (2, Handover::Copy), &[one, two]);
        check(&[1, 2], (3, Handover::Copy), &[one, two, three]);
        // The master of epoch 2 made no store, and may still be about to.
        check(&[1], (3, Handover::InPlace), &[one, three]);
        check(&[0], (1, Handover::Copy), &[one, zero]);
    }

    /// Writes the last byte, then the first: at any moment both are the same, or the last one is one ahead.
    fn scribble(path: &Path, ends: &AtomicBool) {
        let file = File::options().write(true).open(path).unwrap();
        for _ in 0..20 {
            for value in 0..=u8::MAX {
                file.write_all_at(&[value], LAST).unwrap();
                file.write_all_at(&[value], 0).unwrap();
                std::thread::sleep(Duration::from_micros(20));
            }
            // Nobody writes for ever.
            std::thread::sleep(Duration::from_millis(60));
        }
        ends.store(true, Ordering::SeqCst);
    }

    const LAST: u64 = (8 << 20) - 1;

    #[test]
    fn a_file_that_changes_is_copied_as_it_was_at_one_moment() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        std::fs::write(&from, vec![u8::MAX; 8 << 20]).unwrap();
        let ends = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| scribble(&from, &ends));
            while !ends.load(Ordering::SeqCst) {
                if copy(&from, &to).is_ok() {
                    let copied = std::fs::read(&to).unwrap();
                    let (first, last) = (copied[0], copied[copied.len() - 1]);
                    assert!(last == first || last == first.wrapping_add(1), "{first} {last}");
                }
            }
        });
        copy(&from, &to).unwrap();
        assert_eq!(std::fs::read(&from).unwrap(), std::fs::read(&to).unwrap());
    }
}
