//! Why a wire message is not one of our types: the field that is wrong, and what is wrong with it.

use std::fmt::Display;

/// A wire message that does not say what it must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConvertError {
    /// The field, as the contract names it: `Message.field`.
    pub field: &'static str,
    /// What is wrong with it, and what to do where that is known.
    pub problem: String,
}

impl Display for ConvertError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "read {} of a message: {}", self.field, self.problem)
    }
}

impl std::error::Error for ConvertError {}

impl ConvertError {
    /// An error about `field`.
    pub fn new(field: &'static str, problem: impl Display) -> Self {
        Self { field, problem: problem.to_string() }
    }
}

/// The value of a field that must be there.
pub(crate) fn required<T>(field: &'static str, value: Option<T>) -> Result<T, ConvertError> {
    value.ok_or_else(|| ConvertError::new(field, "it is missing; are both sides of the same version?"))
}

/// A text that must parse, such as an id.
pub(crate) fn parsed<T>(field: &'static str, text: &str) -> Result<T, ConvertError>
where
    T: std::str::FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error| ConvertError::new(field, error))
}

/// The refusal of an enum value that this version does not know, or of one that was left out.
pub(crate) fn unknown_value(field: &'static str, value: i32) -> ConvertError {
    let problem = match value {
        0 => "it is missing".to_owned(),
        value => format!("{value} is not a value this version knows; are both sides of the same version?"),
    };
    ConvertError { field, problem }
}
