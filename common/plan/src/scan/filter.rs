//! Which predicates the CSV reader takes over whole, so that no operator has to look at its rows again.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, Literal};
use hearth_csv::{ColumnFilter, Order, Test};

/// Longest list of values: each is compared with every field.
const LISTED_MAX: usize = 32;

/// A condition on one column, with the values as they stand in the predicate.
struct Condition {
    column: usize,
    kind: Kind,
}

enum Kind {
    OneOf(Vec<ScalarValue>),
    NoneOf(Vec<ScalarValue>),
    Ordered(Order, ScalarValue),
    Null,
    NotNull,
}

/// The predicate over `schema` as filters that all have to be passed; `None` where the CSV reader cannot take it over. What it takes:
/// comparisons of a column with values of its type, lists of values, `IS [NOT] NULL`, and all of these joined with AND.
#[must_use]
pub fn csv_filters(predicate: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Option<Vec<ColumnFilter>> {
    let mut conditions = Vec::new();
    collect(predicate, &mut conditions)?;
    conditions.into_iter().map(|condition| condition.into_filter(schema)).collect()
}

fn collect(predicate: &Arc<dyn PhysicalExpr>, conditions: &mut Vec<Condition>) -> Option<()> {
    match predicate.downcast_ref::<BinaryExpr>() {
        Some(both) if *both.op() == Operator::And => {
            collect(both.left(), conditions)?;
            collect(both.right(), conditions)
        }
        Some(_) | None => {
            conditions.push(condition(predicate)?);
            Some(())
        }
    }
}

fn condition(predicate: &Arc<dyn PhysicalExpr>) -> Option<Condition> {
    if let Some(binary) = predicate.downcast_ref::<BinaryExpr>() {
        return if *binary.op() == Operator::Or { either(binary) } else { comparison(binary) };
    }
    if let Some(list) = predicate.downcast_ref::<InListExpr>() {
        let values = list.list().iter().map(value_of).collect::<Option<Vec<_>>>()?;
        // In lists DataFusion tells minus zero from zero, in comparisons it does not.
        if values.iter().any(|value| value.data_type().is_floating()) {
            return None;
        }
        let kind = if list.negated() { Kind::NoneOf(values) } else { Kind::OneOf(values) };
        return Some(Condition { column: column_of(list.expr())?, kind });
    }
    if let Some(is_null) = predicate.downcast_ref::<IsNullExpr>() {
        return Some(Condition { column: column_of(is_null.arg())?, kind: Kind::Null });
    }
    let is_not_null = predicate.downcast_ref::<IsNotNullExpr>()?;
    Some(Condition { column: column_of(is_not_null.arg())?, kind: Kind::NotNull })
}

/// A short list of values comes as comparisons joined with OR.
fn either(binary: &BinaryExpr) -> Option<Condition> {
    let (left, right) = (condition(binary.left())?, condition(binary.right())?);
    let (Kind::OneOf(mut values), Kind::OneOf(more)) = (left.kind, right.kind) else { return None };
    values.extend(more);
    (left.column == right.column).then_some(Condition { column: left.column, kind: Kind::OneOf(values) })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "of DataFusion's operators these compare, also of those yet to come"
)]
fn comparison(binary: &BinaryExpr) -> Option<Condition> {
    let (column, operator, value) = match column_of(binary.left()) {
        Some(column) => (column, *binary.op(), value_of(binary.right())?),
        None => (column_of(binary.right())?, binary.op().swap()?, value_of(binary.left())?),
    };
    let order = match operator {
        Operator::Eq => return Some(Condition { column, kind: Kind::OneOf(vec![value]) }),
        Operator::NotEq => return Some(Condition { column, kind: Kind::NoneOf(vec![value]) }),
        Operator::Lt => Order::Less,
        Operator::LtEq => Order::LessOrEqual,
        Operator::Gt => Order::Greater,
        Operator::GtEq => Order::GreaterOrEqual,
        _ => return None,
    };
    Some(Condition { column, kind: Kind::Ordered(order, value) })
}

fn column_of(expr: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    expr.downcast_ref::<Column>().map(Column::index)
}

fn value_of(expr: &Arc<dyn PhysicalExpr>) -> Option<ScalarValue> {
    expr.downcast_ref::<Literal>().map(Literal::value).filter(|value| !value.is_null()).cloned()
}

impl Condition {
    fn into_filter(self, schema: &Schema) -> Option<ColumnFilter> {
        let data_type = schema.fields().get(self.column)?.data_type();
        let test = match self.kind {
            Kind::OneOf(values) => Test::OneOf(array_of(values, data_type)?),
            Kind::NoneOf(values) => Test::NoneOf(array_of(values, data_type)?),
            Kind::Ordered(order, value) => Test::Ordered(order, array_of(vec![value], data_type)?),
            Kind::Null => Test::Null,
            Kind::NotNull => Test::NotNull,
        };
        test.fits(data_type).then_some(ColumnFilter { column: self.column, test })
    }
}

/// Texts are of one kind, whatever they are kept in; other values have to be of the column's type as they are.
fn array_of(values: Vec<ScalarValue>, data_type: &DataType) -> Option<ArrayRef> {
    let of_type = |value: ScalarValue| match (value, data_type) {
        (ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text), DataType::Utf8View) => {
            Some(ScalarValue::Utf8View(text))
        }
        (value, _) => (value.data_type() == *data_type).then_some(value),
    };
    if values.is_empty() || values.len() > LISTED_MAX {
        return None;
    }
    let values = values.into_iter().map(of_type).collect::<Option<Vec<_>>>()?;
    ScalarValue::iter_to_array(values).ok()
}
