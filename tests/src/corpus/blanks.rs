//! Lines with nothing in them.

use super::case::{AB, BARE, Case, TYPED, case, record};

pub(super) fn cases() -> Vec<Case> {
    let column = "schema = { a = \"string\" }";
    vec![
        case("blank lines are skipped", "a,b\n\nx,y\n\n\nz,w\n").with(&[AB]).gives(&[["x", "y"], ["z", "w"]]),
        case("blank lines of CRLF are skipped", "a,b\r\n\r\nx,y\r\n\r\n\r\nz,w\r\n")
            .with(&[AB])
            .gives(&[["x", "y"], ["z", "w"]]),
        case("blank lines of both kinds", "\r\n\na,b\n\r\n\nx,y\r\n\n\r\n").with(&[AB]).gives(&[["x", "y"]]),
        case("blank lines at both ends", "\n\n\nx,y\nz,w\n\n\n\n").with(&[AB, BARE]).gives(&[["x", "y"], ["z", "w"]]),
        case("blank lines alone", "\n\n\r\n\n").with(&[AB]).gives_nothing(),
        case("blank lines alone without a header", "\n\n\r\n\n").with(&[AB, BARE]).gives_nothing(),
        case("a long stretch of blank lines", format!("a,b\nx,y\n{}z,w\n{}", "\n".repeat(90), "\r\n".repeat(30)))
            .with(&[AB])
            .gives(&[["x", "y"], ["z", "w"]]),
        case("blank lines in quotes are text", "a,b\n\"\n\n\n\",\"\r\n\r\n\"\n\nx,y\n")
            .with(&[AB])
            .gives(&[["\n\n\n", "\r\n\r\n"], ["x", "y"]]),
        case("blank lines of one column are skipped too", "a\nx\n\n\"\"\n\ny\n").with(&[column]).gives(&[
            ["x"],
            [""],
            ["y"],
        ]),
        case("a column of empty texts", "a\n\"\"\n\"\"\n\"\"\n").with(&[column]).gives(&[[""], [""], [""]]),
        case("a last line that is blank", "a\nx\n\n").with(&[column]).gives(&[["x"]]),
        case("a record of delimiters is no blank line", "a,b\n,\n\n,\n")
            .with(&[AB])
            .gives(&[["NULL", "NULL"], ["NULL", "NULL"]]),
        case("one column", "a\nx\n\"y\nz\"\n\"w,v\"\n").with(&[column]).gives(&[["x"], ["y\nz"], ["w,v"]]),
        case("one column of numbers without a last line end", "n\n1\n\"2\"\n3")
            .with(&["schema = { n = \"int64\" }"])
            .gives(&[["1"], ["2"], ["3"]]),
        case("a delimiter in a file of one column", "a\nx\ny,z\n")
            .with(&[column])
            .fails(record(3, 4), &["has 2 fields", "expected 1"]),
        case("a line of blanks is no blank line", "a,b\nx,y\n  \nz,w\n")
            .with(&[AB])
            .fails(record(3, 8), &["has 1 field", "expected 2"]),
        case("blank lines count as lines", "\n\nid,name\n\n\r\n1,x\n\nx,y\n")
            .with(&[TYPED])
            .fails(record(8, 18).column("id"), &["`x` is not of type int64"]),
    ]
}
