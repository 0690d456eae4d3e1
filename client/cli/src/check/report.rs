//! What a check found, for people and as JSON.

use hearth_common::{ByteSize, FailureCause, InferredInput, InputFormat, InputSpec, InputStatus};
use serde_json::{Value, json};

use crate::columns::lay_out;
use crate::exit::CliError;
use crate::figures::{count, counted};
use crate::terminal::{say, say_json};

/// One input and what was found.
pub(super) struct Report {
    pub(super) name: String,
    pub(super) input: InputSpec,
    pub(super) found: Found,
}

/// What an input holds, as far as it could be read.
#[derive(Default)]
pub(super) struct Found {
    pub(super) columns: Vec<Column>,
    /// What the samples told, where no columns are declared.
    pub(super) inferred: Option<InferredInput>,
    /// Bytes of the files that were read whole.
    pub(super) bytes: Option<u64>,
    /// Records that can be read.
    pub(super) records: Option<u64>,
    /// The figures of the input, with the first records that were put aside.
    pub(super) rejects: Option<InputStatus>,
    /// Why it cannot be read.
    pub(super) problem: Option<FailureCause>,
}

/// One column.
pub(super) struct Column {
    pub(super) name: String,
    /// Its type, as a job file has it.
    pub(super) kind: String,
    pub(super) nulls: Option<u64>,
}

impl Report {
    /// Where the columns come from.
    fn origin(&self) -> &'static str {
        match (&self.input.schema, &self.input.format) {
            (Some(_), _) => "declared",
            (None, InputFormat::Parquet) => "from the files",
            (None, InputFormat::Csv(_) | InputFormat::Json) => "inferred from samples",
        }
    }

    pub(super) fn tell(&self) -> Result<(), CliError> {
        let found = &self.found;
        let mut lines = vec![format!("input    {}", self.name), format!("path     {}", self.input.paths.join(", "))];
        if !found.columns.is_empty() {
            let inferred = found.inferred.as_ref();
            let seen = inferred.map(|inferred| format!(" of {}", counted(inferred.records, "record")));
            let (columns, seen) = (found.columns.len(), seen.unwrap_or_default());
            lines.push(format!("columns  {columns}, {}{seen}", self.origin()));
        }
        if let (Some(records), Some(bytes)) = (found.records, found.bytes) {
            lines.push(format!("records  {} ({})", count(records), ByteSize(bytes)));
        }
        let rejects = found.rejects.as_ref().filter(|status| status.records.rejected > 0);
        if let Some(status) = rejects {
            lines.push(format!("rejects  {}, among them", count(status.records.rejected)));
            lines.extend(status.first_rejects.iter().map(|reject| format!("  {reject}")));
        }
        if let Some(problem) = &found.problem {
            lines.push(format!("problem  {problem}"));
        }
        say(&lines.join("\n"))?;
        if !found.columns.is_empty() {
            let nulls = |column: &Column| column.nulls.map(count).unwrap_or_default();
            let row = |column: &Column| [column.name.escape_debug().to_string(), column.kind.clone(), nulls(column)];
            say(&format!(
                "\n{}\n",
                lay_out(["column", "type", "NULLs"], &found.columns.iter().map(row).collect::<Vec<_>>())
            ))?;
        }
        Ok(())
    }

    fn document(&self) -> Value {
        let found = &self.found;
        let column = |column: &Column| json!({ "name": column.name, "type": column.kind, "nulls": column.nulls });
        json!({
            "name": self.name,
            "paths": self.input.paths,
            "columns": found.columns.iter().map(column).collect::<Vec<_>>(),
            "columns_origin": self.origin(),
            "inferred": found.inferred,
            "records": found.records,
            "rejected": found.rejects.as_ref().map(|status| status.records.rejected),
            "first_rejects": found.rejects.as_ref().map(|status| &status.first_rejects),
            "bytes": found.bytes,
            "problem": found.problem,
            "problem_message": found.problem.as_ref().map(ToString::to_string),
        })
    }
}

/// All reports as one document.
pub(super) fn tell_json(reports: &[Report]) -> Result<(), CliError> {
    let is_readable = reports.iter().all(|report| report.found.problem.is_none());
    let inputs: Vec<Value> = reports.iter().map(Report::document).collect();
    say_json(&json!({ "readable": is_readable, "inputs": inputs }))
}
