//! The file behind the store: a redb database with one table per kind of record, values prefixed by the checksum of key and value.
//!
//! The checksums of a table's records are added up, so that a record that is missing is noticed as one that changed is. What damage
//! still brings about in the database is an error, also where that panics.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::StoreError;

/// Number of the format; another one is refused.
const FORMAT: u64 = 3;
/// The format, and for each table by its name the sum of its records' checksums.
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
    /// There until it is dropped.
    database: Option<Database>,
}

impl Drop for StoreFile {
    /// Closing writes, and may find damage as well.
    fn drop(&mut self) {
        let database = self.database.take();
        let closed = guarded("the database", || {
            drop(database);
            Ok(())
        });
        if let Err(error) = closed {
            tracing::error!(%error, "could not close the store");
        }
    }
}

impl StoreFile {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let open = || {
            let database = Database::create(path).map_err(|error| {
                if matches!(error, DatabaseError::DatabaseAlreadyOpen) {
                    StoreError::InUse(path.display().to_string())
                } else {
                    io("open", error)
                }
            })?;
            let file = Self { database: Some(database) };
            file.check_format(path)?;
            Ok(file)
        };
        guarded("the database", open)
    }

    fn database(&self) -> Result<&Database, StoreError> {
        self.database.as_ref().ok_or(StoreError::Closed)
    }

    fn check_format(&self, path: &Path) -> Result<(), StoreError> {
        let transaction = self.database()?.begin_write().map_err(|error| io("open", error))?;
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
        if writes.is_empty() { Ok(()) } else { guarded("the database", || self.try_write(writes)) }
    }

    fn try_write(&self, writes: &[Write]) -> Result<(), StoreError> {
        let transaction = self.database()?.begin_write().map_err(|error| io("write", error))?;
        let mut changes = BTreeMap::new();
        for write in writes {
            let change = apply(&transaction, write)?;
            let sum = changes.entry(write.table()).or_insert(0_u64);
            *sum = sum.wrapping_add(change);
        }
        {
            let mut meta = transaction.open_table(META).map_err(|error| io("write", error))?;
            for (table, change) in changes {
                let before = meta.get(table.name()).map_err(|error| io("write", error))?.map_or(0, |sum| sum.value());
                let sum = before.wrapping_add(change);
                meta.insert(table.name(), sum).map_err(|error| io("write", error))?;
            }
        }
        transaction.commit().map_err(|error| io("write", error))
    }

    /// Every record of a table, by key, with its checksum verified, and none missing.
    pub(super) fn read_all(&self, table: Table) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        guarded(table.name(), || self.try_read_all(table))
    }

    fn try_read_all(&self, table: Table) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let transaction = self.database()?.begin_read().map_err(|error| io("read", error))?;
        let rows = transaction.open_table(table.definition()).map_err(|error| io("read", error))?;
        let meta = transaction.open_table(META).map_err(|error| io("read", error))?;
        let expected = meta.get(table.name()).map_err(|error| io("read", error))?.map_or(0, |sum| sum.value());
        let (mut records, mut sum) = (Vec::new(), 0_u64);
        for row in rows.iter().map_err(|error| io("read", error))? {
            let (key, value) = row.map_err(|error| io("read", error))?;
            let key = key.value().to_owned();
            let value = verified(&key, value.value()).ok_or_else(|| StoreError::Damaged {
                what: table.name(),
                key: key.clone(),
                problem: "the checksum does not match".to_owned(),
            })?;
            sum = sum.wrapping_add(checksum(&key, value));
            records.push((key, value.to_vec()));
        }
        if sum == expected { Ok(records) } else { Err(damaged(table.name(), "records are missing".to_owned())) }
    }
}

impl Write {
    const fn table(&self) -> Table {
        let (Self::Put { table, .. } | Self::Remove { table, .. } | Self::RemoveAll { table, .. }) = self;
        *table
    }
}

/// Gives by what the sum of the table's checksums changes.
fn apply(transaction: &WriteTransaction, write: &Write) -> Result<u64, StoreError> {
    let mut table = transaction.open_table(write.table().definition()).map_err(|error| io("write", error))?;
    let mut removed = 0_u64;
    let mut remove = |bytes: &[u8]| removed = removed.wrapping_add(checksum_before(bytes));
    let mut added = 0;
    match write {
        Write::Put { key, value, .. } => {
            added = checksum(key, value);
            let before = table.insert(key.as_str(), with_checksum(key, value).as_slice());
            before.map_err(|error| io("write", error))?.into_iter().for_each(|before| remove(before.value()));
        }
        Write::Remove { key, .. } => {
            let before = table.remove(key.as_str()).map_err(|error| io("write", error))?;
            before.into_iter().for_each(|before| remove(before.value()));
        }
        Write::RemoveAll { key, .. } => {
            let before = table.remove(key.as_str()).map_err(|error| io("write", error))?;
            before.into_iter().for_each(|before| remove(before.value()));
            // `0` follows the slash.
            let (first, end) = (format!("{key}/"), format!("{key}0"));
            let forget = |_: &str, value: &[u8]| {
                remove(value);
                false
            };
            table.retain_in(first.as_str()..end.as_str(), forget).map_err(|error| io("write", error))?;
        }
    }
    Ok(u64::wrapping_sub(added, removed))
}

/// The checksum that stands before a value.
fn checksum_before(bytes: &[u8]) -> u64 {
    bytes.first_chunk::<8>().map_or(0, |sum| u64::from_le_bytes(*sum))
}

/// The database does not expect damage everywhere: where it gives up by a panic, that is an error too.
fn guarded<T>(what: &'static str, read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(damaged(what, "the file is damaged".to_owned())))
}

fn damaged(what: &'static str, problem: String) -> StoreError {
    StoreError::Damaged { what, key: "all jobs".to_owned(), problem }
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
