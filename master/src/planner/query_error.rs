//! Errors about a query for the person who wrote it: what is wrong, where it is, and the nearest name that would be right.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::sqlparser::parser::ParserError;
use hearth_common::FailureCause;

use super::nearest::{list_names, nearest};

/// Characters of a query line that are shown around the place of an error.
const EXCERPT_CHARS: usize = 100;

/// A place in a query. Lines and columns count from 1; 0 means unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Position {
    /// Line.
    pub(super) line: u64,
    /// Column, in characters.
    pub(super) column: u64,
}

/// What the parser could not read.
pub(super) fn syntax(query: &str, nesting_max: usize, error: &DataFusionError) -> FailureCause {
    let DataFusionError::SQL(parser_error, _) = error.find_root() else {
        return plan(query, error);
    };
    let text = match parser_error.as_ref() {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.as_str(),
        ParserError::RecursionLimitExceeded => {
            return FailureCause::task(format!(
                "the query is nested deeper than {nesting_max} levels; write it flatter"
            ));
        }
    };
    let (message, position) = split_position(text);
    FailureCause::task(format!("SQL syntax error: {}{}", lower_first(message), point_at(query, position)))
}

/// What the planner could not make sense of.
pub(super) fn plan(query: &str, error: &DataFusionError) -> FailureCause {
    let position = error
        .diagnostic()
        .and_then(|diagnostic| diagnostic.span)
        .map_or_else(Position::default, |span| Position { line: span.start.line, column: span.start.column });
    let root = error.find_root();
    if let DataFusionError::Internal(_) = root {
        return FailureCause::internal(format!("the query could not be planned: {}", root.strip_backtrace()));
    }
    let message = if let DataFusionError::SchemaError(schema_error, _) = root {
        schema_problem(schema_error)
    } else {
        lower_first(first_part(&root.message()))
    };
    FailureCause::task(format!("{message}{}", point_at(query, position)))
}

fn schema_problem(error: &SchemaError) -> String {
    if let SchemaError::FieldNotFound { field, valid_fields } = error {
        unknown_column(field, valid_fields)
    } else {
        lower_first(&error.to_string())
    }
}

/// A table that is not an input of the job.
pub(super) fn unknown_table(query: &str, name: &str, inputs: &BTreeSet<&str>, position: Position) -> FailureCause {
    let hint = match nearest(name, inputs.iter().copied()) {
        Some(near) if near.eq_ignore_ascii_case(name) => format!("; write \"{near}\" in double quotes"),
        Some(near) => format!("; did you mean `{near}`?"),
        None if inputs.is_empty() => "; the job has no inputs".to_owned(),
        None => format!("; the inputs are {}", list_names(inputs.iter().copied())),
    };
    FailureCause::task(format!("no input is called `{name}`{hint}{}", point_at(query, position)))
}

fn unknown_column(field: &Column, valid: &[Column]) -> String {
    let name = field.name.as_str();
    let of_relation = |column: &&Column| field.relation.is_none() || column.relation == field.relation;
    let mut names: Vec<&str> = valid.iter().filter(of_relation).map(|column| column.name.as_str()).collect();
    if names.is_empty() {
        return unknown_relation(field, valid);
    }
    names.dedup();
    let hint = match nearest(name, names.iter().copied()) {
        Some(near) if near.eq_ignore_ascii_case(name) => format!("; write \"{near}\" in double quotes"),
        Some(near) => format!("; did you mean `{near}`?"),
        None => format!("; the columns are {}", list_names(names)),
    };
    format!("no column is called `{}`{hint}", field.flat_name())
}

fn unknown_relation(field: &Column, valid: &[Column]) -> String {
    let tables: BTreeSet<String> =
        valid.iter().filter_map(|column| column.relation.as_ref()).map(ToString::to_string).collect();
    let Some(relation) = field.relation.as_ref().filter(|_| !tables.is_empty()) else {
        return format!("no column is called `{}`: there are no columns to choose from", field.flat_name());
    };
    let known = list_names(tables.iter().map(String::as_str));
    format!("no column is called `{}`: no table here is called `{relation}`; the tables are {known}", field.flat_name())
}

/// The line of the query that holds `position`, with a caret below; empty where the position is unknown.
fn point_at(query: &str, position: Position) -> String {
    let (Ok(line), Ok(column)) = (usize::try_from(position.line), usize::try_from(position.column)) else {
        return String::new();
    };
    let Some(text) = line.checked_sub(1).and_then(|index| query.lines().nth(index)) else {
        return String::new();
    };
    let before = column.saturating_sub(1);
    let skipped = before.saturating_sub(EXCERPT_CHARS / 2);
    let excerpt: String = text.chars().skip(skipped).take(EXCERPT_CHARS).map(printable).collect();
    let mut pointed = format!(" (line {line}, column {column})\n  {}\n  ", excerpt.trim_end());
    let _ = write!(pointed, "{:>width$}", '^', width = before - skipped + 1);
    pointed
}

fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// Takes ` at Line: 1, Column: 8` off a parser's message.
fn split_position(text: &str) -> (&str, Position) {
    let parsed = text.rsplit_once(" at Line: ").and_then(|(message, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        Some((message, Position { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? }))
    });
    parsed.unwrap_or((text, Position::default()))
}

/// `DataFusion` may add a backtrace after the message.
fn first_part(message: &str) -> &str {
    message.split(DataFusionError::BACK_TRACE_SEP).next().unwrap_or(message).trim_end()
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => {
            format!("{}{}", first.to_lowercase(), &text[first.len_utf8()..])
        }
        _ => text.to_owned(),
    }
}
