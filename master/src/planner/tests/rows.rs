//! Rows as text, so that results can be compared.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// Whether the order of rows counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// It does.
    Counts,
    /// It does not.
    Any,
    /// Only how many rows there are counts.
    RowCount,
}

/// Fails where `found` differs from `expected`.
pub(super) fn assert_same(what: &str, order: Order, found: &[RecordBatch], expected: &[RecordBatch]) {
    let (mut found, mut expected) = (as_text(found), as_text(expected));
    match order {
        Order::Counts => {}
        Order::Any => {
            found.sort();
            expected.sort();
        }
        Order::RowCount => {
            found = vec![found.len().to_string()];
            expected = vec![expected.len().to_string()];
        }
    }
    if found != expected {
        let differs = found.iter().zip(&expected).position(|(one, other)| one != other);
        let at = differs.unwrap_or_else(|| found.len().min(expected.len()));
        panic!(
            "{what}\n{} rows, expected {}; first difference at {at}:\n  found    {:?}\n  expected {:?}",
            found.len(),
            expected.len(),
            found.get(at),
            expected.get(at)
        );
    }
}

fn as_text(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        let columns = batch.columns();
        let formatters: Vec<_> =
            columns.iter().map(|array| ArrayFormatter::try_new(array, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let cells = columns
                .iter()
                .zip(&formatters)
                .map(|(array, formatter)| float_at(array, row).unwrap_or_else(|| formatter.value(row).to_string()));
            rows.push(cells.collect::<Vec<_>>().join("|"));
        }
    }
    rows
}

/// Sums of floats depend on their order in the last digits.
fn float_at(array: &dyn Array, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    let value = if array.data_type() == &DataType::Float64 {
        array.as_primitive::<Float64Type>().value(row)
    } else if array.data_type() == &DataType::Float32 {
        f64::from(array.as_primitive::<Float32Type>().value(row))
    } else {
        return None;
    };
    Some(format!("{value:.8e}"))
}
