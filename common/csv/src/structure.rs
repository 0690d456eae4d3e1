//! Where records and quoted fields begin and end. Knows bytes only: no fields, no types.
//!
//! The rules are those of the decoder behind this crate: a quote opens a field only as its first byte, and is plain text
//! anywhere else in an unquoted one.

use std::io::BufRead;

use hearth_common::CsvOptions;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Where a field may begin with a quote.
    FieldStart,
    /// As above, where a comment may begin too.
    RecordStart,
    Unquoted,
    Quoted,
    /// After an escape byte in a quoted field.
    Escaped,
    /// After a quote in a quoted field: the field's end, or the first half of a doubled quote.
    QuoteInQuoted,
    Comment,
}

/// Follows the structure of a file from a record's start, in chunks of any size.
#[derive(Debug, Clone)]
pub(crate) struct Structure {
    delimiter: u8,
    quote: u8,
    escape: Option<u8>,
    comment: Option<u8>,
    state: State,
}

impl Structure {
    pub(crate) fn new(options: &CsvOptions) -> Self {
        Self {
            delimiter: options.delimiter,
            quote: options.quote,
            escape: options.escape,
            comment: options.comment,
            state: State::RecordStart,
        }
    }

    /// Inside a quoted field that has not been closed.
    pub(crate) fn is_in_quotes(&self) -> bool {
        matches!(self.state, State::Quoted | State::Escaped)
    }

    /// Takes one byte; true when it ends a record, a comment or a blank line.
    fn step(&mut self, byte: u8) -> bool {
        let line_end = matches!(byte, b'\n' | b'\r');
        self.state = match self.state {
            State::Quoted if Some(byte) == self.escape => State::Escaped,
            State::Quoted if byte == self.quote => State::QuoteInQuoted,
            State::Quoted | State::Escaped => State::Quoted,
            State::QuoteInQuoted if byte == self.quote => State::Quoted,
            State::Comment if byte != b'\n' => State::Comment,
            State::RecordStart if Some(byte) == self.comment => State::Comment,
            State::RecordStart | State::FieldStart if byte == self.quote => State::Quoted,
            State::QuoteInQuoted | State::Comment | State::RecordStart | State::FieldStart | State::Unquoted => {
                if line_end {
                    State::RecordStart
                } else if byte == self.delimiter {
                    State::FieldStart
                } else {
                    State::Unquoted
                }
            }
        };
        self.state == State::RecordStart
    }

    /// Passes over `chunk` and looks for a line break in quotes; gives its position in the chunk.
    ///
    /// Touches single bytes only in lines with a quote or a comment.
    pub(crate) fn find_quoted_line_break(&mut self, chunk: &[u8]) -> Option<usize> {
        let mut position = 0;
        while position < chunk.len() {
            if self.comment.is_none() && !self.is_in_quotes() && self.state != State::QuoteInQuoted {
                position = self.pass_unquoted(chunk, position);
                if position == chunk.len() {
                    return None;
                }
            }
            if self.is_in_quotes() && matches!(chunk[position], b'\n' | b'\r') {
                return Some(position);
            }
            self.step(chunk[position]);
            position += 1;
        }
        None
    }

    /// Passes over `chunk`, whatever it holds.
    pub(crate) fn pass(&mut self, mut chunk: &[u8]) {
        while let Some(position) = self.find_quoted_line_break(chunk) {
            self.step(chunk[position]);
            chunk = &chunk[position + 1..];
        }
    }

    /// Goes to the next quote, or to the end of the chunk, with the state that single steps would have led to.
    fn pass_unquoted(&mut self, chunk: &[u8], from: usize) -> usize {
        let mut rest = &chunk[from..];
        let passed = rest.skip_until(self.quote).unwrap_or(chunk.len() - from);
        let found = passed > 0 && chunk[from + passed - 1] == self.quote;
        let next = if found { from + passed - 1 } else { chunk.len() };
        if next > from {
            self.state = match chunk[next - 1] {
                b'\n' | b'\r' => State::RecordStart,
                byte if byte == self.delimiter => State::FieldStart,
                _ => State::Unquoted,
            };
        }
        next
    }
}

/// Length of the first record with its line end; blank lines and comments before it count to it. `None` where it does not end.
pub(crate) fn first_record(bytes: &[u8], options: &CsvOptions) -> Option<usize> {
    record_ends(bytes, options).find(|end| has_content(&bytes[..*end], options))
}

/// Length of the longest prefix that holds at most `records_max` whole records; the rest is a part of one, or too much.
pub(crate) fn whole_records(bytes: &[u8], options: &CsvOptions, records_max: usize) -> usize {
    record_ends(bytes, options).take(records_max).last().unwrap_or(0)
}

fn record_ends(bytes: &[u8], options: &CsvOptions) -> impl Iterator<Item = usize> {
    let mut structure = Structure::new(options);
    let ends = move |(position, byte): (usize, &u8)| structure.step(*byte).then_some(position + 1);
    bytes.iter().enumerate().filter_map(ends)
}

/// Whether anything but blank lines and comments is there.
pub(crate) fn has_content(bytes: &[u8], options: &CsvOptions) -> bool {
    let mut lines = bytes.split(|byte| matches!(byte, b'\n' | b'\r'));
    lines.any(|line| !line.is_empty() && (options.comment.is_none() || line.first() != options.comment.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> CsvOptions {
        CsvOptions { escape: Some(b'\\'), comment: Some(b'#'), ..CsvOptions::default() }
    }

    fn check(text: &str, expected: Option<usize>) {
        for options in [CsvOptions::default(), CsvOptions { comment: Some(b'#'), ..CsvOptions::default() }] {
            for size in 1..=text.len().max(1) {
                let mut structure = Structure::new(&options);
                let found = text.as_bytes().chunks(size).enumerate().find_map(|(index, chunk)| {
                    structure.find_quoted_line_break(chunk).map(|position| index * size + position)
                });
                assert_eq!(found, expected, "{text:?} in chunks of {size}");
            }
        }
    }

    #[test]
    fn finds_line_breaks_in_quotes() {
        check("", None);
        check("a,b\n\"c,d\",e\n", None);
        check("a,\"b\nc\"", Some(4));
        check("\"\n", Some(1));
        check("\"a\"\"\n", Some(4));
        check("\"a\"\n\"b\r", Some(6));
        check("a,\"\"\nb,\"\"\"\"\n", None);
    }

    #[test]
    fn a_quote_inside_an_unquoted_field_is_text() {
        check("5\" pipe,x\n6\" pipe,y\n", None);
        check("\"a\"b\",c\nd\n", None);
    }

    #[test]
    fn escapes_and_comments() {
        let found = |text: &str| Structure::new(&options()).find_quoted_line_break(text.as_bytes());
        assert_eq!(found("\"a\\\"\nb\""), Some(4));
        assert_eq!(found("# it's \"odd\nx,y\n"), None);
        assert_eq!(found("x,\"# no comment\n"), Some(15));
    }

    #[test]
    fn cuts_whole_records() {
        let options = options();
        assert_eq!(first_record(b"\n# c\na,b\nc\n", &options), Some(9));
        assert_eq!(first_record(b"\"a\nb\",c\nd\n", &options), Some(8));
        assert_eq!(first_record(b"a,b", &options), None);
        assert_eq!(whole_records(b"a\n\"b\n", &options, 10), 2);
        assert_eq!(whole_records(b"a\nb\nc\n", &options, 2), 4);
    }
}
