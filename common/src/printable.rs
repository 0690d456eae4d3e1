//! Text from data, made safe for terminals and log files.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with every character escaped that a terminal might obey or that shows text in another order than it is written: control
/// characters, escape sequences with them, and marks of writing direction. Line ends are escaped as well.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// As [`printable`], for text of several lines: line feeds and tabs stay.
#[must_use]
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| matches!(c, '\n' | '\t'))
}

/// A JSON document with the same characters escaped as JSON escapes them: its values stay what they are. Line feeds stay.
#[must_use]
pub fn printable_json(json: &str) -> Cow<'_, str> {
    let is_odd = |c: char| is_obeyed(c) && c != '\n';
    if !json.contains(is_odd) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        match c {
            c if is_odd(c) => drop(write!(safe, "\\u{:04x}", u32::from(c))),
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

fn escape(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_odd = |c: char| is_obeyed(c) && !stays(c);
    if !text.contains(is_odd) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' if is_odd(c) => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' if is_odd(c) => safe.push_str("\\t"),
            c if is_odd(c) => drop(write!(safe, "\\u{{{:x}}}", u32::from(c))),
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// C0 and C1 controls, DEL, separators of lines and paragraphs, and the marks that change the direction of writing.
fn is_obeyed(c: char) -> bool {
    let is_direction =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || is_direction || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        for (text, expected) in [
            ("plain, über, 漢字", "plain, über, 漢字"),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("a\u{9b}2Jb\u{7f}", "a\\u{9b}2Jb\\u{7f}"),
            ("one\r\ntwo\tthree\0", "one\\r\\ntwo\\tthree\\u{0}"),
            ("txt\u{202e}exe", "txt\\u{202e}exe"),
        ] {
            assert_eq!(printable(text), expected);
        }
        assert_eq!(printable_json("{\n\"a\u{9b}\": 1}"), "{\n\"a\\u009b\": 1}");
        assert_eq!(printable_lines("a\nb\tc\u{1b}\r"), "a\nb\tc\\u{1b}\\r");
    }
}
