//! What one attempt tells of itself: what it reads, waits for, spills, leaves behind, and how it ended. Within a limit of lines.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use hearth_common::{
    AttemptId, AttemptMetrics, AttemptRecords, FailureCause, InputSplit, LeafInput, LinkScan, LogLevel, LogLine,
    ShuffleInput, TaskInputs, WorkerId,
};
use hearth_proto::convert::control::ReportOutcome;
use hearth_storage::Waits;

use crate::log_book::{LogBook, now_ms};

/// Most lines of an attempt while it runs; how it ended is always told.
const LINES_MAX: u32 = 400;
/// Input splits that are named in one line.
const SPLITS_NAMED_MAX: usize = 6;
/// Links that are told of one attempt.
const LINKS_TOLD_MAX: usize = 32;

/// The log of one attempt. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct AttemptLog {
    book: LogBook,
    worker: WorkerId,
    attempt: AttemptId,
    told: Arc<AtomicU32>,
}

impl AttemptLog {
    pub(crate) fn new(book: LogBook, worker: WorkerId, attempt: AttemptId) -> Self {
        Self { book, worker, attempt, told: Arc::default() }
    }

    pub(crate) fn started(&self, inputs: &TaskInputs) {
        let mut line = self.line("attempt started");
        for input in inputs.values() {
            line = match input {
                LeafInput::Splits(splits) => line.with("reads", splits_text(splits)),
                LeafInput::Shuffle(shuffle) => line.with("reads", shuffle_text(shuffle)),
            };
        }
        self.tell(line);
    }

    pub(crate) fn spilled(&self, bytes: u64) {
        self.tell(self.line("spilled so far").with("bytes", bytes));
    }

    /// How it ended, and what is known of what it read.
    pub(crate) fn ended(
        &self,
        outcome: &ReportOutcome,
        metrics: &AttemptMetrics,
        found: (&[LinkScan], &AttemptRecords),
    ) {
        let (scans, records) = found;
        scans.iter().take(LINKS_TOLD_MAX).for_each(|scan| self.tell(self.link_read(scan)));
        for input in records.inputs.iter().filter(|input| input.rejected > 0) {
            let line = self.line("records rejected").with("input", &input.input).with("rejected", input.rejected);
            self.tell(line.with("records", input.records).at(LogLevel::Warn));
        }
        let line = match outcome {
            ReportOutcome::Failed(cause) => failed(self.line("attempt failed").at(LogLevel::Error), cause),
            ReportOutcome::Shuffle { partition_bytes } => {
                self.line("shuffle output written").with("partitions", partition_bytes.len())
            }
            ReportOutcome::Output { files } => self.line("output files written").with("files", files.len()),
        };
        self.tell_always(figures(line, metrics));
    }

    /// The master, or the end of the worker's life, stopped it.
    pub(crate) fn stopped(&self, why: &str) {
        self.tell_always(self.line("attempt stopped").with("because", why));
    }

    /// Tells of waits for HDFS for as long as it is polled.
    pub(crate) async fn tell_waits(&self, waits: &Waits) -> Infallible {
        let mut reader = waits.reader();
        while let Some(because) = reader.next().await {
            self.tell(match because {
                Some(because) => self.line("waits for HDFS").with("because", because).at(LogLevel::Warn),
                None => self.line("HDFS answers again"),
            });
        }
        std::future::pending().await
    }

    fn link_read(&self, LinkScan { link, read, quoted }: &LinkScan) -> LogLine {
        let how = if quoted.is_some() { "guessed" } else { "known" };
        let line = self.line("link read").with("link", link).with("start", how).with("first_byte", read.start);
        match read.end {
            Some(end) => line.with("end_byte", end.byte).with("lines", end.lines),
            None => line.with("end_byte", "not reached"),
        }
    }

    fn line(&self, message: &str) -> LogLine {
        LogLine::new(now_ms(), self.attempt, message)
    }

