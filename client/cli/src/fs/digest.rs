//! The bytes of a file in order, wherever it is, and their checksum.

use std::io::Write as _;
use std::os::fd::AsFd as _;

use bytes::Bytes;
use hearth_hdfs::{HdfsFile, HdfsStream};
use tokio::io::AsyncReadExt as _;
use xxhash_rust::xxh3::Xxh3;

use super::disks::{Disks, hdfs_trouble, local_trouble};
use super::place::Place;
use crate::exit::CliError;

const CHUNK_BYTES: usize = 1 << 20;

/// The bytes of a file, or of standard input.
pub(super) enum Chunks {
    Local(tokio::fs::File, String),
    Hdfs(HdfsStream),
}

/// Length and XXH3-64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) bytes: u64,
    pub(super) xxh3: u64,
}

impl Chunks {
    pub(super) async fn open(disks: &Disks, place: &Place) -> Result<Self, CliError> {
        match place {
            Place::Local(path) if path.as_os_str() == "-" => {
                let input = std::io::stdin().as_fd().try_clone_to_owned()?;
                Ok(Self::Local(tokio::fs::File::from_std(input.into()), "standard input".to_owned()))
            }
            Place::Local(path) => match tokio::fs::File::open(path).await {
                Ok(file) => Ok(Self::Local(file, place.to_string())),
                Err(error) => Err(local_trouble("read", path, &error)),
            },
            Place::Hdfs(url) => {
                let hdfs = disks.hdfs(url)?;
                let file = hdfs.wait_quietly(|| HdfsFile::open(&hdfs, url)).await.map_err(hdfs_trouble)?;
                Ok(Self::Hdfs(file.stream(0..file.bytes()).map_err(hdfs_trouble)?))
            }
        }
    }

    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, CliError> {
        let mut chunk = Vec::new();
        let read = match self {
            Self::Hdfs(stream) => return stream.next().await.map_err(hdfs_trouble),
            Self::Local(file, _) => file.take(CHUNK_BYTES as u64).read_to_end(&mut chunk).await,
        };
        read.map_err(|error| CliError::failed(format!("cannot read {}: {error}", self.name())))?;
        Ok(Some(Bytes::from(chunk)).filter(|chunk| !chunk.is_empty()))
    }

    fn name(&self) -> String {
        match self {
            Self::Local(_, name) => name.clone(),
            Self::Hdfs(stream) => stream.file().url().to_string(),
        }
    }

    /// Reads all of it, and writes it to `copy`, if there is one. `progress` hears of the bytes so far.
    pub(super) async fn pour(
        mut self,
        mut copy: Option<&mut std::fs::File>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Digest, CliError> {
        let (mut hash, mut bytes) = (Xxh3::new(), 0);
        while let Some(chunk) = self.next().await? {
            hash.update(&chunk);
            if let Some(copy) = &mut copy {
                let written = copy.write_all(&chunk);
                written
                    .map_err(|error| CliError::failed(format!("cannot write a copy of {}: {error}", self.name())))?;
            }
            bytes += chunk.len() as u64;
            progress(bytes);
        }
        Ok(Digest { bytes, xxh3: hash.digest() })
    }
}
