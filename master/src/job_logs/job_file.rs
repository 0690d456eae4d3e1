//! The file of one job's log: JSON lines, only ever appended to, so that a byte offset is a cursor that stays true.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt;
use std::path::Path;

use hearth_common::{LogLevel, LogLine, WorkerId};
use hearth_proto::convert::ReadLog;

/// Bytes that one page may look at; a filter that fits little goes on with the next page.
const PAGE_BYTES_MAX: usize = 1 << 20;
/// Longest line; what a line may hold bounds it.
const LINE_BYTES_MAX: usize = 256 << 10;
/// Of the bytes of a job, what only the master's lines, warnings and errors may take.
const RESERVED_SHARE: u64 = 8;

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// The cursor is not the start of a line.
    #[error("cursor {0} is not from an answer about this job")]
    Cursor(u64),
    /// The file cannot be read.
    #[error("cannot read the job's log: {0}")]
    Io(#[from] io::Error),
    /// The master stops.
    #[error("the master is stopping")]
    Stopping,
}

/// Some lines, and where to go on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct LinesRead {
    pub lines: Vec<LogLine>,
    pub next_cursor: u64,
    /// The end of the file was not reached.
    pub more: bool,
}

/// A log that is written to.
#[derive(Debug)]
pub(super) struct JobFile {
    file: File,
    bytes: u64,
    bytes_max: u64,
    /// The last line of each worker that is in it.
    last_numbers: BTreeMap<WorkerId, u64>,
    left_out: u64,
}

impl JobFile {
    /// Opens a log, or begins one. What an earlier master left half written is closed with a line end.
    pub(super) fn open(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let mut content = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut content)?;
        let mut last_numbers = BTreeMap::new();
        for line in content.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<LogLine>(line).ok())
        {
            if let Some(worker) = line.worker {
                let last = last_numbers.entry(worker).or_insert(line.number);
                *last = line.number.max(*last);
            }
        }
        let mut bytes = content.len() as u64;
        if content.last().is_some_and(|last| *last != b'\n') {
            file.write_all(b"\n")?;
            bytes += 1;
        }
        Ok(Self { file, bytes, bytes_max, last_numbers, left_out: 0 })
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends lines that are not in it yet, as far as there is room. Answers with the bytes that it grew by.
    pub(super) fn append<'a>(&mut self, lines: impl Iterator<Item = &'a LogLine>) -> io::Result<u64> {
        let mut text = Vec::new();
        for line in lines {
            if let Some(worker) = line.worker {
                let last = self.last_numbers.entry(worker).or_insert(0);
                if line.number <= *last {
                    continue;
                }
                *last = line.number;
            }
            self.add(line, &mut text)?;
        }
        self.file.write_all(&text)?;
        self.bytes += text.len() as u64;
        Ok(text.len() as u64)
    }

    fn add(&mut self, line: &LogLine, text: &mut Vec<u8>) -> io::Result<()> {
        let is_wanted_most = line.worker.is_none() || line.level > LogLevel::Info;
        let limit = if is_wanted_most { self.bytes_max } else { self.bytes_max - self.bytes_max / RESERVED_SHARE };
        let mut json = serde_json::to_vec(line)?;
        json.push(b'\n');
        if self.bytes + (text.len() + json.len()) as u64 > limit {
            self.left_out += 1;
            if self.left_out > 1 {
                return Ok(());
            }
            let full = LogLine::new(line.at_ms, line.subject.job, "log is full; most further lines are left out");
            json = serde_json::to_vec(&full.with("bytes_max", self.bytes_max).at(LogLevel::Warn))?;
            json.push(b'\n');
        }
        text.extend_from_slice(&json);
        Ok(())
    }
}

/// Reads a page of a log. A file that is not there has no lines.
pub(super) fn read_page(path: &Path, read: &ReadLog) -> Result<LinesRead, LogError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound && read.cursor == 0 => return Ok(LinesRead::default()),
        Err(error) => return Err(error.into()),
    };
    let length = file.metadata()?.len();
    check_cursor(&file, read.cursor, length)?;
    let rest = usize::try_from(length - read.cursor).unwrap_or(usize::MAX);
    let mut content = vec![0; rest.min(PAGE_BYTES_MAX + LINE_BYTES_MAX)];
    file.read_exact_at(&mut content, read.cursor)?;
    let mut page = LinesRead { next_cursor: read.cursor, ..LinesRead::default() };
    let mut at = 0;
    while let Some(end) = content[at..].iter().position(|byte| *byte == b'\n') {
        if page.lines.len() == read.page_size as usize || at >= PAGE_BYTES_MAX {
            break;
        }
        // A line that a master left half written is nobody's.
        if let Ok(line) = serde_json::from_slice::<LogLine>(&content[at..at + end])
            && fits(&line, read)
        {
            page.lines.push(line);
        }
        at += end + 1;
    }
    page.next_cursor += at as u64;
    page.more = page.next_cursor < length;
    Ok(page)
}

fn check_cursor(file: &File, cursor: u64, length: u64) -> Result<(), LogError> {
    let Some(before) = cursor.checked_sub(1) else { return Ok(()) };
    let mut byte = [0];
    if cursor > length || file.read_exact_at(&mut byte, before).is_err() || byte != *b"\n" {
        return Err(LogError::Cursor(cursor));
    }
    Ok(())
}

fn fits(line: &LogLine, read: &ReadLog) -> bool {
    let subject = &line.subject;
    let of_task =
        read.task.is_none_or(|(stage, partition)| subject.stage == Some(stage) && subject.partition == Some(partition));
    of_task && read.worker.is_none_or(|worker| line.worker == Some(worker))
}
