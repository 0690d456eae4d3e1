//! How text inputs are compressed: as a job asks for it, and as one file is.

use serde::{Deserialize, Serialize};

/// How the files of a text input are compressed, as a job says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputCompression {
    /// Each as its extension says: `.gz`, `.bz2`, `.zst`, anything else is plain.
    #[default]
    Auto,
    /// None is, whatever it is called.
    None,
    /// All by gzip, whatever they are called.
    Gzip,
    /// All by bzip2.
    Bzip2,
    /// All by Zstandard.
    Zstd,
}

/// How one text file is compressed. A compressed file is one input split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileCompression {
    /// It is not.
    #[default]
    None,
    /// gzip (RFC 1952), of one member or more.
    Gzip,
    /// bzip2, of one stream or more.
    Bzip2,
    /// Zstandard (RFC 8878), of one frame or more.
    Zstd,
}

impl InputCompression {
    /// How a file of that name is compressed.
    #[must_use]
    pub fn of_file(self, name: &str) -> FileCompression {
        match self {
            Self::Auto => by_extension(name),
            Self::None => FileCompression::None,
            Self::Gzip => FileCompression::Gzip,
            Self::Bzip2 => FileCompression::Bzip2,
            Self::Zstd => FileCompression::Zstd,
        }
    }
}

fn by_extension(name: &str) -> FileCompression {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let known = [("gz", FileCompression::Gzip), ("bz2", FileCompression::Bzip2), ("zst", FileCompression::Zstd)];
    let found = known.into_iter().find(|(known, _)| extension.eq_ignore_ascii_case(known));
    found.map_or(FileCompression::None, |(_, compression)| compression)
}

impl FileCompression {
    /// Its name, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Zstd => "zstd",
        }
    }

    /// Whether the file has to be decoded.
    #[must_use]
    pub const fn is_some(self) -> bool {
        !matches!(self, Self::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_tell_unless_the_job_does() {
        let auto = |name: &str| InputCompression::Auto.of_file(name).name();
        assert_eq!(
            ["a.csv.gz", "a.GZ", "a.bz2", "b.zst", "a.csv", "gz", ""].map(auto),
            ["gzip", "gzip", "bzip2", "zstd", "none", "none", "none"]
        );
        assert_eq!(InputCompression::None.of_file("a.gz"), FileCompression::None);
        assert_eq!(InputCompression::Zstd.of_file("a.gz"), FileCompression::Zstd);
    }
}
