//! Headers that cannot be read, or do not fit the table or each other.

use super::case::{AB, Case, TYPED, case, nowhere, whole_file};

pub(super) fn cases() -> Vec<Case> {
    [names(), structure(), mismatches()].concat()
}

fn names() -> Vec<Case> {
    vec![
        case("a name twice", "id,name,id\n1,x,2\n").with(&[TYPED]).fails(whole_file(), &["`id` twice", "rename"]),
        case("a name twice, inferred", "a,a\n1,2\n").fails(whole_file(), &["`a` twice", "rename"]),
        case("a name twice, quoted once", "a,\"a\"\n1,2\n").fails(whole_file(), &["`a` twice"]),
        case("a name twice, blanks trimmed", "a, a\n1,2\n").with(&["trim = true"]).fails(whole_file(), &["`a` twice"]),
        case("an empty name", "a,,c\n1,2,3\n").fails(whole_file(), &["column 2", "no name"]),
        case("an empty quoted name", "a,\"\"\n1,2\n").with(&[AB]).fails(whole_file(), &["column 2", "no name"]),
        case("a delimiter too many in the header", "a,b,\n1,2,\n")
            .with(&[AB])
            .fails(whole_file(), &["column 3", "no name"]),
        case("a name of blanks, trimmed", "a,  \n1,2\n")
            .with(&["trim = true"])
            .fails(whole_file(), &["column 2", "no name"]),
        case("a header of delimiters", ",,\n1,2,3\n").fails(whole_file(), &["column 1", "no name"]),
    ]
}

/// A header is a record, and as bad as one.
fn structure() -> Vec<Case> {
    vec![
        case("an unclosed quote in the header", "\"a,b\n1,2\n3,4\n")
            .with(&[AB])
            .fails(whole_file(), &["header", "no closing quote"]),
        case("an unclosed quote in the header, inferred", "a,\"b\n1,2\n3,4\n")
            .fails(whole_file(), &["header", "no closing quote"]),
        case("text after a closing quote in the header", "\"a\"x,b\n1,2\n")
            .with(&[AB])
            .fails(whole_file(), &["header", "text follows the closing quote"]),
        case("text after a closing quote in the header, inferred", "\"a\" ,b\n1,2\n")
            .fails(whole_file(), &["header", "text follows the closing quote"]),
        case("a carriage return alone in the header", "a\r,b\n1,2\n")
            .with(&[AB])
            .fails(whole_file(), &["header", "carriage return"]),
        case("lines that end with CR alone, header and all", "a,b\r1,2\r3,4\r")
            .with(&[AB])
            .fails(whole_file(), &["header", "carriage return"]),
        case("lines that end with CR alone, inferred", "a,b\r1,2\r3,4\r")
            .fails(whole_file(), &["header", "carriage return"]),
        case("an unclosed quote in the header of one of two files", "a,b\n1,2\n")
            .file("b.csv", "a,\"b\n3,4\n")
            .with(&[AB])
            .fails(whole_file().file("b.csv"), &["header", "no closing quote"]),
    ]
}

fn mismatches() -> Vec<Case> {
    vec![
        case("a column of the schema that the file does not have", "id\n1\n")
            .with(&[TYPED])
            .fails(whole_file(), &["`name`", "`id`", "missing_columns"]),
        case("a column of the file that the schema does not have", "id,name,age\n1,x,2\n")
            .with(&[TYPED])
            .fails(whole_file(), &["`age`", "extra_columns"]),
        case("an allowed missing column does not allow an extra one", "id,age\n1,2\n")
            .with(&[TYPED, "missing_columns = \"null\""])
            .fails(whole_file(), &["`age`", "extra_columns"]),
        case("names differ by case from the schema", "ID,name\n1,x\n")
            .with(&[TYPED])
            .fails(whole_file(), &["`ID`", "`id`"]),
        case("names differ by a blank from the schema", "id, name\n1,x\n")
            .with(&[TYPED])
            .fails(whole_file(), &["` name`", "`name`"]),
        case("headers differ between files, inferred", "a,b\n1,2\n")
            .file("b.csv", "a,c\n3,4\n")
            .fails(whole_file().file("b.csv"), &["`a`, `c`", "`a`, `b`", "a.csv"]),
        case("the second file is short of a column, inferred", "a,b\n1,2\n")
            .file("b.csv", "a\n3\n")
            .fails(whole_file().file("b.csv"), &["`a`", "a.csv"]),
        case("the second file is short of a column", "id,name\n1,x\n")
            .file("b.csv", "id\n3\n")
            .with(&[TYPED])
            .fails(whole_file().file("b.csv"), &["`name`", "missing_columns"]),
        case("a file without a header among others", "id,name\n1,x\n")
            .file("b.csv", "2,y\n")
            .with(&[TYPED])
            .fails(whole_file().file("b.csv"), &["`2`, `y`", "`id`, `name`"]),
        case("all files empty, inferred", "")
            .file("b.csv", "")
            .fails(nowhere(), &["the files are empty", "declare a schema"]),
        case("blank lines alone, inferred", "\n\n").fails(whole_file(), &["the files are empty", "declare a schema"]),
    ]
}
