//! Walks a TOML document: keys in the order they are written, known keys only, values of the right type, each error with its place.

use std::fmt::Display;
use std::ops::Range;

use hearth_common::{ByteSize, RejectLimit};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::JobFileError;
use super::origin::Source;
use crate::nearest;

type Result<T> = std::result::Result<T, JobFileError>;

/// One table and its keys, in the order they are written.
pub(super) struct Table<'d> {
    source: &'d Source<'d>,
    title: String,
    at: usize,
    keys: Vec<Key<'d>>,
}

/// One key with its value.
#[derive(Clone, Copy)]
pub(super) struct Key<'d> {
    pub(super) name: &'d str,
    pub(super) at: usize,
    pub(super) value: Value<'d>,
}

/// One value, and how errors call it.
#[derive(Clone, Copy)]
pub(super) struct Value<'d> {
    source: &'d Source<'d>,
    name: &'d str,
    value: &'d Spanned<DeValue<'d>>,
}

impl<'d> Table<'d> {
    pub(super) fn root(source: &'d Source<'d>, root: &'d Spanned<DeTable<'d>>) -> Self {
        Self::new(source, "a job file".to_owned(), root.get_ref(), 0)
    }

    fn new(source: &'d Source<'d>, title: String, table: &'d DeTable<'d>, at: usize) -> Self {
        let mut keys: Vec<_> = table
            .iter()
            .map(|(key, value)| {
                let name = key.get_ref().as_ref();
                Key { name, at: key.span().start, value: Value { source, name, value } }
            })
            .collect();
        keys.sort_by_key(|key| key.at);
        Self { source, title, at, keys }
    }

    pub(super) fn source(&self) -> &'d Source<'d> {
        self.source
    }

    pub(super) fn keys(&self) -> &[Key<'d>] {
        &self.keys
    }

    pub(super) fn get(&self, name: &str) -> Option<Value<'d>> {
        self.keys.iter().find(|key| key.name == name).map(|key| key.value)
    }

    /// Refuses the first key that is none of `known`.
    pub(super) fn check_keys(&self, known: &[&str]) -> Result<()> {
        let Some(odd) = self.keys.iter().find(|key| !known.contains(&key.name)) else {
            return Ok(());
        };
        let hint = match nearest(odd.name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("its keys are {}", known.join(", ")),
        };
        Err(self.source.error_at(odd.at, format!("`{}` is not a key of {}; {hint}", odd.name, self.title)))
    }

    /// An error about the table as a whole.
    pub(super) fn error(&self, problem: impl Display) -> JobFileError {
        self.source.error_at(self.at, problem)
    }
}

impl<'d> Value<'d> {
    pub(super) fn error(&self, problem: impl Display) -> JobFileError {
        self.source.error_at(self.span().start, problem)
    }

    fn span(&self) -> Range<usize> {
        self.value.span()
    }

    fn wrong_type<T>(&self, wanted: &str) -> Result<T> {
        let found = match self.value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        Err(self.error(format!("`{}` must be {wanted}, not {found}", self.name)))
    }

    /// A string with its variables filled in.
    pub(super) fn text(&self) -> Result<String> {
        match self.value.get_ref().as_str() {
            Some(text) => self.source.fill(text, self.span()),
            None => self.wrong_type("a string"),
        }
    }

    /// A string, or a list of strings.
    pub(super) fn texts(&self) -> Result<Vec<String>> {
        match self.value.get_ref() {
            DeValue::String(_) => Ok(vec![self.text()?]),
            DeValue::Array(items) => items.iter().map(|value| Value { value, ..*self }.text()).collect(),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => self.wrong_type("a string or a list of strings"),
        }
    }

    pub(super) fn flag(&self) -> Result<bool> {
        self.value.get_ref().as_bool().map_or_else(|| self.wrong_type("true or false"), Ok)
    }

    /// A whole number, or a string with one, so that a variable can give it.
    pub(super) fn number(&self) -> Result<u32> {
        let parsed = match self.value.get_ref() {
            DeValue::Integer(number) => integer(number).and_then(|number| u32::try_from(number).ok()),
            DeValue::String(_) => self.text()?.trim().parse().ok(),
            DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                return self.wrong_type("a whole number");
            }
        };
        parsed.ok_or_else(|| self.error(format!("`{}` must be a whole number from 0 to {}", self.name, u32::MAX)))
    }

    /// A size such as "64MiB", or a number of bytes.
    pub(super) fn size(&self) -> Result<ByteSize> {
        match self.value.get_ref() {
            DeValue::Integer(number) => integer(number)
                .map(ByteSize)
                .ok_or_else(|| self.error(format!("`{}` must be a number of bytes from 0 to 2^64", self.name))),
            DeValue::String(_) => self.text()?.parse().map_err(|error| self.error(error)),
            DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                self.wrong_type("a size such as \"64MiB\"")
            }
        }
    }

    /// A number of records, or a share of them such as "1%".
    pub(super) fn count_or_share(&self) -> Result<RejectLimit> {
        let parsed = match self.value.get_ref() {
            DeValue::Integer(number) => integer(number).map(RejectLimit::Records),
            DeValue::String(_) => Some(self.text()?.parse().map_err(|error| self.error(error))?),
            DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                return self.wrong_type("a number of records or a share such as \"1%\"");
            }
        };
        parsed.ok_or_else(|| self.error(format!("`{}` must not be negative", self.name)))
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T> {
        let text = self.text()?;
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text) {
            return Ok(*choice);
        }
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        let hint = match nearest(&text, words.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write {}", words.join(", ")),
        };
        Err(self.error(format!("`{}` cannot be `{text}`; {hint}", self.name)))
    }

    /// A table; `title` is how errors call it.
    pub(super) fn table(&self, title: String) -> Result<Table<'d>> {
        match self.value.get_ref() {
            DeValue::Table(table) => Ok(Table::new(self.source, title, table, self.span().start)),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => self.wrong_type("a table"),
        }
    }

    /// The items of a list; `None` for anything else.
    pub(super) fn items(&self) -> Option<Vec<Value<'d>>> {
        let items = self.value.get_ref().as_array()?;
        Some(items.iter().map(|value| Value { value, ..*self }).collect())
    }
}

fn integer(number: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}
