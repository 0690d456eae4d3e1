//! Frames whose texts are numbers with a list of them.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray, UInt8Array};
use arrow::datatypes::UInt8Type;
use arrow::ipc::writer::IpcWriteOptions;

use super::super::frame;
use super::{rows, schema};

/// A frame's rows: numbers for so many texts.
pub(super) fn numbers(numbers: impl Iterator<Item = u8>, texts: usize) -> RecordBatch {
    let numbers: UInt8Array = numbers.map(Some).collect();
    let texts: StringArray = (0..texts).map(|n| Some(format!("kind {n}"))).collect();
    let count = Int64Array::from(vec![1; numbers.len()]);
    let keys: DictionaryArray<UInt8Type> = DictionaryArray::new(numbers, Arc::new(texts));
    RecordBatch::try_from_iter_with_nullable([("k", Arc::new(keys) as ArrayRef, true), ("n", Arc::new(count), false)])
        .unwrap()
}

#[test]
fn a_number_without_a_text_is_an_error() {
    let encode = |rows: &RecordBatch| {
        let (mut payload, options) = (Vec::new(), IpcWriteOptions::default());
        frame::encode(rows, &options, &mut payload).unwrap();
        payload
    };
    let marked = [5, 0, 4, 5, 0, 4, 5, 0, 4];
    let mut payload = encode(&numbers(marked.into_iter(), 6));
    let decode = |payload: &[u8]| frame::decode(payload.into(), &schema());
    assert_eq!(rows(&decode(&payload).unwrap())[2], (Some("kind 4".into()), 1));
    let at = payload.windows(marked.len()).position(|bytes| bytes == marked).unwrap();
    payload[at + 2] = 6;
    let error = decode(&payload).unwrap_err().to_string();
    assert!(error.contains('6'), "{error}");
}
