//! Records that cannot be read. The first one of a file is told, by its physical line and its byte.

use super::case::{AB, BARE, Case, TYPED, case, record};

pub(super) fn cases() -> Vec<Case> {
    [ragged(), after_quote(), unclosed(), values(), several()].concat()
}

fn ragged() -> Vec<Case> {
    vec![
        case("a short record", "a,b,c\n1,2,3\n4,5\n6,7,8\n")
            .fails(record(3, 12), &["has 2 fields", "expected 3", "`4,5`"]),
        case("a long record", "a,b\n1,2\n3,4,5\n")
            .with(&[AB])
            .fails(record(3, 8), &["has 3 fields", "expected 2", "`3,4,5`"]),
        case("a delimiter too many at the end", "a,b\nx,y,\n")
            .with(&[AB])
            .fails(record(2, 4), &["has 3 fields", "expected 2", "`x,y,`"]),
        case("a short record ends the file", "a,b\n1,2\n3")
            .with(&[AB])
            .fails(record(3, 8), &["has 1 field", "expected 2", "`3`"]),
        case("a short record of CRLF", "a,b\r\n1,2\r\n3\r\n")
            .with(&[AB])
            .fails(record(3, 10), &["has 1 field", "expected 2", "`3`"]),
        case("a quoted delimiter counts for nothing", "a,b\n\"x,y\"\n")
            .with(&[AB])
            .fails(record(2, 4), &["has 1 field", "expected 2"]),
        case("an empty quoted field alone", "a,b\n\"\"\n")
            .with(&[AB])
            .fails(record(2, 4), &["has 1 field", "expected 2"]),
        case("a short record without a header", "1,x\n2\n")
            .with(&[TYPED, BARE])
            .fails(record(2, 4), &["has 1 field", "expected 2"]),
        case("a long record without a header, inferred", "1,x\n2,y,z\n")
            .with(&[BARE])
            .fails(record(2, 4), &["has 3 fields", "expected 2"]),
        case("a file with fewer columns than the schema, without a header", "1\n2\n")
            .with(&[TYPED, BARE])
            .fails(record(1, 0), &["has 1 field", "expected 2"]),
        case("a long record where nobody reads a column", "a,b\n1,2\n3,4,5\n")
            .with(&[AB])
            .query("SELECT count(*) AS n FROM t")
            .fails(record(3, 8), &["has 3 fields", "expected 2"]),
        case("a short record in a multi-line record's place", "a,b\n\"x\ny\"\nz,w\n")
            .with(&[AB])
            .fails(record(2, 4), &["has 1 field", "expected 2", "x\\ny"]),
    ]
}

fn after_quote() -> Vec<Case> {
    const SAYS: &[&str] = &["text follows the closing quote", "double the quotes"];
    let bad =
        |name: &str, text: &str| case(name, format!("a,b\nx,y\n{text}\nz,w\n")).with(&[AB]).fails(record(3, 8), SAYS);
    vec![
        bad("text after a closing quote", "\"x\"y,z"),
        bad("text after the closing quote of the last field", "x,\"y\"z"),
        bad("a blank after a closing quote", "\"x\" ,y"),
        bad("a quote that is not doubled", "\"say \"hi\" now\",y"),
        bad("a backslash before a quote, without the option", "\"say \\\"hi\\\"\",y"),
        bad("an empty quoted field with text behind it", "\"\"x,y"),
        bad("another kind of delimiter after a closing quote", "\"x\";\"y\""),
        bad("text after the closing quote of a field with line ends", "\"x\ny\n\"z,w"),
        case("text after a closing quote ends the file", "a,b\nx,\"y\"z").with(&[AB]).fails(record(2, 4), SAYS),
        case("a long text in the middle of a bad record", format!("a,b\n\"{}\"x,y\n", "0123456789".repeat(60)))
            .with(&[AB])
            .fails(record(2, 4), &["text follows the closing quote", "0123456789", "more bytes"]),
    ]
}

fn unclosed() -> Vec<Case> {
    const SAYS: &[&str] = &["no closing quote"];
    vec![
        case("an unclosed quote ends the file", "a,b\nx,y\nz,\"w").with(&[AB]).fails(record(3, 8), SAYS),
        case("a quote alone ends the file", "a,b\nx,y\nz,\"").with(&[AB]).fails(record(3, 8), SAYS),
        case("an unclosed quote takes in the rest", "a,b\nx,y\nz,\"w\n1,2\n3,4\n5,6\n")
            .with(&[AB])
            .fails(record(3, 8), SAYS),
        case("a doubled quote closes nothing", "a,b\nx,\"y\"\"\nz,w\n").with(&[AB]).fails(record(2, 4), SAYS),
        case("an unclosed quote in the first record", "\"x,y\nz,w\n").with(&[AB, BARE]).fails(record(1, 0), SAYS),
        case("three quotes", "a,b\n\"\"\",x\n").with(&[AB]).fails(record(2, 4), SAYS),
        case("an unclosed quote of CRLF", "a,b\r\n1,2\r\nx,\"y\r\nz,w\r\n").with(&[AB]).fails(record(3, 10), SAYS),
        case("an unclosed quote in one of two files", "a,b\nx,y\n")
            .file("b.csv", "a,b\nz,w\n\"u,v\n")
            .with(&[AB])
            .fails(record(3, 8).file("b.csv"), SAYS),
        case("an unclosed quote in one column", "a\nx\n\"y\nz\n")
            .with(&["schema = { a = \"string\" }"])
            .fails(record(3, 4), SAYS),
    ]
}

