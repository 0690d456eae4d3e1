//! Names of the files an attempt leaves in staging, and their removal when the attempt does not succeed.

use std::collections::BTreeMap;

use hearth_common::{AttemptId, OutputFile};
use hearth_storage::StoredFile;

/// Files of one attempt. Dropped before [`StagedFiles::keep`], it removes them.
#[derive(Debug)]
pub(super) struct StagedFiles {
    attempts_url: String,
    attempt: AttemptId,
    extension: &'static str,
    next: u32,
    /// By the numbers of their names.
    written: BTreeMap<u32, (StoredFile, OutputFile)>,
}

/// A file that is about to be written.
#[derive(Debug, Clone)]
pub(super) struct StagedName {
    pub(super) url: String,
    pub(super) number: u32,
    pub(super) staged: String,
}

impl StagedFiles {
    pub(super) fn new(attempts_url: &str, attempt: AttemptId, extension: &'static str) -> Self {
        let attempts_url = attempts_url.trim_end_matches('/').to_owned();
        Self { attempts_url, attempt, extension, next: 0, written: BTreeMap::new() }
    }

    /// A name that no other file of any attempt has.
    pub(super) fn next_name(&mut self) -> StagedName {
        let AttemptId { task, attempt } = self.attempt;
        let (number, extension) = (self.next, self.extension);
        self.next += 1;
        let staged = format!("part-{}-{:05}-{attempt}-{number}.{extension}", task.stage, task.partition);
        StagedName { url: format!("{}/{staged}", self.attempts_url), number, staged }
    }

    pub(super) fn add(&mut self, number: u32, stored: StoredFile, file: OutputFile) {
        self.written.insert(number, (stored, file));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    pub(super) fn extension(&self) -> &'static str {
        self.extension
    }

    /// The attempt succeeded: the files stay.
    pub(super) fn keep(mut self) -> Vec<OutputFile> {
        std::mem::take(&mut self.written).into_values().map(|(_, file)| file).collect()
    }
}

impl Drop for StagedFiles {
    fn drop(&mut self) {
        for (stored, _) in std::mem::take(&mut self.written).into_values() {
            stored.discard();
        }
    }
}
