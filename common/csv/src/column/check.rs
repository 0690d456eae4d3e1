//! Tests of a column as they are applied to its values.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::datatypes::{ArrowNativeTypeOp, DataType};
use hearth_common::FailureCause;

use crate::filter::{Order, Test};

/// A type whose values can be compared.
pub(super) trait CheckedType: ArrowPrimitiveType<Native: ArrowNativeTypeOp> {}

impl<T: ArrowPrimitiveType<Native: ArrowNativeTypeOp>> CheckedType for T {}

/// What each value of a column has to pass.
#[derive(Debug)]
pub(super) struct Checks<V> {
    checks: Vec<Check<V>>,
}

#[derive(Debug)]
enum Check<V> {
    OneOf(Vec<V>),
    NoneOf(Vec<V>),
    Ordered(Order, V),
    Null,
    NotNull,
}

impl<V> Check<V> {
    /// `values_of` takes the values out of an array.
    fn new(test: &Test, values_of: impl Fn(&ArrayRef) -> Option<Vec<V>>) -> Option<Self> {
        Some(match test {
            Test::OneOf(values) => Self::OneOf(values_of(values)?),
            Test::NoneOf(values) => Self::NoneOf(values_of(values)?),
            Test::Ordered(order, value) => Self::Ordered(*order, values_of(value)?.pop()?),
            Test::Null => Self::Null,
            Test::NotNull => Self::NotNull,
        })
    }

    #[inline]
    fn takes(&self, compare: impl Fn(&V) -> Ordering) -> bool {
        let is = |other: &V| compare(other).is_eq();
        match self {
            Self::OneOf(values) => values.iter().any(is),
            Self::NoneOf(values) => !values.iter().any(is),
            Self::Ordered(order, value) => order.holds(compare(value)),
            Self::Null => false,
            Self::NotNull => true,
        }
    }
}

impl Order {
    #[inline]
    const fn holds(self, found: Ordering) -> bool {
        match self {
            Self::Less => found.is_lt(),
            Self::LessOrEqual => found.is_le(),
            Self::Greater => found.is_gt(),
            Self::GreaterOrEqual => found.is_ge(),
        }
    }
}

impl<V> Checks<V> {
    fn new(tests: &[Test], values_of: impl Fn(&ArrayRef) -> Option<Vec<V>>) -> Result<Self, FailureCause> {
        let checks = tests.iter().map(|test| Check::new(test, &values_of)).collect::<Option<Vec<_>>>();
        let unfit = || FailureCause::internal(format!("filters do not fit their column: {tests:?}"));
        checks.map(|checks| Self { checks }).ok_or_else(unfit)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.checks.is_empty()
    }

    #[inline]
    pub(super) fn take_null(&self) -> bool {
        self.checks.iter().all(|check| matches!(check, Check::Null))
    }

    /// A value whose kind is tested for NULL alone passes.
    #[inline]
    pub(super) fn take_any(&self) -> bool {
        self.checks.iter().all(|check| matches!(check, Check::NotNull))
    }
}

impl Checks<bool> {
    /// # Errors
    /// A test for more than NULL.
    pub(super) fn of_any(tests: &[Test]) -> Result<Self, FailureCause> {
        Self::new(tests, |_| None)
    }
}

impl<V: ArrowNativeTypeOp> Checks<V> {
    /// # Errors
    /// A test for values of another type.
    pub(super) fn of_numbers<T: ArrowPrimitiveType<Native = V>>(
        tests: &[Test],
        data_type: &DataType,
    ) -> Result<Self, FailureCause> {
        Self::new(tests, |values| {
            let values = values.as_primitive_opt::<T>().filter(|values| values.data_type() == data_type)?;
            (values.null_count() == 0).then(|| values.values().iter().copied().map(without_sign_of_zero).collect())
        })
    }

    #[inline]
    pub(super) fn take_number(&self, value: V) -> bool {
        let value = without_sign_of_zero(value);
        self.checks.iter().all(|check| check.takes(|other| value.compare(*other)))
    }
}

/// In SQL zero is equal to minus zero, in the total order of fractions it is not.
#[inline]
fn without_sign_of_zero<V: ArrowNativeTypeOp>(value: V) -> V {
    if value.is_zero() { V::ZERO } else { value }
}

impl Checks<Vec<u8>> {
    /// # Errors
    /// A test for anything but texts.
    pub(super) fn of_texts(tests: &[Test]) -> Result<Self, FailureCause> {
        Self::new(tests, |values| {
            let texts = values.as_string_view_opt()?;
            texts.iter().map(|text| text.map(|text| text.as_bytes().to_vec())).collect()
        })
    }

    #[inline]
    pub(super) fn take_text(&self, text: &[u8]) -> bool {
        self.checks.iter().all(|check| match check {
            // Most texts differ in length: comparing for order would look at both.
            Check::OneOf(texts) => texts.iter().any(|other| other == text),
            Check::NoneOf(texts) => !texts.iter().any(|other| other == text),
            Check::Ordered(..) | Check::Null | Check::NotNull => check.takes(|other| text.cmp(other.as_slice())),
        })
    }
}
