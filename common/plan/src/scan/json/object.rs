//! The grammar of JSON (RFC 8259): whether a line is one object, and which members it has. The decoder takes much that is no JSON,
//! such as missing commas and numbers of any shape. Knows no columns.

use std::fmt;

/// Objects and lists inside each other, at most.
const DEPTH_MAX: u32 = 127;

/// Where a line stops being an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed {
    at: usize,
    expected: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "each line must be one JSON object, but {} is missing at byte {} of this record",
            self.expected, self.at
        )
    }
}

/// One member of an object, as it stands in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member<'a> {
    /// What stands between the quotes of its name.
    pub(super) name: &'a [u8],
    /// Its value, without blanks around it.
    pub(super) value: &'a [u8],
}

/// Reads a line that is one object, and gives its members in their order. Texts are not looked at for UTF-8.
pub(super) fn read_object<'a>(line: &'a [u8], mut take: impl FnMut(Member<'a>)) -> Result<(), Malformed> {
    let mut cursor = Cursor { bytes: line, at: 0 };
    cursor.skip_blanks();
    cursor.expect(b'{', "`{`")?;
    cursor.skip_blanks();
    if !cursor.take(b'}') {
        loop {
            let name = cursor.name()?;
            let start = cursor.at;
            cursor.value()?;
            take(Member { name, value: &line[start..cursor.at] });
            cursor.skip_blanks();
            if !cursor.take(b',') {
                cursor.expect(b'}', "`,` or `}`")?;
                break;
            }
        }
    }
    cursor.skip_blanks();
    if cursor.at == line.len() { Ok(()) } else { Err(cursor.missing("the end of the line")) }
}

/// Only blanks stand in the line.
pub(super) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| is_space(*byte))
}

/// The text that stands in quotes so, which [`read_object`] has taken; `None` where it is not UTF-8.
pub(super) fn unescape(quoted: &[u8]) -> Option<String> {
    let mut units = Vec::with_capacity(quoted.len());
    let mut characters = std::str::from_utf8(quoted).ok()?.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
            continue;
        }
        units.push(match characters.next()? {
            'b' => 8,
            'f' => 12,
            'n' => u16::from(b'\n'),
            'r' => u16::from(b'\r'),
            't' => u16::from(b'\t'),
            'u' => u16::from_str_radix(characters.as_str().get(..4)?, 16).ok().inspect(|_| {
                characters.nth(3);
            })?,
            itself => u16::try_from(u32::from(itself)).ok()?,
        });
    }
    String::from_utf16(&units).ok()
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// What is open around a value, the innermost one in the lowest bit: an object, or a list.
#[derive(Default)]
struct Open {
    objects: u128,
    depth: u32,
}

impl Open {
    const fn push(&mut self, is_object: bool) -> bool {
        self.objects = self.objects << 1 | is_object as u128;
        self.depth += 1;
        // The record itself is open too.
        self.depth < DEPTH_MAX
    }

    const fn pop(&mut self) {
        self.objects >>= 1;
        self.depth -= 1;
    }

    const fn innermost_is_object(&self) -> bool {
        self.objects & 1 == 1
    }
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    const fn missing(&self, expected: &'static str) -> Malformed {
        Malformed { at: self.at, expected }
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), Malformed> {
        if self.take(byte) { Ok(()) } else { Err(self.missing(expected)) }
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    /// The name of a member, up to where its value starts.
    fn name(&mut self) -> Result<&'a [u8], Malformed> {
        self.skip_blanks();
        self.expect(b'"', "a name in double quotes")?;
        let start = self.at;
        self.text()?;
        let name = &self.bytes[start..self.at - 1];
        self.skip_blanks();
        self.expect(b':', "`:`")?;
        self.skip_blanks();
        Ok(name)
    }

    /// One value with all that is in it.
    fn value(&mut self) -> Result<(), Malformed> {
        let mut open = Open::default();
        loop {
            self.skip_blanks();
            if self.begin(&mut open)? {
                continue;
            }
            loop {
                if open.depth == 0 {
                    return Ok(());
                }
                self.skip_blanks();
                if self.take(b',') {
                    if open.innermost_is_object() {
                        self.name()?;
                    }
                    break;
                }
                let (close, expected) =
                    if open.innermost_is_object() { (b'}', "`,` or `}`") } else { (b']', "`,` or `]`") };
                self.expect(close, expected)?;
                open.pop();
            }
        }
    }

    /// Passes a simple value, or enters one that others are in: then it answers `true`, and stands before the first of them.
    fn begin(&mut self, open: &mut Open) -> Result<bool, Malformed> {
        let first = self.peek();
        match first {
            Some(b'{' | b'[') => {
                let is_object = first == Some(b'{');
                self.at += 1;
                self.skip_blanks();
                if self.take(if is_object { b'}' } else { b']' }) {
                    return Ok(false);
                }
                if !open.push(is_object) {
                    return Err(self.missing("the end of so many objects and lists inside each other"));
                }
                if is_object {
                    self.name()?;
                }
                return Ok(true);
            }
            Some(b'"') => {
                self.at += 1;
                self.text()?;
            }
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word(b"true")?,
            Some(b'f') => self.word(b"false")?,
            Some(b'n') => self.word(b"null")?,
            Some(_) | None => return Err(self.missing("a value")),
        }
        Ok(false)
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Malformed> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.missing("true, false, null or another value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Malformed> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _has_sign = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let count = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count > 0 { Ok(()) } else { Err(self.missing("a digit")) }
    }

    /// Text behind its first quote, with its last one.
    fn text(&mut self) -> Result<(), Malformed> {
        loop {
            let plain = self.bytes[self.at..].iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            let Some(plain) = plain else {
                self.at = self.bytes.len();
                return Err(self.missing("the closing quote of a text"));
            };
            self.at += plain + 1;
            match self.bytes[self.at - 1] {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                _ => {
                    self.at -= 1;
                    return Err(self.missing("an escape such as \\t for a control character"));
                }
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                self.at += 1;
                let is_pair_missing = match self.unit()? {
                    0xd800..0xdc00 => {
                        let has_next = self.take(b'\\') && self.take(b'u');
                        !has_next || !(0xdc00..0xe000).contains(&self.unit()?)
                    }
                    unit => (0xdc00..0xe000).contains(&unit),
                };
                if is_pair_missing { Err(self.missing("the other half of a surrogate pair")) } else { Ok(()) }
            }
            Some(_) | None => Err(self.missing("an escape that JSON has")),
        }
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Result<u16, Malformed> {
        let digits = self.bytes.get(self.at..self.at + 4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let unit = digits.and_then(|digits| u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        self.at += 4 * usize::from(unit.is_some());
        unit.ok_or_else(|| self.missing("an escape of four hexadecimal digits"))
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}
