//! A small disk, which can be filled: a file system in memory. Mounting one needs root on Linux.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::tools::run_tool;

/// A mounted file system. Dropped, it is gone; whoever uses it must have ended.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one of so many MiB on a directory, which is made.
    ///
    /// # Errors
    /// Not root; the message says what to do.
    pub fn mount(path: &Path, mebibytes: u32) -> Result<Self> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "a disk that can be filled needs root, to mount it: sudo -E cargo test --workspace --test system faults"
        );
        fs::create_dir_all(path)?;
        let size = format!("size={mebibytes}m");
        run_tool(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path))
            .context("mount a small disk")?;
        Ok(Self { path: path.to_owned() })
    }

    /// Writes until nothing fits any more.
    ///
    /// # Errors
    /// Anything but a full disk.
    pub fn fill(&self) -> Result<()> {
        let mut file = File::options().create(true).append(true).open(self.ballast())?;
        // In smaller and smaller pieces, so that not even one page is left.
        for bytes in [1 << 20, 4096, 1] {
            let piece = vec![1; bytes];
            loop {
                match file.write_all(&piece) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error).context("fill a disk"),
                }
            }
        }
        Ok(())
    }

    /// Makes room again.
    ///
    /// # Errors
    /// It was not filled.
    pub fn empty(&self) -> Result<()> {
        fs::remove_file(self.ballast()).context("make room on a disk")
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: somebody may hold a file for a moment.
        let _ = run_tool(Command::new("umount").arg("-l").arg(&self.path));
    }
}