fn values() -> Vec<Case> {
    let later = (0..2100).fold("n\n".to_owned(), |text, n| format!("{text}{n}\n"));
    vec![
        case("a value of another type than inferred, far behind the sample", format!("{later}x\n1\n")).fails(
            record(2102, later.len() as u64).column("n"),
            &["`x` is not of type int64", "declare the column", "schema"],
        ),
        case("the leftmost bad value of a record", "x,y,z\na,1,b\n")
            .with(&["schema = { x = \"string\", y = \"date\", z = \"int8\" }"])
            .fails(record(2, 6).column("y"), &["`1` is not of type date"]),
        case("the first bad record, not the leftmost bad column", "x,y\n1,2\n3,b\na,4\n")
            .with(&["schema = { x = \"int8\", y = \"int8\" }"])
            .fails(record(3, 8).column("y"), &["`b` is not of type int8", "`3,b`"]),
        case("a bad value in quotes, with line ends", "id,name\n\"1\n2\",x\n")
            .with(&[TYPED])
            .fails(record(2, 8).column("id"), &["`1\\n2` is not of type int64"]),
        case("a bad value behind a byte order mark", "\u{feff}id,name\nx,y\n")
            .with(&[TYPED])
            .fails(record(2, 11).column("id"), &["`x` is not of type int64"]),
        case("a bad value behind a byte order mark, without a header", "\u{feff}x,y\n")
            .with(&[TYPED, BARE])
            .fails(record(1, 3).column("id"), &["`x` is not of type int64"]),
        case("a bad value in a column of another order", "name,id\nx,1\ny,z\n")
            .with(&[TYPED])
            .fails(record(3, 12).column("id"), &["`z` is not of type int64"]),
        case("a bad value that nobody reads is no error", "id,name\n1,x\ny,z\n")
            .with(&[TYPED])
            .query("SELECT name FROM t")
            .gives(&[["x"], ["z"]]),
        case("terminal control characters are not shown raw", "id,name\n\u{1b}[2J,x\n")
            .with(&[TYPED])
            .fails(record(2, 8).column("id"), &["`\\u{1b}[2J` is not of type int64"]),
    ]
}

fn several() -> Vec<Case> {
    vec![
        case("of two bad records the first is told", "id,name\n1,x\ny,z\n2,w\n3\n4,\"u\n")
            .with(&[TYPED])
            .fails(record(3, 12).column("id"), &["`y` is not of type int64"]),
        case("a short record before an unclosed quote", "a,b\n1,2\n3\n4,5\n6,\"7\n8,9\n")
            .with(&[AB])
            .fails(record(3, 8), &["has 1 field"]),
        case("text after a quote before a bad value", "id,name\n1,\"x\"y\nz,w\n")
            .with(&[TYPED])
            .fails(record(2, 8), &["text follows the closing quote"]),
        case("a bad value before bytes that are not UTF-8", b"id,name\nx,y\n1,\xff\n".as_slice())
            .with(&[TYPED])
            .fails(record(2, 8).column("id"), &["`x` is not of type int64"]),
        case("bytes that are not UTF-8 before a bad value", b"id,name\n1,\xff\nx,y\n".as_slice())
            .with(&[TYPED])
            .fails(record(2, 8), &["byte 0xff"]),
        case("a bad record in the last of many files", "id,name\n1,x\n")
            .file("b.csv", "id,name\n2,y\n")
            .file("c.csv", "id,name\n3,z\n\n4,\"\n\"\nfive,w\n")
            .with(&[TYPED])
            .fails(record(6, 19).file("c.csv").column("id"), &["`five` is not of type int64"]),
        case("a bad record far in the file", far_in())
            .with(&[TYPED])
            .fails(record(601, far_in_byte()).column("id"), &["`x` is not of type int64"]),
    ]
}

/// 300 records of two lines each, the last of which is bad.
fn far_in() -> String {
    (1..300).fold("id,name\n".to_owned(), |text, n| format!("{text}{n},\"\n1,2\"\n")) + "\nx,\"y\"\n"
}

fn far_in_byte() -> u64 {
    far_in().rfind('x').unwrap_or_default() as u64
}
