//! Columns of a batch, filled run by run. Values come straight from the bytes of the file.

mod decimal;
mod number;
mod temporal;
mod text;

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, BooleanArray, NullBufferBuilder, PrimitiveArray, new_null_array};
use arrow::buffer::Buffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use hearth_common::{CsvOptions, ValueType};

use crate::field::FieldRules;
use crate::run::Run;

pub(crate) use number::{parse_bool, parse_int};
pub(crate) use temporal::{parse_date, parse_timestamp};
use text::TextColumn;

/// One column that is being filled.
pub(crate) trait Column: Send {
    /// What follows stands in other bytes.
    fn begin_segment(&mut self) {}

    /// Adds the fields of a run. Where one is not of the column's type it adds NULL, and tells the record's number in the run.
    fn add(&mut self, run: Run<'_>, buffer: &Buffer, bad: &mut Vec<usize>);

    /// The rows so far; begins anew.
    fn finish(&mut self) -> ArrayRef;
}

/// A column of the table in one file: where the file has it, `None` where it is NULL throughout.
pub(crate) fn column(
    data_type: &DataType,
    field: Option<usize>,
    (options, rows): (&CsvOptions, usize),
) -> Box<dyn Column> {
    let Some(field) = field else {
        return Box::new(NullColumn { data_type: data_type.clone(), rows: 0 });
    };
    let place = Place { field, rules: FieldRules::new(options), rows };
    match value_type(data_type) {
        Some(ValueType::Bool) => Box::new(BoolColumn::new(place)),
        Some(ValueType::Int8) => typed::<Int8Type, _>(place, data_type, parse_int),
        Some(ValueType::Int16) => typed::<Int16Type, _>(place, data_type, parse_int),
        Some(ValueType::Int32) => typed::<Int32Type, _>(place, data_type, parse_int),
        Some(ValueType::Int64) => typed::<Int64Type, _>(place, data_type, parse_int),
        Some(ValueType::UInt8) => typed::<UInt8Type, _>(place, data_type, parse_int),
        Some(ValueType::UInt16) => typed::<UInt16Type, _>(place, data_type, parse_int),
        Some(ValueType::UInt32) => typed::<UInt32Type, _>(place, data_type, parse_int),
        Some(ValueType::UInt64) => typed::<UInt64Type, _>(place, data_type, parse_int),
        Some(ValueType::Float32) => typed::<Float32Type, _>(place, data_type, number::parse_float),
        Some(ValueType::Float64) => typed::<Float64Type, _>(place, data_type, number::parse_float),
        Some(ValueType::Decimal { precision, scale }) => {
            typed::<Decimal128Type, _>(place, data_type, move |text| decimal::parse_decimal(text, precision, scale))
        }
        Some(ValueType::Date) => date_column(place, options),
        Some(ValueType::Timestamp) => timestamp_column(place, options),
        Some(ValueType::Time) => typed::<Time64MicrosecondType, _>(place, data_type, temporal::parse_time),
        // What is neither is refused by `supports`.
        Some(ValueType::String | ValueType::Binary) | None => Box::new(TextColumn::new(place)),
    }
}

fn date_column(place: Place, options: &CsvOptions) -> Box<dyn Column> {
    match options.date_format.clone() {
        None => typed::<Date32Type, _>(place, &DataType::Date32, parse_date),
        Some(format) => {
            typed::<Date32Type, _>(place, &DataType::Date32, move |text| temporal::parse_date_as(text, &format))
        }
    }
}

fn timestamp_column(place: Place, options: &CsvOptions) -> Box<dyn Column> {
    let data_type = DataType::Timestamp(TimeUnit::Microsecond, None);
    match options.timestamp_format.clone() {
        None => typed::<TimestampMicrosecondType, _>(place, &data_type, parse_timestamp),
        Some(format) => typed::<TimestampMicrosecondType, _>(place, &data_type, move |text| {
            temporal::parse_timestamp_as(text, &format)
        }),
    }
}

/// Whether a CSV column can have this type.
#[must_use]
pub fn supports(data_type: &DataType) -> bool {
    value_type(data_type).is_some()
}

/// The type as a job file names it.
pub(crate) fn type_name(data_type: &DataType) -> String {
    value_type(data_type).map_or_else(|| data_type.to_string(), |value_type| value_type.to_string())
}

/// The type of a job file that an Arrow type stands for; `None` where CSV has none.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "CSV cannot hold any other type of Arrow, also none that is yet to come"
)]
fn value_type(data_type: &DataType) -> Option<ValueType> {
    Some(match data_type {
        DataType::Utf8View => ValueType::String,
        DataType::Boolean => ValueType::Bool,
        DataType::Int8 => ValueType::Int8,
        DataType::Int16 => ValueType::Int16,
        DataType::Int32 => ValueType::Int32,
        DataType::Int64 => ValueType::Int64,
        DataType::UInt8 => ValueType::UInt8,
        DataType::UInt16 => ValueType::UInt16,
        DataType::UInt32 => ValueType::UInt32,
        DataType::UInt64 => ValueType::UInt64,
        DataType::Float32 => ValueType::Float32,
        DataType::Float64 => ValueType::Float64,
        DataType::Decimal128(precision, scale) => {
            ValueType::Decimal { precision: *precision, scale: u8::try_from(*scale).ok()? }
        }
        DataType::Date32 => ValueType::Date,
        DataType::Timestamp(TimeUnit::Microsecond, None) => ValueType::Timestamp,
        DataType::Time64(TimeUnit::Microsecond) => ValueType::Time,
        _ => return None,
    })
}

