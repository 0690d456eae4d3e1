//! A batch holds a bounded number of bytes, however long its records are.

use arrow::array::{AsArray, Int64Array};

use super::*;
use crate::filter::{ColumnFilter, Order, Test};
use crate::rows::FULL_BYTES;

/// Bytes that reading gives at once.
const CHUNK_BYTES: usize = 128 << 10;
const RECORD_BYTES: usize = 1 << 20;

/// Rows of each batch, and the bytes that its texts hold.
fn batches_of(text: &[u8], filters: Vec<ColumnFilter>) -> Vec<(usize, usize)> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.csv");
    std::fs::write(&path, text).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let table = CsvTable { batch_rows: 8192, filters, ..Case::new("", TYPED).table().as_ref().clone() };
    let reading = async {
        let paths = [path.display().to_string()];
        let file = hearth_storage::list_inputs(&paths, &InputFormat::Csv(CsvOptions::default())).await?.remove(0);
        let split = file.split((0, file.bytes), None);
        let mut records = Arc::new(table).open(&split, &RuntimeEnv::default()).await?;
        let mut batches = Vec::new();
        while let Some(batch) = records.next().await? {
            let buffers = batch.column(1).as_string_view().data_buffers();
            batches.push((batch.num_rows(), buffers.iter().map(|buffer| buffer.len()).sum()));
        }
        Ok::<_, FailureCause>(batches)
    };
    runtime.block_on(reading).unwrap()
}

fn check_bound(text: &[u8], filters: Vec<ColumnFilter>, records: usize) {
    let batches = batches_of(text, filters);
    assert_eq!(batches.iter().map(|batch| batch.0).sum::<usize>(), records);
    assert!(batches.len() > 1, "{batches:?}");
    for (rows, bytes) in &batches {
        assert!(*bytes <= FULL_BYTES + RECORD_BYTES + 2 * CHUNK_BYTES, "{batches:?}");
        assert!(*rows * RECORD_BYTES >= FULL_BYTES / 2 || bytes == &batches[batches.len() - 1].1, "{batches:?}");
    }
}

#[test]
fn batches_of_long_records_end_early() {
    let long = "x".repeat(RECORD_BYTES);
    let plain: String = (0..80).map(|id| format!("{id},{long}\n")).collect();
    let text = format!("id,name\n{plain}").into_bytes();
    check_bound(&text, Vec::new(), 80);
    let zero: ArrayRef = Arc::new(Int64Array::from(vec![0]));
    let all = ColumnFilter { column: 0, test: Test::Ordered(Order::GreaterOrEqual, zero) };
    check_bound(&text, vec![all], 80);
    // Texts with quotes inside are decoded to bytes of their own.
    let quoted: String = (0..80).map(|id| format!("{id},\"\"\"{long}\"\n")).collect();
    check_bound(format!("id,name\n{quoted}").as_bytes(), Vec::new(), 80);
}

#[test]
fn batches_of_ordinary_records_stay_full() {
    let note = "x".repeat(1000);
    let text: String = (0..20_000).map(|id| format!("{id},{note}\n")).collect();
    let batches = batches_of(format!("id,name\n{text}").as_bytes(), Vec::new());
    assert_eq!(batches.iter().map(|batch| batch.0).collect::<Vec<_>>(), [8192, 8192, 3616]);
}
