//! Sinks as messages.

use datafusion::arrow::datatypes::Schema;
use datafusion::error::Result;
use datafusion_proto::physical_plan::from_proto::parse_physical_exprs;
use datafusion_proto::physical_plan::to_proto::serialize_physical_exprs;
use datafusion_proto::physical_plan::{PhysicalPlanDecodeContext, PhysicalProtoConverterExtension};
use hearth_common::{ByteSize, Compression, JobSpec, OutputFormat, OutputMode, OutputSpec};

use super::choice::{number_of, value_of};
use super::converter::StageConverter;
use super::{LeafCodec, message};
use crate::{OutputSink, PlanError, ResultSink, ShuffleSink, Sink};

const FORMATS: [OutputFormat; 3] = [OutputFormat::Parquet, OutputFormat::Csv, OutputFormat::Json];
const MODES: [OutputMode; 3] = [OutputMode::Error, OutputMode::Overwrite, OutputMode::Append];
const COMPRESSIONS: [Compression; 4] = [Compression::Zstd, Compression::Snappy, Compression::Lz4, Compression::None];

pub(super) fn encode(sink: &Sink, converter: &dyn PhysicalProtoConverterExtension) -> Result<message::Sink> {
    let kind = match sink {
        Sink::Shuffle(shuffle) => message::SinkKind::Shuffle(message::Shuffle {
            hash_exprs: serialize_physical_exprs(&shuffle.hash_exprs, &LeafCodec, converter)?,
            partitions: shuffle.partitions,
        }),
        Sink::Output(output) => message::SinkKind::Output(encode_output(output)),
        Sink::Result(result) => message::SinkKind::ResultBytesMax(result.bytes_max),
    };
    Ok(message::Sink { kind: Some(kind) })
}

pub(super) fn decode(
    sink: message::Sink,
    schema: &Schema,
    decoding: &PhysicalPlanDecodeContext<'_>,
) -> Result<Sink, PlanError> {
    match sink.kind {
        Some(message::SinkKind::Shuffle(shuffle)) => decode_shuffle(&shuffle, schema, decoding).map(Sink::Shuffle),
        Some(message::SinkKind::Output(output)) => decode_output(output, schema).map(Sink::Output),
        Some(message::SinkKind::ResultBytesMax(bytes_max)) => Ok(Sink::Result(ResultSink { bytes_max })),
        None => Err(malformed("its sink has no kind")),
    }
}

fn decode_shuffle(
    shuffle: &message::Shuffle,
    schema: &Schema,
    decoding: &PhysicalPlanDecodeContext<'_>,
) -> Result<ShuffleSink, PlanError> {
    let converter = StageConverter::default();
    let hash_exprs =
        parse_physical_exprs(&shuffle.hash_exprs, decoding, schema, &converter).map_err(PlanError::Decode)?;
    let partitions = shuffle.partitions;
    if partitions == 0 || partitions > JobSpec::SHUFFLE_PARTITIONS_MAX || (hash_exprs.is_empty() && partitions > 1) {
        return Err(malformed(format!("it has {partitions} shuffle partitions by {} columns", hash_exprs.len())));
    }
    Ok(ShuffleSink { hash_exprs, partitions })
}

fn encode_output(output: &OutputSink) -> message::Output {
    let spec = &output.spec;
    message::Output {
        attempts_url: output.attempts_url.clone(),
        path: spec.path.clone(),
        format: number_of(&FORMATS, &spec.format),
        mode: number_of(&MODES, &spec.mode),
        partition_by: spec.partition_by.clone(),
        compression: number_of(&COMPRESSIONS, &spec.compression),
        file_bytes_max: spec.file_bytes_max.0,
    }
}

fn decode_output(output: message::Output, schema: &Schema) -> Result<OutputSink, PlanError> {
    if let Some(name) = output.partition_by.iter().find(|name| schema.index_of(name).is_err()) {
        return Err(malformed(format!("it has no column `{name}` to partition by")));
    }
    let spec = OutputSpec {
        path: output.path,
        format: value_of(&FORMATS, output.format, "output format").map_err(malformed)?,
        mode: value_of(&MODES, output.mode, "output mode").map_err(malformed)?,
        partition_by: output.partition_by,
        compression: value_of(&COMPRESSIONS, output.compression, "compression").map_err(malformed)?,
        file_bytes_max: ByteSize(output.file_bytes_max),
    };
    Ok(OutputSink { attempts_url: output.attempts_url, spec })
}

fn malformed(what: impl Into<String>) -> PlanError {
    PlanError::Malformed(what.into())
}
