//! Other delimiters and quotes, escapes and comments.

use super::case::{AB, BARE, Case, TYPED, case, record};

pub(super) fn cases() -> Vec<Case> {
    [delimiters(), quotes(), escapes(), comments()].concat()
}

fn delimiters() -> Vec<Case> {
    vec![
        case("semicolons", "a;b\nx,y;\"z;w\"\n1,5;2,5\n")
            .with(&[AB, "delimiter = \";\""])
            .gives(&[["x,y", "z;w"], ["1,5", "2,5"]]),
        case("pipes", "a|b\nx,|\"|\"\n\"|\n|\"|y\n")
            .with(&[AB, "delimiter = \"|\""])
            .gives(&[["x,", "|"], ["|\n|", "y"]]),
        case("tabs", "a\tb\nx y\t\"\t\"\n\t\n")
            .with(&[AB, "delimiter = \"tab\""])
            .gives(&[["x y", "\t"], ["NULL", "NULL"]]),
        case("a .tsv file has tabs", "a\tb\nx,y\tz\n").called("a.tsv").with(&[AB]).gives(&[["x,y", "z"]]),
        case("a .tsv file with commas, where the job says so", "a,b\nx\ty,z\n")
            .called("a.tsv")
            .with(&[AB, "delimiter = \",\""])
            .gives(&[["x\ty", "z"]]),
        case("control characters between fields", "a\u{1}b\nx,y\u{1}\"z\u{1}\n\"\n")
            .with(&[AB, "delimiter = \"\\u0001\""])
            .gives(&[["x,y", "z\u{1}\n"]]),
        case("spaces between fields", "a b\nx \"y z\"\n v\n")
            .with(&[AB, "delimiter = \" \""])
            .gives(&[["x", "y z"], ["NULL", "v"]]),
        case("tabs between fields, trimmed", "a\tb\n x \t y \n")
            .with(&[AB, "delimiter = \"tab\"", "trim = true"])
            .gives(&[["x", "y"]]),
        case("the wrong delimiter", "a;b\nx;y\n").with(&[AB]).fails(super::case::whole_file(), &["`a;b`", "`a`, `b`"]),
    ]
}

fn quotes() -> Vec<Case> {
    const APOSTROPHE: &str = "quote = \"'\"";
    const NONE: &str = "quote = \"none\"";
    vec![
        case("apostrophes as quotes", "a,b\n'x,y','it''s'\n\"z,'\n'\n")
            .with(&[AB, APOSTROPHE])
            .gives(&[["x,y", "it's"], ["\"z", "\n"]]),
        case("no quotes", "a,b\n\"x,y\"\n\",\"\"\n").with(&[AB, NONE]).gives(&[["\"x", "y\""], ["\"", "\"\""]]),
        case("no quotes, and one in every line", "a,b\n1,5\"\n2,\"6\n\"3,7\n4,\"\n").with(&[AB, NONE]).gives(&[
            ["1", "5\""],
            ["2", "\"6"],
            ["\"3", "7"],
            ["4", "\""],
        ]),
        case("no quotes, in the header too", "\"a\",b\n1,2\n")
            .with(&[NONE])
            .query("SELECT \"\"\"a\"\"\", b FROM t")
            .gives(&[["1", "2"]]),
        case("no quotes hide no line end", "a,b\n\"x\ny\",z\n")
            .with(&[AB, NONE])
            .fails(record(2, 4), &["has 1 field", "expected 2", "`\\\"x`"]),
    ]
}

