//! What an input's files look like: declared or inferred columns, and about how many rows.

use std::collections::HashMap;
use std::fmt;
use std::io::Cursor;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::json::reader::infer_json_schema;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::parquet::arrow::parquet_to_arrow_schema;
use futures::{StreamExt, TryStreamExt};
use hearth_common::{ColumnSpec, FailureCause, InferredColumn, InputFormat, InputSpec, Place, ValueType};
use hearth_csv::{SAMPLE_BYTES_MAX, Sample, byte_order_mark};
use hearth_storage::{InputFile, Location, StorageError, check_unchanged, read_range, read_start};

use crate::scan::is_json_object;

/// Files of a text input that are looked into, spread over all of them.
const SAMPLES_MAX: usize = 8;
/// A larger file is looked into at several places.
const LARGE_BYTES: u64 = 4 << 20;
/// Bytes that are looked at behind a file's beginning.
const LATER_SAMPLE_BYTES: u64 = 128 << 10;
/// Records of each JSON sample that are looked at.
const JSON_RECORDS_MAX: usize = 2000;
/// Bytes at the end of a Parquet file that are read at once, in the hope that the footer fits.
const FOOTER_BYTES: usize = 64 << 10;
/// Files that are open at once.
const OPEN_FILES_MAX: usize = 32;

/// Columns and size of an input.
#[derive(Debug, Clone)]
pub struct InputShape {
    /// Columns of the table.
    pub schema: SchemaRef,
    /// About how many rows all files have.
    pub rows_estimated: Option<u64>,
    /// What was inferred from samples; `None` for declared columns, and for files that know their own.
    pub inferred: Option<Inference>,
}

/// Columns as samples tell them.
#[derive(Debug, Clone)]
pub struct Inference {
    /// Records that were looked at.
    pub records: u64,
    /// The columns.
    pub columns: Vec<InferredColumn>,
}

/// What samples of text tell.
struct Sampled {
    schema: Schema,
    record_bytes: Option<u64>,
    records: u64,
    /// By column; empty where they were not counted.
    nulls: Vec<u64>,
}

/// Looks into the files of an input; declared columns are taken as they are.
///
/// # Errors
/// [`FailureCause::Task`] for files that are not of the format or do not agree with each other, and storage trouble.
pub async fn inspect_input(
    input: &InputSpec,
    files: &[InputFile],
    runtime: &RuntimeEnv,
) -> Result<InputShape, FailureCause> {
    let declared = match &input.schema {
        Some(columns) => Some(declared_schema(columns, &input.format)?),
        None => None,
    };
    let inferred = match &input.format {
        InputFormat::Csv(options) => {
            let samples = read_samples(files, runtime).await?;
            let inferred = hearth_csv::infer(options, &samples);
            let sampled = inferred.map(|hearth_csv::Inferred { schema, record_bytes, records, nulls }| Sampled {
                schema,
                record_bytes,
                records,
                nulls,
            });
            text_shape(declared.as_ref(), sampled, files)?
        }
        InputFormat::Json => {
            let samples = read_samples(files, runtime).await?;
            text_shape(declared.as_ref(), infer_json(&samples), files)?
        }
        InputFormat::Parquet => inspect_parquet(files, runtime).await?,
    };
    let schema = declared.unwrap_or(inferred.schema);
    Ok(InputShape { schema, ..inferred })
}

/// The columns of an input that declares none.
///
/// # Errors
/// As [`inspect_input`].
pub async fn infer_schema(
    format: &InputFormat,
    files: &[InputFile],
    runtime: &RuntimeEnv,
) -> Result<SchemaRef, FailureCause> {
    let input = InputSpec {
        paths: Vec::new(),
        format: format.clone(),
        compression: hearth_common::InputCompression::default(),
        schema: None,
        on_error: hearth_common::OnError::default(),
    };
    inspect_input(&input, files, runtime).await.map(|shape| shape.schema)
}

