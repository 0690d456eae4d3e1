//! What a table's columns ask of a line beyond what the decoder looks at: it would round numbers, and take the last of two values.

use std::collections::HashMap;

use datafusion::arrow::datatypes::{DataType, Schema};

use super::object::{Member, read_object, unescape};
use super::problem::{Problem, Reason};
use crate::input::type_name;

/// Digits before the point of a number that every double holds exactly, should the decoder read it as one.
const EXACT_DIGITS: i64 = 15;

/// The columns of a table.
pub(super) struct Columns {
    columns: Vec<Checked>,
    by_name: HashMap<String, usize>,
    /// Lines that were looked at.
    line: u64,
    /// The column that is expected next: lines mostly have the same order.
    next: usize,
}

struct Checked {
    name: String,
    data_type: DataType,
    rule: Rule,
    /// The line that named it last.
    seen: u64,
}

/// Which numbers lose nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Any,
    Integer,
    Decimal { scale: i64 },
    Float,
}

impl Columns {
    pub(super) fn new(schema: &Schema) -> Self {
        let checked = |(name, data_type): (&String, &DataType)| Checked {
            name: name.clone(),
            data_type: data_type.clone(),
            rule: Rule::of(data_type),
            seen: 0,
        };
        let columns = schema.fields().iter().map(|field| checked((field.name(), field.data_type()))).collect();
        let names = schema.fields().iter().map(|field| field.name().clone());
        Self { columns, by_name: names.zip(0..).collect(), line: 0, next: 0 }
    }

    /// Looks at a line that is not blank.
    pub(super) fn check(&mut self, line: &[u8]) -> Result<(), Problem> {
        self.line += 1;
        let mut found = None;
        let read = read_object(line, |member| {
            if let Err(problem) = self.check_member(member) {
                found.get_or_insert(problem);
            }
        });
        read.map_err(|malformed| Problem::of_record(Reason::Malformed(malformed)))?;
        found.map_or(Ok(()), Err)
    }

    /// The value of a column as it stands in a line, which is an object.
    pub(super) fn value_of<'a>(&mut self, line: &'a [u8], column: usize) -> Option<&'a [u8]> {
        let mut value = None;
        let read = read_object(line, |member| {
            if self.find(member.name) == Some(column) {
                value = Some(member.value);
            }
        });
        read.ok().and(value)
    }

    /// A value that is not of its column's type.
    pub(super) fn bad_value(&self, column: usize, value: &[u8]) -> Problem {
        let column = &self.columns[column];
        let reason = Reason::Value { text: value.to_vec(), expected: type_name(&column.data_type) };
        Problem { reason, column: Some(column.name.clone()) }
    }

    fn check_member(&mut self, Member { name, value }: Member<'_>) -> Result<(), Problem> {
        let Some(number) = self.find(name) else { return Ok(()) };
        self.next = number + 1;
        let column = &mut self.columns[number];
        if std::mem::replace(&mut column.seen, self.line) == self.line {
            return Err(Problem { reason: Reason::Twice, column: Some(column.name.clone()) });
        }
        if column.rule.takes(value) { Ok(()) } else { Err(self.bad_value(number, value)) }
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        let next = if self.next < self.columns.len() { self.next } else { 0 };
        if self.columns.get(next).is_some_and(|column| column.name.as_bytes() == name) {
            return Some(next);
        }
        if name.contains(&b'\\') {
            return self.by_name.get(&unescape(name)?).copied();
        }
        self.by_name.get(std::str::from_utf8(name).ok()?).copied()
    }
}

impl Rule {
    fn of(data_type: &DataType) -> Self {
        if let DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) = data_type {
            return Self::Decimal { scale: (*scale).into() };
        }
        match (data_type.is_integer(), data_type.is_floating()) {
            (true, _) => Self::Integer,
            (false, true) => Self::Float,
            (false, false) => Self::Any,
        }
    }

    /// Whether the decoder reads a value without losing anything of it, or refuses it itself.
    fn takes(self, value: &[u8]) -> bool {
        let is_number = matches!(value, [b'-' | b'0'..=b'9', ..]);
        let text =
            if is_number { value } else { value.strip_prefix(b"\"").map_or(value, |text| &text[..text.len() - 1]) };
        match self {
            Self::Any => true,
            Self::Integer if !is_number => true,
            Self::Integer => {
                let is_whole = text.iter().skip(1).all(u8::is_ascii_digit);
                is_whole || Digits::of(text).is_some_and(|digits| digits.end_before(0) && digits.point <= EXACT_DIGITS)
            }
            Self::Decimal { scale } => Digits::of(text).is_none_or(|digits| digits.end_before(scale)),
            Self::Float => {
                let text = std::str::from_utf8(text).unwrap_or_default();
                !text.contains(['e', 'E']) && text.len() < 300 || text.parse::<f64>().is_ok_and(f64::is_finite)
            }
        }
    }
}

/// A number as its digits, and how many of them stand before the point once the exponent was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Digits {
    digits: Vec<u8>,
    point: i64,
}

impl Digits {
    /// `None` for text that is no number.
    fn of(number: &[u8]) -> Option<Self> {
        let number = number.strip_prefix(b"-").unwrap_or(number);
        let (mantissa, exponent) = match number.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(at) => (&number[..at], std::str::from_utf8(&number[at + 1..]).ok()?.parse::<i32>().ok()?),
            None => (number, 0),
        };
        let whole = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len());
        let mut digits: Vec<u8> = mantissa.iter().copied().filter(|byte| *byte != b'.').collect();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.drain(..zeros);
        let point = i64::try_from(whole).ok()? - i64::try_from(zeros).ok()? + i64::from(exponent);
        Some(Self { point: if digits.is_empty() { 0 } else { point }, digits })
    }

    /// Behind so many places after the point there are zeros alone.
    fn end_before(&self, places: i64) -> bool {
        let kept = usize::try_from(self.point.saturating_add(places).max(0)).unwrap_or(usize::MAX);
        self.digits.iter().skip(kept).all(|digit| *digit == b'0')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: Rule, taken: &[&str], refused: &[&str]) {
        taken.iter().for_each(|value| assert!(rule.takes(value.as_bytes()), "{value}"));
        refused.iter().for_each(|value| assert!(!rule.takes(value.as_bytes()), "{value}"));
    }

    #[test]
    fn numbers_that_would_be_rounded_are_refused() {
        check(
            Rule::Integer,
            &[
                "0",
                "-7",
                "12345678901234567890",
                "1.0",
                "-1.50e1",
                "3e2",
                "100e-2",
                "0.0e20",
                "null",
                "\"1.5\"",
                "true",
            ],
            &["1.5", "-0.1", "15e-1", "12345678901234567.0", "1e16", "1e99999999999"],
        );
        check(
            Rule::Decimal { scale: 2 },
            &["1", "-1.25", "1.2500", "\"1.25\"", "1.25e3", "125e-2", "\"x\"", "null", "\"\""],
            &["1.255", "\"-1.255\"", "125e-3"],
        );
        check(Rule::Float, &["1", "1.5", "1e308", "-0", "null", "\"a\""], &["1e309", "-1e400"]);
        check(Rule::Any, &["1.5", "[1.5]"], &[]);
    }
}
