//! Which columns a file has: by name, never by position.

use super::case::{AB, BARE, Case, TYPED, case};

const BOM: &str = "\u{feff}";

pub(super) fn cases() -> Vec<Case> {
    [without_records(), names(), across_files(), inferred()].concat()
}

fn without_records() -> Vec<Case> {
    vec![
        case("an empty file with a schema", "").with(&[AB]).gives_nothing(),
        case("an empty file without a header", "").with(&[AB, BARE]).gives_nothing(),
        case("a header alone", "a,b\n").with(&[AB]).gives_nothing(),
        case("a header alone without a line end", "a,b").with(&[AB]).gives_nothing(),
        case("a header alone, inferred", "a,b\r\n").gives_nothing().of_types(&["string", "string"]),
        case("a byte order mark alone", BOM).with(&[AB]).gives_nothing(),
        case("empty files among others", "")
            .file("b.csv", "a,b\nx,y\n")
            .file("c.csv", "")
            .with(&[AB])
            .gives(&[["x", "y"]]),
        case("empty files among others, inferred", "").file("b.csv", "a,b\nx,1\n").gives(&[["x", "1"]]),
        case("a header alone among others", "a,b").file("b.csv", "b,a\ny,x\n").with(&[AB]).gives(&[["x", "y"]]),
    ]
}

fn names() -> Vec<Case> {
    let quoted = "schema = [{ name = \"a,b\", type = \"string\" }, { name = \"c\\nd\", type = \"string\" }, { name = \"e\\\"f\", type = \"string\" }]";
    vec![
        case("columns in another order than the schema", "name,id\nx,1\n").with(&[TYPED]).gives(&[["1", "x"]]),
        case("a quoted header with every mark in it", "\"a,b\",\"c\nd\",\"e\"\"f\"\n1,2,3\n")
            .with(&[quoted])
            .gives(&[["1", "2", "3"]]),
        case("a header of many lines", format!("\"a{}\",b\nx,y\n", "\n".repeat(50)))
            .query("SELECT b FROM t")
            .gives(&[["y"]]),
        case("a header with a byte order mark", format!("{BOM}id,name\n1,x\n")).with(&[TYPED]).gives(&[["1", "x"]]),
        case("a quoted header with a byte order mark", format!("{BOM}\"id\",\"name\"\r\n1,x\r\n"))
            .with(&[TYPED])
            .gives(&[["1", "x"]]),
        case("a header behind blank lines", "\n\r\n\nid,name\n1,x\n").with(&[TYPED]).gives(&[["1", "x"]]),
        case("a header behind comments", "# made by \"x\n#\n\n# 2026\nid,name\n1,x\n")
            .with(&[TYPED, "comment = \"#\""])
            .gives(&[["1", "x"]]),
        case("a header with blanks, trimmed", " id ,\tname\t\n1,x\n")
            .with(&[TYPED, "trim = true"])
            .gives(&[["1", "x"]]),
        case("names that differ by case", "a,A\nx,y\n").gives(&[["x", "y"]]),
        case("names beyond ASCII", "größe,名前\n1,x\n").query("SELECT \"größe\", \"名前\" FROM t").gives(&[["1", "x"]]),
        case("a record that looks like the header is a record", "a,b\na,b\nx,y\na,b\n").with(&[AB]).gives(&[
            ["a", "b"],
            ["x", "y"],
            ["a", "b"],
        ]),
        case("without a header the first record is one", "a,b\nx,y\n")
            .with(&[AB, BARE])
            .gives(&[["a", "b"], ["x", "y"]]),
        case("without a header, names of our own", "1,x\n2,y\n")
            .with(&[BARE])
            .gives(&[["1", "x"], ["2", "y"]])
            .of_types(&["int64", "string"]),
        case("a header that is longer than most", format!("{},last\n{}1\n", long_names(), ",".repeat(1000)))
            .query("SELECT last FROM t")
            .gives(&[["1"]]),
    ]
}

/// A thousand names, more than 100 KB.
fn long_names() -> String {
    (0..1000).map(|number| format!("{number}{}", "n".repeat(100))).collect::<Vec<_>>().join(",")
}

fn across_files() -> Vec<Case> {
    vec![
        case("columns in another order in each file", "id,name\n1,x\n")
            .file("b.csv", "name,id\ny,2\n")
            .file("c.csv", "\"name\",\"id\"\r\n\"z\",3")
            .with(&[TYPED])
            .gives(&[["1", "x"], ["2", "y"], ["3", "z"]]),
        case("columns in another order in each file, inferred", "id,name\n1,x\n")
            .file("b.csv", "name,id\ny,2\n")
            .gives(&[["1", "x"], ["2", "y"]]),
        case("a missing column is NULL where that is allowed", "id,name\n1,x\n")
            .file("b.csv", "name\ny\n")
            .with(&[TYPED, "missing_columns = \"null\""])
            .gives(&[["1", "x"], ["NULL", "y"]]),
        case("an extra column is left out where that is allowed", "id,name\n1,x\n")
            .file("b.csv", "z,name,y,id\n\"1,\n2\",y,,2\n")
            .with(&[TYPED, "extra_columns = \"ignore\""])
            .gives(&[["1", "x"], ["2", "y"]]),
        case("missing and extra columns at once", "other,name\n1,x\n")
            .with(&[TYPED, "missing_columns = \"null\"", "extra_columns = \"ignore\""])
            .gives(&[["NULL", "x"]]),
        case("none of the columns", "x,y\n1,2\n3,4\n")
            .with(&[TYPED, "missing_columns = \"null\"", "extra_columns = \"ignore\""])
            .gives(&[["NULL", "NULL"], ["NULL", "NULL"]]),
        case("an extra column of another type is not looked at", "id,n,name\n1,not a number,x\n")
            .with(&[TYPED, "extra_columns = \"ignore\""])
            .gives(&[["1", "x"]]),
    ]
}

fn inferred() -> Vec<Case> {
    let text =
        "b,i,f,d,t,s,n,z\ntrue,1,1,2026-01-15,2026-01-15,x,,007\nFalse,-2,2.5,2026-01-16,2026-01-16 10:20:30,1,,8\n";
    vec![
        case("types are inferred", text)
            .gives(&[
                ["true", "1", "1.0", "2026-01-15", "2026-01-15T00:00:00", "x", "NULL", "007"],
                ["false", "-2", "2.5", "2026-01-16", "2026-01-16T10:20:30", "1", "NULL", "8"],
            ])
            .of_types(&["bool", "int64", "float64", "date", "timestamp", "string", "string", "string"]),
        case("types are inferred without a header, behind a byte order mark", format!("{BOM}1,x\n2,y\n"))
            .with(&[BARE])
            .gives(&[["1", "x"], ["2", "y"]])
            .of_types(&["int64", "string"]),
        case("columns are counted behind a byte order mark", format!("{BOM}\"x,y\",z\n1,2\n"))
            .with(&[BARE])
            .gives(&[["x,y", "z"], ["1", "2"]]),
        case("columns are counted behind a comment", "# a comment\n\n1,2,3\n")
            .with(&[BARE, "comment = \"#\""])
            .gives(&[["1", "2", "3"]]),
        case("columns are counted behind blank lines", "\n\r\n1,2,3\n").with(&[BARE]).gives(&[["1", "2", "3"]]),
        case("a multi-line first record counts as one", "\"1\n2,3\n\",x\ny,z\n")
            .with(&[BARE])
            .gives(&[["1\n2,3\n", "x"], ["y", "z"]]),
    ]
}
