//! A job that is run again and again, and the rows that have to come out.

use std::path::Path;

use anyhow::Result;

use crate::data::UserActions;
use crate::job_file::JobFile;
use crate::rows::{Rows, read_parquet_dir, sql_in_one_process};

/// A query over user actions, how it is cut into tasks, and its answer.
#[derive(Debug, Clone)]
pub struct Work {
    data: UserActions,
    query: String,
    settings: &'static [&'static str],
    answer: Rows,
}

impl Work {
    /// Asks plain DataFusion for the answer.
    ///
    /// # Errors
    /// The query is wrong.
    pub fn new(data: UserActions, query: &str, settings: &'static [&'static str]) -> Result<Self> {
        let answer = sql_in_one_process(query, &[("actions", &data.directory()?)])?;
        Ok(Self { data, query: query.to_owned(), settings, answer })
    }

    /// The job with this output.
    ///
    /// # Errors
    /// Its data cannot be made.
    pub fn job(&self, output: &Path) -> Result<JobFile> {
        let job = JobFile::new("faults", &self.query).csv("actions", &self.data.directory()?).output(output, &[]);
        Ok(self.settings.iter().fold(job, |job, line| job.setting(line)))
    }

    /// The output has the right rows, each once.
    ///
    /// # Errors
    /// The first difference.
    pub fn check(&self, output: &Path) -> Result<()> {
        read_parquet_dir(output)?.check_equal(&self.answer)
    }
}
