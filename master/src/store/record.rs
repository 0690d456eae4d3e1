//! The records of the store and their encoding (JSON, so that a person can read them in an emergency).

use std::collections::BTreeMap;

use hearth_common::{JobId, JobSpec, JobStatus, OutputStatus};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::StoreError;
use super::file::{StoreFile, Table, Write};
use crate::commit::CommitIntent;

/// A job as it was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AcceptedJob {
    /// Its id.
    pub id: JobId,
    /// The idempotency key of its submission.
    pub key: Option<String>,
    /// What was asked for.
    pub spec: JobSpec,
    /// When it was accepted, in milliseconds since 1970.
    pub submitted_ms: u64,
}

impl AcceptedJob {
    /// Hash of a job, by which a repeated submission is told from another job under the same key.
    pub(crate) fn hash_of(spec: &JobSpec) -> u128 {
        xxh3_128(&serde_json::to_vec(spec).unwrap_or_default())
    }
}

/// What a commit made visible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Committed {
    /// An output directory.
    Output(OutputStatus),
    /// A result that can be fetched.
    Result,
}

/// Everything the store knows of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredJob {
    /// As it was accepted.
    pub accepted: AcceptedJob,
    /// A commit that was begun and not ended.
    pub intent: Option<CommitIntent>,
    /// A commit that is through.
    pub committed: Option<Committed>,
    /// Its final state.
    pub ended: Option<JobStatus>,
}

pub(super) fn put(table: Table, job: JobId, record: &impl Serialize) -> Result<Write, StoreError> {
    let value = serde_json::to_vec(record)
        .map_err(|error| StoreError::Io { action: "encode a record for", message: error.to_string() })?;
    Ok(Write::Put { table, key: job.to_string(), value })
}

pub(super) fn remove(table: Table, job: JobId) -> Write {
    Write::Remove { table, key: job.to_string() }
}

/// Reads every job, oldest first. Records of other tables without a job are left over from a job that was forgotten.
pub(super) fn load(file: &StoreFile) -> Result<Vec<StoredJob>, StoreError> {
    let mut intents = read::<CommitIntent>(file, Table::Intents)?;
    let mut committed = read::<Committed>(file, Table::Committed)?;
    let mut ended = read::<JobStatus>(file, Table::Ended)?;
    let accepted = read::<AcceptedJob>(file, Table::Jobs)?;
    let jobs = accepted.into_iter().map(|(id, accepted)| StoredJob {
        intent: intents.remove(&id),
        committed: committed.remove(&id),
        ended: ended.remove(&id),
        accepted,
    });
    Ok(jobs.collect())
}

fn read<T: DeserializeOwned>(file: &StoreFile, table: Table) -> Result<BTreeMap<JobId, T>, StoreError> {
    let records = file.read_all(table)?;
    records.into_iter().map(|(key, value)| decode(table, &key, &value)).collect()
}

fn decode<T: DeserializeOwned>(table: Table, key: &str, value: &[u8]) -> Result<(JobId, T), StoreError> {
    let damaged = |problem: String| StoreError::Damaged { what: table.name(), job: key.to_owned(), problem };
    let id = key.parse().map_err(|error: hearth_common::IdError| damaged(error.to_string()))?;
    let record = serde_json::from_slice(value).map_err(|error| damaged(error.to_string()))?;
    Ok((id, record))
}
