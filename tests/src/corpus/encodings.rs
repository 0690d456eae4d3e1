//! UTF-8, ISO 8859-1, and what is neither.

use super::case::{AB, BARE, Case, TYPED, case, nowhere, record, whole_file};

const LATIN1: &str = "encoding = \"latin-1\"";

pub(super) fn cases() -> Vec<Case> {
    [utf8(), latin1(), not_utf8(), utf16()].concat()
}

fn utf8() -> Vec<Case> {
    vec![
        case("characters of every width", "a,b\nñ,\"é\n€\"\n𝄞,한국어\n\u{7f},\u{10ffff}\n").with(&[AB]).gives(&[
            ["ñ", "é\n€"],
            ["𝄞", "한국어"],
            ["\u{7f}", "\u{10ffff}"],
        ]),
        case("long text of wide characters", format!("a,b\n{},\"{}\"\n", "𝄞".repeat(60), "한\n".repeat(40)))
            .with(&[AB])
            .gives_rows(vec![vec!["𝄞".repeat(60), "한\n".repeat(40)]]),
        case("a byte order mark without a header", "\u{feff}1,x\n2,y\n")
            .with(&[TYPED, BARE])
            .gives(&[["1", "x"], ["2", "y"]]),
        case("a byte order mark before a quoted record", "\u{feff}\"1\",\"x\ny\"\n2,z\n")
            .with(&[TYPED, BARE])
            .gives(&[["1", "x\ny"], ["2", "z"]]),
        case("a byte order mark in every file", "\u{feff}1,x")
            .file("b.csv", "\u{feff}2,y\n")
            .with(&[TYPED, BARE])
            .gives(&[["1", "x"], ["2", "y"]]),
        case("a byte order mark elsewhere is text", "a,b\n\u{feff}x,y\u{feff}\n")
            .with(&[AB])
            .gives(&[["\u{feff}x", "y\u{feff}"]]),
        case("NULs and control characters are text", "a,b\n\0,x\0y\n\"\0\n\",\u{1}\u{1b}\u{8}\n")
            .with(&[AB])
            .gives(&[["\0", "x\0y"], ["\0\n", "\u{1}\u{1b}\u{8}"]]),
        case("line separators of Unicode end no line", "a,b\nx\u{2028}y,z\u{85}\u{b}\u{c}\n")
            .with(&[AB])
            .gives(&[["x\u{2028}y", "z\u{85}\u{b}\u{c}"]]),
        case("a replacement character is text", "a,b\n\u{fffd},x\n").with(&[AB]).gives(&[["\u{fffd}", "x"]]),
    ]
}

fn latin1() -> Vec<Case> {
    let all: Vec<u8> = (0xa0..=0xff).collect();
    let text: String = all.iter().map(|byte| char::from(*byte)).collect();
    vec![
        case("ISO 8859-1", b"a,b\ncaf\xe9,\"\xfc\n\xdf\"\nplain,x\n".as_slice())
            .with(&[AB, LATIN1])
            .gives(&[["café", "ü\nß"], ["plain", "x"]]),
        case("every letter of ISO 8859-1", [b"a,b\n\"".as_slice(), &all, b"\",", &all, b"\n"].concat())
            .with(&[AB, LATIN1])
            .gives_rows(vec![vec![text.clone(), text]]),
        case("a header in ISO 8859-1", b"gr\xf6\xdfe,b\n1,\xe4\n".as_slice())
            .with(&[LATIN1])
            .query("SELECT \"größe\", b FROM t")
            .gives(&[["1", "ä"]]),
        case("UTF-8 that is declared to be ISO 8859-1", "a,b\né,x\n").with(&[AB, LATIN1]).gives(&[["Ã©", "x"]]),
        case("a null value in ISO 8859-1", b"a,b\nleer\xfc,\"leer\xfc\"\n".as_slice())
            .with(&[AB, LATIN1, "null_values = \"leerü\""])
            .gives(&[["NULL", "leerü"]]),
        case("a bad value in ISO 8859-1", b"id,name\n\xfc,\xe4\n".as_slice())
            .with(&[TYPED, LATIN1])
            .fails(record(2, 8).column("id"), &["`ü` is not of type int64"]),
    ]
}

