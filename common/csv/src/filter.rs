//! Simple conditions on columns, which are looked at before the other columns are decoded.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;

/// A condition on one column: rows for which it does not hold are left out.
#[derive(Debug, Clone)]
pub struct ColumnFilter {
    /// Position of the column in the table.
    pub column: usize,
    /// What its values have to pass.
    pub test: Test,
}

/// What a value has to pass. NULL passes [`Test::Null`] alone, as in SQL. Values are of the column's type, and none is NULL.
#[derive(Debug, Clone)]
pub enum Test {
    /// It is one of these.
    OneOf(ArrayRef),
    /// It is a value, and none of these.
    NoneOf(ArrayRef),
    /// It stands so to the one value of the array. Texts are ordered by their bytes, fractions in their total order, in which NaN is
    /// the largest; but zero is equal to minus zero, as in [`Test::OneOf`] too.
    Ordered(Order, ArrayRef),
    /// It is NULL.
    Null,
    /// It is a value.
    NotNull,
}

/// How a value stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Test {
    /// Whether values of `data_type` can be tested.
    #[must_use]
    pub fn fits(&self, data_type: &DataType) -> bool {
        let has = |values: &ArrayRef| {
            values.data_type() == data_type && *data_type != DataType::Boolean && values.null_count() == 0
        };
        match self {
            Self::OneOf(values) | Self::NoneOf(values) => has(values),
            Self::Ordered(_, value) => has(value) && value.len() == 1,
            Self::Null | Self::NotNull => true,
        }
    }

    /// Whether NULL passes all of them.
    pub(crate) fn all_take_null(tests: &[Self]) -> bool {
        tests.iter().all(|test| matches!(test, Self::Null))
    }
}
