//! Columns that rows are appended to, one of each kind for every shuffle partition.
//!
//! Text goes from wherever its views point straight to the bytes of its partition; it is written as plain text with offsets, which
//! takes less room in a frame than views do. Memory that was lent to a frame comes back for the next one.

use std::fmt;

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, GenericByteViewArray, NullBufferBuilder,
    make_array,
};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::{
    ArrowNativeType, BinaryType, BinaryViewType, ByteArrayType, ByteViewType, DataType, StringViewType, Utf8Type, i256,
};
use arrow::error::ArrowError;
use hearth_plan::{append_inline, append_text};

use super::coded::ViewCells;

/// Memory beyond that is not kept for the next frame.
const KEPT_BYTES_MAX: usize = 1 << 20;
/// Longest text that a view holds itself.
const INLINE_MAX: usize = 12;

/// Which shuffle partition each row of a batch belongs to, and how many rows each gets.
#[derive(Clone, Copy)]
pub(super) struct Places<'a> {
    pub(super) partitions: &'a [u32],
    pub(super) counts: &'a [usize],
}

/// One column of all shuffle partitions.
pub(super) trait Cells: fmt::Debug + Send {
    /// Appends every row of `array` to its partition.
    fn append(&mut self, array: &ArrayRef, places: Places<'_>) -> Result<(), ArrowError>;

    /// Bytes of the rows of a partition.
    fn bytes(&self, partition: usize) -> usize;

    /// Memory that is held for a partition.
    fn capacity(&self, partition: usize) -> usize;

    /// The rows of a partition, which is empty then.
    fn take(&mut self, partition: usize) -> Result<ArrayRef, ArrowError>;

    /// Takes back the memory of what was taken, as far as nobody uses it any more.
    fn take_back(&mut self);
}

/// The type that a column of `data_type` has in frames.
pub(super) fn frame_type(data_type: &DataType) -> DataType {
    if *data_type == DataType::Utf8View {
        DataType::Utf8
    } else if *data_type == DataType::BinaryView {
        DataType::Binary
    } else {
        data_type.clone()
    }
}

/// Cells for a column; `None` for a type that is gathered otherwise.
pub(super) fn cells_for(data_type: &DataType, partitions: usize) -> Option<Box<dyn Cells>> {
    use DataType as D;
    let (wire, count) = (frame_type(data_type), partitions);
    #[expect(clippy::wildcard_enum_match_arm, reason = "types that come later are gathered the general way")]
    Some(match data_type {
        // A single partition may be a result, which others read.
        D::Utf8View if count > 1 => Box::new(ViewCells::new(count)),
        D::Utf8 | D::Utf8View | D::Binary | D::BinaryView => Box::new(TextCells::new(wire, count)),
        D::Boolean => Box::new(FlagCells::new(count)),
        D::Int8 | D::UInt8 => Box::new(FixedCells::<u8>::new(wire, count)),
        D::Int16 | D::UInt16 | D::Float16 => Box::new(FixedCells::<u16>::new(wire, count)),
        D::Int32 | D::UInt32 | D::Float32 | D::Date32 | D::Time32(_) | D::Decimal32(..) => {
            Box::new(FixedCells::<u32>::new(wire, count))
        }
        D::Int64
        | D::UInt64
        | D::Float64
        | D::Date64
        | D::Time64(_)
        | D::Timestamp(..)
        | D::Duration(_)
        | D::Decimal64(..) => Box::new(FixedCells::<u64>::new(wire, count)),
        D::Decimal128(..) => Box::new(FixedCells::<i128>::new(wire, count)),
        D::Decimal256(..) => Box::new(FixedCells::<i256>::new(wire, count)),
        _ => return None,
    })
}

/// Notes which of the rows are NULL.
fn append_nulls<'a>(
    builders: impl Iterator<Item = &'a mut NullBufferBuilder>,
    nulls: Option<&NullBuffer>,
    places: Places<'_>,
) {
    match nulls.filter(|nulls| nulls.null_count() > 0) {
        None => builders.zip(places.counts).for_each(|(builder, rows)| builder.append_n_non_nulls(*rows)),
        Some(nulls) => {
            let mut builders: Vec<_> = builders.collect();
            for (valid, partition) in nulls.iter().zip(places.partitions) {
                builders[*partition as usize].append(valid);
            }
        }
    }
}

