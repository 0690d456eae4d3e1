//! Enums as numbers: the position in the list of all values, from 1, so that a number that was left out is no value.

/// Number of `value`, from 1; 0 stands for nothing.
pub(super) fn number_of<T: PartialEq>(values: &[T], value: &T) -> u32 {
    let position = values.iter().position(|known| known == value);
    position.and_then(|position| u32::try_from(position + 1).ok()).unwrap_or_default()
}

/// The value with that number.
///
/// # Errors
/// What is wrong, where there is none.
pub(super) fn value_of<T: Copy>(values: &[T], number: u32, what: &str) -> Result<T, String> {
    let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    let value = index.and_then(|index| values.get(index)).copied();
    value.ok_or_else(|| format!("it has the unknown {what} {number}"))
}
