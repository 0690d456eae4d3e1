//! Job files: TOML that describes one job, with `${variables}` filled in. What is wrong is told with file, line and column.
//!
//! It reads the job file and the SQL file it names, and looks at no data.

mod csv;
mod document;
mod error;
mod input;
mod job;
mod origin;
mod output;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use hearth_common::JobSpec;

pub use error::JobFileError;
pub use input::{format_of_paths, parse_schema};
pub use origin::{JobOrigin, absolute_location};

/// Largest job file or SQL file, in bytes.
pub const FILE_BYTES_MAX: u64 = 4 << 20;

/// Reads a job file. Relative paths in it are relative to the current directory, as on a command line; `query_file` is relative
/// to the job file.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn read_job(file: &Path, values: &BTreeMap<String, String>) -> Result<JobSpec, JobFileError> {
    let origin = JobOrigin::in_current_directory(file, values.clone())?;
    let text = origin::read_text(file)?;
    parse_job(&text, &origin)
}

/// Reads the text of a job file.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn parse_job(text: &str, origin: &JobOrigin) -> Result<JobSpec, JobFileError> {
    let source = origin::Source { text, origin };
    let root = toml::de::DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        source.error_at(at, error.message())
    })?;
    job::job_of(&document::Table::root(&source, &root))
}
