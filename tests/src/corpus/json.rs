//! JSON lines: each line that is not blank is one object, by RFC 8259, whatever a decoder would take.

use super::case::{Case, Place, TYPED, case, record};

pub(super) fn cases() -> Vec<Case> {
    [valid(), no_objects(), values()].concat()
}

fn json(name: &str, bytes: impl Into<Vec<u8>>) -> super::case::Draft {
    case(name, bytes).called("a.json").with(&[TYPED])
}

fn line(line: u64, byte: u64) -> Place {
    record(line, byte).file("a.json")
}

fn valid() -> Vec<Case> {
    vec![
        json(
            "JSON: blank lines, CRLF, and no last line end",
            "{\"id\":1,\"name\":\"x\"}\r\n\r\n \t\n{\"name\":\"y\"}\n{}",
        )
        .gives(&[["1", "x"], ["NULL", "y"], ["NULL", "NULL"]]),
        json(
            "JSON: members in any order, more of them, and blanks",
            " { \"more\" : [1, {\"id\": 7}] , \"name\":\"x\",\"id\" : 1 } \n",
        )
        .gives(&[["1", "x"]]),
        json(
            "JSON: escapes in texts and names",
            "{\"\\u0069d\":1,\"n\\u0061me\":\"a\\nb\\\"\\u00e9\\ud83e\\udd80\"}\n",
        )
        .gives(&[["1", "a\nb\"é🦀"]]),
        json(
            "JSON: text that looks like records",
            "{\"id\":1,\"name\":\"{\\\"id\\\":2}\\n{}\"}\n{\"id\":3,\"name\":\"}{\"}\n",
        )
        .gives(&[["1", "{\"id\":2}\n{}"], ["3", "}{"]]),
        json(
            "JSON: whole numbers in every spelling",
            "{\"id\":-0}\n{\"id\":2.0}\n{\"id\":3e2}\n{\"id\":9223372036854775807}\n",
        )
        .gives(&[["0", "NULL"], ["2", "NULL"], ["300", "NULL"], ["9223372036854775807", "NULL"]]),
        json("JSON: a byte order mark", "\u{feff}{\"id\":1,\"name\":\"x\"}\n").gives(&[["1", "x"]]),
        json("JSON: nothing but blank lines", "\n \n\r\n").gives_nothing(),
        json("JSON: lines longer than any split", long_lines()).query("SELECT id, length(name) AS n FROM t").gives(&[
            ["1", "3000"],
            ["2", "1"],
            ["3", "2000"],
        ]),
    ]
}

fn long_lines() -> String {
    let name = |length: usize| "{}\\\"".repeat(length / 3);
    format!(
        "{{\"id\":1,\"name\":\"{}\"}}\n{{\"id\":2,\"name\":\"x\"}}\n{{\"id\":3,\"name\":\"{}yz\"}}\n",
        name(3000),
        name(1998)
    )
}

fn no_objects() -> Vec<Case> {
    let bad = |name: &str, bad: &str, says: &[&str]| {
        let text = format!("{{\"id\":1}}\n\n{bad}\n{{\"id\":2}}\n");
        json(name, text).fails(line(3, 10), says)
    };
    vec![
        bad("JSON: a list", "[{\"id\":1}]", &["`{` is missing at byte 0", "`[{\\\"id\\\":1}]`"]),
        bad("JSON: null", "null", &["`{` is missing at byte 0"]),
        bad("JSON: two objects on a line", "{\"id\":1}{\"id\":2}", &["the end of the line is missing at byte 8"]),
        bad("JSON: an object over two lines", "{\"id\":\n1}", &["a value is missing at byte 6"]),
        bad("JSON: a missing comma", "{\"id\":1 \"name\":\"x\"}", &["`,` or `}` is missing at byte 8"]),
        bad("JSON: a comma too many", "{\"id\":1,}", &["a name in double quotes is missing at byte 8"]),
        bad("JSON: a number that is none, in a column that nobody reads", "{\"more\":1-2}", &["is missing at byte 9"]),
        bad("JSON: an unclosed text", "{\"name\":\"x}", &["the closing quote of a text is missing at byte 11"]),
        bad("JSON: a control character in a text", "{\"name\":\"a\tb\"}", &["an escape such as \\t"]),
        bad("JSON: half a surrogate pair", "{\"name\":\"\\ud83e\"}", &["the other half of a surrogate pair"]),
        bad("JSON: single quotes", "{'id':1}", &["a name in double quotes is missing at byte 1"]),
        json("JSON: bytes that are not UTF-8", b"{\"id\":1}\n{\"name\":\"caf\xe9\"}\n".as_slice())
            .fails(line(2, 9), &["byte 0xe9 is not UTF-8"]),
        json("JSON: a truncated last record", "{\"id\":1}\n{\"id\":2")
            .fails(line(2, 9), &["`,` or `}` is missing at byte 7", "`{\\\"id\\\":2`"]),
    ]
}

fn values() -> Vec<Case> {
    let bad = |name: &str, value: &str| {
        let text = format!("{{\"id\":1}}\n{{\"name\":\"x\",\"id\":{value}}}\n{{\"id\":3}}\n");
        let shown = format!("`{}` is not of type int64", value.replace('"', "\\\""));
        json(name, text).fails(line(2, 9).column("id"), &[&shown])
    };
    vec![
        bad("JSON: a text where a number is declared", "\"x\""),
        bad("JSON: a fraction is not rounded", "1.9"),
        bad("JSON: a number that no integer holds", "9223372036854775808"),
        bad("JSON: a whole number that a double would change", "1234567890123456789.0"),
        bad("JSON: an object where a number is declared", "{\"id\":1}"),
        json("JSON: a number where a text is declared", "{\"id\":1,\"name\":5}\n")
            .fails(line(1, 0).column("name"), &["`5` is not of type string"]),
        json("JSON: a column twice in a record", "{\"id\":1,\"name\":\"x\",\"id\":1}\n")
            .fails(line(1, 0).column("id"), &["the record names the column twice"]),
        json("JSON: the first of several bad records is told", "{\"id\":1}\n{\"id\":\"a\"}\nx\n{\"id\":\"b\"}\n[]\n")
            .fails(line(2, 9).column("id"), &["`\\\"a\\\"` is not of type int64"]),
        json("JSON: the first of several bad records, where it is no object", "{\"id\":1}\nx\n{\"id\":\"b\"}\n")
            .fails(line(2, 9), &["`{` is missing at byte 0"]),
        json("JSON: a decimal is not rounded", "{\"id\":1,\"price\":1.25}\n{\"id\":2,\"price\":1.255}\n")
            .with_schema("schema = { id = \"int64\", price = \"decimal(6,2)\" }")
            .fails(line(2, 22).column("price"), &["`1.255` is not of type decimal(6,2)"]),
    ]
}
