//! The file behind the store: a redb database with one table per kind of record, values prefixed by their checksum.

use std::path::Path;

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};
use xxhash_rust::xxh3::xxh3_64;

use super::StoreError;

/// Number of the format; another one is refused.
const FORMAT: u64 = 1;
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");

/// One kind of record, by job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    /// Accepted jobs.
    Jobs,
    /// Commits that were begun.
    Intents,
    /// Commits that are through.
    Committed,
    /// Final states.
    Ended,
}

impl Table {
    pub(super) const ALL: [Self; 4] = [Self::Jobs, Self::Intents, Self::Committed, Self::Ended];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::Intents => "intents",
            Self::Committed => "committed",
            Self::Ended => "ended",
        }
    }

    const fn definition(self) -> TableDefinition<'static, &'static str, &'static [u8]> {
        TableDefinition::new(self.name())
    }
}

/// One change.
#[derive(Debug)]
pub(super) enum Write {
    /// Sets a record.
    Put {
        /// Where.
        table: Table,
        /// The job, as text.
        key: String,
        /// The record, encoded.
        value: Vec<u8>,
    },
    /// Removes a record, if it is there.
    Remove {
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
            match write {
                Write::Put { table, key, value } => {
                    let mut table = transaction.open_table(table.definition()).map_err(|error| io("write", error))?;
                    table.insert(key.as_str(), with_checksum(value).as_slice()).map_err(|error| io("write", error))?;
                }
                Write::Remove { table, key } => {
                    let mut table = transaction.open_table(table.definition()).map_err(|error| io("write", error))?;
                    table.remove(key.as_str()).map_err(|error| io("write", error))?;
                }
            }
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
            let value = verified(value.value()).ok_or_else(|| StoreError::Damaged {
                what: table.name(),
                job: key.clone(),
                problem: "the checksum does not match".to_owned(),
            })?;
            records.push((key, value.to_vec()));
        }
        Ok(records)
    }
}

fn with_checksum(value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len() + 8);
    bytes.extend_from_slice(&xxh3_64(value).to_le_bytes());
    bytes.extend_from_slice(value);
    bytes
}

fn verified(bytes: &[u8]) -> Option<&[u8]> {
    let (checksum, value) = bytes.split_first_chunk::<8>()?;
    (u64::from_le_bytes(*checksum) == xxh3_64(value)).then_some(value)
}

fn io(action: &'static str, error: impl std::fmt::Display) -> StoreError {
    StoreError::Io { action, message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_is_noticed() {
        let bytes = with_checksum(b"record");
        assert_eq!(verified(&bytes), Some(b"record".as_slice()));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(verified(&damaged), None, "byte {at}");
        }
        assert_eq!(verified(&bytes[..7]), None);
    }
}
