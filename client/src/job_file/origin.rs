//! Where a job file comes from: its name, the values of its variables, and the directory that relative paths start from.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Range;
use std::path::{Path, PathBuf};

use hearth_common::{TemplateError, fill_template};

use super::{FILE_BYTES_MAX, JobFileError};

/// What a job file's text alone does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobOrigin {
    /// Name of the file, for errors; `query_file` is relative to its directory.
    pub file: PathBuf,
    /// Values of `${variables}`.
    pub values: BTreeMap<String, String>,
    /// Where relative data paths start.
    pub directory: PathBuf,
}

impl JobOrigin {
    /// A job file whose data paths are relative to the current directory.
    ///
    /// # Errors
    /// A current directory that is gone.
    pub fn in_current_directory(file: &Path, values: BTreeMap<String, String>) -> Result<Self, JobFileError> {
        let directory = std::env::current_dir()
            .map_err(|error| JobFileError::Read { file: PathBuf::from("."), reason: error.to_string() })?;
        Ok(Self { file: file.to_owned(), values, directory })
    }
}

/// Makes a relative path absolute. URLs and absolute paths stay as they are.
#[must_use]
pub fn absolute_location(location: &str, directory: &Path) -> String {
    if location.is_empty() || location.contains("://") || location.starts_with('/') {
        return location.to_owned();
    }
    let mut relative = location;
    while let Some(rest) = relative.strip_prefix("./") {
        relative = rest.trim_start_matches('/');
    }
    let relative = if relative == "." { "" } else { relative };
    directory.join(relative).to_string_lossy().into_owned()
}

/// The text of a file of limited size.
pub(super) fn read_text(file: &Path) -> Result<String, JobFileError> {
    let read = |reason: String| JobFileError::Read { file: file.to_owned(), reason };
    let size = std::fs::metadata(file).map_err(|error| read(error.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(read(format!("it has {size} bytes, at most {FILE_BYTES_MAX} are read")));
    }
    let bytes = std::fs::read(file).map_err(|error| read(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        read(format!("it is not UTF-8 at byte {at}"))
    })
}

/// A text with its origin: turns offsets into places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'s> {
    pub(super) text: &'s str,
    pub(super) origin: &'s JobOrigin,
}

impl Source<'_> {
    pub(super) fn error_at(&self, byte: usize, problem: impl Display) -> JobFileError {
        let before = self.text.get(..byte).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        JobFileError::At { file: self.origin.file.clone(), line, column, problem: problem.to_string() }
    }

    /// Fills the variables of a string that stands at `span`.
    pub(super) fn fill(&self, string: &str, span: Range<usize>) -> Result<String, JobFileError> {
        fill_template(string, &self.origin.values).map_err(|error| {
            let mark = match &error {
                TemplateError::Unset { name } => format!("${{{name}}}"),
                TemplateError::Unclosed { .. } => "${".to_owned(),
            };
            // A string with escapes may hold the mark where the text does not.
            let inside = self.text.get(span.clone()).and_then(|text| text.find(&mark)).unwrap_or(0);
            self.error_at(span.start + inside, error)
        })
    }
}
