//! Long fields, long records, and many columns.

use super::case::{AB, BARE, Case, Place, TYPED, case, record, whole_file};

const MIB: usize = 1 << 20;
const LIMIT: &str = "max_record_bytes = \"1MiB\"";

pub(super) fn cases() -> Vec<Case> {
    [fields(), limits(), columns()].concat()
}

fn row(a: impl Into<String>, b: impl Into<String>) -> Vec<String> {
    vec![a.into(), b.into()]
}

/// Lines that look like records, `bytes` long together.
fn lines(bytes: usize) -> String {
    "17,a line like any other\n".chars().cycle().take(bytes).collect()
}

fn fields() -> Vec<Case> {
    let plain = "x".repeat(MIB + 300_000);
    let quoted = lines(MIB + 400_000);
    let doubled = "\"\"".repeat(400_000);
    let wide = "한글 ".repeat(100_000);
    vec![
        case("an unquoted field beyond 1 MiB", format!("id,name\n1,x\n2,{plain}\n3,y\n"))
            .with(&[TYPED])
            .gives_rows(vec![row("1", "x"), row("2", &plain), row("3", "y")]),
        case("a quoted field beyond 1 MiB, full of lines like records", format!("id,name\n1,x\n2,\"{quoted}\"\n3,y\n"))
            .with(&[TYPED])
            .gives_rows(vec![row("1", "x"), row("2", &quoted), row("3", "y")]),
        case("a field of doubled quotes", format!("id,name\n1,x\n2,\"{doubled}\"\n3,y\n"))
            .with(&[TYPED])
            .gives_rows(vec![row("1", "x"), row("2", "\"".repeat(400_000)), row("3", "y")]),
        case("a field of wide characters", format!("id,name\n1,{wide}\n2,\"{wide}\"\n"))
            .with(&[TYPED])
            .gives_rows(vec![row("1", &wide), row("2", &wide)]),
        case("one huge record alone", format!("\"{quoted}\",\"{quoted}\""))
            .with(&[AB, BARE])
            .gives_rows(vec![row(&quoted, &quoted)]),
        case("long and short records take turns", long_and_short()).with(&[TYPED]).gives_rows(
            (0..20)
                .flat_map(|n| [row(format!("{}", 2 * n), lines(40_000)), row(format!("{}", 2 * n + 1), "y")])
                .collect(),
        ),
        case("a record that spans many input splits", format!("a,b\nx,y\n\"{}\",z\nv,w\n", lines(3000)))
            .with(&[AB])
            .gives_rows(vec![row("x", "y"), row(lines(3000), "z"), row("v", "w")]),
        case("a value that is long, and bad", format!("id,name\n1,x\n{},y\n", "9".repeat(300_000)))
            .with(&[TYPED])
            .fails(record(3, 12).column("id"), &["9999999", "is not of type int64"]),
    ]
}

fn long_and_short() -> String {
    (0..20).fold("id,name\n".to_owned(), |text, n| format!("{text}{},\"{}\"\n{},y\n", 2 * n, lines(40_000), 2 * n + 1))
}