/// The table's columns as the job declares them.
///
/// # Errors
/// [`FailureCause::Task`] for a doubled name, and for a type that the format cannot hold.
pub fn declared_schema(columns: &[ColumnSpec], format: &InputFormat) -> Result<SchemaRef, FailureCause> {
    let mut fields: Vec<Field> = Vec::with_capacity(columns.len());
    for column in columns {
        let ColumnSpec { name, value_type } = column;
        let data_type = data_type_of(*value_type);
        if matches!(format, InputFormat::Csv(_)) && !hearth_csv::supports(&data_type) {
            return Err(FailureCause::task(format!(
                "CSV cannot hold column `{name}` of type {value_type}; use string"
            )));
        }
        if fields.iter().any(|field| field.name() == name) {
            return Err(FailureCause::task(format!("the schema declares column `{name}` twice")));
        }
        fields.push(Field::new(name, data_type, true));
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// The type of a declared column.
#[must_use]
pub const fn data_type_of(value_type: ValueType) -> DataType {
    match value_type {
        ValueType::String => DataType::Utf8View,
        ValueType::Bool => DataType::Boolean,
        ValueType::Int8 => DataType::Int8,
        ValueType::Int16 => DataType::Int16,
        ValueType::Int32 => DataType::Int32,
        ValueType::Int64 => DataType::Int64,
        ValueType::UInt8 => DataType::UInt8,
        ValueType::UInt16 => DataType::UInt16,
        ValueType::UInt32 => DataType::UInt32,
        ValueType::UInt64 => DataType::UInt64,
        ValueType::Float32 => DataType::Float32,
        ValueType::Float64 => DataType::Float64,
        ValueType::Decimal { precision, scale } => DataType::Decimal128(precision, scale.cast_signed()),
        ValueType::Date => DataType::Date32,
        ValueType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        ValueType::Time => DataType::Time64(TimeUnit::Microsecond),
        ValueType::Binary => DataType::BinaryView,
    }
}

/// The name of a type as a job file has it, or as arrow has it where a job file cannot name it.
#[must_use]
pub fn type_name(data_type: &DataType) -> String {
    if data_type.is_string() {
        return ValueType::String.to_string();
    }
    if let DataType::Decimal128(precision, scale) = data_type
        && let Ok(scale) = u8::try_from(*scale)
    {
        return ValueType::Decimal { precision: *precision, scale }.to_string();
    }
    let simple = ValueType::without_arguments().find(|value_type| data_type_of(*value_type) == *data_type);
    simple.map_or_else(|| data_type.to_string(), |value_type| value_type.to_string())
}

/// Puts declared columns before inferred ones: samples then only tell the length of a record, and may fail to.
fn text_shape(
    declared: Option<&SchemaRef>,
    sampled: Result<Sampled, FailureCause>,
    files: &[InputFile],
) -> Result<InputShape, FailureCause> {
    let (schema, record_bytes, inferred) = match (declared, sampled) {
        (Some(declared), sampled) => {
            (Arc::clone(declared), sampled.ok().and_then(|sampled| sampled.record_bytes), None)
        }
        (None, sampled) => {
            let sampled = sampled?;
            let inference = sampled.inference();
            (Arc::new(sampled.schema), sampled.record_bytes, Some(inference))
        }
    };
    let bytes: u64 = files.iter().map(InputFile::content_bytes_estimated).sum();
    Ok(InputShape { schema, rows_estimated: record_bytes.map(|record| bytes / record.max(1)), inferred })
}

impl Sampled {
    fn inference(&self) -> Inference {
        let column = |(number, field): (usize, &Arc<Field>)| InferredColumn {
            name: field.name().clone(),
            type_name: type_name(field.data_type()),
            nulls: self.nulls.get(number).copied(),
        };
        Inference { records: self.records, columns: self.schema.fields().iter().enumerate().map(column).collect() }
    }
}

/// The beginnings of some files, the first and the last among them.
async fn read_samples(files: &[InputFile], runtime: &RuntimeEnv) -> Result<Vec<Sample>, StorageError> {
    let filled: Vec<&InputFile> = files.iter().filter(|file| file.bytes > 0).collect();
    let count = filled.len().min(SAMPLES_MAX);
    let chosen = (0..count).map(|index| filled[index * (filled.len() - 1) / (count - 1).max(1)]);
    let places = chosen.flat_map(|file| sample_places(file).map(move |range| (file, range)));
    let reads = places.map(|(file, range)| async move {
        if range.start == 0 {
            let start = read_start(runtime, file, SAMPLE_BYTES_MAX).await?;
            return Ok(Sample { file: file.url.clone(), is_start: true, whole: start.is_whole, bytes: start.bytes });
        }
        let whole = range.end == file.bytes;
        Ok(Sample { file: file.url.clone(), is_start: false, whole, bytes: read_range(runtime, file, range).await? })
    });
    futures::stream::iter(reads).buffered(SAMPLES_MAX).try_collect().await
}

/// Where a file is looked into: at its beginning, and if it is large and stored as it is read, in its middle and at its end.
fn sample_places(file: &InputFile) -> impl Iterator<Item = Range<u64>> + use<> {
    let file_bytes = file.bytes;
    let has_later = file_bytes > LARGE_BYTES && !file.is_decoded();
    let start = 0..file_bytes.min(SAMPLE_BYTES_MAX);
    let later = [file_bytes / 2, file_bytes.saturating_sub(LATER_SAMPLE_BYTES)];
    let later = later.into_iter().filter(move |_| has_later);
    std::iter::once(start).chain(later.map(|start| start..start + LATER_SAMPLE_BYTES))
}

fn infer_json(samples: &[Sample]) -> Result<Sampled, FailureCause> {
    let mut lines = Vec::new();
    let mut records = 0_u64;
    for sample in samples {
        let whole = whole_lines(sample);
        // Lines that are no records tell nothing of the columns; the reading tells of them, with their place.
        for line in whole.split(|byte| *byte == b'\n').filter(|line| is_json_object(line)) {
            lines.extend_from_slice(line);
            lines.push(b'\n');
            records += 1;
        }
    }
    let file = samples.first().map_or("", |sample| sample.file.as_str());
    let (schema, _) = infer_json_schema(Cursor::new(&lines), None).map_err(|error| {
        at_file(file, format!("cannot infer the columns: {error}; each line must be one JSON object"))
    })?;
    if schema.fields().is_empty() {
        return Err(at_file(file, "cannot infer the columns: the files hold no JSON object; declare a schema".into()));
    }
    let record_bytes = (lines.len() as u64).checked_div(records);
    Ok(Sampled { schema: text_as_views(&schema), record_bytes, records, nulls: Vec::new() })
}

/// At most [`JSON_RECORDS_MAX`] lines, without a first and a last one that the sample cuts off.
fn whole_lines(sample: &Sample) -> Bytes {
    let cut_off = sample.bytes.iter().position(|byte| *byte == b'\n').map_or(sample.bytes.len(), |end| end + 1);
    let bytes = sample.bytes.slice(if sample.is_start { byte_order_mark(&sample.bytes) } else { cut_off }..);
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(position, _)| position + 1);
    let ends: Vec<usize> = ends.take(JSON_RECORDS_MAX).collect();
    if sample.whole && ends.len() < JSON_RECORDS_MAX {
        return bytes;
    }
    bytes.slice(..ends.last().copied().unwrap_or(0))
}

struct Footer<'a> {
    file: &'a InputFile,
    schema: Schema,
    rows: u64,
}

