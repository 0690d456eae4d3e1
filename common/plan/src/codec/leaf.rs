//! Our leaves as messages.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::from_proto::{
    parse_physical_exprs, parse_physical_sort_exprs, parse_protobuf_partitioning,
};
use datafusion_proto::physical_plan::to_proto::{
    serialize_partitioning, serialize_physical_exprs, serialize_physical_sort_exprs,
};
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf;
use hearth_common::{InputFormat, OnError, RejectLimit};

use super::{csv, malformed, message};
use crate::{ScanExec, ScanSpec, StageInputExec};

/// Most partitions of a leaf.
const PARTITIONS_MAX: u32 = 1 << 20;

pub(super) fn encode(
    plan: &dyn ExecutionPlan,
    codec: &dyn PhysicalExtensionCodec,
    converter: &dyn PhysicalProtoConverterExtension,
) -> Result<message::Own> {
    let kind = if let Some(scan) = plan.downcast_ref::<ScanExec>() {
        message::OwnKind::Scan(Box::new(encode_scan(scan.spec(), codec, converter)?))
    } else if let Some(input) = plan.downcast_ref::<StageInputExec>() {
        message::OwnKind::StageInput(encode_input(input, codec, converter)?)
    } else {
        let message = format!("the operator {} cannot be sent to a worker", plan.name());
        return Err(DataFusionError::NotImplemented(message));
    };
    Ok(message::Own { kind: Some(kind) })
}

pub(super) fn decode(
    leaf: message::Own,
    decoding: &PhysicalPlanDecodeContext<'_>,
    converter: &dyn PhysicalProtoConverterExtension,
) -> Result<Arc<dyn ExecutionPlan>> {
    match leaf.kind {
        Some(message::OwnKind::Scan(scan)) => Ok(Arc::new(decode_scan(*scan, decoding, converter)?)),
        Some(message::OwnKind::StageInput(input)) => Ok(Arc::new(decode_input(&input, decoding, converter)?)),
        Some(message::OwnKind::Nested(_) | message::OwnKind::Window(_)) | None => {
            Err(malformed("a leaf without a kind"))
        }
    }
}

fn encode_scan(
    spec: &ScanSpec,
    codec: &dyn PhysicalExtensionCodec,
    converter: &dyn PhysicalProtoConverterExtension,
) -> Result<message::Scan> {
    let columns = |columns: &Vec<usize>| columns.iter().map(|column| number(*column)).collect::<Result<Vec<u32>>>();
    let projection = spec.projection.as_ref().map(columns).transpose()?;
    Ok(message::Scan {
        leaf: spec.leaf,
        table: spec.table.clone(),
        format: Some(encode_format(&spec.format)),
        file_schema: Some(encode_schema(&spec.file_schema)?),
        projection: projection.map(|columns| message::Projection { columns }),
        filters: serialize_physical_exprs(&spec.filters, codec, converter)?,
        limit: spec.limit.map(|limit| limit as u64),
        partitions: number(spec.splits.len())?,
        rows_estimated: spec.rows_estimated,
        bytes: spec.bytes,
        rejects: encode_on_error(spec.on_error),
        attempts_url: spec.attempts_url.clone(),
    })
}

fn decode_scan(
    scan: message::Scan,
    decoding: &PhysicalPlanDecodeContext<'_>,
    converter: &dyn PhysicalProtoConverterExtension,
) -> Result<ScanExec> {
    let file_schema = decode_schema(scan.file_schema.as_ref())?;
    let projection =
        scan.projection.map(|projection| projection.columns.iter().map(|column| *column as usize).collect());
    if scan.partitions > PARTITIONS_MAX {
        return Err(malformed("a scan with too many partitions"));
    }
    ScanExec::try_new(ScanSpec {
        leaf: scan.leaf,
        table: scan.table,
        format: decode_format(scan.format)?,
        filters: parse_physical_exprs(&scan.filters, decoding, &file_schema, converter)?,
        file_schema,
        projection,
        limit: scan.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
        splits: Arc::new(vec![Vec::new(); scan.partitions as usize]),
        rows_estimated: scan.rows_estimated,
        bytes: scan.bytes,
        on_error: decode_on_error(scan.rejects)?,
        attempts_url: scan.attempts_url,
    })
}

fn encode_on_error(on_error: OnError) -> Option<message::Rejects> {
    let max = match on_error {
        OnError::Fail => return None,
        OnError::Reject(RejectLimit::Records(max)) => message::RejectsMax::Records(max),
        OnError::Reject(RejectLimit::Millionths(max)) => message::RejectsMax::Millionths(max),
    };
    Some(message::Rejects { max: Some(max) })
}

fn decode_on_error(rejects: Option<message::Rejects>) -> Result<OnError> {
    let Some(message::Rejects { max }) = rejects else { return Ok(OnError::Fail) };
    match max {
        Some(message::RejectsMax::Records(max)) => Ok(OnError::Reject(RejectLimit::Records(max))),
        Some(message::RejectsMax::Millionths(max)) => Ok(OnError::Reject(RejectLimit::Millionths(max))),
        None => Err(malformed("rejects without a limit")),
    }
}

fn encode_format(format: &InputFormat) -> message::Format {
    match format {
        InputFormat::Csv(options) => message::Format::Csv(csv::encode(options)),
        InputFormat::Json => message::Format::Json(true),
        InputFormat::Parquet => message::Format::Parquet(true),
    }
}

fn decode_format(format: Option<message::Format>) -> Result<InputFormat> {
    match format {
        Some(message::Format::Csv(csv)) => csv::decode(csv).map(InputFormat::Csv),
        Some(message::Format::Json(_)) => Ok(InputFormat::Json),
        Some(message::Format::Parquet(_)) => Ok(InputFormat::Parquet),
        None => Err(malformed("a scan without a format")),
    }
}

fn encode_input(
    input: &StageInputExec,
    codec: &dyn PhysicalExtensionCodec,
    converter: &dyn PhysicalProtoConverterExtension,
) -> Result<message::StageInput> {
    let ordering = input.ordering().map(|ordering| ordering.iter().cloned().collect::<Vec<_>>()).unwrap_or_default();
    Ok(message::StageInput {
        leaf: input.leaf(),
        schema: Some(encode_schema(&input.schema())?),
        partitioning: Some(serialize_partitioning(&input.properties().partitioning, codec, converter)?),
        ordering: serialize_physical_sort_exprs(ordering, codec, converter)?,
    })
}

fn decode_input(
    input: &message::StageInput,
    decoding: &PhysicalPlanDecodeContext<'_>,
    converter: &dyn PhysicalProtoConverterExtension,
) -> Result<StageInputExec> {
    let schema = decode_schema(input.schema.as_ref())?;
    let partitioning = parse_protobuf_partitioning(input.partitioning.as_ref(), decoding, &schema, converter)?
        .ok_or_else(|| malformed("a stage input without partitioning"))?;
    let ordering = parse_physical_sort_exprs(&input.ordering, decoding, &schema, converter)?;
    Ok(StageInputExec::new(input.leaf, schema, partitioning, LexOrdering::new(ordering)))
}

fn encode_schema(schema: &Schema) -> Result<protobuf::Schema> {
    protobuf::Schema::try_from(schema).map_err(Into::into)
}

fn decode_schema(schema: Option<&protobuf::Schema>) -> Result<SchemaRef> {
    let schema = schema.ok_or_else(|| malformed("a leaf without a schema"))?;
    Ok(Arc::new(Schema::try_from(schema)?))
}

fn number(value: usize) -> Result<u32> {
    u32::try_from(value).map_err(|_| malformed("a number that is too large"))
}
