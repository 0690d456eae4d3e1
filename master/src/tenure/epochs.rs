//! The epochs of a state directory: one file each, with its number as name. A number is taken by making its file, which only one
//! master can; the newest file tells whose the directory is.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::record::{self, Record};

/// Somebody who looks at a file holds its lock for far less than this.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// How often it is tried to have the lock of a file that was just made.
const LOOKS_MAX: u32 = 50;

/// The directory of the epochs. Every answer is read anew.
#[derive(Debug, Clone)]
pub(super) struct Epochs(PathBuf);

/// What there is to see of an epoch from outside.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) number: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) record: Option<Record>,
    /// Nobody on this host, or on others where the file system has locks between hosts, holds its lock.
    pub(super) is_unlocked: bool,
}

impl Epochs {
    /// Makes the directory where it is missing.
    pub(super) fn open(state_dir: &Path) -> io::Result<Self> {
        let directory = state_dir.join("epochs");
        std::fs::create_dir_all(&directory)?;
        Ok(Self(directory))
    }

    fn file(&self, number: u64) -> PathBuf {
        self.0.join(format!("{number:010}"))
    }

    fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&self.0)? {
            numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The newest one; 0 before the first.
    pub(super) fn newest(&self) -> io::Result<u64> {
        Ok(self.numbers()?.last().copied().unwrap_or(0))
    }

    /// Looks at the newest one; `None` before the first.
    pub(super) fn look(&self) -> io::Result<Option<Sight>> {
        let number = self.newest()?;
        if number == 0 {
            return Ok(None);
        }
        let path = self.file(number);
        let (bytes, record) = record::read(&path)?;
        let file = File::options().read(true).write(true).open(&path)?;
        // Others who look hold it for a moment.
        let is_unlocked = lock(&file)? || {
            std::thread::sleep(LOOK_PAUSE);
            lock(&file)?
        };
        Ok(Some(Sight { number, bytes, record, is_unlocked }))
    }

    /// What the newest epoch that says something says: one of its masters may have died before it wrote a word.
    pub(super) fn last_record(&self) -> io::Result<Option<Record>> {
        for number in self.numbers()?.into_iter().rev() {
            if let (_, Some(record)) = record::read(&self.file(number))? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Takes a number, with its lock. `None`: another master has it.
    pub(super) fn take(&self, number: u64) -> io::Result<Option<File>> {
        let made = OpenOptions::new().read(true).write(true).create_new(true).open(self.file(number));
        let file = match made {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(error),
        };
        File::open(&self.0)?.sync_all()?;
        for _ in 0..LOOKS_MAX {
            if lock(&file)? {
                return Ok(Some(file));
            }
            std::thread::sleep(LOOK_PAUSE);
        }
        Ok(None)
    }

    /// Removes all before `number`.
    pub(super) fn forget_before(&self, number: u64) -> io::Result<()> {
        for old in self.numbers()?.into_iter().filter(|old| *old < number) {
            std::fs::remove_file(self.file(old))?;
        }
        Ok(())
    }
}

/// Takes the lock of an epoch's file for as long as it is open. `false`: another process has it.
fn lock(file: &File) -> io::Result<bool> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
