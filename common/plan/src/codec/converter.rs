//! How DataFusion's operators and expressions are turned into messages and back: only those that a stage may hold, and
//! nested as deeply as a query may be.
//!
//! A message may hold only a hundred messages inside each other. Every few levels the message below is therefore put into
//! bytes of its own, which are decoded on their own.

use std::cell::Cell;
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::from_proto::parse_physical_expr_with_converter;
use datafusion_proto::physical_plan::to_proto::serialize_physical_expr_with_converter;
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalPlanNodeExt, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf::physical_expr_node::ExprType;
use datafusion_proto::protobuf::physical_plan_node::PhysicalPlanType;
use datafusion_proto::protobuf::{
    PhysicalExprNode, PhysicalExtensionExprNode, PhysicalExtensionNode, PhysicalPlanNode,
};
use prost::Message;

use super::{malformed, message, window};

/// Levels of one message. Each may take three messages inside each other.
const LEVELS: u32 = 8;
/// Deepest plan or expression. Beyond it the stack of a thread could end.
const DEPTH_MAX: u32 = 400;

/// Converts one program. Knows how deep it is in it.
#[derive(Debug, Default)]
pub(super) struct StageConverter {
    depth: Cell<u32>,
}

impl StageConverter {
    /// Runs `convert` one level deeper; it learns whether a message of its own begins here.
    fn descend<T>(&self, convert: impl FnOnce(bool) -> Result<T>) -> Result<T> {
        let depth = self.depth.get() + 1;
        if depth > DEPTH_MAX {
            return Err(malformed(&format!("it is nested deeper than {DEPTH_MAX} levels")));
        }
        self.depth.set(depth);
        let converted = convert(depth.is_multiple_of(LEVELS));
        self.depth.set(depth - 1);
        converted
    }
}

impl PhysicalProtoConverterExtension for StageConverter {
    fn proto_to_execution_plan(
        &self,
        node: &PhysicalPlanNode,
        decoding: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.descend(|_| match own_of(node)? {
            Some(message::OwnKind::Nested(bytes)) => self.proto_to_execution_plan(&decode_node(&bytes)?, decoding),
            Some(message::OwnKind::Window(own)) => {
                let plan = self.proto_to_execution_plan(&decode_node(&own.node)?, decoding)?;
                window::put_back(&plan, &own.functions)
            }
            Some(message::OwnKind::Scan(_) | message::OwnKind::StageInput(_)) | None => {
                check_allowed(node)?;
                node.try_into_physical_plan_with_context(decoding, self)
            }
        })
    }

    fn execution_plan_to_proto(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        codec: &dyn PhysicalExtensionCodec,
    ) -> Result<PhysicalPlanNode> {
        self.descend(|own_message| {
            let node = PhysicalPlanNode::try_from_physical_plan_with_converter(Arc::clone(plan), codec, self)
                .map_err(|error| shorten(error, || format!("the operator {}", plan.name())))?;
            check_allowed(&node)?;
            match window::left_out(plan.as_ref())? {
                Some(functions) => {
                    let own = message::Window { node: node.encode_to_vec(), functions };
                    Ok(node_of(message::OwnKind::Window(own)))
                }
                None if own_message => Ok(node_of(message::OwnKind::Nested(node.encode_to_vec()))),
                None => Ok(node),
            }
        })
    }

    fn proto_to_physical_expr(
        &self,
        node: &PhysicalExprNode,
        schema: &Schema,
        decoding: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        self.descend(|_| {
            let Some(ExprType::Extension(nested)) = &node.expr_type else {
                return parse_physical_expr_with_converter(node, schema, decoding, self);
            };
            let inner =
                PhysicalExprNode::decode(nested.expr.as_slice()).map_err(|error| malformed(&error.to_string()))?;
            self.proto_to_physical_expr(&inner, schema, decoding)
        })
    }

    fn physical_expr_to_proto(
        &self,
        expr: &Arc<dyn PhysicalExpr>,
        codec: &dyn PhysicalExtensionCodec,
    ) -> Result<PhysicalExprNode> {
        self.descend(|own_message| {
            let node = serialize_physical_expr_with_converter(expr, codec, self)
                .map_err(|error| shorten(error, || format!("the expression {expr}")))?;
            if !own_message {
                return Ok(node);
            }
            let nested = PhysicalExtensionExprNode { expr: node.encode_to_vec(), inputs: Vec::new() };
            Ok(PhysicalExprNode { expr_id: None, expr_type: Some(ExprType::Extension(nested)) })
        })
    }
}

