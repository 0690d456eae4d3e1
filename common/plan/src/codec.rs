//! Encodes stages for workers, and decodes them. DataFusion encodes its own operators, we encode ours.
//!
//! A program begins with the XXH3-64 of its message (little endian), because DataFusion's decoders panic on some messages
//! that no encoder writes. What the message says is still checked, and nothing is allocated by a number that was read.

mod choice;
mod converter;
mod csv;
mod leaf;
mod message;
mod sink;
mod window;

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf::PhysicalPlanNode;
use prost::Message;
use xxhash_rust::xxh3::xxh3_64;

use crate::{PlanError, StageProgram};
use converter::StageConverter;

const CHECKSUM_BYTES: usize = 8;

/// Encodes a stage's program.
///
/// # Errors
/// [`PlanError::Encode`] for operators that cannot be sent to a worker.
pub fn encode_stage(program: &StageProgram) -> Result<Bytes, PlanError> {
    let converter = StageConverter::default();
    let plan = converter.execution_plan_to_proto(&program.plan, &LeafCodec).map_err(PlanError::Encode)?;
    let sink = sink::encode(&program.sink, &converter).map_err(PlanError::Encode)?;
    let message = message::Stage { plan: Some(plan), sink: Some(sink) }.encode_to_vec();
    let mut program = BytesMut::with_capacity(CHECKSUM_BYTES + message.len());
    program.put_u64_le(xxh3_64(&message));
    program.extend_from_slice(&message);
    Ok(program.freeze())
}

/// Decodes a stage's program. Functions are looked up in `context`.
///
/// # Errors
/// [`PlanError::Decode`] and [`PlanError::Malformed`] for bytes that are no program.
pub fn decode_stage(bytes: &[u8], context: &TaskContext) -> Result<StageProgram, PlanError> {
    let Some((checksum, message)) = bytes.split_first_chunk::<CHECKSUM_BYTES>() else {
        return Err(PlanError::Malformed(format!("it has {} bytes", bytes.len())));
    };
    if u64::from_le_bytes(*checksum) != xxh3_64(message) {
        return Err(PlanError::Malformed("its checksum is wrong: the bytes are damaged".into()));
    }
    let stage = message::Stage::decode(message).map_err(|error| PlanError::Malformed(error.to_string()))?;
    let missing = |what: &str| PlanError::Malformed(format!("it has no {what}"));
    let node: PhysicalPlanNode = stage.plan.ok_or_else(|| missing("plan"))?;
    let converter = StageConverter::default();
    let decoding = PhysicalPlanDecodeContext::new(context, &LeafCodec);
    let plan = converter.proto_to_execution_plan(&node, &decoding).map_err(PlanError::Decode)?;
    let sink = sink::decode(stage.sink.ok_or_else(|| missing("sink"))?, &plan.schema(), &decoding)?;
    Ok(StageProgram { plan, sink })
}

/// Encodes our leaves among DataFusion's operators.
#[derive(Debug)]
struct LeafCodec;

impl PhysicalExtensionCodec for LeafCodec {
    fn try_decode(
        &self,
        bytes: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if !inputs.is_empty() {
            return Err(malformed("a leaf with inputs"));
        }
        let leaf = message::Own::decode(bytes).map_err(|error| malformed(&error.to_string()))?;
        let decoding = PhysicalPlanDecodeContext::new(context, self);
        leaf::decode(leaf, &decoding, converter)
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        bytes: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let leaf = leaf::encode(node.as_ref(), self, converter)?;
        leaf.encode(bytes).map_err(|error| DataFusionError::External(Box::new(error)))
    }
}

fn malformed(what: &str) -> DataFusionError {
    DataFusionError::Plan(format!("malformed plan: {what}"))
}

#[cfg(test)]
mod tests;
