//! Compares rows with the answers of an independent engine, number by number.

use std::cmp::Ordering;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use arrow::datatypes::DataType;

use crate::rows::Rows;

/// Relative difference that binary floating point may show.
const FLOAT_TOLERANCE: f64 = 1e-9;

/// Rows equal those of a CSV file with a header, whatever their order.
///
/// Decimals are exact; where the other engine has a binary fraction in their place (an average), the last digit may differ
/// by one. Floating point numbers may differ by a relative `FLOAT_TOLERANCE`. Everything else is compared as text.
///
/// # Errors
/// The file is missing, or the first difference.
pub fn check_against_golden(found: &Rows, golden: &Path) -> Result<()> {
    let mut reader = csv::Reader::from_path(golden).with_context(|| format!("open {}", golden.display()))?;
    let names: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
    ensure!(found.names() == names, "expected columns {names:?}, found {:?}", found.names());
    let mut expected = Vec::new();
    for record in reader.records() {
        expected.push(record?.iter().map(str::to_owned).collect::<Vec<_>>());
    }
    ensure!(found.rows.len() == expected.len(), "expected {} rows, found {}", expected.len(), found.rows.len());
    let mut rows = found.rows.clone();
    sort(&mut rows, &found.columns);
    sort(&mut expected, &found.columns);
    for (at, (row, expected)) in rows.iter().zip(&expected).enumerate() {
        for (((name, data_type), value), expected) in found.columns.iter().zip(row).zip(expected) {
            check_value(value, expected, data_type)
                .with_context(|| format!("in row {at}, column `{name}`: {row:?}"))?;
        }
    }
    Ok(())
}

/// Sorts by what is exact first, so that a last digit cannot change the order.
fn sort(rows: &mut [Vec<String>], columns: &[(String, DataType)]) {
    let (numbers, texts): (Vec<usize>, Vec<usize>) = (0..columns.len()).partition(|at| is_number(&columns[*at].1));
    rows.sort_by(|a, b| {
        let by_text = texts.iter().map(|at| a[*at].cmp(&b[*at]));
        let by_number = numbers.iter().map(|at| compare_numbers(&a[*at], &b[*at]));
        by_text.chain(by_number).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    });
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

fn compare_numbers(a: &str, b: &str) -> Ordering {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) if (a - b).abs() <= FLOAT_TOLERANCE * a.abs().max(b.abs()) => Ordering::Equal,
        (Ok(a), Ok(b)) => a.total_cmp(&b),
        (Ok(_) | Err(_), Ok(_) | Err(_)) => a.cmp(b),
    }
}

fn check_value(found: &str, expected: &str, data_type: &DataType) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    ensure!(is_number(data_type) && !data_type.is_integer(), "expected `{expected}`, found `{found}`");
    let (Ok(found_number), Ok(expected_number)) = (found.parse::<f64>(), expected.parse::<f64>()) else {
        bail!("expected `{expected}`, found `{found}`");
    };
    let close = |tolerance: f64| (found_number - expected_number).abs() <= tolerance;
    let equal = if data_type.is_floating() {
        close(FLOAT_TOLERANCE * expected_number.abs())
    } else {
        let digits = decimals(found);
        trimmed(found) == trimmed(expected) || (decimals(expected) > digits && close(last_digit(digits)))
    };
    ensure!(equal, "expected {expected}, found {found} ({data_type})");
    Ok(())
}

/// Digits after the point.
fn decimals(number: &str) -> usize {
    number.split_once('.').map_or(0, |(_, fraction)| fraction.len())
}

fn last_digit(digits: usize) -> f64 {
    i32::try_from(digits).map_or(0.0, |digits| 10_f64.powi(-digits))
}

/// Without zeros at the end of the fraction.
fn trimmed(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: &str, expected: &str, data_type: DataType) -> bool {
        check_value(found, expected, &data_type).is_ok()
    }

    #[test]
    fn decimals_are_exact() {
        let decimal = DataType::Decimal128(38, 2);
        assert!(check("12.50", "12.5", decimal.clone()));
        assert!(check("12.00", "12", decimal.clone()));
        assert!(!check("12.51", "12.50", decimal.clone()));
        assert!(!check("12", "13", DataType::Int64));
        assert!(check("12.33", "12.333333", decimal.clone()), "an average of the other engine has more digits");
        assert!(!check("12.31", "12.333333", decimal));
    }

    #[test]
    fn floats_may_differ_a_little() {
        assert!(check("1000000000.0000001", "1000000000", DataType::Float64));
        assert!(!check("1000000010", "1000000000", DataType::Float64));
        assert!(!check("NULL", "1.0", DataType::Float64));
    }

    #[test]
    fn order_does_not_matter() {
        let columns = vec![("x".to_owned(), DataType::Float64), ("y".to_owned(), DataType::Utf8)];
        let mut rows = vec![vec!["2".to_owned(), "b".to_owned()], vec!["10".to_owned(), "a".to_owned()]];
        sort(&mut rows, &columns);
        assert_eq!(rows[0][1], "a");
    }
}