/// Which field of a record a column is, and how fields are read.
struct Place {
    field: usize,
    rules: FieldRules,
    /// Rows of a batch.
    rows: usize,
}

impl Place {
    /// Reads the fields of a run as values: a value, NULL, or none of both.
    #[inline]
    fn read<V>(&self, run: Run<'_>, parse: impl Fn(&[u8]) -> Option<V>, mut add: impl FnMut(Parsed<V>)) {
        for (_, raw) in run.fields(self.field) {
            let parsed = if self.rules.is_plain(raw) {
                self.value(raw, &parse)
            } else {
                self.value(&self.rules.read(raw).text, &parse)
            };
            add(parsed);
        }
    }

    #[inline]
    fn value<V>(&self, text: &[u8], parse: &impl Fn(&[u8]) -> Option<V>) -> Parsed<V> {
        if self.rules.is_null(text) {
            return Parsed::Null;
        }
        parse(text).map_or(Parsed::Bad, Parsed::Value)
    }
}

enum Parsed<V> {
    Value(V),
    Null,
    Bad,
}

fn typed<T, P>(place: Place, data_type: &DataType, parse: P) -> Box<dyn Column>
where
    T: ArrowPrimitiveType,
    P: Fn(&[u8]) -> Option<T::Native> + Send + 'static,
{
    let rows = place.rows;
    Box::new(TypedColumn::<T, P> {
        place,
        data_type: data_type.clone(),
        parse,
        values: Vec::with_capacity(rows),
        nulls: NullBufferBuilder::new(rows),
    })
}

struct TypedColumn<T: ArrowPrimitiveType, P> {
    place: Place,
    data_type: DataType,
    parse: P,
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
}

impl<T, P> Column for TypedColumn<T, P>
where
    T: ArrowPrimitiveType,
    P: Fn(&[u8]) -> Option<T::Native> + Send,
{
    fn add(&mut self, run: Run<'_>, _buffer: &Buffer, bad: &mut Vec<usize>) {
        let before = self.values.len();
        let (values, nulls) = (&mut self.values, &mut self.nulls);
        self.place.read(run, &self.parse, |parsed| match parsed {
            Parsed::Value(value) => {
                values.push(value);
                nulls.append_non_null();
            }
            Parsed::Null => {
                values.push(T::Native::default());
                nulls.append_null();
            }
            Parsed::Bad => {
                bad.push(values.len() - before);
                values.push(T::Native::default());
                nulls.append_null();
            }
        });
    }

    fn finish(&mut self) -> ArrayRef {
        let values = std::mem::replace(&mut self.values, Vec::with_capacity(self.place.rows));
        let array = PrimitiveArray::<T>::new(values.into(), self.nulls.finish());
        Arc::new(array.with_data_type(self.data_type.clone()))
    }
}

struct BoolColumn {
    place: Place,
    values: Vec<bool>,
    nulls: NullBufferBuilder,
}

impl BoolColumn {
    fn new(place: Place) -> Self {
        let rows = place.rows;
        Self { place, values: Vec::with_capacity(rows), nulls: NullBufferBuilder::new(rows) }
    }
}

impl Column for BoolColumn {
    fn add(&mut self, run: Run<'_>, _buffer: &Buffer, bad: &mut Vec<usize>) {
        let before = self.values.len();
        let (values, nulls) = (&mut self.values, &mut self.nulls);
        self.place.read(run, parse_bool, |parsed| {
            match parsed {
                Parsed::Value(_) => nulls.append_non_null(),
                Parsed::Null => nulls.append_null(),
                Parsed::Bad => {
                    bad.push(values.len() - before);
                    nulls.append_null();
                }
            }
            values.push(matches!(parsed, Parsed::Value(true)));
        });
    }

    fn finish(&mut self) -> ArrayRef {
        let values = std::mem::replace(&mut self.values, Vec::with_capacity(self.place.rows));
        Arc::new(BooleanArray::new(values.into(), self.nulls.finish()))
    }
}

/// A column that the file does not have.
struct NullColumn {
    data_type: DataType,
    rows: usize,
}

impl Column for NullColumn {
    fn add(&mut self, run: Run<'_>, _buffer: &Buffer, _bad: &mut Vec<usize>) {
        self.rows += run.records;
    }

    fn finish(&mut self) -> ArrayRef {
        new_null_array(&self.data_type, std::mem::take(&mut self.rows))
    }
}
