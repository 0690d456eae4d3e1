//! What was scattered is what gathering by index gives, for columns of every type that can be scattered.

use arrow::array::{
    AsArray, BooleanArray, Int8Array, Int16Array, Int32Array, Int64Array, StringViewArray, UInt32Array,
};
use arrow::compute::{cast, nullif, take_record_batch};
use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use proptest::prelude::*;

use super::*;

/// One row: text or NULL, a number or NULL, and its partition.
type Row = (Option<String>, Option<i64>, u32);

const PARTITIONS: usize = 5;

fn types() -> Vec<DataType> {
    vec![
        DataType::Utf8,
        DataType::Utf8View,
        DataType::Binary,
        DataType::BinaryView,
        DataType::Boolean,
        DataType::Int8,
        DataType::UInt16,
        DataType::Float32,
        DataType::Date32,
        DataType::Int64,
        DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        DataType::Decimal128(20, 2),
        DataType::Decimal256(50, 2),
    ]
}

fn column(rows: &[Row], data_type: &DataType) -> ArrayRef {
    let number = |row: &Row| row.1.map(|number| number.rem_euclid(100));
    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever a number can be cast to")]
    match data_type {
        DataType::Utf8 | DataType::Utf8View | DataType::Binary | DataType::BinaryView => {
            // There may be anything behind a NULL.
            let texts = rows.iter().map(|row| row.0.as_deref().or(Some("behind a NULL")));
            let texts = cast(&texts.collect::<StringViewArray>(), &DataType::Utf8).unwrap();
            let are_null: BooleanArray = rows.iter().map(|row| Some(row.0.is_none())).collect();
            nullif(&cast(&texts, data_type).unwrap(), &are_null).unwrap()
        }
        DataType::Boolean => {
            let flags: BooleanArray = rows.iter().map(|row| row.1.map(|number| number % 2 == 0)).collect();
            Arc::new(flags)
        }
        DataType::Int8 => Arc::new(rows.iter().map(|row| number(row).map(|n| n as i8)).collect::<Int8Array>()),
        DataType::UInt16 => {
            let numbers: Int16Array = rows.iter().map(|row| number(row).map(|n| n as i16)).collect();
            cast(&numbers, data_type).unwrap()
        }
        DataType::Float32 | DataType::Date32 => {
            let numbers: Int32Array = rows.iter().map(|row| number(row).map(|n| n as i32)).collect();
            cast(&numbers, data_type).unwrap()
        }
        other => cast(&rows.iter().map(number).collect::<Int64Array>(), other).unwrap(),
    }
}

