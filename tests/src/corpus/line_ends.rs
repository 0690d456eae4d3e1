//! LF, CRLF, both, and none at the end.

use super::case::{AB, BARE, Case, TYPED, case, record};

const ALONE: &str = "carriage return stands alone";

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("LF", "a,b\nx,y\nz,w\n").with(&[AB]).gives(&[["x", "y"], ["z", "w"]]),
        case("CRLF", "a,b\r\nx,y\r\nz,w\r\n").with(&[AB]).gives(&[["x", "y"], ["z", "w"]]),
        case("LF and CRLF mixed", "a,b\r\nx,y\nz,w\r\nu,v\n").with(&[AB]).gives(&[["x", "y"], ["z", "w"], ["u", "v"]]),
        case("no LF at the end", "a,b\nx,y\nz,w").with(&[AB]).gives(&[["x", "y"], ["z", "w"]]),
        case("no CRLF at the end", "a,b\r\nx,y\r\nz,w").with(&[AB]).gives(&[["x", "y"], ["z", "w"]]),
        case("the file ends between CR and LF", "a,b\r\nx,y\r\nz,w\r").with(&[AB]).gives(&[["x", "y"], ["z", "w"]]),
        case("the file ends behind a delimiter", "a,b\nx,y\nz,").with(&[AB]).gives(&[["x", "y"], ["z", "NULL"]]),
        case("the file ends in a lone delimiter", "a,b\nx,y\n,").with(&[AB]).gives(&[["x", "y"], ["NULL", "NULL"]]),
        case("an empty last field before CRLF", "a,b\r\nx,\r\n\"z\",\"\"\r\n")
            .with(&[AB])
            .gives(&[["x", "NULL"], ["z", ""]]),
        case("CRLF in quotes in a file of LF", "a,b\n\"x\r\n\",\"\r\n\"\nz,w\n")
            .with(&[AB])
            .gives(&[["x\r\n", "\r\n"], ["z", "w"]]),
        case("LF in quotes in a file of CRLF", "a,b\r\n\"x\n\",\"\n\"\r\nz,w\r\n")
            .with(&[AB])
            .gives(&[["x\n", "\n"], ["z", "w"]]),
        case("a number before CRLF", "name,id\r\nx,1\r\ny,-2\r\n").with(&[TYPED]).gives(&[["1", "x"], ["-2", "y"]]),
        case("one record without a line end", "1,x").with(&[TYPED, BARE]).gives(&[["1", "x"]]),
        case("one byte", "7").with(&["schema = { n = \"int64\" }", BARE]).gives(&[["7"]]),
        case("a hundred records of two bytes", "7\n".repeat(100))
            .with(&["schema = { n = \"int8\" }", BARE])
            .gives_rows(vec![vec!["7".to_owned()]; 100]),
        case("many short CRLF records", format!("a,b\r\n{}", "x,y\r\n".repeat(40))).with(&[AB]).gives_rows(vec![
            vec![
                "x".to_owned(),
                "y".to_owned()
            ];
            40
        ]),
        case("a carriage return alone in an unquoted field", "a,b\nx,y\nz\rv,w\nu,v\n")
            .with(&[AB])
            .fails(record(3, 8), &[ALONE, "z\\rv,w"]),
        case("a carriage return alone before a delimiter", "a,b\nx\r,y\n").with(&[AB]).fails(record(2, 4), &[ALONE]),
        case("two carriage returns before the line feed", "a,b\r\nx,y\r\nz,w\r\r\n")
            .with(&[AB])
            .fails(record(3, 10), &[ALONE]),
        case("line feed before carriage return", "a,b\nx,y\n\rz,w\n").with(&[AB]).fails(record(3, 8), &[ALONE]),
        case("a carriage return after a closing quote", "a,b\n\"x\"\r,y\n").with(&[AB]).fails(record(2, 4), &[ALONE]),
        case("lines that end with CR alone", "x,y\rz,w\r")
            .with(&[AB, BARE])
            .fails(record(1, 0), &[ALONE, "LF or CRLF"]),
    ]
}
