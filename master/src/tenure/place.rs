//! Where a state directory is: on a file system of this host alone, or on one that others may have as well.

use std::io;
use std::path::Path;

/// File systems on a disk or in the memory of one running kernel: ext2 to 4, XFS, Btrfs, F2FS, tmpfs. A second kernel that had one of
/// them mounted would destroy it, so that whoever holds a lock there is a process of this host. (linux/magic.h)
const OF_ONE_HOST: [u32; 5] = [0xEF53, 0x5846_5342, 0x9123_683E, 0xF2F5_2010, 0x0102_1994];

/// Who may have a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Processes of this host: a lock that is free tells that its holder is dead, also if that was before a power failure.
    OneHost,
    /// Perhaps others, whose locks are not seen here.
    Shared,
}

impl Place {
    pub(super) fn of(directory: &Path) -> io::Result<Self> {
        let kind = rustix::fs::statfs(directory)?.f_type;
        let is_of_one_host = OF_ONE_HOST.iter().any(|known| i128::from(*known) == i128::from(kind));
        Ok(if is_of_one_host { Self::OneHost } else { Self::Shared })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_to_be_of_one_host_may_be_shared() {
        assert_eq!(Place::of(Path::new("/dev/shm")).unwrap(), Place::OneHost, "in memory");
        assert_eq!(Place::of(Path::new("/proc")).unwrap(), Place::Shared, "neither on a disk nor in memory");
        assert!(Place::of(Path::new("/no/such/directory")).is_err());
    }
}
