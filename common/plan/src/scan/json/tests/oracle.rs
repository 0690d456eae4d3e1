//! Random lines, good and spoilt, read by `serde_json` one by one: it knows nothing of splits, batches and Arrow.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::*;

/// The members of an object, doubled ones too.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// The value of a column as a row shows it; `None` where it does not fit.
fn cell(column: &str, value: &Value) -> Option<String> {
    let number = |value: &Value| value.as_f64().filter(|_| value.is_number());
    match (column, value) {
        (_, Value::Null) => Some("NULL".to_owned()),
        ("id", Value::Number(id)) if id.is_i64() => Some(id.to_string()),
        ("id", value) => {
            number(value).filter(|id| id.fract() == 0.0 && id.abs() < 1e15).map(|id| format!("{:.0}", id + 0.0))
        }
        ("name", Value::String(name)) => Some(name.clone()),
        ("price", value) => {
            let price = number(value)?;
            let is_exact = (price * 100.0 - (price * 100.0).round()).abs() < 1e-7;
            (is_exact && price.abs() < 9999.995).then(|| format!("{:.2}", price + 0.0))
        }
        ("flag", Value::Bool(flag)) => Some(flag.to_string()),
        _ => None,
    }
}

/// The row of a line, or the column to blame, if it is one. `None` where `serde_json` cannot tell: of numbers that no double holds.
fn read_line(line: &[u8]) -> Option<Result<String, Option<String>>> {
    let members = match serde_json::from_slice::<Members>(line) {
        Ok(Members(members)) => members,
        Err(error) if error.to_string().contains("out of range") => return None,
        Err(_) => return Some(Err(None)),
    };
    let columns = ["id", "name", "price", "flag"];
    let mut row = Vec::new();
    for column in columns {
        let mut values = members.iter().filter(|(name, _)| name == column).map(|(_, value)| value);
        let value = values.next().unwrap_or(&Value::Null);
        match (cell(column, value), values.next()) {
            (Some(cell), None) => row.push(cell),
            _ => return Some(Err(Some(column.to_owned()))),
        }
    }
    Some(Ok(row.join("|")))
}

fn expected(text: &[u8]) -> Option<Content> {
    let mut content = Content::default();
    let mut byte = 0;
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let record = line.strip_suffix(b"\r").unwrap_or(line);
        if !record.iter().all(|byte| b" \t\r".contains(byte)) {
            match read_line(record)? {
                Ok(row) => content.rows.push(row),
                Err(column) => content.rejects.push((number, byte, column, record.to_vec())),
            }
        }
        byte += line.len() as u64 + 1;
    }
    Some(content)
}

fn value() -> impl Strategy<Value = &'static str> {
    select(vec![
        "1",
        "-7",
        "0",
        "2.0",
        "3e2",
        "1.5",
        "12345678901234567890",
        "99.99",
        "1.005",
        "-0",
        "100000",
        "null",
        "true",
        "false",
        "\"x\"",
        "\"\"",
        "\"a longer text than a view holds\"",
        "\"\\u00e9\\n\\\"\"",
        "\"é🦀\"",
        "\"\\ud83e\\udd80\"",
        "[]",
        "[1,[2,{}],\"]\"]",
        "{}",
        "{\"id\":1,\"a\":[null]}",
    ])
}

/// A member of a record; mostly one that fits.
fn member() -> impl Strategy<Value = String> {
    let name = select(vec!["id", "name", "price", "flag", "more", "\\u0069d", "other"]);
    let blank = || select(vec!["", "", "", " ", "\t"]);
    (name, value(), blank(), blank()).prop_map(|(name, value, one, other)| {
        let fitting = match name {
            "name" if !value.starts_with('"') && value.len() != 4 => "\"n\"",
            "flag" if !value.starts_with(['t', 'f', 'n']) => "true",
            "id" | "\\u0069d" | "price" if value.starts_with(['"', '[', '{', 't', 'f']) => "12",
            _ => value,
        };
        // One in so many does not fit.
        let value = if other == "\t" { value } else { fitting };
        format!("{one}\"{name}\"{one}:{other}{value}{one}")
    })
}

fn object() -> impl Strategy<Value = Vec<u8>> {
    vec(member(), 0..5).prop_map(|members| format!("{{{}}}", members.join(",")).into_bytes())
}

/// A line; mostly one that can be read.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let spoilt =
        (object(), any::<prop::sample::Index>(), 0..3_u8, any::<u8>()).prop_map(|(mut line, at, kind, byte)| {
            let at = at.index(line.len());
            let byte = b"{}[],:\"\\e.0-1tn x\xc3\x01"[usize::from(byte) % 18];
            match kind {
                0 => drop(line.remove(at)),
                1 => line.insert(at, byte),
                _ => line[at] = byte,
            }
            line
        });
    let odd = select(vec!["", "  ", "x", "[]", "{}", "{}{}", "1", "null"]);
    prop_oneof![6 => object(), 3 => spoilt, 1 => odd.prop_map(Into::into)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 500, ..ProptestConfig::default() })]

    #[test]
    fn lines_are_read_as_each_alone_says(
        lines in vec(line(), 0..14),
        crlf in any::<bool>(),
        has_last_end in any::<bool>(),
        sizes in vec(3..60_u64, 2),
    ) {
        let end: &[u8] = if crlf { b"\r\n" } else { b"\n" };
        let mut text = lines.join(end);
        if has_last_end {
            text.extend_from_slice(end);
        }
        let expected = expected(&text);
        prop_assume!(expected.is_some());
        let expected = expected.unwrap();
        let shown = String::from_utf8_lossy(&text).into_owned();
        let case = Case::new(&text, true);
        // Single bytes are slow in long files, and nothing else there.
        let smallest = if text.len() < 100 { 1 } else { 5 };
        for split_bytes in [sizes, vec![smallest, 1 << 40]].concat() {
            let found = case.read(split_bytes).unwrap();
            prop_assert_eq!(&found.rows, &expected.rows, "{} in {:?}", split_bytes, shown);
            let place = |reject: &(u64, u64, Option<String>, Vec<u8>)| (reject.0, reject.1, reject.3.clone());
            let places = |content: &Content| content.rejects.iter().map(place).collect::<Vec<_>>();
            prop_assert_eq!(places(&found), places(&expected), "{} in {:?}", split_bytes, shown);
            for (found, expected) in found.rejects.iter().zip(&expected.rejects) {
                prop_assert_eq!(found.2.is_some(), expected.2.is_some(), "{:?} in {:?}", found, shown);
            }
            let failed = Case::new(&text, false).read(split_bytes);
            match expected.rejects.first() {
                None => prop_assert_eq!(failed.map(|content| content.rows), Ok(expected.rows.clone())),
                Some((line, byte, ..)) => {
                    let error = failed.unwrap_err();
                    prop_assert!(error.contains(&format!("(at f.json, line {line}, byte {byte}")), "{}", error);
                }
            }
        }
    }
}