    fn tell(&self, line: LogLine) {
        match self.told.fetch_add(1, Ordering::Relaxed) {
            told if told < LINES_MAX => self.book.add(self.worker, line),
            LINES_MAX => self.tell_always(self.line("further lines of this attempt are left out").at(LogLevel::Warn)),
            _ => {}
        }
    }

    fn tell_always(&self, line: LogLine) {
        self.book.add(self.worker, line);
    }
}

fn failed(line: LogLine, cause: &FailureCause) -> LogLine {
    let line = line.with("cause", cause.name());
    match cause {
        FailureCause::Task { message, place: Some(place) } => line.with("text", message).with("place", place),
        FailureCause::Task { .. }
        | FailureCause::LostShuffleOutput { .. }
        | FailureCause::OutOfMemory { .. }
        | FailureCause::DiskFull { .. }
        | FailureCause::Storage { .. }
        | FailureCause::Internal { .. }
        | FailureCause::WorkerLost { .. }
        | FailureCause::Poison { .. }
        | FailureCause::NoWorkers { .. }
        | FailureCause::DeadlinePassed { .. }
        | FailureCause::Cancelled
        | FailureCause::WorkerDrains => line.with("text", cause),
    }
}

/// Adds the figures that are not 0.
fn figures(line: LogLine, metrics: &AttemptMetrics) -> LogLine {
    let figures = [
        ("input_rows", metrics.input_rows),
        ("input_bytes", metrics.input_bytes),
        ("shuffle_read_rows", metrics.shuffle_read_rows),
        ("shuffle_local_bytes", metrics.shuffle_local_bytes),
        ("shuffle_remote_bytes", metrics.shuffle_remote_bytes),
        ("output_rows", metrics.output_rows),
        ("output_bytes", metrics.output_bytes),
        ("spilled_bytes", metrics.spilled_bytes),
    ];
    let line =
        figures.into_iter().filter(|(_, value)| *value > 0).fold(line, |line, (name, value)| line.with(name, value));
    line.with("elapsed_ms", metrics.elapsed_ms)
}

fn splits_text(splits: &[InputSplit]) -> String {
    let text =
        |split: &InputSplit| format!("{} bytes {} to {} of {}", split.url, split.start, split.end, split.file_bytes);
    let named: Vec<String> = splits.iter().take(SPLITS_NAMED_MAX).map(text).collect();
    let named = named.join("; ");
    match splits.len().saturating_sub(SPLITS_NAMED_MAX) {
        0 => named,
        more => format!("{named}; and {more} more"),
    }
}

fn shuffle_text(ShuffleInput { stage, first, end, sources }: &ShuffleInput) -> String {
    format!("shuffle partitions {first} to {end} of stage {stage} from {} outputs", sources.len())
}

#[cfg(test)]
mod tests {
    use hearth_common::{JobId, StageId, TaskId};

    use super::*;

    #[tokio::test]
    async fn an_attempt_has_a_limit_and_its_end_is_told() {
        let book = LogBook::default();
        let attempt =
            AttemptId { task: TaskId { job: JobId::from_u128(1), stage: StageId(2), partition: 3 }, attempt: 4 };
        let log = AttemptLog::new(book.clone(), WorkerId::from_u128(5), attempt);
        for bytes in 0..1000 {
            log.spilled(bytes);
        }
        let outcome = ReportOutcome::Failed(FailureCause::task("no such column"));
        log.ended(
            &outcome,
            &AttemptMetrics { elapsed_ms: 7, ..AttemptMetrics::default() },
            (&[], &AttemptRecords::default()),
        );
        let lines = book.rest();
        assert_eq!(lines.len(), LINES_MAX as usize + 2);
        let last = lines.last().unwrap();
        assert_eq!((last.message.as_str(), last.level), ("attempt failed", LogLevel::Error));
        let fields: Vec<_> = last.fields.iter().map(|field| (field.name.as_str(), field.value.as_str())).collect();
        assert_eq!(fields, [("cause", "task"), ("text", "no such column"), ("elapsed_ms", "7")]);
    }
}