fn batch(rows: &[Row], types: &[DataType]) -> RecordBatch {
    let fields: Vec<Field> =
        types.iter().enumerate().map(|(at, data_type)| Field::new(format!("c{at}"), data_type.clone(), true)).collect();
    let columns = types.iter().map(|data_type| column(rows, data_type)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// The rows of a partition, as frames have them.
fn expected(rows: &[Row], types: &[DataType], partition: u32) -> RecordBatch {
    let places: UInt32Array = (0_u32..).zip(rows).filter(|(_, row)| row.2 == partition).map(|(at, _)| at).collect();
    let taken = take_record_batch(&batch(rows, types), &places).unwrap();
    let schema = frame_schema(&taken.schema());
    let columns = taken.columns().iter().zip(schema.fields()).map(|(array, field)| cast(array, field.data_type()));
    RecordBatch::try_new(schema.clone(), columns.collect::<Result<_, _>>().unwrap()).unwrap()
}

/// Rows of a frame with their texts instead of numbers for them.
fn plain(frame: &RecordBatch) -> RecordBatch {
    let column = |column: &ArrayRef| match column.as_any_dictionary_opt() {
        Some(_) => cast(column, &DataType::Utf8).unwrap(),
        None => Arc::clone(column),
    };
    let columns: Vec<ArrayRef> = frame.columns().iter().map(column).collect();
    let types = columns.iter().map(|column| column.data_type().clone());
    RecordBatch::try_new(with_types(&frame.schema(), types), columns).unwrap()
}

fn texts() -> impl Strategy<Value = Option<String>> {
    prop::option::weighted(0.8, prop_oneof!["[a-c]{0,12}", ".{0,5}", "[a-c]{13,40}"])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn it_gives_what_gathering_by_index_gives(
        mut rows in prop::collection::vec((texts(), any::<Option<i64>>(), 0..PARTITIONS as u32), 1..200),
        cut_until in 0..400_usize,
        batch_rows in 1..50_usize,
        taken_between in any::<bool>(),
    ) {
        // There are few texts until then, or to the end.
        for (text, ..) in rows.iter_mut().take(cut_until) {
            *text = text.as_ref().map(|text| text.chars().take(1).collect());
        }
        let types = types();
        let whole = batch(&rows, &types);
        let mut scatter = Scatter::new(&whole.schema(), PARTITIONS).unwrap();
        if taken_between {
            // What came and went before leaves nothing but memory.
            scatter.append(&whole, &rows.iter().map(|row| row.2).collect::<Vec<_>>()).unwrap();
            (0..PARTITIONS).for_each(|partition| drop(scatter.take(partition).unwrap()));
            scatter.take_back();
        }
        for from in (0..rows.len()).step_by(batch_rows) {
            let rows = &rows[from..rows.len().min(from + batch_rows)];
            // Slices have offsets, and share what they point to.
            let places: Vec<u32> = rows.iter().map(|row| row.2).collect();
            scatter.append(&whole.slice(from, rows.len()), &places).unwrap();
        }
        for partition in 0..PARTITIONS {
            let expected = expected(&rows, &types, partition as u32);
            prop_assert_eq!(scatter.rows()[partition], expected.num_rows());
            prop_assert!(scatter.bytes(partition) <= scatter.capacity());
            let found = scatter.take(partition).unwrap();
            let of_partition = rows.iter().filter(|row| row.2 as usize == partition);
            let text_bytes: usize = of_partition.filter_map(|row| row.0.as_ref()).map(String::len).sum();
            for texts in found.columns().iter().take(2).filter_map(|column| column.as_string_opt::<i32>()) {
                prop_assert_eq!(texts.value_data().len(), text_bytes, "no more than that");
            }
            prop_assert_eq!(plain(&found), expected);
            prop_assert_eq!(scatter.rows()[partition], 0);
        }
    }
}

/// Takes what one column of texts became, in frames of one partition.
fn taken(batches: &[Vec<String>], partitions: usize) -> Vec<ArrayRef> {
    let schema = Arc::new(Schema::new(vec![Field::new("c", DataType::Utf8View, true)]));
    let mut scatter = Scatter::new(&schema, partitions).unwrap();
    let frame = |texts: &Vec<String>| {
        let column: ArrayRef = Arc::new(texts.iter().map(Some).collect::<StringViewArray>());
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap();
        scatter.append(&batch, &vec![0; texts.len()]).unwrap();
        Arc::clone(scatter.take(0).unwrap().column(0))
    };
    batches.iter().map(frame).collect()
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("kind {number}")).collect()
}

#[test]
fn few_short_texts_are_numbers_until_there_is_another() {
    let is_coded = |array: &ArrayRef| matches!(array.data_type(), DataType::Dictionary(..));
    let long = vec!["a text of 13b".to_owned()];
    for (batches, expected) in [
        (vec![numbered(0..3), numbered(2..9), numbered(0..64), numbered(63..64)], [true; 4].as_slice()),
        (vec![numbered(0..64), numbered(60..65), numbered(0..1)], &[true, false, false]),
        (vec![numbered(0..3), long.clone()], &[true, false]),
        (vec![numbered(0..65)], &[false]),
    ] {
        let found = taken(&batches, 2);
        assert_eq!(found.iter().map(is_coded).collect::<Vec<_>>(), expected, "{batches:?}");
        for (array, texts) in found.iter().zip(&batches) {
            let views = cast(&cast(array, &DataType::Utf8).unwrap(), &DataType::Utf8View).unwrap();
            assert!(views.as_string_view().iter().eq(texts.iter().map(|text| Some(text.as_str()))));
        }
    }
    assert!(!is_coded(&taken(&[numbered(0..3)], 1)[0]), "others may read the only partition");
}

#[test]
fn types_without_cells_are_gathered_otherwise() {
    let interval = Field::new("i", DataType::Interval(IntervalUnit::DayTime), true);
    let list = Field::new_list("l", Field::new_list_field(DataType::Int64, true), true);
    for field in [interval, list] {
        let plain = Field::new("n", DataType::Int64, true);
        assert!(Scatter::new(&Arc::new(Schema::new(vec![plain, field])), 3).is_none());
    }
    assert!(Scatter::new(&Arc::new(Schema::empty()), 1).is_none());
}
