//! Reads the JSON lines of one input split: each line that is not blank is a record, and has to be one JSON object.

mod check;
mod decode;
mod lines;
mod object;
mod problem;

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::execution::runtime_env::RuntimeEnv;
use hearth_common::{FailureCause, InputSplit, LinkScan};
use hearth_csv::RejectedRecord;

use super::rows::Records;
use check::Columns;
use decode::{LineDecoder, find_bad_column};
use lines::{Line, Lines};
use object::{is_blank, read_object};
use problem::{BadLine, Problem, Reason};

/// Bytes of the lines that are decoded at once, about.
const BLOCK_BYTES: usize = 8 << 20;
/// Rejects that wait to be taken at most, and their bytes; reading stops beyond it.
const REJECTS_AHEAD_MAX: usize = 4096;
const REJECT_BYTES_AHEAD_MAX: usize = 4 << 20;

/// How the files of a table are read.
#[derive(Debug, Clone)]
pub(super) struct JsonTable {
    /// Columns to read; others are passed over.
    pub(super) schema: SchemaRef,
    /// Rows of a batch.
    pub(super) batch_rows: usize,
    /// A record that cannot be read is put aside; otherwise it is an error.
    pub(super) puts_aside: bool,
}

/// The records that start in one input split.
pub(super) struct SplitRecords {
    table: JsonTable,
    url: String,
    /// Number of the first line: in the file where that is known, 1 where the split is a link that is not told, else `None`.
    first_line: Option<u64>,
    lines: Lines,
    columns: Columns,
    decoder: LineDecoder,
    rejects: Vec<RejectedRecord>,
    records: u64,
    /// What ended the reading: told after the records before it.
    trouble: Option<FailureCause>,
}

/// Lines that are decoded together.
#[derive(Default)]
struct Block {
    lines: Vec<Line>,
    bad: Vec<BadLine>,
    bytes: usize,
    bad_bytes: usize,
}

impl JsonTable {
    /// Opens an input split.
    pub(super) async fn open(self, split: InputSplit, runtime: &RuntimeEnv) -> Result<SplitRecords, FailureCause> {
        let first_line = match split.link {
            Some(link) => Some(link.known.map_or(1, |known| known.line)),
            None => (split.start == 0).then_some(1),
        };
        Ok(SplitRecords {
            url: split.url.clone(),
            first_line,
            lines: Lines::open(split, runtime).await?,
            columns: Columns::new(&self.schema),
            decoder: LineDecoder::new(Arc::clone(&self.schema), self.batch_rows).map_err(internal)?,
            table: self,
            rejects: Vec::new(),
            records: 0,
            trouble: None,
        })
    }
}

fn internal(error: ArrowError) -> FailureCause {
    FailureCause::internal(error.to_string())
}

/// The line is one JSON object.
pub(crate) fn is_json_object(line: &[u8]) -> bool {
    std::str::from_utf8(line).is_ok() && read_object(line, |_member| {}).is_ok()
}

/// Where the lines of a link start and end, and how many they are.
pub(crate) async fn scan_link(split: &InputSplit, runtime: &RuntimeEnv) -> Result<Option<LinkScan>, FailureCause> {
    let mut lines = Lines::open(split.clone(), runtime).await?;
    lines.finish().await?;
    Ok(lines.scan())
}

impl Records for SplitRecords {
    async fn next(&mut self) -> Result<Option<RecordBatch>, FailureCause> {
        let mut block = Block::default();
        while self.trouble.is_none() && !self.is_full(&block) {
            match self.lines.pop() {
                Some(line) => self.look_at(line, &mut block),
                None => match self.lines.fill().await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => self.trouble = Some(error.into()),
                },
            }
        }
        if block.lines.is_empty() && block.bad.is_empty() {
            return self.trouble.take().map_or(Ok(None), Err);
        }
        self.read(block).map(Some)
    }

    async fn finish(&mut self) -> Result<(), FailureCause> {
        Ok(self.lines.finish().await?)
    }

    fn scan(&self) -> Option<LinkScan> {
        self.lines.scan()
    }

    /// Blank lines are no records.
    fn counts(&self) -> (u64, u64) {
        (self.records, 0)
    }

    fn take_rejects(&mut self) -> Vec<RejectedRecord> {
        std::mem::take(&mut self.rejects)
    }
}

impl SplitRecords {
    fn is_full(&self, block: &Block) -> bool {
        let has_many_rejects = block.bad.len() >= REJECTS_AHEAD_MAX || block.bad_bytes >= REJECT_BYTES_AHEAD_MAX;
        let is_over = !self.table.puts_aside && !block.bad.is_empty();
        has_many_rejects || is_over || block.lines.len() >= self.table.batch_rows || block.bytes >= BLOCK_BYTES
    }

    /// Puts a line among those to decode, or among the bad ones.
    fn look_at(&mut self, line: Line, block: &mut Block) {
        if is_blank(&line.bytes) && !line.is_cut {
            return;
        }
        match self.check(&line) {
            Ok(()) => {
                block.bytes += line.bytes.len();
                block.lines.push(line);
            }
            Err(problem) => {
                block.bad_bytes += line.bytes.len();
                block.bad.push(BadLine { line, problem });
            }
        }
    }

    fn check(&mut self, line: &Line) -> Result<(), Problem> {
        if line.is_cut {
            return Err(Problem::of_record(Reason::TooLong));
        }
        if let Err(error) = std::str::from_utf8(&line.bytes) {
            let byte = line.bytes.get(error.valid_up_to()).copied().unwrap_or_default();
            return Err(Problem::of_record(Reason::Encoding { byte }));
        }
        self.columns.check(&line.bytes)
    }

    fn read(&mut self, block: Block) -> Result<RecordBatch, FailureCause> {
        let Block { lines, mut bad, .. } = block;
        let decoded = self.decoder.decode(&lines).map_err(internal)?;
        for (number, error) in decoded.bad {
            let line = lines[number].clone();
            let problem = self.explain(&line, &error).map_err(internal)?;
            bad.push(BadLine { line, problem });
        }
        bad.sort_by_key(|bad| bad.line.byte);
        if !self.table.puts_aside && !bad.is_empty() {
            return Err(bad.swap_remove(0).into_cause(&self.url, self.first_line));
        }
        self.records += (decoded.batch.num_rows() + bad.len()) as u64;
        let first_line = self.first_line.unwrap_or(1);
        self.rejects.extend(bad.into_iter().map(|bad| bad.into_rejected(first_line)));
        Ok(decoded.batch)
    }

    /// What is wrong with a line that the decoder refuses.
    fn explain(&mut self, line: &Line, error: &ArrowError) -> Result<Problem, ArrowError> {
        let undecodable = || {
            let text = error.to_string();
            Problem::of_record(Reason::Undecodable(text.strip_prefix("Json error: ").unwrap_or(&text).to_owned()))
        };
        let Some(column) = find_bad_column(line, &self.table.schema)? else { return Ok(undecodable()) };
        let value = self.columns.value_of(&line.bytes, column);
        Ok(value.map_or_else(undecodable, |value| self.columns.bad_value(column, value)))
    }
}

#[cfg(test)]
mod tests;
