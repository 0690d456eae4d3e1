//! Multi-line fields made to mislead whoever starts to read in the middle of them.

use super::case::{AB, BARE, Case, TYPED, case, record};

pub(super) fn cases() -> Vec<Case> {
    [misleading(), two_faced(), broken_inside(), errors_behind()].concat()
}

fn row(a: impl Into<String>, b: impl Into<String>) -> Vec<String> {
    vec![a.into(), b.into()]
}

/// As a field in quotes.
fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn misleading() -> Vec<Case> {
    let records = "1,x\n2,y\n3,z\n";
    let file = format!("id,name\n1,{}\n2,\"w\"\n", quote(records));
    let nested = format!("id,name\n7,{}\n8,v\n", quote(&file));
    vec![
        case(
            "lines in quotes that look like records",
            format!("id,name\n10,{}\n20,w\n30,{}\n", quote(records), quote(records)),
        )
        .with(&[TYPED])
        .gives_rows(vec![row("10", records), row("20", "w"), row("30", records)]),
        case(
            "lines in quotes that look like quoted records",
            format!("id,name\n10,{}\n20,w\n", quote("1,\"x\"\n2,\"y\n\"\n")),
        )
        .with(&[TYPED])
        .gives_rows(vec![row("10", "1,\"x\"\n2,\"y\n\"\n"), row("20", "w")]),
        case(
            "lines in quotes that look like the header",
            "id,name\n1,\"id,name\n2,x\nid,name\n\"\nid,\"x\n\"\n".replace("\nid,\"", "\n3,\""),
        )
        .with(&[TYPED])
        .gives(&[["1", "id,name\n2,x\nid,name\n"], ["3", "x\n"]]),
        case("a whole file in a field", nested.clone())
            .with(&[TYPED])
            .gives_rows(vec![row("7", file.as_str()), row("8", "v")]),
        case("a file in a file in a field", format!("id,name\n9,{}\n10,u\n", quote(&nested)))
            .with(&[TYPED])
            .gives_rows(vec![row("9", nested), row("10", "u")]),
        case(
            "records in quotes all the way",
            (0..40).fold("id,name\n".to_owned(), |text, n| format!("{text}{n},{}\n", quote(records))),
        )
        .with(&[TYPED])
        .gives_rows((0..40).map(|n| row(n.to_string(), records)).collect()),
        case("records in quotes, each longer than the one before", growing())
            .with(&[TYPED])
            .gives_rows((1..25).map(|n| row(n.to_string(), "0,q\n".repeat(n))).collect()),
        case("records of CRLF in quotes", "id,name\r\n1,\"2,x\r\n3,y\r\n\"\r\n4,z\r\n")
            .with(&[TYPED])
            .gives(&[["1", "2,x\r\n3,y\r\n"], ["4", "z"]]),
    ]
}

fn growing() -> String {
    (1..25).fold("id,name\n".to_owned(), |text, n| format!("{text}{n},\"{}\"\n", "0,q\n".repeat(n)))
}

