//! Reading a file in two splits against reading it in one: the same rows, rejects, lines and errors.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use bytes::Bytes;
use datafusion_execution::object_store::ObjectStoreUrl;
use datafusion_execution::runtime_env::RuntimeEnv;
use futures::executor::block_on;
use hearth_common::{
    ByteSize, CsvOptions, Encoding, ExtraColumns, FailureCause, FileCompression, InputSplit, LinkScan, MissingColumns,
    RecordStart, SplitLink,
};
use hearth_csv::CsvTable;
use object_store::chunked::ChunkedStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::Difference;
use crate::case::Choices;

/// Bytes of a record where a case limits it, and of the chunks in which it is read at most.
const RECORD_BYTES_MAX: u64 = 100;
const NAMES: [&str; 3] = ["a", "b", "c"];

/// A file and how it is read.
pub struct SplitsCase {
    table: Arc<CsvTable>,
    runtime: RuntimeEnv,
    bytes: u64,
    modified_ms: i64,
    shown: String,
}

/// What a file amounts to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Content {
    /// One row after the other, as text.
    rows: String,
    /// `line:byte:column:reason` and the record, for each.
    rejects: Vec<(String, Vec<u8>)>,
}

/// What was met in a file that was cut at every byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Met {
    /// Places where it was cut.
    pub cuts: u64,
    /// Those where the second split began with a wrong guess.
    pub wrong_guesses: u64,
    /// Records that are put aside, whatever the cut.
    pub rejects: u64,
    /// The file cannot be read.
    pub fails: bool,
}

/// What became of the guess of a second split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guess {
    Right,
    Wrong,
    /// There was no second split to read.
    None,
}

/// One attempt at a split.
struct Attempt {
    outcome: Result<Content, FailureCause>,
    scan: Option<LinkScan>,
}

/// Reads the text of a case in two splits that meet where the case says.
///
/// # Errors
/// That is not what one split gives.
pub fn splits(input: &[u8]) -> Result<(), Difference> {
    let Some(choices) = Choices::new(input) else { return Ok(()) };
    let case = SplitsCase::new(&choices)?;
    case.check_cut(&case.whole()?, choices.position(3) as u64).map(|_| ())
}

impl SplitsCase {
    /// The case of some bytes; `None` where there are too few.
    ///
    /// # Errors
    /// It cannot be kept in memory.
    pub fn of(input: &[u8]) -> Result<Option<Self>, Difference> {
        Choices::new(input).map(|choices| Self::new(&choices)).transpose()
    }

    fn new(choices: &Choices<'_>) -> Result<Self, Difference> {
        let dialect = choices.dialect();
        let (is_short, is_typed) = (choices.has(1, 5), choices.has(1, 2));
        let options = CsvOptions {
            header: choices.has(0, 7),
            delimiter: dialect.delimiter,
            quote: dialect.quote,
            escape: dialect.escape,
            comment: dialect.comment,
            trim: dialect.trim,
            encoding: if choices.has(1, 0) { Encoding::Latin1 } else { Encoding::Utf8 },
            missing_columns: MissingColumns::Null,
            extra_columns: ExtraColumns::Ignore,
            max_record_bytes: if is_short { ByteSize(RECORD_BYTES_MAX) } else { CsvOptions::MAX_RECORD_BYTES },
            ..CsvOptions::default()
        };
        let columns = 1 + usize::from(choices.byte(1) >> 3 & 3) % NAMES.len();
        let field = |(number, name): (usize, &&str)| {
            let is_number = is_typed && number == columns - 1;
            Field::new(*name, if is_number { DataType::Int64 } else { DataType::Utf8View }, true)
        };
        let schema = Schema::new(NAMES[..columns].iter().enumerate().map(field).collect::<Vec<_>>());
        let shown = format!("{:?} with {options:?}", String::from_utf8_lossy(choices.text));
        let table = CsvTable {
            options,
            schema: Arc::new(schema),
            projection: None,
            filters: Vec::new(),
            limit: None,
            batch_rows: 5,
            puts_aside: choices.has(1, 1),
        };
        // A limit is looked at where a record goes from one chunk into the next.
        let chunk = if is_short { usize::from(choices.byte(2)) % 64 } else { usize::from(choices.byte(2)) };
        Self::store(table, choices.text, chunk + 1, shown)
    }

    fn store(table: CsvTable, text: &[u8], chunk_bytes: usize, shown: String) -> Result<Self, Difference> {
        let store = Arc::new(InMemory::new());
        let path = Path::from("f");
        let meta = block_on(async {
            store.put(&path, Bytes::copy_from_slice(text).into()).await?;
            store.head(&path).await
        });
        let meta = meta.map_err(|error| Difference(error.to_string()))?;
        let store: Arc<dyn ObjectStore> = Arc::new(ChunkedStore::new(store, chunk_bytes));
        let runtime = RuntimeEnv::default();
        runtime.register_object_store(ObjectStoreUrl::local_filesystem().as_ref(), store);
        let modified_ms = meta.last_modified.timestamp_millis();
        Ok(Self { table: Arc::new(table), runtime, bytes: meta.size, modified_ms, shown })
    }

