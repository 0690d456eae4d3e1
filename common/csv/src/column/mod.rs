//! Columns of a batch, filled run by run. Values come straight from the bytes of the file.

mod check;
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
use hearth_common::{CsvOptions, FailureCause, ValueType};

use crate::field::FieldRules;
use crate::filter::Test;
use crate::rows::Kept;
use crate::run::Run;
use check::{CheckedType, Checks};

pub(crate) use number::{parse_bool, parse_int};
pub(crate) use temporal::{parse_date, parse_timestamp};
use text::TextColumn;

/// One column that is being filled.
pub(crate) trait Column: Send {
    /// What follows stands in other bytes.
    fn begin_segment(&mut self) {}

    /// Adds the fields of a run. Where one is not of the column's type it adds NULL, and tells the record's number in the run.
    fn add(&mut self, run: Run<'_>, buffer: &Buffer, bad: &mut Vec<usize>);

    /// Takes out of `keep` the records of a run that do not pass the column's tests. Where a field is not of the column's type, its
    /// record is taken out too, and told.
    fn narrow(&self, run: Run<'_>, keep: &mut [bool], bad: &mut Vec<usize>);

    /// Adds the fields of those records of a run that are kept. As [`Column::add`] it tells every record of the run whose field is not
    /// of the column's type, kept or not, but for those that [`Column::narrow`] has told.
    fn add_kept(&mut self, some: (Run<'_>, &Kept), buffer: &Buffer, bad: &mut Vec<usize>);

    /// The rows so far; begins anew.
    fn finish(&mut self) -> ArrayRef;
}

/// What a column of the table is in one file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ColumnSpec<'a> {
    pub(crate) data_type: &'a DataType,
    /// Where the file has it; `None` where it is NULL throughout.
    pub(crate) field: Option<usize>,
    /// What its values have to pass.
    pub(crate) tests: &'a [Test],
}

/// A column that is to be filled, or tested.
///
/// # Errors
/// A test that does not fit the column's type.
pub(crate) fn column(
    spec: ColumnSpec<'_>,
    (options, rows): (&CsvOptions, usize),
) -> Result<Box<dyn Column>, FailureCause> {
    let ColumnSpec { data_type, field, tests } = spec;
    let Some(field) = field else {
        return Ok(Box::new(NullColumn { data_type: data_type.clone(), passes: Test::all_take_null(tests), rows: 0 }));
    };
    let place = Place { field, rules: FieldRules::new(options), rows };
    match value_type(data_type) {
        Some(ValueType::Bool) => Ok(Box::new(BoolColumn::new(place, Checks::of_any(tests)?))),
        // What is neither is refused by `supports`.
        Some(ValueType::String | ValueType::Binary) | None => {
            Ok(Box::new(TextColumn::new(place, Checks::of_texts(tests)?)))
        }
        Some(value_type) => typed_column((place, tests), (data_type, value_type), options),
    }
}

/// A column of numbers, dates or times.
fn typed_column(
    place: Tested<'_>,
    (data_type, value_type): (&DataType, ValueType),
    options: &CsvOptions,
) -> Result<Box<dyn Column>, FailureCause> {
    match value_type {
        ValueType::Int8 => typed::<Int8Type, _>(place, data_type, parse_int),
        ValueType::Int16 => typed::<Int16Type, _>(place, data_type, parse_int),
        ValueType::Int32 => typed::<Int32Type, _>(place, data_type, parse_int),
        ValueType::Int64 => typed::<Int64Type, _>(place, data_type, parse_int),
        ValueType::UInt8 => typed::<UInt8Type, _>(place, data_type, parse_int),
        ValueType::UInt16 => typed::<UInt16Type, _>(place, data_type, parse_int),
        ValueType::UInt32 => typed::<UInt32Type, _>(place, data_type, parse_int),
        ValueType::UInt64 => typed::<UInt64Type, _>(place, data_type, parse_int),
        ValueType::Float32 => typed::<Float32Type, _>(place, data_type, number::parse_float),
        ValueType::Float64 => typed::<Float64Type, _>(place, data_type, number::parse_float),
        ValueType::Decimal { precision, scale } => {
            typed::<Decimal128Type, _>(place, data_type, move |text| decimal::parse_decimal(text, precision, scale))
        }
        ValueType::Date => date_column(place, options),
        ValueType::Timestamp => timestamp_column(place, options),
        ValueType::Time => typed::<Time64MicrosecondType, _>(place, data_type, temporal::parse_time),
        ValueType::Bool | ValueType::String | ValueType::Binary => {
            Err(FailureCause::internal(format!("{value_type} is no type of numbers")))
        }
    }
}

fn date_column(place: Tested<'_>, options: &CsvOptions) -> Result<Box<dyn Column>, FailureCause> {
    match options.date_format.clone() {
        None => typed::<Date32Type, _>(place, &DataType::Date32, parse_date),
        Some(format) => {
            typed::<Date32Type, _>(place, &DataType::Date32, move |text| temporal::parse_date_as(text, &format))
        }
    }
}

fn timestamp_column(place: Tested<'_>, options: &CsvOptions) -> Result<Box<dyn Column>, FailureCause> {
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

/// A place, and what its values have to pass.
type Tested<'a> = (Place, &'a [Test]);

impl Place {
    /// Reads the fields of a run as values: a value, NULL, or none of both.
    #[inline]
    fn read<V>(&self, run: Run<'_>, parse: impl Fn(&[u8]) -> Option<V>, mut add: impl FnMut(Parsed<V>)) {
        for (_, raw) in run.fields(self.field) {
            add(self.parse(raw, &parse));
        }
    }

    #[inline]
    fn parse<V>(&self, raw: &[u8], parse: &impl Fn(&[u8]) -> Option<V>) -> Parsed<V> {
        if self.rules.is_plain(raw) { self.value(raw, parse) } else { self.value(&self.rules.read(raw).text, parse) }
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

impl<V> Parsed<V> {
    fn value(self) -> Option<V> {
        match self {
            Self::Value(value) => Some(value),
            Self::Null | Self::Bad => None,
        }
    }
}

fn typed<T, P>((place, tests): Tested<'_>, data_type: &DataType, parse: P) -> Result<Box<dyn Column>, FailureCause>
where
    T: CheckedType,
    P: Fn(&[u8]) -> Option<T::Native> + Send + 'static,
{
    let rows = place.rows;
    Ok(Box::new(TypedColumn::<T, P> {
        checks: Checks::of_numbers::<T>(tests, data_type)?,
        place,
        data_type: data_type.clone(),
        parse,
        values: Vec::with_capacity(rows),
        nulls: NullBufferBuilder::new(rows),
    }))
}

struct TypedColumn<T: ArrowPrimitiveType, P> {
    place: Place,
    data_type: DataType,
    parse: P,
    checks: Checks<T::Native>,
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
}

impl<T, P> TypedColumn<T, P>
where
    T: ArrowPrimitiveType,
    P: Fn(&[u8]) -> Option<T::Native>,
{
    fn push(&mut self, value: Option<T::Native>) {
        self.values.push(value.unwrap_or_default());
        self.nulls.append(value.is_some());
    }
}

impl<T, P> Column for TypedColumn<T, P>
where
    T: CheckedType,
    P: Fn(&[u8]) -> Option<T::Native> + Send,
{
    fn narrow(&self, run: Run<'_>, keep: &mut [bool], bad: &mut Vec<usize>) {
        let mut row = 0;
        self.place.read(run, &self.parse, |parsed| {
            let passes = match parsed {
                Parsed::Value(value) => self.checks.take_number(value),
                Parsed::Null => self.checks.take_null(),
                Parsed::Bad => {
                    bad.push(row);
                    false
                }
            };
            keep[row] &= passes;
            row += 1;
        });
    }

    fn add_kept(&mut self, (run, kept): (Run<'_>, &Kept), _buffer: &Buffer, bad: &mut Vec<usize>) {
        let field = self.place.field;
        if !self.checks.is_empty() {
            for row in &kept.rows {
                let parsed = self.place.parse(run.field(*row, field).1, &self.parse);
                self.push(parsed.value());
            }
            return;
        }
        for ((_, raw), (row, is_kept)) in run.fields(field).zip(kept.mask.iter().enumerate()) {
            let parsed = self.place.parse(raw, &self.parse);
            if matches!(parsed, Parsed::Bad) {
                bad.push(row);
            }
            if *is_kept {
                self.push(parsed.value());
            }
        }
    }

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
    checks: Checks<bool>,
    values: Vec<bool>,
    nulls: NullBufferBuilder,
}

impl BoolColumn {
    fn new(place: Place, checks: Checks<bool>) -> Self {
        let rows = place.rows;
        Self { place, checks, values: Vec::with_capacity(rows), nulls: NullBufferBuilder::new(rows) }
    }
}

impl Column for BoolColumn {
    fn narrow(&self, run: Run<'_>, keep: &mut [bool], bad: &mut Vec<usize>) {
        let mut row = 0;
        self.place.read(run, parse_bool, |parsed| {
            let passes = match parsed {
                Parsed::Value(_) => self.checks.take_any(),
                Parsed::Null => self.checks.take_null(),
                Parsed::Bad => {
                    bad.push(row);
                    false
                }
            };
            keep[row] &= passes;
            row += 1;
        });
    }

    fn add_kept(&mut self, (run, kept): (Run<'_>, &Kept), _buffer: &Buffer, bad: &mut Vec<usize>) {
        let is_told = !self.checks.is_empty();
        for ((_, raw), (row, is_kept)) in run.fields(self.place.field).zip(kept.mask.iter().enumerate()) {
            let parsed = self.place.parse(raw, &parse_bool);
            if matches!(parsed, Parsed::Bad) && !is_told {
                bad.push(row);
            }
            if *is_kept {
                let value = parsed.value();
                self.nulls.append(value.is_some());
                self.values.push(value.unwrap_or_default());
            }
        }
    }

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
    /// NULL passes its tests.
    passes: bool,
    rows: usize,
}

impl Column for NullColumn {
    fn narrow(&self, _run: Run<'_>, keep: &mut [bool], _bad: &mut Vec<usize>) {
        if !self.passes {
            keep.fill(false);
        }
    }

    fn add_kept(&mut self, (_, kept): (Run<'_>, &Kept), _buffer: &Buffer, _bad: &mut Vec<usize>) {
        self.rows += kept.rows.len();
    }

    fn add(&mut self, run: Run<'_>, _buffer: &Buffer, _bad: &mut Vec<usize>) {
        self.rows += run.records;
    }

    fn finish(&mut self) -> ArrayRef {
        new_null_array(&self.data_type, std::mem::take(&mut self.rows))
    }
}
