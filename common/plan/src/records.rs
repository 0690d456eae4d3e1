//! What becomes of the records that an attempt reads: the scans of its plan count them and put their rejects aside, its report
//! tells. All of it belongs to the attempt, as its output does.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearth_common::{
    AttemptId, AttemptRecords, FailureCause, FoundReject, InputRecords, InputSplit, OnError, Place, Reject,
    RejectLimit, RejectsFile,
};
use hearth_csv::RejectedRecord;
use hearth_storage::{Storage, StoredFile};

use crate::ScanSpec;
use crate::rejects::{RejectOrigin, RejectsWriter};

/// The records of one attempt. Cheap to clone: all clones are the same.
#[derive(Debug, Clone)]
pub struct RecordLog {
    log: Arc<Mutex<Log>>,
}

/// What was read in one go.
pub(crate) struct ReadRecords<'a> {
    pub(crate) spec: &'a ScanSpec,
    pub(crate) split: &'a InputSplit,
    pub(crate) records: u64,
    pub(crate) used: u64,
    pub(crate) rejects: &'a [RejectedRecord],
}

/// Its file is removed with it, unless it is kept.
struct Log {
    storage: Storage,
    staged: String,
    inputs: BTreeMap<String, InputRecords>,
    first: Vec<FoundReject>,
    writer: Option<RejectsWriter>,
    finished: Option<StoredFile>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("staged", &self.staged).field("inputs", &self.inputs).finish_non_exhaustive()
    }
}

impl RecordLog {
    /// For an attempt that has read nothing.
    #[must_use]
    pub fn new(attempt: AttemptId, storage: Storage) -> Self {
        let AttemptId { task, attempt } = attempt;
        let staged = format!("rejects-{}-{:05}-{attempt}.parquet", task.stage, task.partition);
        let log = Log { storage, staged, inputs: BTreeMap::new(), first: Vec::new(), writer: None, finished: None };
        Self { log: Arc::new(Mutex::new(log)) }
    }

    /// Notes what was read, and puts the rejects aside.
    ///
    /// # Errors
    /// More rejects than the input may have, and trouble with their file.
    pub(crate) fn note(&self, read: &ReadRecords<'_>) -> Result<(), FailureCause> {
        self.lock().note(read)
    }

    /// Completes the file of rejects, and tells everything. The file stays only after [`RecordLog::keep`].
    ///
    /// # Errors
    /// Records that are neither used nor rejected, and trouble with the file.
    pub async fn finish(&self) -> Result<AttemptRecords, FailureCause> {
        let (records, writer) = self.lock().close()?;
        let Some(writer) = writer else { return Ok(records) };
        let (stored, rows) = writer.finish().await?;
        let mut log = self.lock();
        let file = RejectsFile { staged: log.staged.clone(), rows, bytes: stored.bytes() };
        log.finished = Some(stored);
        Ok(AttemptRecords { file: Some(file), ..records })
    }

    /// The attempt succeeded: its file stays.
    pub fn keep(&self) {
        self.lock().finished = None;
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn note(&mut self, read: &ReadRecords<'_>) -> Result<(), FailureCause> {
        let input = read.spec.table.as_str();
        if !self.inputs.contains_key(input) {
            let counts = InputRecords { input: input.to_owned(), ..InputRecords::default() };
            self.inputs.insert(input.to_owned(), counts);
        }
        let Some(counts) = self.inputs.get_mut(input) else { return Ok(()) };
        let rejected_before = counts.rejected;
        counts.records += read.records;
        counts.used += read.used;
        counts.rejected += read.rejects.len() as u64;
        if read.rejects.is_empty() {
            return Ok(());
        }
        let rejected = counts.rejected;
        if let OnError::Reject(limit @ RejectLimit::Records(max)) = read.spec.on_error
            && rejected > max
            && let Some(excess) =
                usize::try_from(max.saturating_sub(rejected_before)).ok().and_then(|at| read.rejects.get(at))
        {
            return Err(too_many(read, limit, excess));
        }
        self.put_aside(read)
    }

    fn put_aside(&mut self, read: &ReadRecords<'_>) -> Result<(), FailureCause> {
        let ReadRecords { spec, split, rejects, .. } = read;
        let link = split.link.filter(|link| link.known.is_none()).map(|link| link.number);
        let origin = RejectOrigin { input: &spec.table, file: &split.url, link };
        let room = AttemptRecords::FIRST_MAX.saturating_sub(self.first.len());
        self.first.extend(rejects.iter().take(room).map(|reject| FoundReject {
            input: spec.table.clone(),
            link,
            reject: Reject { place: place_of(reject, split), reason: reject.describe() },
        }));
        let Some(attempts_url) = &spec.attempts_url else { return Ok(()) };
        let writer = match &mut self.writer {
            Some(writer) => writer,
            writer @ None => {
                let url = format!("{}/{}", attempts_url.trim_end_matches('/'), self.staged);
                writer.insert(RejectsWriter::create(&self.storage, &url)?)
            }
        };
        writer.put(origin, rejects)
    }

    /// What was noted, and the file that is not complete yet.
    fn close(&mut self) -> Result<(AttemptRecords, Option<RejectsWriter>), FailureCause> {
        if let Some(wrong) = self.inputs.values().find(|counts| counts.records != counts.used + counts.rejected) {
            let InputRecords { input, records, used, rejected } = wrong;
            return Err(FailureCause::internal(format!(
                "input `{input}`: {records} records were read, but {used} used and {rejected} rejected"
            )));
        }
        let inputs = std::mem::take(&mut self.inputs).into_values().collect();
        let records = AttemptRecords { inputs, first: std::mem::take(&mut self.first), file: None };
        Ok((records, self.writer.take()))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some(file) = self.finished.take() {
            file.discard();
        }
    }
}

fn place_of(reject: &RejectedRecord, split: &InputSplit) -> Place {
    Place { file: split.url.clone(), line: Some(reject.line), byte: Some(reject.byte), column: reject.column.clone() }
}

/// The attempt alone has more rejects than its whole input may have.
fn too_many(read: &ReadRecords<'_>, limit: RejectLimit, excess: &RejectedRecord) -> FailureCause {
    let input = &read.spec.table;
    let message = format!(
        "input `{input}` has more rejects than max_rejects = {limit}; the one beyond it: {}",
        excess.describe()
    );
    FailureCause::Task { message, place: Some(place_of(excess, read.split)) }
}
