//! Reads a job's query: one SELECT statement and nothing else. What it names is checked before any file is looked at.
//!
//! Everything but SELECT is refused here by the parsed statement, and once more on the logical plan by `DataFusion`'s options.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::logical_expr::sqlparser::ast::{ObjectName, Query, Statement as SqlStatement, Visit, Visitor};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::resolve::resolve_table_references;
use hearth_common::FailureCause;

use super::query_error::{self, Position};

/// Deepest nesting of a query's expressions and subqueries. The planning thread's stack is made for it.
const NESTING_MAX: usize = 200;

/// One parsed SELECT statement.
#[derive(Debug)]
pub(super) struct ParsedQuery {
    /// The statement.
    pub(super) statement: Statement,
    /// The tables it reads, as it names them, and where it names each first. Those it defines itself are left out.
    tables: BTreeMap<String, Position>,
}

/// Parses `text`.
///
/// # Errors
/// Bad syntax with its place, more or less than one statement, and anything that is not a plain SELECT.
pub(super) fn parse_query(text: &str) -> Result<ParsedQuery, FailureCause> {
    let parsed = DFParserBuilder::new(text).with_recursion_limit(NESTING_MAX).build();
    let mut statements = parsed
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|error| query_error::syntax(text, NESTING_MAX, &error))?;
    let count = statements.len();
    let Some(statement) = statements.pop_front().filter(|_| count == 1) else {
        return Err(FailureCause::task(format!("the query holds {count} statements; give exactly one SELECT")));
    };
    let checks = check_statement(&statement).map_err(FailureCause::task)?;
    let tables = named_tables(&statement, checks).map_err(|error| query_error::plan(text, &error))?;
    Ok(ParsedQuery { statement, tables })
}

impl ParsedQuery {
    /// Refuses a table that is neither an input nor a table function.
    pub(super) fn check_tables(
        &self,
        text: &str,
        inputs: &BTreeSet<&str>,
        is_function: impl Fn(&str) -> bool,
    ) -> Result<(), FailureCause> {
        for (name, position) in &self.tables {
            if !inputs.contains(name.as_str()) && !is_function(name) {
                return Err(query_error::unknown_table(text, name, inputs, *position));
            }
        }
        Ok(())
    }
}

/// Walks every part of a statement, and stops at what is not allowed.
#[derive(Default)]
struct StatementChecks {
    /// Every relation by the name it is written with, and where it is first.
    relations: Vec<(ObjectName, Position)>,
}

impl Visitor for StatementChecks {
    type Break = String;

    fn pre_visit_statement(&mut self, statement: &SqlStatement) -> ControlFlow<String> {
        if matches!(statement, SqlStatement::Query(_)) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(only_select(&statement.to_string()))
        }
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        if query.with.as_ref().is_some_and(|with| with.recursive) {
            return ControlFlow::Break(
                "WITH RECURSIVE is not supported: a job runs as stages that each run once; write the steps out"
                    .to_owned(),
            );
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<String> {
        let start = relation.0.first().and_then(|part| part.as_ident()).map(|ident| ident.span.start);
        let position =
            start.map_or_else(Position::default, |start| Position { line: start.line, column: start.column });
        self.relations.push((relation.clone(), position));
        ControlFlow::Continue(())
    }
}

fn check_statement(statement: &Statement) -> Result<StatementChecks, String> {
    let mut checks = StatementChecks::default();
    match statement {
        Statement::Statement(statement) => match statement.visit(&mut checks) {
            ControlFlow::Continue(()) => Ok(checks),
            ControlFlow::Break(problem) => Err(problem),
        },
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Explain(_) | Statement::Reset(_) => {
            Err(only_select(&statement.to_string()))
        }
    }
}

fn only_select(statement: &str) -> String {
    let word = statement.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    format!("only SELECT is allowed, found {word}")
}

fn named_tables(
    statement: &Statement,
    checks: StatementChecks,
) -> datafusion::error::Result<BTreeMap<String, Position>> {
    let (references, _) = resolve_table_references(statement, true)?;
    let mut tables = BTreeMap::new();
    for reference in references {
        let written = reference.to_string();
        let at = checks.relations.iter().find(|(name, _)| is_same_name(name, &written));
        tables.insert(written, at.map_or_else(Position::default, |(_, position)| *position));
    }
    Ok(tables)
}

fn is_same_name(relation: &ObjectName, written: &str) -> bool {
    let parts = relation.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.as_str());
    parts.collect::<Vec<_>>().join(".").eq_ignore_ascii_case(written)
}
