//! What a field says: its bytes without quotes and escapes.

use std::borrow::Cow;

use hearth_common::{CsvOptions, Encoding};

/// How fields are taken out of their bytes.
#[derive(Debug, Clone)]
pub(crate) struct FieldRules {
    quote: Option<u8>,
    escape: Option<u8>,
    trim: bool,
    is_latin1: bool,
    null_values: Vec<Vec<u8>>,
    is_empty_null: bool,
}

/// A field without its quotes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    pub(crate) text: Cow<'a, [u8]>,
    pub(crate) was_quoted: bool,
}

impl FieldRules {
    pub(crate) fn new(options: &CsvOptions) -> Self {
        Self {
            quote: options.quote,
            escape: options.escape,
            trim: options.trim,
            is_latin1: options.encoding == Encoding::Latin1,
            null_values: options.null_values.iter().map(|text| text.as_bytes().to_vec()).collect(),
            is_empty_null: options.null_values.iter().any(String::is_empty),
        }
    }

    /// The bytes are the field: nothing has to be cut off or replaced.
    #[inline]
    pub(crate) fn is_plain(&self, raw: &[u8]) -> bool {
        match raw.first() {
            None => true,
            Some(first) => Some(*first) != self.quote && !self.trim && (!self.is_latin1 || raw.is_ascii()),
        }
    }

    /// Whether an unquoted field, or the text of a quoted one that is no text, is NULL.
    #[inline]
    pub(crate) fn is_null(&self, text: &[u8]) -> bool {
        if text.is_empty() {
            return self.is_empty_null;
        }
        self.null_values.iter().any(|null| null == text)
    }

    /// Takes the text out of a field.
    pub(crate) fn read<'a>(&self, raw: &'a [u8]) -> Field<'a> {
        let has_quotes = raw.first().copied() == self.quote;
        let raw = if self.trim { trim(raw) } else { raw };
        let inner = match (self.quote, raw) {
            (Some(quote), [first, inner @ .., last]) if *first == quote && *last == quote => Some((quote, inner)),
            _ => None,
        };
        // Behind blanks the scan took quotes as text: they go only where nothing but them is lost.
        let inner = inner.filter(|(quote, inner)| has_quotes || self.is_doubled(inner, *quote));
        let Some((quote, inner)) = inner else {
            return Field { text: self.decode(Cow::Borrowed(raw)), was_quoted: false };
        };
        let is_mark = |byte: &u8| *byte == quote || Some(*byte) == self.escape;
        let text =
            if inner.iter().any(is_mark) { Cow::Owned(self.unescape(inner, quote)) } else { Cow::Borrowed(inner) };
        Field { text: self.decode(text), was_quoted: true }
    }

    /// An escape before another byte than a quote or an escape is text.
    fn unescape(&self, inner: &[u8], quote: u8) -> Vec<u8> {
        let mut text = Vec::with_capacity(inner.len());
        let mut rest = inner;
        while let Some((byte, after)) = rest.split_first() {
            let is_escape = Some(*byte) == self.escape;
            let next = after.first().filter(|next| **next == quote || is_escape && Some(**next) == self.escape);
            rest = match next {
                Some(next) if is_escape || *byte == quote => {
                    text.push(*next);
                    &after[1..]
                }
                Some(_) | None => {
                    text.push(*byte);
                    after
                }
            };
        }
        text
    }

    /// Every quote in it is one of two.
    fn is_doubled(&self, inner: &[u8], quote: u8) -> bool {
        let mut bytes = inner.iter();
        while let Some(byte) = bytes.next() {
            let is_alone = if *byte == quote {
                bytes.next() != Some(&quote)
            } else {
                Some(*byte) == self.escape && bytes.next().is_none()
            };
            if is_alone {
                return false;
            }
        }
        true
    }

    fn decode<'a>(&self, text: Cow<'a, [u8]>) -> Cow<'a, [u8]> {
        if !self.is_latin1 || text.is_ascii() {
            return text;
        }
        Cow::Owned(text.iter().map(|byte| char::from(*byte)).collect::<String>().into_bytes())
    }
}

/// Without the spaces and tabs at both ends.
fn trim(mut raw: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = raw {
        raw = rest;
    }
    raw
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(options: CsvOptions, raw: &str, expected: &str) {
        let field = FieldRules::new(&options).read(raw.as_bytes());
        assert_eq!(String::from_utf8_lossy(&field.text), expected, "{raw:?}");
    }

    #[test]
    fn quotes_escapes_and_blanks() {
        check(CsvOptions::default(), "a b", "a b");
        check(CsvOptions::default(), " a ", " a ");
        check(CsvOptions::default(), "\"a \"\"b\"\"\"", "a \"b\"");
        check(CsvOptions::default(), "\"\"", "");
        check(CsvOptions::default(), "5\" pipe", "5\" pipe");
        check(CsvOptions { trim: true, ..CsvOptions::default() }, "\t a  b ", "a  b");
        check(CsvOptions { escape: Some(b'\\'), ..CsvOptions::default() }, "\"a\\\"b\\\\\"", "a\"b\\");
        check(CsvOptions { escape: Some(b'\\'), ..CsvOptions::default() }, "\"C:\\new\"", "C:\\new");
        check(CsvOptions { trim: true, ..CsvOptions::default() }, " \"a\"\"b\" ", "a\"b");
        check(CsvOptions { trim: true, ..CsvOptions::default() }, "\" a \" \t", " a ");
        check(CsvOptions { trim: true, ..CsvOptions::default() }, " \"a\"b\"", "\"a\"b\"");
        check(CsvOptions { quote: None, ..CsvOptions::default() }, "\"a\"", "\"a\"");
    }

    #[test]
    fn latin1_becomes_utf8() {
        let options = CsvOptions { encoding: Encoding::Latin1, ..CsvOptions::default() };
        let rules = FieldRules::new(&options);
        assert!(!rules.is_plain(b"caf\xe9") && rules.is_plain(b"cafe"));
        assert_eq!(rules.read(b"caf\xe9").text, "café".as_bytes());
    }
}
