//! Turns UTF-16 into UTF-8 while a file is read, in chunks. What cannot be UTF-16 is an error with its byte, never a replacement
//! character.

use bytes::{Buf, Bytes};
use hearth_common::Encoding;

use crate::StorageError;

const LITTLE_MARK: [u8; 2] = [0xFF, 0xFE];
const BIG_MARK: [u8; 2] = [0xFE, 0xFF];

/// The content of one UTF-16 file as UTF-8. A byte order mark stays what it is, in UTF-8.
pub(crate) struct Transcoder {
    encoding: Encoding,
    url: String,
    order: Option<Order>,
    /// UTF-16 bytes that have been turned into UTF-8.
    read: u64,
    /// The beginning of a character whose other bytes have not been read.
    rest: Vec<u8>,
    /// Bytes to leave out before the first one that is given.
    skip: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    LittleEnd,
    BigEnd,
}

impl Order {
    const fn unit(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::LittleEnd => u16::from_le_bytes(bytes),
            Self::BigEnd => u16::from_be_bytes(bytes),
        }
    }
}

impl Transcoder {
    /// The content of the file at `url` from byte `skip` of the UTF-8 on; `None` for an encoding that is not UTF-16.
    pub(crate) fn new(encoding: Encoding, url: String, skip: u64) -> Option<Self> {
        let order = match encoding {
            Encoding::Utf8 | Encoding::Latin1 => return None,
            Encoding::Utf16 => None,
            Encoding::Utf16Le => Some(Order::LittleEnd),
            Encoding::Utf16Be => Some(Order::BigEnd),
        };
        Some(Self { encoding, url, order, read: 0, rest: Vec::new(), skip })
    }

    /// Takes the next bytes of the file; gives those of the characters that end in them, perhaps none.
    pub(crate) fn take(&mut self, chunk: Bytes) -> Result<Bytes, StorageError> {
        let chunk = if self.rest.is_empty() {
            chunk
        } else {
            self.rest.extend_from_slice(&chunk);
            std::mem::take(&mut self.rest).into()
        };
        let Some(order) = self.order_of(&chunk)? else {
            self.rest = chunk.to_vec();
            return Ok(Bytes::new());
        };
        let mut text = String::with_capacity(chunk.len() / 2 + chunk.len() / 8);
        let whole = self.decode(&chunk, order, &mut text)?;
        self.rest = chunk[whole..].to_vec();
        self.read += whole as u64;
        let mut text = Bytes::from(text);
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(text.len());
        text.advance(skipped);
        self.skip -= skipped as u64;
        Ok(text)
    }

    /// The file has been read whole.
    pub(crate) fn end(&self) -> Result<(), StorageError> {
        let bytes = self.read + self.rest.len() as u64;
        match self.rest.len() {
            0 => Ok(()),
            rest if rest % 2 == 1 => {
                Err(self.problem(&format!("end in the middle of a character: {bytes} bytes are an odd number")))
            }
            _ => Err(self.unpaired(self.read)),
        }
    }

    /// The order of the bytes, once it is known. The first bytes tell it, or must not contradict it.
    fn order_of(&mut self, chunk: &[u8]) -> Result<Option<Order>, StorageError> {
        if self.read > 0 {
            return Ok(self.order);
        }
        let Some(first) = chunk.first_chunk::<2>() else { return Ok(None) };
        let marked = match *first {
            LITTLE_MARK => Some(Order::LittleEnd),
            BIG_MARK => Some(Order::BigEnd),
            _ => None,
        };
        match (self.order, marked) {
            (None, None) => Err(self.problem(
                "do not begin with a byte order mark; set encoding to \"utf-16le\" or \"utf-16be\", or to what the file is written in",
            )),
            (Some(declared), Some(marked)) if declared != marked => {
                Err(self.problem("begin with the byte order mark of the other byte order; set encoding = \"utf-16\""))
            }
            (declared, marked) => {
                self.order = declared.or(marked);
                Ok(self.order)
            }
        }
    }

