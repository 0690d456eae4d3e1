//! The decoders of the three formats behind one function. Each decodes one member, and knows nothing of files.

use std::io;

use flate2::FlushDecompress;
use hearth_common::FileCompression;
use zstd::stream::raw::{Decoder as Zstd, InBuffer, Operation, OutBuffer};

/// Sliding window of gzip, as a power of two.
const GZIP_WINDOW_BITS: u8 = 15;

/// Decodes one member.
pub(super) enum Decoder {
    Gzip(flate2::Decompress),
    Bzip2(bzip2::Decompress),
    Zstd(Zstd<'static>),
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// Bytes taken from the input.
    pub(super) read: usize,
    /// Bytes put into the output.
    pub(super) written: usize,
    /// The member is complete, and its checksum, if it has one, is right.
    pub(super) is_end: bool,
}

/// Whether a member may begin with these bytes, of which there is one at least.
pub(super) fn begins_member(compression: FileCompression, bytes: &[u8]) -> bool {
    let begins = |magic: &[u8]| bytes.iter().zip(magic).all(|(byte, expected)| byte == expected);
    match compression {
        FileCompression::None => false,
        FileCompression::Gzip => begins(&[0x1F, 0x8B]),
        FileCompression::Bzip2 => begins(b"BZh"),
        // Sixteen numbers begin frames that hold no data.
        FileCompression::Zstd => {
            begins(&[0x28, 0xB5, 0x2F, 0xFD]) || (0x50..=0x5F).any(|first| begins(&[first, 0x2A, 0x4D, 0x18]))
        }
    }
}

impl Decoder {
    pub(super) fn new(compression: FileCompression) -> io::Result<Self> {
        match compression {
            FileCompression::Gzip => Ok(Self::Gzip(flate2::Decompress::new_gzip(GZIP_WINDOW_BITS))),
            FileCompression::Bzip2 => Ok(Self::Bzip2(bzip2::Decompress::new(false))),
            FileCompression::Zstd => Zstd::new().map(Self::Zstd),
            FileCompression::None => Err(io::Error::other("a plain file has no decoder")),
        }
    }

    /// Decodes as much as `input` has and `output` holds, or says what is wrong.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, String> {
        match self {
            Self::Gzip(decoder) => {
                let (read, written) = (decoder.total_in(), decoder.total_out());
                let status = decoder.decompress(input, output, FlushDecompress::None);
                let status = status.map_err(|error| error.message().unwrap_or("invalid data").to_owned())?;
                let is_end = status == flate2::Status::StreamEnd;
                Ok(Step {
                    read: bytes(decoder.total_in() - read),
                    written: bytes(decoder.total_out() - written),
                    is_end,
                })
            }
            Self::Bzip2(decoder) => {
                let (read, written) = (decoder.total_in(), decoder.total_out());
                let status = decoder.decompress(input, output).map_err(|error| error.to_string())?;
                let is_end = status == bzip2::Status::StreamEnd;
                Ok(Step {
                    read: bytes(decoder.total_in() - read),
                    written: bytes(decoder.total_out() - written),
                    is_end,
                })
            }
            Self::Zstd(decoder) => {
                let mut input = InBuffer::around(input);
                let mut output = OutBuffer::around(output);
                let hint = decoder.run(&mut input, &mut output).map_err(|error| error.to_string())?;
                Ok(Step { read: input.pos(), written: output.pos(), is_end: hint == 0 })
            }
        }
    }
}

/// A number of bytes in memory.
fn bytes(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
