//! Numbers and truth values: their limits, and what lies beyond.

use super::case::{Case, case, record};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = [integers(), fractions(), decimals(), truth()].concat();
    for (name, least, greatest, below, above) in LIMITS {
        cases.extend(limits(name, (least, greatest), (below, above)));
    }
    cases
}

/// A type, its least and greatest number, and those beyond.
const LIMITS: [(&str, &str, &str, &str, &str); 8] = [
    ("int8", "-128", "127", "-129", "128"),
    ("int16", "-32768", "32767", "-32769", "32768"),
    ("int32", "-2147483648", "2147483647", "-2147483649", "2147483648"),
    ("int64", "-9223372036854775808", "9223372036854775807", "-9223372036854775809", "9223372036854775808"),
    ("uint8", "0", "255", "-1", "256"),
    ("uint16", "0", "65535", "-1", "65536"),
    ("uint32", "0", "4294967295", "-1", "4294967296"),
    ("uint64", "0", "18446744073709551615", "-1", "18446744073709551616"),
];

fn limits(name: &str, (least, greatest): (&str, &str), (below, above): (&str, &str)) -> [Case; 3] {
    let schema = format!("schema = {{ n = \"{name}\" }}");
    let beyond = |what: &str, number: &str| {
        let text = format!("n\n{least}\n{greatest}\n{number}\n");
        let byte = (4 + least.len() + greatest.len()) as u64;
        let says = format!("`{number}` is not of type {name}");
        case(format!("{what} {name}"), text).with(&[&schema]).fails(record(4, byte).column("n"), &[&says])
    };
    [
        case(format!("limits of {name}"), format!("n\n{least}\n{greatest}\n"))
            .with(&[&schema])
            .gives(&[[least], [greatest]])
            .of_types(&[name]),
        beyond("below", below),
        beyond("above", above),
    ]
}

/// One column `n` with one value in line 2 that is not of its type.
fn bad(schema: &str, value: &str) -> Case {
    let schema_line = format!("schema = {{ n = \"{schema}\" }}");
    let says = format!("`{}` is not of type {schema}", value.trim_matches('"'));
    case(format!("{value} is no {schema}"), format!("n\n{value}\n"))
        .with(&[&schema_line])
        .fails(record(2, 2).column("n"), &[&says])
}

fn good(name: &str, schema: &str, values: &[(&str, &str)]) -> Case {
    let text = values.iter().fold("n\n".to_owned(), |text, (value, _)| format!("{text}{value}\n"));
    case(name, text)
        .with(&[&format!("schema = {{ n = \"{schema}\" }}")])
        .gives_rows(values.iter().map(|(_, expected)| vec![(*expected).to_owned()]).collect())
}

fn integers() -> Vec<Case> {
    vec![
        good(
            "signs and leading zeros of integers",
            "int32",
            &[("+5", "5"), ("-0", "0"), ("007", "7"), ("\"8\"", "8"), ("-000000000000000000000000000000000009", "-9")],
        ),
        bad("int64", "1.0"),
        bad("int64", "1e3"),
        bad("int64", "0x10"),
        bad("int64", "--1"),
        bad("int64", "-"),
        bad("int64", " 1"),
        bad("int64", "1 "),
        bad("int64", "\"1,000\""),
        bad("int64", "1_000"),
        bad("int64", "١٢"),
        bad("int64", "99999999999999999999999999999999999999999999"),
        case("digits are kept where the column is text", "n\n00123\n1.0\n+5\n1e400\n")
            .with(&["schema = { n = \"string\" }"])
            .gives(&[["00123"], ["1.0"], ["+5"], ["1e400"]]),
    ]
}

fn fractions() -> Vec<Case> {
    vec![
        good(
            "double precision",
            "float64",
            &[
                ("0.1", "0.1"),
                ("-2.5e-1", "-0.25"),
                ("1E3", "1000.0"),
                (".5", "0.5"),
                ("7.", "7.0"),
                ("9007199254740993", "9007199254740992.0"),
                ("-0", "-0.0"),
            ],
        ),
        good("single precision", "float32", &[("0.1", "0.1"), ("16777217", "16777216.0"), ("-1.5", "-1.5")]),
        // A number that rounds to nothing is as near as can be; one that becomes infinite is not.
        good("a fraction too small for its type is zero", "float64", &[("1e-400", "0.0")]),
        bad("float64", "1e400"),
        bad("float64", "-1e400"),
        bad("float32", "1e39"),
        bad("float64", "\"1,5\""),
        bad("float64", "1.5.2"),
        bad("float64", "."),
        bad("float64", "one"),
        bad("float64", "$5"),
    ]
}

fn decimals() -> Vec<Case> {
    let ones = "1".repeat(38);
    vec![
        good(
            "decimals",
            "decimal(5,2)",
            &[
                ("1.5", "1.50"),
                ("-0.05", "-0.05"),
                ("+12", "12.00"),
                (".5", "0.50"),
                ("7.", "7.00"),
                ("999.99", "999.99"),
            ],
        ),
        good("zeros below the scale are no digits", "decimal(5,2)", &[("1.5000000", "1.50"), ("000001.50", "1.50")]),
        good("a decimal of 38 digits", "decimal(38,0)", &[(&ones, &ones), (&format!("-{ones}"), &format!("-{ones}"))]),
        bad("decimal(5,2)", "1.505"),
        bad("decimal(5,2)", "0.001"),
        bad("decimal(5,2)", "1000"),
        bad("decimal(5,2)", "-1000.00"),
        bad("decimal(5,2)", "1e2"),
        bad("decimal(5,2)", "1.2.3"),
        bad("decimal(5,2)", "."),
        bad("decimal(38,0)", "100000000000000000000000000000000000000"),
    ]
}

fn truth() -> Vec<Case> {
    vec![
        good("truth values", "bool", &[("true", "true"), ("FALSE", "false"), ("True", "true"), ("\"false\"", "false")]),
        bad("bool", "2"),
        bad("bool", "wahr"),
        bad("bool", "truee"),
    ]
}
