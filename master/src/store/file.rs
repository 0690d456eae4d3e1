//! The file behind the store: a redb database with one table per kind of record, values prefixed by the checksum of key and value.

use std::path::Path;

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::StoreError;

/// Number of the format; another one is refused.
const FORMAT: u64 = 2;
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");

/// One kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    /// Accepted jobs.
    Jobs,
    /// Commits that were begun.
    Intents,
    /// Commits that are through.
    Committed,
    /// Final states.
    Ended,
    /// The states with which jobs end if the commit that is begun gets through.
    Closing,
    /// Plans.
    Plans,
    /// The programs of their stages.
    Programs,
    /// The scheduler's facts about jobs,
    JobFacts,
    /// about stages,
    StageFacts,
    /// and about tasks.
    TaskFacts,
    /// What attempts that count have told, besides what the scheduler knows.
    Reports,
    /// Workers that may come back, by their id.
    Workers,
    /// Idempotency keys of jobs that history has forgotten, by the key.
    Keys,
}

impl Table {
    pub(super) const ALL: [Self; 13] = [
        Self::Jobs,
        Self::Intents,
        Self::Committed,
        Self::Ended,
        Self::Closing,
        Self::Plans,
        Self::Programs,
        Self::JobFacts,
        Self::StageFacts,
        Self::TaskFacts,
        Self::Reports,
        Self::Workers,
        Self::Keys,
    ];
    /// With one record per job, of jobs however they are.
    pub(super) const OF_JOBS: [Self; 4] = [Self::Jobs, Self::Intents, Self::Committed, Self::Ended];
    /// With records of jobs that have not ended; their keys begin with the job.
    pub(super) const OF_ACTIVE: [Self; 7] =
        [Self::Closing, Self::Plans, Self::Programs, Self::JobFacts, Self::StageFacts, Self::TaskFacts, Self::Reports];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::Intents => "intents",
            Self::Committed => "committed",
            Self::Ended => "ended",
            Self::Closing => "closing",
            Self::Plans => "plans",
            Self::Programs => "programs",
            Self::JobFacts => "job_facts",
            Self::StageFacts => "stage_facts",
            Self::TaskFacts => "task_facts",
            Self::Reports => "reports",
            Self::Workers => "workers",
            Self::Keys => "keys",
        }
    }

    const fn definition(self) -> TableDefinition<'static, &'static str, &'static [u8]> {
        TableDefinition::new(self.name())
    }
}

/// One change.
#[derive(Debug)]
pub(crate) enum Write {
    /// Sets a record.
    Put {
        /// Where.
        table: Table,
        /// What it is about, as text; it begins with the job.
        key: String,
        /// The record, encoded.
        value: Vec<u8>,
    },
    /// Removes a record, if it is there.
    Remove {
        /// Where.
        table: Table,
        /// What it is about, as text.
        key: String,
    },
    /// Removes the record of that key, and those of all keys that go on with a slash.
    RemoveAll {
        /// Where.
        table: Table,
        /// The job, as text.
        key: String,
    },
}

/// The open file.
#[derive(Debug)]
pub(super) struct StoreFile {
    database: Database,
}

impl StoreFile {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let database = Database::create(path).map_err(|error| {
            if matches!(error, DatabaseError::DatabaseAlreadyOpen) {
                StoreError::InUse(path.display().to_string())
            } else {
                io("open", error)
            }
        })?;
        let file = Self { database };
        file.check_format(path)?;
        Ok(file)
    }

    fn check_format(&self, path: &Path) -> Result<(), StoreError> {
        let transaction = self.database.begin_write().map_err(|error| io("open", error))?;
        {
            let mut meta = transaction.open_table(META).map_err(|error| io("open", error))?;
            let found = meta.get("format").map_err(|error| io("read", error))?.map(|value| value.value());
            match found {
                Some(FORMAT) => {}
                Some(found) => {
                    return Err(StoreError::Format { path: path.display().to_string(), found, expected: FORMAT });
                }
                None => {
                    meta.insert("format", FORMAT).map_err(|error| io("write", error))?;
                }
            }
            for table in Table::ALL {
                transaction.open_table(table.definition()).map_err(|error| io("open", error))?;
            }
        }
        transaction.commit().map_err(|error| io("write", error))
    }

    /// Writes all changes in one transaction, in order, and syncs it.
    pub(super) fn write(&self, writes: &[Write]) -> Result<(), StoreError> {
        if writes.is_empty() {
            return Ok(());
        }
        let transaction = self.database.begin_write().map_err(|error| io("write", error))?;
        for write in writes {
            apply(&transaction, write)?;
        }
        transaction.commit().map_err(|error| io("write", error))
    }

    /// Every record of a table, by key, with its checksum verified.
    pub(super) fn read_all(&self, table: Table) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let transaction = self.database.begin_read().map_err(|error| io("read", error))?;
        let rows = transaction.open_table(table.definition()).map_err(|error| io("read", error))?;
        let mut records = Vec::new();
        for row in rows.iter().map_err(|error| io("read", error))? {
            let (key, value) = row.map_err(|error| io("read", error))?;
            let key = key.value().to_owned();
            let value = verified(&key, value.value()).ok_or_else(|| StoreError::Damaged {
                what: table.name(),
                key: key.clone(),
                problem: "the checksum does not match".to_owned(),
            })?;
            records.push((key, value.to_vec()));
        }
        Ok(records)
    }
}

fn apply(transaction: &WriteTransaction, write: &Write) -> Result<(), StoreError> {
    let (Write::Put { table, .. } | Write::Remove { table, .. } | Write::RemoveAll { table, .. }) = write;
    let mut table = transaction.open_table(table.definition()).map_err(|error| io("write", error))?;
    match write {
        Write::Put { key, value, .. } => {
            table.insert(key.as_str(), with_checksum(key, value).as_slice()).map_err(|error| io("write", error))?;
        }
        Write::Remove { key, .. } => {
            table.remove(key.as_str()).map_err(|error| io("write", error))?;
        }
        Write::RemoveAll { key, .. } => {
            table.remove(key.as_str()).map_err(|error| io("write", error))?;
            // `0` follows the slash.
            let (first, end) = (format!("{key}/"), format!("{key}0"));
            table.retain_in(first.as_str()..end.as_str(), |_, _| false).map_err(|error| io("write", error))?;
        }
    }
    Ok(())
}

/// The key is part of what is summed: a record that stands under another one's key is damaged too.
fn checksum(key: &str, value: &[u8]) -> u64 {
    xxh3_64_with_seed(value, xxh3_64(key.as_bytes()))
}

fn with_checksum(key: &str, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len() + 8);
    bytes.extend_from_slice(&checksum(key, value).to_le_bytes());
    bytes.extend_from_slice(value);
    bytes
}

fn verified<'a>(key: &str, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let (sum, value) = bytes.split_first_chunk::<8>()?;
    (u64::from_le_bytes(*sum) == checksum(key, value)).then_some(value)
}

fn io(action: &'static str, error: impl std::fmt::Display) -> StoreError {
    StoreError::Io { action, message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_is_noticed() {
        let bytes = with_checksum("key", b"record");
        assert_eq!(verified("key", &bytes), Some(b"record".as_slice()));
        assert_eq!(verified("kez", &bytes), None);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(verified("key", &damaged), None, "byte {at}");
        }
        assert_eq!(verified("key", &bytes[..7]), None);
    }
}
