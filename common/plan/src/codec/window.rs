//! What DataFusion's encoding of window functions leaves out, silently: `IGNORE NULLS`, evaluation in reverse order, and
//! the `FILTER` of an aggregate. The first two are sent beside it and put back; the third cannot be read and is refused.

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::window::{StandardWindowExpr, StandardWindowFunctionExpr, WindowExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec, WindowUDFExpr, create_udwf_window_expr};

use super::{malformed, message};

/// What is sent beside a window operator; `None` where nothing was left out, and for other operators.
pub(super) fn left_out(plan: &dyn ExecutionPlan) -> Result<Option<Vec<message::WindowFunction>>> {
    let Some(functions) = functions(plan) else {
        return Ok(None);
    };
    let left_out = functions.iter().map(left_out_of).collect::<Result<Vec<_>>>()?;
    let nothing = message::WindowFunction::default();
    Ok(left_out.iter().any(|function| *function != nothing).then_some(left_out))
}

fn functions(plan: &dyn ExecutionPlan) -> Option<&[Arc<dyn WindowExpr>]> {
    let bounded = plan.downcast_ref::<BoundedWindowAggExec>().map(BoundedWindowAggExec::window_expr);
    bounded.or_else(|| plan.downcast_ref::<WindowAggExec>().map(WindowAggExec::window_expr))
}

/// The fields are private and without accessors: their derived debug text, where they come last, tells them.
fn left_out_of(function: &Arc<dyn WindowExpr>) -> Result<message::WindowFunction> {
    let Some(standard) = function.as_any().downcast_ref::<StandardWindowExpr>() else {
        return if format!("{function:?}").ends_with("filter: None }") {
            Ok(message::WindowFunction::default())
        } else {
            Err(DataFusionError::NotImplemented(format!(
                "FILTER is not supported in the window function `{}`; use CASE WHEN ... THEN ... END as its argument",
                function.name()
            )))
        };
    };
    let text = format!("{:?}", standard.get_standard_func_expr());
    for (reversed, ignore_nulls) in [(false, false), (false, true), (true, false), (true, true)] {
        if text.ends_with(&format!("is_reversed: {reversed}, ignore_nulls: {ignore_nulls} }}")) {
            return Ok(message::WindowFunction { reversed, ignore_nulls });
        }
    }
    Err(malformed(&format!("the window function `{}` is not known", function.name())))
}

/// Puts back what was left out of `plan`, a decoded window operator.
pub(super) fn put_back(
    plan: &Arc<dyn ExecutionPlan>,
    left_out: &[message::WindowFunction],
) -> Result<Arc<dyn ExecutionPlan>> {
    let Some(decoded) = functions(plan.as_ref()) else {
        return Err(malformed("window functions without a window"));
    };
    let input =
        plan.children().first().map(|child| Arc::clone(child)).ok_or_else(|| malformed("a window without input"))?;
    if decoded.len() != left_out.len() {
        return Err(malformed("a window with too few functions"));
    }
    let schema = input.schema();
    let functions = decoded.iter().zip(left_out).map(|(function, left_out)| complete(function, *left_out, &schema));
    let functions = functions.collect::<Result<Vec<_>>>()?;
    match plan.downcast_ref::<BoundedWindowAggExec>() {
        Some(bounded) => {
            let by_partition = !bounded.partition_keys().is_empty();
            let order = bounded.input_order_mode.clone();
            Ok(Arc::new(BoundedWindowAggExec::try_new(functions, input, order, by_partition)?))
        }
        None => {
            let by_partition =
                plan.downcast_ref::<WindowAggExec>().is_some_and(|window| !window.partition_keys().is_empty());
            Ok(Arc::new(WindowAggExec::try_new(functions, input, by_partition)?))
        }
    }
}

fn complete(
    function: &Arc<dyn WindowExpr>,
    left_out: message::WindowFunction,
    schema: &Schema,
) -> Result<Arc<dyn WindowExpr>> {
    let Some(standard) = function.as_any().downcast_ref::<StandardWindowExpr>() else {
        return Ok(Arc::clone(function));
    };
    let reverse = |function: &Arc<dyn StandardWindowFunctionExpr>| {
        function.reverse_expr().ok_or_else(|| malformed("a window function that cannot be reversed"))
    };
    // Only reversing a function says that it is evaluated in reverse, so a reversed one is built from its counterpart.
    let mut rebuilt = Arc::clone(standard.get_standard_func_expr());
    if left_out.reversed {
        rebuilt = reverse(&rebuilt)?;
    }
    let Some(parts) = rebuilt.as_any().downcast_ref::<WindowUDFExpr>() else {
        return Err(malformed("an unknown window function"));
    };
    let name = function.name().to_owned();
    rebuilt = create_udwf_window_expr(parts.fun(), parts.args(), schema, name, left_out.ignore_nulls)?;
    if left_out.reversed {
        rebuilt = reverse(&rebuilt)?;
    }
    let frame = Arc::clone(function.get_window_frame());
    Ok(Arc::new(StandardWindowExpr::new(rebuilt, function.partition_by(), function.order_by(), frame)))
}
