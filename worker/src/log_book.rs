//! Lines about attempts that the master has not kept yet. They outlive connections and lives, within bounds: the oldest go first.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hearth_common::{JobId, LogLevel, LogLine, WorkerId};
use hearth_proto::convert::control::LOG_LINES_MAX;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Most lines that wait, and their bytes.
const LINES_MAX: usize = 20_000;
const BYTES_MAX: usize = 8 << 20;
/// Bytes of one message; a line is far shorter.
const BATCH_BYTES_MAX: usize = 256 << 10;
/// How long a line waits for others to go with it.
const GATHER: Duration = Duration::from_millis(50);
/// How long an answer is waited for before lines are told again.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Jobs whose dropped lines are counted.
const JOBS_COUNTED_MAX: usize = 256;

/// The lines of one worker process. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogBook {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    book: Mutex<Book>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Book {
    last_number: u64,
    waiting: VecDeque<LogLine>,
    bytes: usize,
    /// When the first of them should go.
    due: Option<Instant>,
    /// Until when an answer to the last batch is waited for.
    in_flight: Option<Instant>,
    dropped: BTreeMap<JobId, (WorkerId, u64)>,
}

impl LogBook {
    /// Adds a line that `worker` writes.
    pub(crate) fn add(&self, worker: WorkerId, line: LogLine) {
        let mut book = self.book();
        book.push(worker, line);
        if book.due.is_none() {
            book.due = Some(Instant::now() + GATHER);
            self.shared.changed.notify_one();
        }
    }

    /// Waits for lines to tell. It gives none while an answer to others is waited for.
    pub(crate) async fn next_batch(&self) -> Vec<LogLine> {
        loop {
            let (due, in_flight) = {
                let book = self.book();
                (book.due, book.in_flight)
            };
            match (due, in_flight) {
                (_, Some(answer_max)) => {
                    if timeout_at(answer_max, self.shared.changed.notified()).await.is_err() {
                        self.repeat();
                    }
                }
                (Some(due), None) => {
                    sleep_until(due).await;
                    return self.book().take_batch();
                }
                (None, None) => self.shared.changed.notified().await,
            }
        }
    }

    /// The lines that wait, as many as go in one message, without waiting. For the last words of a life.
    pub(crate) fn rest(&self) -> Vec<LogLine> {
        self.book().take_batch()
    }

    /// The master has the lines up to a number.
    pub(crate) fn kept(&self, through: u64) {
        let mut book = self.book();
        while book.waiting.front().is_some_and(|line| line.number <= through) {
            book.pop();
        }
        book.in_flight = None;
        book.due = (!book.waiting.is_empty()).then(Instant::now);
        self.shared.changed.notify_one();
    }

    /// Nobody answers any more: what was told without an answer is told again.
    pub(crate) fn repeat(&self) {
        let mut book = self.book();
        book.in_flight = None;
        book.due = (!book.waiting.is_empty()).then(Instant::now);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.shared.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn enter(&mut self, worker: WorkerId, mut line: LogLine) {
        self.last_number += 1;
        (line.number, line.worker) = (self.last_number, Some(worker));
        self.bytes += line.bytes();
        self.waiting.push_back(line);
    }

    fn push(&mut self, worker: WorkerId, line: LogLine) {
        self.enter(worker, line);
        while self.waiting.len() > LINES_MAX || self.bytes > BYTES_MAX {
            let Some(line) = self.pop() else { break };
            let job = line.subject.job;
            if self.dropped.len() < JOBS_COUNTED_MAX || self.dropped.contains_key(&job) {
                self.dropped.entry(job).or_insert((worker, 0)).1 += 1;
            }
        }
    }

    fn pop(&mut self) -> Option<LogLine> {
        let line = self.waiting.pop_front()?;
        self.bytes -= line.bytes();
        Some(line)
    }

    fn take_batch(&mut self) -> Vec<LogLine> {
        for (job, (worker, count)) in std::mem::take(&mut self.dropped) {
            let line = LogLine::new(now_ms(), job, "lines of this worker were dropped, because the master took none");
            self.enter(worker, line.with("lines", count).at(LogLevel::Warn));
        }
        let mut bytes = 0;
        let fits = |line: &&LogLine| {
            bytes += line.bytes();
            bytes <= BATCH_BYTES_MAX
        };
        let batch: Vec<LogLine> = self.waiting.iter().take(LOG_LINES_MAX).take_while(fits).cloned().collect();
        self.due = None;
        self.in_flight = (!batch.is_empty()).then(|| Instant::now() + ANSWER_MAX);
        batch
    }
}

/// Milliseconds since 1970, for people. Nothing is decided by it.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKER: WorkerId = WorkerId::from_u128(2);

    fn line(text: &str) -> LogLine {
        LogLine::new(1, JobId::from_u128(1), text)
    }

    fn told(lines: &[LogLine]) -> Vec<(u64, &str)> {
        lines.iter().map(|line| (line.number, line.message.as_str())).collect()
    }

    async fn nothing_more(book: &LogBook) -> bool {
        tokio::time::timeout(GATHER * 4, book.next_batch()).await.is_err()
    }

    #[tokio::test]
    async fn lines_are_told_until_they_are_kept() {
        let book = LogBook::default();
        book.add(WORKER, line("one"));
        book.add(WORKER, line("two"));
        assert_eq!(told(&book.next_batch().await), [(1, "one"), (2, "two")]);
        book.add(WORKER, line("three"));
        assert!(nothing_more(&book).await, "nothing before the answer");
        book.kept(1);
        assert_eq!(told(&book.next_batch().await), [(2, "two"), (3, "three")]);
        book.repeat();
        assert_eq!(told(&book.next_batch().await), [(2, "two"), (3, "three")], "on a new connection again");
        book.kept(3);
        assert!(nothing_more(&book).await);
        book.add(WORKER, line("four"));
        assert_eq!(told(&book.next_batch().await), [(4, "four")]);
        book.book().in_flight = Some(Instant::now());
        assert_eq!(told(&book.next_batch().await), [(4, "four")], "without an answer in time again");
    }

    #[tokio::test]
    async fn the_oldest_lines_go_first_and_are_counted() {
        let book = LogBook::default();
        for _ in 0..LINES_MAX + 5 {
            book.add(WORKER, line("x"));
        }
        let mut batch = book.rest();
        assert_eq!((batch.len(), batch[0].number), (LOG_LINES_MAX, 6));
        let mut last = batch[0].clone();
        while let Some(line) = batch.pop() {
            book.kept(line.number);
            last = line;
            batch = book.rest();
        }
        assert_eq!((last.level, last.fields[0].value.as_str()), (LogLevel::Warn, "5"), "{last:?}");
    }
}