/// Reads every footer: a column may be in some files only, and the numbers of rows are exact.
async fn inspect_parquet(files: &[InputFile], runtime: &RuntimeEnv) -> Result<InputShape, FailureCause> {
    let reads = files.iter().map(|file| async move {
        let (schema, rows) = read_footer(file, runtime).await?;
        Ok::<_, FailureCause>(Footer { file, schema, rows })
    });
    let footers = futures::stream::iter(reads).buffered(OPEN_FILES_MAX);
    let footers: Vec<Footer<'_>> = footers.try_collect().await?;
    let mut merged = Schema::empty();
    let mut rows = 0;
    for Footer { file, schema, rows: file_rows } in footers {
        merged = Schema::try_merge([merged, schema]).map_err(|error| {
            at_file(&file.url, format!("the file's columns do not agree with those of the files before it: {error}"))
        })?;
        rows += file_rows;
    }
    Ok(InputShape { schema: Arc::new(text_as_views(&merged)), rows_estimated: Some(rows), inferred: None })
}

async fn read_footer(file: &InputFile, runtime: &RuntimeEnv) -> Result<(Schema, u64), FailureCause> {
    let meta = check_unchanged(runtime, file).await?;
    let location = Location::parse(&file.url)?;
    let store = runtime.object_store(location.store_url()?).map_err(|error| crate::cause_of(&error))?;
    let broken = |error: &dyn fmt::Display| at_file(&file.url, format!("cannot read the Parquet footer: {error}"));
    let footer = DFParquetMetadata::new(store.as_ref(), &meta).with_metadata_size_hint(Some(FOOTER_BYTES));
    let footer = footer.fetch_metadata().await.map_err(|error| {
        let cause = crate::cause_of(&error);
        if let FailureCause::Task { message, .. } = &cause { broken(message) } else { cause }
    })?;
    let footer = footer.file_metadata();
    let schema = parquet_to_arrow_schema(footer.schema_descr(), footer.key_value_metadata());
    let schema = schema.map_err(|error| broken(&error))?;
    Ok((schema, u64::try_from(footer.num_rows()).unwrap_or_default()))
}

/// Text and bytes as views, which operators compare and group without copying. A column without any value is text.
fn text_as_views(schema: &Schema) -> Schema {
    let fields = schema.fields().iter().map(|field| {
        let data_type = field.data_type();
        let data_type = if data_type.is_string() || data_type.is_null() {
            DataType::Utf8View
        } else if matches!(data_type, DataType::Binary | DataType::LargeBinary) {
            DataType::BinaryView
        } else {
            data_type.clone()
        };
        Arc::new(field.as_ref().clone().with_data_type(data_type).with_metadata(HashMap::new()))
    });
    Schema::new(fields.collect::<Vec<_>>())
}

fn at_file(file: &str, message: String) -> FailureCause {
    FailureCause::Task { message, place: Some(Place { file: file.to_owned(), ..Place::default() }) }
}

#[cfg(test)]
mod tests;
