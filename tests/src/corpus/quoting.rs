//! Quotes as RFC 4180 has them, and where it is silent.

use super::case::{AB, BARE, Case, TYPED, case};

pub(super) fn cases() -> Vec<Case> {
    [in_quotes(), marks_in_text(), runs()].concat()
}

fn in_quotes() -> Vec<Case> {
    vec![
        case("every field quoted", "\"a\",\"b\"\n\"x\",\"y\"\n\"z\",\"w\"\n")
            .with(&[AB])
            .gives(&[["x", "y"], ["z", "w"]]),
        case("delimiters in quotes", "a,b\n\"x,y\",\",\"\n\",,\",\"z,\"\n")
            .with(&[AB])
            .gives(&[["x,y", ","], [",,", "z,"]]),
        case("doubled quotes in the middle", "a,b\n\"x \"\"y\"\" z\",\"\"\"\"\n")
            .with(&[AB])
            .gives(&[["x \"y\" z", "\""]]),
        case("doubled quotes at both ends", "a,b\n\"\"\"x\"\"\",\"y\"\"\"\n\"\"\"z\",w\n")
            .with(&[AB])
            .gives(&[["\"x\"", "y\""], ["\"z", "w"]]),
        case("line ends in quotes", "a,b\n\"x\ny\",\"x\r\ny\"\n\"x\ry\",\"\n\"\n")
            .with(&[AB])
            .gives(&[["x\ny", "x\r\ny"], ["x\ry", "\n"]]),
        case("line ends at the ends of quoted fields", "a,b\n\"\nx\n\",\"\r\ny\r\n\"\n\"\r\",\"\n\n\"\n")
            .with(&[AB])
            .gives(&[["\nx\n", "\r\ny\r\n"], ["\r", "\n\n"]]),
        case("marks alone in quotes", "a,b\n\",\",\"\n\"\n\"\"\"\",\"\"\"\n\"\"\"\n\",\"\",\"\",\",\"\"\",\"\"\"\n")
            .with(&[AB])
            .gives(&[[",", "\n"], ["\"", "\"\n\""], [",\",\",", "\",\""]]),
        case("an empty quoted field is empty text", "a,b\n\"\",\n,\"\"\n")
            .with(&[AB])
            .gives(&[["", "NULL"], ["NULL", ""]]),
        case("quoted numbers are numbers", "id,name\n\"1\",\"1\"\n\"-2\",x\n")
            .with(&[TYPED])
            .gives(&[["1", "1"], ["-2", "x"]]),
        case("a quoted field ends the file", "a,b\nx,\"y\"\nz,\"w\nv\"")
            .with(&[AB])
            .gives(&[["x", "y"], ["z", "w\nv"]]),
        case("a quoted field stands before CRLF", "a,b\r\nx,\"y\"\r\n\"z\",\"\"\r\n")
            .with(&[AB])
            .gives(&[["x", "y"], ["z", ""]]),
        case("a quoted field may be of any length below and above one block", block_lengths())
            .with(&[AB])
            .gives_rows((50..80).map(|length| vec!["x".repeat(length), format!("y\n{length}")]).collect()),
    ]
}

fn block_lengths() -> String {
    (50..80).fold("a,b\n".to_owned(), |text, length| format!("{text}\"{}\",\"y\n{length}\"\n", "x".repeat(length)))
}

/// In an unquoted field a quote is text.
fn marks_in_text() -> Vec<Case> {
    vec![
        case("a quote in an unquoted field is text", "a,b\n5\" pipe,6'2\"\nsay \"x\",y\n")
            .with(&[AB])
            .gives(&[["5\" pipe", "6'2\""], ["say \"x\"", "y"]]),
        case("a doubled quote in an unquoted field stays doubled", "a,b\nx\"\"y,z\"\"\n")
            .with(&[AB])
            .gives(&[["x\"\"y", "z\"\""]]),
        case("a quote in an unquoted field hides no delimiter", "a,b\nx\"y,z\"w\n1\",\"2\"\n")
            .with(&[AB])
            .gives(&[["x\"y", "z\"w"], ["1\"", "2"]]),
        case("a quote in an unquoted field hides no line end", "a,b\n1,5\"\n2,6\"\n3,\"x\ny\"\n4,7\"\n")
            .with(&[AB])
            .gives(&[["1", "5\""], ["2", "6\""], ["3", "x\ny"], ["4", "7\""]]),
        case("a blank before a quote makes it text", "a,b\n \"x\", \"y\"\n").with(&[AB]).gives(&[[" \"x\"", " \"y\""]]),
        case("an apostrophe is text", "a,b\n'x,y'\nit's,'\n").with(&[AB]).gives(&[["'x", "y'"], ["it's", "'"]]),
        case("a backslash is text", "a,b\nC:\\new,\"\\\"\n\\N,\"x\\\"\"y\"\n")
            .with(&[AB])
            .gives(&[["C:\\new", "\\"], ["\\N", "x\\\"y"]]),
    ]
}

/// Rows of quotes, whose parity decides.
fn runs() -> Vec<Case> {
    let long = |quotes: usize| format!("\"{}\"", "\"\"".repeat(quotes));
    vec![
        case(
            "fields that are only quotes",
            format!("{},{}\n{},{}\n{},{}\n", long(0), long(1), long(2), long(3), long(4), long(5)),
        )
        .with(&[AB, BARE])
        .gives(&[["", "\""], ["\"\"", "\"\"\""], ["\"\"\"\"", "\"\"\"\"\""]]),
        // Longer than the bytes that anybody would look back.
        case("runs of hundreds of quotes", format!("a,b\n{},x\ny,{}\n{},\"\n\"\n", long(40), long(151), long(152)))
            .with(&[AB])
            .gives_rows(vec![
                vec!["\"".repeat(40), "x".into()],
                vec!["y".into(), "\"".repeat(151)],
                vec!["\"".repeat(152), "\n".into()],
            ]),
        case("a run of quotes in an unquoted field", format!("a,b\nx{},y\nz,w{}\n", "\"".repeat(99), "\"".repeat(70)))
            .with(&[AB])
            .gives_rows(vec![
                vec![format!("x{}", "\"".repeat(99)), "y".into()],
                vec!["z".into(), format!("w{}", "\"".repeat(70))],
            ]),
        case("quotes and line ends take turns", "a,b\n\"\"\"\n\"\"\n\"\"\",\"\n\"\"\n\"\n\"\n\"\"\",x\n")
            .with(&[AB])
            .gives(&[["\"\n\"\n\"", "\n\"\n"], ["\n\"", "x"]]),
        case("quotes and delimiters take turns", "a,b\n\"\"\",\"\",\"\"\",\"\"\",\"\n\",\"\"\",\",\"\"\"\n")
            .with(&[AB])
            .gives(&[["\",\",\"", "\","], [",\"", ",\""]]),
    ]
}