    /// Appends the characters of a chunk to `text`; gives the number of bytes that they take.
    fn decode(&self, chunk: &[u8], order: Order, text: &mut String) -> Result<usize, StorageError> {
        let (units, _) = chunk.as_chunks::<2>();
        let mut next = 0;
        while let Some(bytes) = units.get(next) {
            let unit = order.unit(*bytes);
            if let Some(character) = char::from_u32(u32::from(unit)) {
                text.push(character);
                next += 1;
                continue;
            }
            let Some(second) = units.get(next + 1) else { break };
            let pair = [unit, order.unit(*second)];
            let Some(Ok(character)) = char::decode_utf16(pair).next() else {
                return Err(self.unpaired(self.read + 2 * next as u64));
            };
            text.push(character);
            next += 2;
        }
        Ok(2 * next)
    }

    fn unpaired(&self, byte: u64) -> StorageError {
        self.problem(&format!("hold half a character at byte {byte}: a surrogate without its other half"))
    }

    fn problem(&self, what: &str) -> StorageError {
        let problem = format!("its {} characters {what}", self.encoding.name());
        StorageError::Unusable { path: self.url.clone(), problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Transcodes in pieces of every size.
    fn check(encoding: Encoding, bytes: &[u8], expected: Result<&str, &str>) {
        for size in 1..=bytes.len().max(1) {
            let mut transcoder = Transcoder::new(encoding, "f".into(), 0).unwrap();
            let mut text = Vec::new();
            let result = bytes.chunks(size).try_for_each(|chunk| {
                text.extend_from_slice(&transcoder.take(Bytes::copy_from_slice(chunk))?);
                Ok(())
            });
            let result: Result<(), StorageError> = result.and_then(|()| transcoder.end());
            let found = result.map(|()| String::from_utf8(text).unwrap()).map_err(|error| error.to_string());
            let prefix = format!("cannot read f: its {} characters ", encoding.name());
            assert_eq!(found, expected.map(str::to_owned).map_err(|what| prefix + what), "in pieces of {size}");
        }
    }

    fn little(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn big(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_be_bytes).collect()
    }

    #[test]
    fn characters_of_every_length_become_utf8() {
        let text = "\u{feff}a,é\nコ,🦀🦀\r\n\u{ffff}";
        check(Encoding::Utf16, &little(text), Ok(text));
        check(Encoding::Utf16, &big(text), Ok(text));
        check(Encoding::Utf16Le, &little(text), Ok(text));
        check(Encoding::Utf16Be, &big(&text[3..]), Ok(&text[3..]));
        check(Encoding::Utf16, &[], Ok(""));
        check(Encoding::Utf16Le, &[], Ok(""));
        assert!(Transcoder::new(Encoding::Utf8, String::new(), 0).is_none());
    }

    #[test]
    fn what_is_no_utf16_is_told_with_its_byte() {
        let mut odd = little("ab");
        odd.push(b'c');
        check(Encoding::Utf16Le, &odd, Err("end in the middle of a character: 5 bytes are an odd number"));
        check(Encoding::Utf16, b"\xff", Err("end in the middle of a character: 1 bytes are an odd number"));
        let half = |byte: u64| format!("hold half a character at byte {byte}: a surrogate without its other half");
        check(Encoding::Utf16Be, b"\0a\xd8\0\0b", Err(&half(2)));
        check(Encoding::Utf16Be, b"\0a\0b\xdc\0\0c", Err(&half(4)));
        check(Encoding::Utf16Be, b"\0a\xd8\0", Err(&half(2)));
        let unmarked = "do not begin with a byte order mark; set encoding to \"utf-16le\" or \"utf-16be\", or to what the file is written in";
        check(Encoding::Utf16, b"a,b\n", Err(unmarked));
        let other = "begin with the byte order mark of the other byte order; set encoding = \"utf-16\"";
        check(Encoding::Utf16Le, &big("\u{feff}a"), Err(other));
    }

    #[test]
    fn positions_count_utf8() {
        for skip in 0..7 {
            let mut transcoder = Transcoder::new(Encoding::Utf16Le, "f".into(), skip).unwrap();
            let mut found = Vec::new();
            little("aébコ").chunks(3).for_each(|chunk| {
                found.extend_from_slice(&transcoder.take(Bytes::copy_from_slice(chunk)).unwrap());
            });
            assert_eq!(found, "aébコ".as_bytes()[usize::try_from(skip).unwrap()..]);
        }
    }
}