fn not_utf8() -> Vec<Case> {
    let bad = |name: &str, bytes: &[u8], says: &str| {
        let text = [b"a,b\nx,y\nz,".as_slice(), bytes, b"\nu,v\n"].concat();
        case(name, text).with(&[AB]).fails(record(3, 8), &[says, "is not UTF-8", "latin-1"])
    };
    vec![
        bad("a letter of ISO 8859-1 in UTF-8", b"caf\xe9", "byte 0xe9"),
        bad("half a character", b"\xe2\x82", "byte 0xe2"),
        bad("a continuation byte alone", b"x\x80y", "byte 0x80"),
        bad("an overlong NUL", b"\xc0\x80", "byte 0xc0"),
        bad("a surrogate", b"\xed\xa0\x80", "byte 0xed"),
        bad("a character beyond Unicode", b"\xf4\x90\x80\x80", "byte 0xf4"),
        bad("a byte that is never UTF-8", b"\"x\n\xff\"", "byte 0xff"),
        case("half a character ends the file", b"a,b\nx,y\nz,\xe2\x82".as_slice())
            .with(&[AB])
            .fails(record(3, 8), &["byte 0xe2", "is not UTF-8"]),
        case("a delimiter in the middle of a character", b"a,b\n\xe2\x82,\xac\n".as_slice())
            .with(&[AB])
            .fails(record(2, 4), &["is not UTF-8"]),
        case("bytes that are not UTF-8 where nobody reads them", b"a,b\nx,y\nz,\xe9\n".as_slice())
            .with(&[AB])
            .query("SELECT a FROM t")
            .fails(record(3, 8), &["byte 0xe9", "is not UTF-8"]),
        case("a header that is not UTF-8", b"gr\xf6\xdfe,b\n1,2\n".as_slice())
            .with(&[AB])
            .fails(whole_file(), &["header", "UTF-8", "latin-1"]),
        case("a header that is not UTF-8, inferred", b"gr\xf6\xdfe,b\n1,2\n".as_slice())
            .fails(whole_file(), &["header", "UTF-8", "latin-1"]),
    ]
}

fn utf16() -> Vec<Case> {
    let text = "id,name\r\n1,x\r\n2,y\r\n";
    let little: Vec<u8> = [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    let says = ["UTF-16", "encoding = \"utf-16\""];
    let declared = "encoding = \"utf-16\"";
    let rows = [["1", "x"], ["2", "y"]];
    let mut odd = little.clone();
    odd.push(b'x');
    let half: Vec<u8> = "id,name\n1,".encode_utf16().chain([0xd800, 0x0a]).flat_map(u16::to_le_bytes).collect();
    let bad: Vec<u8> = "id,name\n1,é\nx,y\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    vec![
        case("UTF-16, little end first", little.clone()).with(&[TYPED]).fails(whole_file(), &says),
        case("UTF-16, big end first", big.clone()).with(&[TYPED]).fails(whole_file(), &says),
        case("UTF-16, inferred", little.clone()).fails(whole_file(), &says),
        case("UTF-16 without a header", little.clone()).with(&[TYPED, BARE]).fails(whole_file(), &says),
        case("UTF-16 without a header, inferred", big.clone()).with(&[BARE]).fails(whole_file(), &says),
        case("UTF-16 that is declared to be ISO 8859-1", little.clone())
            .with(&[AB, BARE, LATIN1])
            .fails(whole_file(), &says),
        case("declared UTF-16, little end first", little.clone()).with(&[TYPED, declared]).gives(&rows),
        case("declared UTF-16, big end first", big.clone()).with(&[TYPED, declared]).gives(&rows),
        case("declared UTF-16, inferred", big.clone()).with(&[declared]).gives(&rows).of_types(&["int64", "string"]),
        case("UTF-16 without a mark, little end first", little[2..].to_vec())
            .with(&[TYPED, "encoding = \"utf-16le\""])
            .gives(&rows),
        case("UTF-16 with a mark, big end declared", big.clone())
            .with(&[TYPED, "encoding = \"utf-16be\""])
            .gives(&rows),
        case("UTF-16 without a mark that would tell the order", little[2..].to_vec())
            .with(&[TYPED, declared])
            .fails(nowhere(), &["a.csv: its utf-16", "byte order mark", "utf-16le"]),
        case("UTF-16 of the other byte order", little)
            .with(&[TYPED, "encoding = \"utf-16be\""])
            .fails(nowhere(), &["a.csv: its utf-16", "other byte order", "encoding = \"utf-16\""]),
        case("UTF-16 with an odd number of bytes", odd)
            .with(&[TYPED, declared])
            .fails(nowhere(), &["a.csv: its utf-16", "middle of a character", "41 bytes"]),
        case("UTF-16 with half a character", half)
            .with(&[TYPED, "encoding = \"utf-16le\""])
            .fails(nowhere(), &["a.csv: its utf-16", "half a character at byte 20"]),
        case("a record of UTF-16 that cannot be read", bad)
            .with(&[TYPED, "encoding = \"utf-16be\""])
            .fails(record(3, 13).column("id"), &["`x` is not of type int64", "UTF-8"]),
    ]
}