/// Values of one size.
#[derive(Debug)]
pub(super) struct FixedCells<T> {
    data_type: DataType,
    parts: Vec<(Vec<T>, NullBufferBuilder)>,
    lent: Vec<(usize, Buffer)>,
}

impl<T: ArrowNativeType> FixedCells<T> {
    pub(super) fn new(data_type: DataType, partitions: usize) -> Self {
        let part = || (Vec::new(), NullBufferBuilder::new(0));
        Self { data_type, parts: std::iter::repeat_with(part).take(partitions).collect(), lent: Vec::new() }
    }

    pub(super) fn partitions(&self) -> usize {
        self.parts.len()
    }

    pub(super) fn append_values(&mut self, values: &[T], nulls: Option<&NullBuffer>, places: Places<'_>) {
        for (value, partition) in values.iter().zip(places.partitions) {
            self.parts[*partition as usize].0.push(*value);
        }
        append_nulls(self.parts.iter_mut().map(|(_, nulls)| nulls), nulls, places);
    }
}

impl<T: ArrowNativeType> Cells for FixedCells<T> {
    fn append(&mut self, array: &ArrayRef, places: Places<'_>) -> Result<(), ArrowError> {
        self.append_values(array.to_data().buffer::<T>(0), array.nulls(), places);
        Ok(())
    }

    fn bytes(&self, partition: usize) -> usize {
        self.parts[partition].0.len() * size_of::<T>()
    }

    fn capacity(&self, partition: usize) -> usize {
        self.parts[partition].0.capacity() * size_of::<T>()
    }

    fn take(&mut self, partition: usize) -> Result<ArrayRef, ArrowError> {
        let (values, nulls) = &mut self.parts[partition];
        let rows = values.len();
        let values = Buffer::from_vec(std::mem::take(values));
        self.lent.push((partition, values.clone()));
        let data = ArrayData::builder(self.data_type.clone()).len(rows).add_buffer(values).nulls(nulls.finish());
        Ok(make_array(data.build()?))
    }

    fn take_back(&mut self) {
        for (partition, buffer) in self.lent.drain(..) {
            let values = &mut self.parts[partition].0;
            if values.is_empty() {
                *values = reusable(buffer);
            }
        }
    }
}

/// Text or bytes.
#[derive(Debug)]
pub(super) struct TextCells {
    data_type: DataType,
    parts: Vec<TextPart>,
    lent: Vec<(usize, Buffer, Buffer)>,
}

#[derive(Debug)]
struct TextPart {
    /// Where each text begins, and where the last one ends.
    offsets: Vec<i32>,
    bytes: Vec<u8>,
    nulls: NullBufferBuilder,
}

impl TextPart {
    #[inline]
    fn end_text(&mut self) {
        // A frame has far less than 2^31 bytes; a wrong offset would be refused when it is made.
        self.offsets.push(i32::try_from(self.bytes.len()).unwrap_or(i32::MIN));
    }
}

impl TextCells {
    pub(super) fn new(data_type: DataType, partitions: usize) -> Self {
        let part = || TextPart { offsets: vec![0], bytes: Vec::new(), nulls: NullBufferBuilder::new(0) };
        Self { data_type, parts: std::iter::repeat_with(part).take(partitions).collect(), lent: Vec::new() }
    }

    fn append_views<V: ByteViewType>(&mut self, array: &GenericByteViewArray<V>, partitions: &[u32]) {
        let (buffers, nulls) = (array.data_buffers(), array.nulls().filter(|nulls| nulls.null_count() > 0));
        for (row, (view, partition)) in array.views().iter().zip(partitions).enumerate() {
            let part = &mut self.parts[*partition as usize];
            let length = *view as u32 as usize;
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                // What the view of a NULL says has no meaning.
            } else if length <= INLINE_MAX {
                append_inline(&mut part.bytes, *view);
            } else {
                let (buffer, start) = ((view >> 64) as u32 as usize, (view >> 96) as usize);
                append_text(&mut part.bytes, &buffers[buffer][start..], length);
            }
            part.end_text();
        }
    }

    fn append_plain<T: ByteArrayType<Offset = i32>>(&mut self, array: &ArrayRef, partitions: &[u32]) {
        let array = array.as_bytes::<T>();
        let texts = array.offsets().windows(2).map(|ends| &array.value_data()[ends[0] as usize..ends[1] as usize]);
        for ((row, text), partition) in texts.enumerate().zip(partitions) {
            let part = &mut self.parts[*partition as usize];
            if array.is_valid(row) {
                part.bytes.extend_from_slice(text);
            }
            part.end_text();
        }
    }
}

