//! The directory of all logs: which files are open, how large each is, and which go when there is too much.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use hearth_common::{JobId, LogLine, WorkerId};
use hearth_proto::convert::ReadLog;

use super::LogLimits;
use super::job_file::{JobFile, LinesRead, LogError, read_page};
use super::recent::read_recent;

/// Files that are kept open.
const OPEN_MAX: usize = 64;
/// Youngest logs in which lines of a worker are looked for, besides those that are open.
const YOUNGEST_MAX: usize = 64;
const EXTENSION: &str = "jsonl";

#[derive(Debug)]
pub(super) struct LogFiles {
    directory: PathBuf,
    limits: LogLimits,
    open: BTreeMap<JobId, (u64, JobFile)>,
    /// Bytes of every log; ids sort by age.
    sizes: BTreeMap<JobId, u64>,
    total: u64,
    clock: u64,
    /// Writing failed, and that was told.
    is_failing: bool,
}

impl LogFiles {
    pub(super) fn open(directory: PathBuf, limits: LogLimits) -> io::Result<Self> {
        std::fs::create_dir_all(&directory)?;
        let mut sizes = BTreeMap::new();
        for entry in std::fs::read_dir(&directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(EXTENSION)?.strip_suffix('.'));
            if let Some(job) = stem.and_then(|stem| stem.parse::<JobId>().ok()) {
                sizes.insert(job, entry.metadata()?.len());
            }
        }
        let total = sizes.values().sum();
        Ok(Self { directory, limits, open: BTreeMap::new(), sizes, total, clock: 0, is_failing: false })
    }

    /// Appends lines to the logs of their jobs. A disk that takes none costs the lines, and nothing else.
    pub(super) fn append(&mut self, lines: &[LogLine]) {
        let mut by_job: BTreeMap<JobId, Vec<&LogLine>> = BTreeMap::new();
        for line in lines {
            by_job.entry(line.subject.job).or_default().push(line);
        }
        for (job, lines) in by_job {
            match self.append_to(job, &lines) {
                Ok(()) => self.is_failing = false,
                Err(error) => {
                    // What was written of it is closed when it is opened again.
                    self.open.remove(&job);
                    if !std::mem::replace(&mut self.is_failing, true) {
                        tracing::error!(%job, %error, "could not write the log of a job; its lines are lost");
                    }
                }
            }
        }
        self.make_room();
    }

    fn append_to(&mut self, job: JobId, lines: &[&LogLine]) -> io::Result<()> {
        self.clock += 1;
        let clock = self.clock;
        if !self.open.contains_key(&job) {
            let file = JobFile::open(&self.path(job), self.limits.job_bytes_max.0)?;
            self.close_oldest();
            // It may hold more than was counted, where writing failed.
            let counted = self.sizes.insert(job, file.bytes()).unwrap_or(0);
            self.total = self.total.saturating_sub(counted) + file.bytes();
            self.open.insert(job, (clock, file));
        }
        let Some((used, file)) = self.open.get_mut(&job) else { return Ok(()) };
        *used = clock;
        let grown = file.append(lines.iter().copied())?;
        *self.sizes.entry(job).or_default() += grown;
        self.total += grown;
        Ok(())
    }

    fn close_oldest(&mut self) {
        while self.open.len() >= OPEN_MAX {
            let oldest = self.open.iter().min_by_key(|(_, (used, _))| *used).map(|(job, _)| *job);
            let Some(oldest) = oldest else { return };
            self.open.remove(&oldest);
        }
    }

    fn make_room(&mut self) {
        while self.total > self.limits.bytes_max.0 && self.sizes.len() > 1 {
            let Some((job, _)) = self.sizes.first_key_value() else { return };
            self.forget(&[*job]);
        }
    }

    pub(super) fn read(&self, read: &ReadLog) -> Result<LinesRead, LogError> {
        read_page(&self.path(read.job), read)
    }

    /// The last lines of a worker, oldest first.
    pub(super) fn read_recent(&self, worker: WorkerId, lines_max: usize) -> Vec<LogLine> {
        let youngest = self.sizes.keys().rev().take(YOUNGEST_MAX);
        let jobs: BTreeSet<&JobId> = self.open.keys().chain(youngest).collect();
        read_recent(jobs.into_iter().map(|job| self.path(*job)), worker, lines_max)
    }

    pub(super) fn forget(&mut self, jobs: &[JobId]) {
        for job in jobs {
            self.open.remove(job);
            let Some(bytes) = self.sizes.remove(job) else { continue };
            self.total = self.total.saturating_sub(bytes);
            if let Err(error) = std::fs::remove_file(self.path(*job)) {
                tracing::warn!(%job, %error, "could not remove the log of a job");
            }
        }
    }

    fn path(&self, job: JobId) -> PathBuf {
        self.directory.join(format!("{job}.{EXTENSION}"))
    }
}

#[cfg(test)]
mod tests {
    use hearth_common::{ByteSize, LogLevel, LogSubject, StageId, WorkerId};

    use super::*;

    const JOB: JobId = JobId::from_u128(7);

    fn limits(job: u64, all: u64) -> LogLimits {
        LogLimits { job_bytes_max: ByteSize(job), bytes_max: ByteSize(all) }
    }

