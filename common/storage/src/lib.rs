//! Object stores and file systems behind one door: where input files are, and the primitives that the commit stands on.
//!
//! Whether a place is on a local file system or in HDFS is known here alone.

mod commit_fs;
mod decompress;
mod error;
mod glob;
mod hosts;
mod listing;
mod local_copy;
mod location;
mod source;
mod storage;
mod stores;
mod transcode;
mod writer;

pub use commit_fs::{CommitFs, EntryKind, Exchange, ListedFile, LocalCommitFs};
pub use error::{StorageError, typed_cause};
pub use hearth_hdfs::{CountersSnapshot, HdfsSettings, Waits, WaitsReader};
pub use hosts::HeldRange;
pub use listing::{FILES_MAX, InputFile, list_inputs};
pub use local_copy::LocalCopy;
pub use location::Location;
pub use source::{
    ByteSource, FileStart, SplitLines, check_unchanged, content_end, file_of, open_content, open_range, open_split,
    read_range, read_start,
};
pub use storage::Storage;
pub use writer::{FileWriter, StoredFile};