    /// Cuts the file at every byte.
    ///
    /// # Errors
    /// The first cut where two splits give something else than one.
    pub fn check_every_cut(&self) -> Result<Met, Difference> {
        let whole = self.whole()?;
        let rejects = whole.as_ref().map_or(0, |content| content.rejects.len() as u64);
        let mut met = Met { rejects, fails: whole.is_err(), ..Met::default() };
        for cut in 1..self.bytes {
            met.cuts += 1;
            met.wrong_guesses += u64::from(self.check_cut(&whole, cut)? == Guess::Wrong);
        }
        Ok(met)
    }

    fn check_cut(&self, whole: &Result<Content, FailureCause>, cut: u64) -> Result<Guess, Difference> {
        if cut == 0 || cut >= self.bytes {
            return Ok(Guess::None);
        }
        let (found, guess) = self.in_two(cut)?;
        Difference::between(&found, whole, || format!("cut at {cut}: {}", self.shown))?;
        Ok(guess)
    }

    fn whole(&self) -> Result<Result<Content, FailureCause>, Difference> {
        if self.bytes == 0 {
            return Ok(Ok(Content::default()));
        }
        let start = RecordStart { byte: 0, line: 1 };
        Ok(self.attempt((0, self.bytes), Some(start), 0)?.outcome)
    }

    /// Reads both splits as the scheduler has it: the second guesses, and is read again where its guess was wrong.
    fn in_two(&self, cut: u64) -> Result<(Result<Content, FailureCause>, Guess), Difference> {
        let first = self.attempt((0, cut), Some(RecordStart { byte: 0, line: 1 }), 0)?;
        let mut content = match first.outcome {
            Ok(content) => content,
            Err(cause) => return Ok((Err(cause), Guess::None)),
        };
        let Some(end) = first.scan.and_then(|scan| scan.read.end) else {
            return Err(Difference(format!("no end of the split before {cut}: {}", self.shown)));
        };
        let known = RecordStart { byte: end.byte, line: 1 + end.lines };
        let guess = self.attempt((cut, self.bytes), None, end.lines)?;
        let told = self.attempt((cut, self.bytes), Some(known), 0)?;
        let (Some(guessed), Some(read)) = (guess.scan, told.scan) else {
            return Err(Difference(format!("a link of a chain has no scan: {}", self.shown)));
        };
        let is_right = guessed.read.start == known.byte || known.byte >= self.bytes && guessed.read.start >= self.bytes;
        if is_right && (known.byte < self.bytes || guessed.read.end.is_some()) {
            let shown = || format!("a right guess, cut at {cut}: {}", self.shown);
            Difference::between(&guess.outcome, &told.outcome, shown)?;
        }
        if let Some(quoted) = guessed.quoted
            && quoted.start == known.byte
            && known.byte < self.bytes
            && told.outcome.is_ok()
        {
            let shown = || format!("the end from inside quotes, cut at {cut}: {}", self.shown);
            Difference::between(&quoted.end, &read.read.end, shown)?;
        }
        let outcome = told.outcome.map(|second| {
            content.rows += &second.rows;
            content.rejects.extend(second.rejects);
            content
        });
        Ok((outcome, if is_right { Guess::Right } else { Guess::Wrong }))
    }

    /// `lines_before` are added to the lines of a guess.
    fn attempt(
        &self,
        (start, end): (u64, u64),
        known: Option<RecordStart>,
        lines_before: u64,
    ) -> Result<Attempt, Difference> {
        let split = InputSplit {
            url: "file:///f".to_owned(),
            file_bytes: self.bytes,
            modified_ms: self.modified_ms,
            compression: FileCompression::None,
            start,
            end,
            link: Some(SplitLink { number: 0, known }),
        };
        let mut content = Content::default();
        let opened = block_on(self.table.open(&split, &self.runtime));
        let mut records = match opened {
            Ok(records) => records,
            Err(cause) => return Ok(Attempt { outcome: Err(cause), scan: None }),
        };
        let outcome = block_on(async {
            while let Some(batch) = records.next().await? {
                show_rows(&batch, &mut content.rows);
                for reject in records.take_rejects() {
                    let line = reject.line + lines_before;
                    let column = reject.column.unwrap_or_default();
                    let place = format!("{line}:{}:{column}:{}", reject.byte, reject.reason);
                    content.rejects.push((place, reject.raw));
                }
            }
            records.finish().await
        });
        let outcome = outcome.map(|()| content).map_err(|cause| below(cause, lines_before));
        Ok(Attempt { outcome, scan: records.scan() })
    }
}

/// The same cause, so many lines further down.
fn below(mut cause: FailureCause, lines: u64) -> FailureCause {
    if let FailureCause::Task { place: Some(place), .. } = &mut cause {
        place.line = place.line.map(|line| line + lines);
    }
    cause
}

fn show_rows(batch: &RecordBatch, shown: &mut String) {
    for row in 0..batch.num_rows() {
        for column in batch.columns() {
            if column.is_null(row) {
                shown.push_str("NULL");
            } else if let Some(texts) = column.as_string_view_opt() {
                shown.push_str(texts.value(row));
            } else if let Some(numbers) = column.as_primitive_opt::<Int64Type>() {
                shown.push_str(&numbers.value(row).to_string());
            }
            shown.push('\u{1}');
        }
        shown.push('\u{2}');
    }
}