/// Files that are valid inside out: read from within quotes as if from without, they have records of the right length too.
fn two_faced() -> Vec<Case> {
    let inside_out = (0..30).fold(String::new(), |text, n| format!("{text}\"x{n}\n\",\"\ny{n}\"\n"));
    let commas = (0..30).fold(String::new(), |text, n| format!("{text}\",\n{n},\",\",\n,\"\n"));
    let halves = (0..30).fold(String::new(), |text, n| format!("{text}\"\n{n}\"\n"));
    let pairs = (0..30).fold(String::new(), |text, n| format!("{text}\"\"\"{n}\"\"\n\"\"{n}\"\"\",\"\"\"\n\"\"\"\n"));
    vec![
        case("valid inside out", inside_out)
            .with(&[AB, BARE])
            .gives_rows((0..30).map(|n| row(format!("x{n}\n"), format!("\ny{n}"))).collect()),
        case("valid inside out, of delimiters", commas)
            .with(&[AB, BARE])
            .gives_rows((0..30).map(|n| row(format!(",\n{n},"), ",\n,")).collect()),
        case("valid inside out, in one column", halves)
            .with(&["schema = { a = \"string\" }", BARE])
            .gives_rows((0..30).map(|n| vec![format!("\n{n}")]).collect()),
        case("doubled quotes around line ends", pairs)
            .with(&[AB, BARE])
            .gives_rows((0..30).map(|n| row(format!("\"{n}\"\n\"{n}\""), "\"\n\"")).collect()),
        case(
            "quotes in unquoted fields turn the parity",
            "a,b\n1,5\" pipe\n2,\"x\n3,y\n\"\n4,6\" pipe\n5,\"z\n6,w\n\"\n7,8\"\n",
        )
        .with(&[AB])
        .gives(&[["1", "5\" pipe"], ["2", "x\n3,y\n"], ["4", "6\" pipe"], ["5", "z\n6,w\n"], ["7", "8\""]]),
        case("a lone quote in every third unquoted field", lone_quotes())
            .with(&[AB])
            .gives_rows((0..60).map(|n| row(n.to_string(), if n % 3 == 0 { "6\"" } else { "x" })).collect()),
        case("blank lines in quotes between blank lines", "a,b\n\n\"\n\n\",\"\n\"\n\n\n\"\n\",x\n\n")
            .with(&[AB])
            .gives(&[["\n\n", "\n"], ["\n", "x"]]),
        case("the first record has many lines, without a header", format!("{},x\ny,z\n", quote("1,2\n3,4\n\"\n")))
            .with(&[AB, BARE])
            .gives(&[["1,2\n3,4\n\"\n", "x"], ["y", "z"]]),
    ]
}

fn lone_quotes() -> String {
    (0..60).fold("a,b\n".to_owned(), |text, n| format!("{text}{n},{}\n", if n % 3 == 0 { "6\"" } else { "x" }))
}

/// What would be an error outside quotes is none in them.
fn broken_inside() -> Vec<Case> {
    let check = |name: &str, text: &str| {
        let file = format!("id,name\n1,{}\n2,x\n3,{}\n", quote(text), quote(text));
        case(name, file).with(&[TYPED]).gives_rows(vec![row("1", text), row("2", "x"), row("3", text)])
    };
    vec![
        check("lines in quotes that would be short and long", "x\n1,2,3\n\n,,,,\nx\n"),
        check("lines in quotes that would be of another type", "x,y\nz,w\nnot,a number\n"),
        check("lines in quotes that would have text after a quote", "1,\"x\"y\n2,\"z\" \n\"a\"b,c\n"),
        check("lines in quotes that would leave a quote open", "1,\"x\n2,y\n3,\"\"z\n"),
        check("lines in quotes with carriage returns alone", "1,x\r2,y\r\r\n\r3,z\r"),
    ]
}

/// The place of an error between all that is still the right one.
fn errors_behind() -> Vec<Case> {
    let field = quote("1,x\n2,\"y\"\nbad,bad,bad\n");
    let good = (0..20).fold(String::new(), |text, n| format!("{text}{n},{field}\n"));
    let before = format!("id,name\n{good}");
    let lines = before.matches('\n').count() as u64;
    let place = || record(lines + 1, before.len() as u64);
    vec![
        case("a bad value between lines like records", format!("{before}x,{field}\n{good}"))
            .with(&[TYPED])
            .fails(place().column("id"), &["`x` is not of type int64", "the record is `x,"]),
        case("a short record between lines like records", format!("{before}7\n{good}"))
            .with(&[TYPED])
            .fails(place(), &["has 1 field", "expected 2", "`7`"]),
        case("text after a quote between lines like records", format!("{before}7,\"x\"y\n{good}"))
            .with(&[TYPED])
            .fails(place(), &["text follows the closing quote"]),
        case("an unclosed quote behind lines like records", format!("{before}7,\"x\n8,y\n"))
            .with(&[TYPED])
            .fails(place(), &["no closing quote", "7,\\\"x"]),
    ]
}