fn escapes() -> Vec<Case> {
    const ESCAPE: &str = "escape = \"\\\\\"";
    vec![
        case("escaped quotes", "a,b\n\"x\\\"y\",\"\\\"\"\n\"\\\"\n\\\",\",z\n")
            .with(&[AB, ESCAPE])
            .gives(&[["x\"y", "\""], ["\"\n\",", "z"]]),
        case("escaped and doubled quotes", "a,b\n\"x\"\"y\\\"z\",\"\"\"\"\n")
            .with(&[AB, ESCAPE])
            .gives(&[["x\"y\"z", "\""]]),
        case("an escaped escape ends no quote's meaning", "a,b\n\"x\\\\\",\"\\\\\\\"\"\n")
            .with(&[AB, ESCAPE])
            .gives(&[["x\\", "\\\""]]),
        case("an escape in an unquoted field is text", "a,b\nC:\\x,y\\\n\\\",z\n")
            .with(&[AB, ESCAPE])
            .gives(&[["C:\\x", "y\\"], ["\\\"", "z"]]),
        case("an escape before another character is text", "a,b\n\"C:\\new\",\"\\N\"\n\"x\\\ny\",\"50\\% \\é\"\n")
            .with(&[AB, ESCAPE])
            .gives(&[["C:\\new", "\\N"], ["x\\\ny", "50\\% \\é"]]),
        case("long rows of escapes", format!("a,b\n\"{}\",x\n\"{}\\\"\",y\n", "\\\\".repeat(80), "\\\\".repeat(51)))
            .with(&[AB, ESCAPE])
            .gives_rows(vec![vec!["\\".repeat(80), "x".into()], vec![format!("{}\"", "\\".repeat(51)), "y".into()]]),
        case("an escape that is the quote", "a,b\n\"x\"\"y\",z\n").with(&[AB, "escape = '\"'"]).gives(&[["x\"y", "z"]]),
        case("an escaped quote closes nothing", "a,b\nx,y\n\"x\\\",z\n")
            .with(&[AB, ESCAPE])
            .fails(record(3, 8), &["no closing quote"]),
    ]
}

fn comments() -> Vec<Case> {
    const COMMENT: &str = "comment = \"#\"";
    vec![
        case("comments are skipped", "a,b\n# x,y\nx,y\n#\n#,\n\nz,w\n")
            .with(&[AB, COMMENT])
            .gives(&[["x", "y"], ["z", "w"]]),
        case("quotes in comments open nothing", "a,b\n# it's \"odd\n#\"\nx,\"#\n\"\n# \"\"\" \n")
            .with(&[AB, COMMENT])
            .gives(&[["x", "#\n"]]),
        case("a comment ends the file", "a,b\nx,y\n# the end, \"x").with(&[AB, COMMENT]).gives(&[["x", "y"]]),
        case("comments before CRLF", "# x\r\na,b\r\n# y\r\nx,y\r\n#\r\n").with(&[AB, COMMENT]).gives(&[["x", "y"]]),
        case("a comment begins at the line's start alone", "a,b\n #x,#y\n\"#z\",w#\n")
            .with(&[AB, COMMENT])
            .gives(&[[" #x", "#y"], ["#z", "w#"]]),
        case("lines in quotes that look like comments", "a,b\n\"x\n# y\n#\",z\n# \"\n\"\n#\",w\n")
            .with(&[AB, COMMENT])
            .gives(&[["x\n# y\n#", "z"], ["\n#", "w"]]),
        case("without the option a comment is a record", "a,b\n# x,y\n").with(&[AB]).gives(&[["# x", "y"]]),
        case("comments count as lines", "# 1\nid,name\n# 3\n\n# 5\nx,y\n")
            .with(&[TYPED, COMMENT])
            .fails(record(6, 21).column("id"), &["`x` is not of type int64"]),
        case("comments alone", "# x\n# y\n").with(&[AB, COMMENT, BARE]).gives_nothing(),
        case("a comment may hold any byte", b"a,b\n# caf\xe9 \x00\xff\nx,y\n".as_slice())
            .with(&[AB, COMMENT])
            .gives(&[["x", "y"]]),
        case("a comment may hold a carriage return", "a,b\n# x\ry\nx,y\n").with(&[AB, COMMENT]).gives(&[["x", "y"]]),
    ]
}
