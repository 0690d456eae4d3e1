//! Dates, times and timestamps, and days that do not exist.

use super::case::{Case, case, nowhere, record};

pub(super) fn cases() -> Vec<Case> {
    [dates(), timestamps(), times(), formats()].concat()
}

fn bad(schema: &str, value: &str) -> Case {
    let line = format!("schema = {{ n = \"int64\", v = \"{schema}\" }}");
    let says = format!("`{value}` is not of type {schema}");
    case(format!("{value} is no {schema}"), format!("n,v\n1,\n2,{value}\n"))
        .with(&[&line])
        .fails(record(3, 7).column("v"), &[&says])
}

fn good(name: &str, schema: &str, values: &[(&str, &str)]) -> Case {
    let text = values.iter().fold("v\n".to_owned(), |text, (value, _)| format!("{text}{value}\n"));
    case(name, text)
        .with(&[&format!("schema = {{ v = \"{schema}\" }}")])
        .gives_rows(values.iter().map(|(_, expected)| vec![(*expected).to_owned()]).collect())
        .of_types(&[schema])
}

fn dates() -> Vec<Case> {
    let same = |date| (date, date);
    vec![
        good(
            "dates",
            "date",
            &["0001-01-01", "1582-10-10", "1969-12-31", "1970-01-01", "2000-02-29", "2024-02-29", "9999-12-31"]
                .map(same),
        ),
        bad("date", "2026-02-29"),
        bad("date", "1900-02-29"),
        bad("date", "2026-04-31"),
        bad("date", "2026-13-01"),
        bad("date", "2026-00-10"),
        bad("date", "2026-01-00"),
        bad("date", "2026-1-5"),
        bad("date", "15.01.2026"),
        bad("date", "01/15/2026"),
        bad("date", "2026-01-15 10:00:00"),
        bad("date", "10000-01-01"),
    ]
}

fn timestamps() -> Vec<Case> {
    vec![
        good(
            "timestamps in UTC",
            "timestamp",
            &[
                ("2026-01-15 10:20:30", "2026-01-15T10:20:30"),
                ("2026-01-15T10:20:30Z", "2026-01-15T10:20:30"),
                ("2026-01-15T10:20", "2026-01-15T10:20:00"),
                ("2026-01-15", "2026-01-15T00:00:00"),
                ("2026-01-15 10:20:30.5", "2026-01-15T10:20:30.500"),
                ("2026-01-15 10:20:30.123456", "2026-01-15T10:20:30.123456"),
                ("2026-01-15 10:20:30.123456000", "2026-01-15T10:20:30.123456"),
                ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999"),
                ("0001-01-01 00:00:00", "0001-01-01T00:00:00"),
                ("9999-12-31 23:59:59", "9999-12-31T23:59:59"),
            ],
        ),
        good(
            "timestamps with offsets become UTC",
            "timestamp",
            &[
                ("2026-01-15T10:20:30+02:00", "2026-01-15T08:20:30"),
                ("2026-01-15T23:20:30-0330", "2026-01-16T02:50:30"),
                ("2026-01-01 00:00:00+01", "2025-12-31T23:00:00"),
                ("2026-01-15 10:20:30.25+00:00", "2026-01-15T10:20:30.250"),
            ],
        ),
        bad("timestamp", "2026-02-30 10:00:00"),
        bad("timestamp", "2026-01-15 24:00:00"),
        bad("timestamp", "2026-01-15 10:60:00"),
        bad("timestamp", "2026-01-15 10:00:60"),
        bad("timestamp", "2026-01-15 10"),
        bad("timestamp", "2026-01-15T"),
        bad("timestamp", "2026-01-15 10:20:30.1234567"),
        bad("timestamp", "2026-01-15 10:20:30 CET"),
        bad("timestamp", "2026-01-15T10:20:30+2"),
        bad("timestamp", "1768472430"),
    ]
}

fn times() -> Vec<Case> {
    vec![
        good(
            "times",
            "time",
            &[
                ("00:00", "00:00:00"),
                ("23:59:59", "23:59:59"),
                ("10:20:30.5", "10:20:30.500"),
                ("10:20:30.000001", "10:20:30.000001"),
            ],
        ),
        bad("time", "24:00:00"),
        bad("time", "10:20:60"),
        bad("time", "1:20"),
        bad("time", "10:20:30Z"),
    ]
}

fn formats() -> Vec<Case> {
    let dates = "schema = { v = \"date\" }";
    let stamps = "schema = { v = \"timestamp\" }";
    vec![
        case("dates in a format of the job", "v\n15.01.2026\n29.02.2024\n")
            .with(&[dates, "date_format = \"%d.%m.%Y\""])
            .gives(&[["2026-01-15"], ["2024-02-29"]]),
        case("a date that does not exist, in a format of the job", "v\n15.01.2026\n29.02.2026\n")
            .with(&[dates, "date_format = \"%d.%m.%Y\""])
            .fails(record(3, 13).column("v"), &["`29.02.2026` is not of type date"]),
        case("an ISO date where the job has another format", "v\n2026-01-15\n")
            .with(&[dates, "date_format = \"%d.%m.%Y\""])
            .fails(record(2, 2).column("v"), &["`2026-01-15` is not of type date"]),
        case("timestamps in a format of the job", "v\n15/01/2026 10:20:30\n")
            .with(&[stamps, "timestamp_format = \"%d/%m/%Y %H:%M:%S\""])
            .gives(&[["2026-01-15T10:20:30"]]),
        case("timestamps in a format with an offset", "v\n15/Jan/2026:10:20:30 +0200\n")
            .with(&[stamps, "timestamp_format = \"%d/%b/%Y:%H:%M:%S %z\""])
            .gives(&[["2026-01-15T08:20:30"]]),
        case("a timestamp that is not in the job's format", "v\n15/01/2026 10:20\n")
            .with(&[stamps, "timestamp_format = \"%d/%m/%Y %H:%M:%S\""])
            .fails(record(2, 2).column("v"), &["`15/01/2026 10:20` is not of type timestamp"]),
        case("a column of bytes is refused", "v\nx\n")
            .with(&["schema = { v = \"binary\" }"])
            .fails(nowhere(), &["input `t`", "`v`", "binary", "use string"]),
    ]
}