/// DataFusion answers what it cannot encode with an internal error that holds the whole plan.
fn shorten(error: DataFusionError, what: impl Fn() -> String) -> DataFusionError {
    let unsupported = matches!(&error, DataFusionError::Internal(text) if text.starts_with("Unsupported p"));
    if unsupported { DataFusionError::NotImplemented(format!("{} cannot be sent to a worker", what())) } else { error }
}

/// One of our messages as a node among DataFusion's.
fn node_of(kind: message::OwnKind) -> PhysicalPlanNode {
    let own = message::Own { kind: Some(kind) };
    let extension = PhysicalExtensionNode { node: own.encode_to_vec(), inputs: Vec::new() };
    PhysicalPlanNode { physical_plan_type: Some(PhysicalPlanType::Extension(extension)) }
}

fn own_of(node: &PhysicalPlanNode) -> Result<Option<message::OwnKind>> {
    let Some(PhysicalPlanType::Extension(extension)) = &node.physical_plan_type else {
        return Ok(None);
    };
    let own = message::Own::decode(extension.node.as_slice()).map_err(|error| malformed(&error.to_string()))?;
    Ok(own.kind)
}

fn decode_node(bytes: &[u8]) -> Result<PhysicalPlanNode> {
    PhysicalPlanNode::decode(bytes).map_err(|error| malformed(&error.to_string()))
}

/// Refuses operators that are no part of a stage: files are read by our leaves and written by our sinks, and plans that
/// explain others or need more than one task are the master's.
fn check_allowed(node: &PhysicalPlanNode) -> Result<()> {
    let refused = match &node.physical_plan_type {
        None => "an empty operator",
        Some(PhysicalPlanType::Explain(_) | PhysicalPlanType::Analyze(_)) => "EXPLAIN",
        Some(
            PhysicalPlanType::CsvScan(_)
            | PhysicalPlanType::JsonScan(_)
            | PhysicalPlanType::ParquetScan(_)
            | PhysicalPlanType::AvroScan(_)
            | PhysicalPlanType::ArrowScan(_),
        ) => "a scan that is not ours",
        Some(PhysicalPlanType::CsvSink(_) | PhysicalPlanType::JsonSink(_) | PhysicalPlanType::ParquetSink(_)) => {
            "a sink that is not ours"
        }
        Some(PhysicalPlanType::ScalarSubquery(_)) => "a scalar subquery operator",
        Some(PhysicalPlanType::SymmetricHashJoin(_)) => "a symmetric hash join",
        Some(PhysicalPlanType::AsyncFunc(_)) => "an asynchronous function",
        Some(PhysicalPlanType::Buffer(_)) => "a buffer",
        Some(
            PhysicalPlanType::MemoryScan(_)
            | PhysicalPlanType::CoalesceBatches(_)
            | PhysicalPlanType::Projection(_)
            | PhysicalPlanType::Filter(_)
            | PhysicalPlanType::Merge(_)
            | PhysicalPlanType::Repartition(_)
            | PhysicalPlanType::GlobalLimit(_)
            | PhysicalPlanType::LocalLimit(_)
            | PhysicalPlanType::Window(_)
            | PhysicalPlanType::Aggregate(_)
            | PhysicalPlanType::HashJoin(_)
            | PhysicalPlanType::Union(_)
            | PhysicalPlanType::Interleave(_)
            | PhysicalPlanType::CrossJoin(_)
            | PhysicalPlanType::Empty(_)
            | PhysicalPlanType::PlaceholderRow(_)
            | PhysicalPlanType::Sort(_)
            | PhysicalPlanType::SortPreservingMerge(_)
            | PhysicalPlanType::Extension(_)
            | PhysicalPlanType::NestedLoopJoin(_)
            | PhysicalPlanType::Unnest(_)
            | PhysicalPlanType::Cooperative(_)
            | PhysicalPlanType::GenerateSeries(_)
            | PhysicalPlanType::SortMergeJoin(_),
        ) => return Ok(()),
    };
    Err(DataFusionError::NotImplemented(format!("{refused} cannot be part of a stage")))
}
