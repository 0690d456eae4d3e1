//! What is NULL, and which blanks are no part of a field.

use super::case::{AB, BARE, Case, TYPED, case, record};

pub(super) fn cases() -> Vec<Case> {
    [nulls(), blanks()].concat()
}

fn nulls() -> Vec<Case> {
    let many = "null_values = [\"\", \"NA\", \"-\"]";
    vec![
        case("an empty field is NULL in every type", "b,i,f,c,d,t,h,s\n,,,,,,,\n")
            .with(&["schema = { b = \"bool\", i = \"int8\", f = \"float64\", c = \"decimal(9,2)\", d = \"date\", t = \"timestamp\", h = \"time\", s = \"string\" }"])
            .gives(&[["NULL"; 8]]),
        case("a quoted empty field is NULL where it is no text", "id,name\n\"\",\"\"\n").with(&[TYPED]).gives(&[["NULL", ""]]),
        case("several null values", "id,name\nNA,NA\n-,-\n,\n5,x\n")
            .with(&[TYPED, many])
            .gives(&[["NULL", "NULL"], ["NULL", "NULL"], ["NULL", "NULL"], ["5", "x"]]),
        case("a quoted null value is text in a text column alone", "id,name\n\"NA\",\"NA\"\n\"-\",\"-\"\n")
            .with(&[TYPED, many])
            .gives(&[["NULL", "NA"], ["NULL", "-"]]),
        case("a null value in place of the empty one", "id,name\n\\N,\\N\n1,\n")
            .with(&[TYPED, "null_values = \"\\\\N\""])
            .gives(&[["NULL", "NULL"], ["1", ""]]),
        case("an empty number where empty is not NULL", "id,name\n1,x\n,y\n")
            .with(&[TYPED, "null_values = \"NA\""])
            .fails(record(3, 12).column("id"), &["`` is not of type int64"]),
        case("no null values at all", "a,b\n,\"\"\nNA,x\n").with(&[AB, "null_values = []"]).gives(&[["", ""], ["NA", "x"]]),
        case("null values are compared exactly", "a,b\nna,NA \nNAN,NA\n")
            .with(&[AB, "null_values = \"NA\""])
            .gives(&[["na", "NA "], ["NAN", "NULL"]]),
        case("a null value that is no number elsewhere", "id,name\nna,x\n")
            .with(&[TYPED, "null_values = \"NA\""])
            .fails(record(2, 8).column("id"), &["`na` is not of type int64"]),
        case("a null value beyond ASCII", "a,b\nkeine Angabe – leer,x\n")
            .with(&[AB, "null_values = \"keine Angabe – leer\""])
            .gives(&[["NULL", "x"]]),
        case("null values are not guessed types", "n\nNA\n1\n").with(&["null_values = \"NA\""]).gives(&[["NULL"], ["1"]]).of_types(&["int64"]),
    ]
}

fn blanks() -> Vec<Case> {
    const TRIM: &str = "trim = true";
    vec![
        case("blanks are part of fields", "a,b\n x ,\ty\t\n ,  \n").with(&[AB]).gives(&[[" x ", "\ty\t"], [" ", "  "]]),
        case("blanks are trimmed", "id,name\n 1 ,\t x y \t\n").with(&[TYPED, TRIM]).gives(&[["1", "x y"]]),
        case("a trimmed field of blanks is NULL", "id,name\n  ,\t\n").with(&[TYPED, TRIM]).gives(&[["NULL", "NULL"]]),
        case("blanks in quotes are kept", "a,b\n\" x \",\"\ty\t\"\n").with(&[AB, TRIM]).gives(&[[" x ", "\ty\t"]]),
        case("null values are compared behind the blanks", "id,name\n NA , NA \n")
            .with(&[TYPED, TRIM, "null_values = \"NA\""])
            .gives(&[["NULL", "NULL"]]),
        case("blanks before CRLF are trimmed", "id,name\r\n1 , x \r\n 2,y \r\n")
            .with(&[TYPED, TRIM])
            .gives(&[["1", "x"], ["2", "y"]]),
        case("only spaces and tabs are blanks", "a,b\n\u{a0}x\u{a0},\u{c}y\u{b}\n")
            .with(&[AB, TRIM])
            .gives(&[["\u{a0}x\u{a0}", "\u{c}y\u{b}"]]),
        case("no quote of a trimmed field is lost", "a,b\n 5\" x 7\" ,\t\"x\"y\"\n")
            .with(&[AB, TRIM])
            .gives(&[["5\" x 7\"", "\"x\"y\""]]),
        case("trimmed lines without a header", " 1 , x \n")
            .with(&[BARE, TRIM])
            .gives(&[["1", "x"]])
            .of_types(&["int64", "string"]),
        case("blanks behind a closing quote are no part of the field", "a,b\n\"x\" ,y\nz,\"\n \"\t \r\n")
            .with(&[AB, TRIM])
            .gives(&[["x", "y"], ["z", "\n "]]),
        case("text behind such blanks", "a,b\nx,y\n\"x\" y,z\n")
            .with(&[AB, TRIM])
            .fails(record(3, 8), &["text follows the closing quote"]),
    ]
}