/// A record of 1 MiB is allowed, a longer one is not. Its line end is no part of it.
fn limits() -> Vec<Case> {
    let exact = "x".repeat(MIB - 2);
    let says = ["longer than 1048576 bytes", "max_record_bytes", "closing quote may be missing"];
    let fails = |name: &str, text: String, place: Place| case(name, text).with(&[TYPED, LIMIT]).fails(place, &says);
    vec![
        case("a record of the greatest length", format!("id,name\n1,{exact}\n2,y\n"))
            .with(&[TYPED, LIMIT])
            .gives_rows(vec![row("1", &exact), row("2", "y")]),
        case("a record of the greatest length before CRLF", format!("id,name\r\n1,{exact}\r\n2,y\r\n"))
            .with(&[TYPED, LIMIT])
            .gives_rows(vec![row("1", &exact), row("2", "y")]),
        case("a record of the greatest length ends the file", format!("id,name\n1,{exact}"))
            .with(&[TYPED, LIMIT])
            .gives_rows(vec![row("1", &exact)]),
        fails("a record longer by one byte", format!("id,name\n0,y\n1,x{exact}\n2,y\n"), record(3, 12)),
        fails(
            "a record longer by one byte before CRLF",
            format!("id,name\r\n0,y\r\n1,x{exact}\r\n2,y\r\n"),
            record(3, 14),
        ),
        fails("a record longer by one byte ends the file", format!("id,name\n0,y\n1,x{exact}"), record(3, 12)),
        fails("a record much longer", format!("id,name\n0,y\n1,\"{}\"\n2,y\n", lines(3 * MIB)), record(3, 12)),
        fails("a record much longer, behind others", far_behind(), record(60_002, 8 + 60_000 * 11)),
        fails("an unclosed quote in a long file", format!("id,name\n0,y\n1,\"x\n{}", lines(3 * MIB)), record(3, 12)),
        case("a file of a long field where the default limit holds", format!("id,name\n1,\"{}\"\n", lines(2 * MIB)))
            .with(&[TYPED])
            .gives_rows(vec![row("1", lines(2 * MIB))]),
    ]
}

/// A record of 2 MiB in line 60,002.
fn far_behind() -> String {
    format!("id,name\n{}1,\"{}\"\n2,y\n", "5,not long\n".repeat(60_000), lines(2 * MIB))
}

/// A thousand columns.
fn columns() -> Vec<Case> {
    const COLUMNS: usize = 1000;
    let join = |make: &dyn Fn(usize) -> String| (0..COLUMNS).map(make).collect::<Vec<_>>().join(",");
    let names = join(&|n| format!("c{n}"));
    let numbers = |from: usize| join(&|n| (n + from).to_string());
    let texts = join(&|n| format!("\"{n}\n,\""));
    let values = |make: &dyn Fn(usize) -> String| (0..COLUMNS).map(make).collect::<Vec<_>>();
    let broken = numbers(3).replace(",780,", ",seven hundred,");
    let good = format!("{names}\n{}\n{}\n", numbers(0), numbers(5));
    let short = numbers(0).rsplit_once(',').map(|(most, _)| most.to_owned()).unwrap_or_default();
    vec![
        case("a thousand columns", good.clone())
            .gives_rows(vec![values(&|n| n.to_string()), values(&|n| (n + 5).to_string())])
            .of_types(&["int64"; COLUMNS]),
        case("a thousand multi-line fields", format!("{names}\n{texts}\n{texts}\n")).gives_rows(vec![
            values(
                &|n| format!("{n}\n,")
            );
            2
        ]),
        case("a thousand empty fields", format!("{names}\n{}\n", ",".repeat(COLUMNS - 1)))
            .gives_rows(vec![values(&|_| "NULL".to_owned())]),
        case("a bad value in the 778th of a thousand columns", format!("{good}{broken}\n"))
            .with(&[&thousand_numbers()])
            .fails(record(4, good.len() as u64).column("c777"), &["`seven hundred` is not of type int64"]),
        case("a record that is short of one of a thousand fields", format!("{good}{short}\n"))
            .fails(record(4, good.len() as u64), &["has 999 fields", "expected 1000"]),
        case("two of a thousand columns", good).query("SELECT c998, c3 FROM t").gives(&[["998", "3"], ["1003", "8"]]),
        case("a header that is longer than allowed", format!("\"{}\",b\n1,2\n", "x".repeat(2 * MIB)))
            .with(&[AB])
            .fails(whole_file(), &["end of the CSV header", "1048576"]),
    ]
}

fn thousand_numbers() -> String {
    let columns: Vec<String> = (0..1000).map(|n| format!("c{n} = \"int64\"")).collect();
    format!("schema = {{ {} }}", columns.join(", "))
}
