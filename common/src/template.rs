//! `${name}` in a job file, filled from `--set name=value`.

use std::collections::BTreeMap;

/// Why a text could not be filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// No value for a name.
    #[error("`${{{name}}}` has no value; add --set {name}=VALUE")]
    Unset {
        /// The name.
        name: String,
    },
    /// `${` without its `}`.
    #[error("`${{` at byte {at} is never closed; write `$$` for a plain dollar sign")]
    Unclosed {
        /// Offset in the text.
        at: usize,
    },
}

/// Replaces every `${name}` in `text`. `$$` stands for one dollar sign; any other `$` is left alone.
///
/// # Errors
/// A name without a value, and a `${` that is never closed.
pub fn fill_template(text: &str, values: &BTreeMap<String, String>) -> Result<String, TemplateError> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        filled.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        if let Some(tail) = tail.strip_prefix('$') {
            filled.push('$');
            rest = tail;
        } else if let Some(tail) = tail.strip_prefix('{') {
            let offset = text.len() - rest.len() + at;
            let (name, tail) = tail.split_once('}').ok_or(TemplateError::Unclosed { at: offset })?;
            let value = values.get(name).ok_or_else(|| TemplateError::Unset { name: name.to_owned() })?;
            filled.push_str(value);
            rest = tail;
        } else {
            filled.push('$');
            rest = tail;
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> Result<String, String> {
        let values =
            BTreeMap::from([("date".to_owned(), "2026-01-15".to_owned()), ("x".to_owned(), "${y}".to_owned())]);
        fill_template(text, &values).map_err(|error| error.to_string())
    }

    #[test]
    fn fills_names_once() {
        assert_eq!(fill("date=${date}/*.csv"), Ok("date=2026-01-15/*.csv".to_owned()));
        assert_eq!(fill("${x}"), Ok("${y}".to_owned()), "a value is not filled again");
        assert_eq!(fill("$$ $1 $${date} $"), Ok("$ $1 ${date} $".to_owned()));
    }

    #[test]
    fn says_what_is_missing() {
        assert_eq!(fill("${day}"), Err("`${day}` has no value; add --set day=VALUE".to_owned()));
        assert_eq!(
            fill("ab${date"),
            Err("`${` at byte 2 is never closed; write `$$` for a plain dollar sign".to_owned())
        );
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_keeps_plain_text(text in "[^$]*", odd in ".*") {
            proptest::prop_assert_eq!(fill(&text), Ok(text.clone()));
            let _ = fill(&odd);
        }
    }
}