impl Cells for TextCells {
    fn append(&mut self, array: &ArrayRef, places: Places<'_>) -> Result<(), ArrowError> {
        if let Some(views) = array.as_byte_view_opt::<StringViewType>() {
            self.append_views(views, places.partitions);
        } else if let Some(views) = array.as_byte_view_opt::<BinaryViewType>() {
            self.append_views(views, places.partitions);
        } else if *array.data_type() == DataType::Utf8 {
            self.append_plain::<Utf8Type>(array, places.partitions);
        } else {
            self.append_plain::<BinaryType>(array, places.partitions);
        }
        append_nulls(self.parts.iter_mut().map(|part| &mut part.nulls), array.nulls(), places);
        Ok(())
    }

    fn bytes(&self, partition: usize) -> usize {
        let part = &self.parts[partition];
        part.bytes.len() + size_of_val(part.offsets.as_slice())
    }

    fn capacity(&self, partition: usize) -> usize {
        let part = &self.parts[partition];
        part.bytes.capacity() + part.offsets.capacity() * size_of::<i32>()
    }

    fn take(&mut self, partition: usize) -> Result<ArrayRef, ArrowError> {
        let part = &mut self.parts[partition];
        let rows = part.offsets.len() - 1;
        let offsets = Buffer::from_vec(std::mem::replace(&mut part.offsets, vec![0]));
        let bytes = Buffer::from_vec(std::mem::take(&mut part.bytes));
        self.lent.push((partition, offsets.clone(), bytes.clone()));
        let data = ArrayData::builder(self.data_type.clone()).len(rows).add_buffer(offsets).add_buffer(bytes);
        Ok(make_array(data.nulls(part.nulls.finish()).build()?))
    }

    fn take_back(&mut self) {
        for (partition, offsets, bytes) in self.lent.drain(..) {
            let part = &mut self.parts[partition];
            if part.offsets.len() == 1 {
                part.offsets = reusable(offsets);
                part.offsets.push(0);
                part.bytes = reusable(bytes);
            }
        }
    }
}

/// Booleans.
#[derive(Debug)]
struct FlagCells {
    parts: Vec<(BooleanBufferBuilder, NullBufferBuilder)>,
}

impl FlagCells {
    fn new(partitions: usize) -> Self {
        let part = || (BooleanBufferBuilder::new(0), NullBufferBuilder::new(0));
        Self { parts: std::iter::repeat_with(part).take(partitions).collect() }
    }
}

impl Cells for FlagCells {
    fn append(&mut self, array: &ArrayRef, places: Places<'_>) -> Result<(), ArrowError> {
        for (value, partition) in array.as_boolean().values().iter().zip(places.partitions) {
            self.parts[*partition as usize].0.append(value);
        }
        append_nulls(self.parts.iter_mut().map(|(_, nulls)| nulls), array.nulls(), places);
        Ok(())
    }

    fn bytes(&self, partition: usize) -> usize {
        self.parts[partition].0.len().div_ceil(8)
    }

    fn capacity(&self, partition: usize) -> usize {
        self.parts[partition].0.capacity().div_ceil(8)
    }

    fn take(&mut self, partition: usize) -> Result<ArrayRef, ArrowError> {
        let (values, nulls) = &mut self.parts[partition];
        Ok(make_array(BooleanArray::new(values.finish(), nulls.finish()).into()))
    }

    fn take_back(&mut self) {}
}

/// The memory of a buffer for new values, if nobody else holds it and it is not too much to keep.
fn reusable<T: ArrowNativeType>(buffer: Buffer) -> Vec<T> {
    let kept = buffer.into_vec().ok().filter(|values: &Vec<T>| values.capacity() * size_of::<T>() <= KEPT_BYTES_MAX);
    let mut values = kept.unwrap_or_default();
    values.clear();
    values
}