    fn line(job: JobId, worker: u128, number: u64) -> LogLine {
        let subject = LogSubject {
            stage: Some(StageId(1)),
            partition: Some(u32::try_from(number).unwrap()),
            attempt: Some(0),
            ..job.into()
        };
        let worker = Some(WorkerId::from_u128(worker));
        LogLine { worker, number, ..LogLine::new(5, subject, "split\nread \u{1b}[2J") }
    }

    fn all(files: &LogFiles, read: ReadLog) -> Vec<LogLine> {
        let (mut lines, mut read) = (Vec::new(), read);
        loop {
            let page = files.read(&read).unwrap();
            lines.extend(page.lines);
            read.cursor = page.next_cursor;
            if !page.more {
                return lines;
            }
        }
    }

    #[test]
    fn what_is_told_twice_is_kept_once_also_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = LogFiles::open(directory.path().join("logs"), limits(1 << 20, 1 << 20)).unwrap();
        files.append(&[line(JOB, 1, 1), line(JOB, 1, 2), line(JOB, 2, 1)]);
        files.append(&[line(JOB, 1, 2), line(JOB, 1, 3)]);
        let mut files = LogFiles::open(directory.path().join("logs"), limits(1 << 20, 1 << 20)).unwrap();
        files.append(&[line(JOB, 1, 2), line(JOB, 1, 3), line(JOB, 1, 4)]);
        let numbers = |read: ReadLog| -> Vec<u64> { all(&files, read).iter().map(|line| line.number).collect() };
        assert_eq!(numbers(ReadLog::of(JOB)), [1, 2, 1, 3, 4]);
        assert_eq!(numbers(ReadLog { page_size: 1, ..ReadLog::of(JOB) }), [1, 2, 1, 3, 4], "page by page");
        assert_eq!(numbers(ReadLog { worker: Some(WorkerId::from_u128(2)), ..ReadLog::of(JOB) }), [1]);
        assert_eq!(numbers(ReadLog { task: Some((StageId(1), 3)), ..ReadLog::of(JOB) }), [3]);
        assert_eq!(all(&files, ReadLog::of(JOB))[0], line(JOB, 1, 1), "as it was told");
    }

    #[test]
    fn the_last_lines_of_a_worker_are_found_in_all_logs() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = LogFiles::open(directory.path().to_owned(), limits(1 << 20, 1 << 24)).unwrap();
        let worker = WorkerId::from_u128(1);
        let numbers = |files: &LogFiles, lines_max: usize| -> Vec<u64> {
            files.read_recent(worker, lines_max).iter().map(|line| line.number).collect()
        };
        assert!(numbers(&files, 5).is_empty());
        let at = |number: u64, job: u128| LogLine { at_ms: number, ..line(JobId::from_u128(job), 1, number) };
        files.append(&[at(1, 7), at(2, 8), line(JOB, 2, 9), at(3, 7), at(4, 9)]);
        assert_eq!(numbers(&files, 5), [1, 2, 3, 4]);
        assert_eq!(numbers(&files, 3), [2, 3, 4], "the last ones");
        let many: Vec<LogLine> = (5..4000).map(|number| at(number, 7)).collect();
        files.append(&many);
        let files = LogFiles::open(directory.path().to_owned(), limits(1 << 20, 1 << 24)).unwrap();
        assert_eq!(numbers(&files, 2), [3998, 3999], "also by the next master, and in a long log");
    }

    #[test]
    fn cursors_are_starts_of_lines_and_half_lines_are_nobodys() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = LogFiles::open(directory.path().to_owned(), limits(1 << 20, 1 << 20)).unwrap();
        files.append(&[line(JOB, 1, 1)]);
        for cursor in [3, 1 << 40, u64::MAX] {
            let read = ReadLog { cursor, ..ReadLog::of(JOB) };
            assert!(matches!(files.read(&read), Err(LogError::Cursor(found)) if found == cursor));
        }
        let path = directory.path().join(format!("{JOB}.{EXTENSION}"));
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend_from_slice(b"{\"at_ms\":5,\"lev");
        std::fs::write(&path, torn).unwrap();
        let mut files = LogFiles::open(directory.path().to_owned(), limits(1 << 20, 1 << 20)).unwrap();
        files.append(&[line(JOB, 1, 2)]);
        assert_eq!(all(&files, ReadLog::of(JOB)).len(), 2);
    }

    #[test]
    fn a_full_log_keeps_what_matters_and_the_oldest_goes_first() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = LogFiles::open(directory.path().to_owned(), limits(40_000, 100_000)).unwrap();
        let many: Vec<LogLine> = (1..2000).map(|number| line(JOB, 1, number)).collect();
        files.append(&many);
        files.append(&[LogLine::new(6, JOB, "job failed").at(LogLevel::Error)]);
        let kept = all(&files, ReadLog::of(JOB));
        assert!(kept.len() < 1000 && kept.iter().filter(|line| line.message.starts_with("log is full")).count() == 1);
        assert_eq!(kept.last().unwrap().message, "job failed", "there is room for what matters");
        assert!(files.total <= 40_000);

        for job in 8..20 {
            let many: Vec<LogLine> = (1..2000).map(|number| line(JobId::from_u128(job), 1, number)).collect();
            files.append(&many);
        }
        assert!(files.total <= 100_000, "{}", files.total);
        assert!(all(&files, ReadLog::of(JOB)).is_empty() && !all(&files, ReadLog::of(JobId::from_u128(19))).is_empty());
        files.forget(&[JobId::from_u128(19)]);
        let left: u64 =
            std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
        assert_eq!(left, files.total);
    }
}
