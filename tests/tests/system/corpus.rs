//! The corpus on real processes: every file in input splits of many sizes, on one worker, two and five. Rows come out exactly
//! once and exactly right, and what cannot be read is told in the same words everywhere.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use arrow::datatypes::{DataType, TimeUnit};
use hearth_tests::corpus::{Answer, Case, Place, cases};
use hearth_tests::{Cluster, ClusterOptions, JobFile, Rows, read_parquet_dir};

/// The job failed.
const FAILED: i32 = 1;
/// Tasks of a job; a long file is cut into fewer pieces than its split size says.
const TASKS_MAX: usize = 60;
/// A message that nobody has to scroll through, in bytes.
const MESSAGE_BYTES_MAX: usize = 1500;

/// Workers, and the sizes of input splits tried on them.
const CONFIGURATIONS: [(usize, &[usize]); 3] = [(1, &[WHOLE, 64]), (2, &[1]), (5, &[7])];
/// An input split for the whole file.
const WHOLE: usize = 1 << 40;
/// Cases that run at a time.
const THREADS: usize = 4;

#[test]
fn every_case_of_the_corpus() -> Result<()> {
    let (cases, directory) = (cases(), tempfile::tempdir()?);
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    ensure!(cases.len() >= 90 && names.len() == cases.len(), "{} cases with {} names", cases.len(), names.len());
    for (number, case) in cases.iter().enumerate() {
        write_files(case, &directory.path().join(number.to_string()))?;
    }
    let messages: Vec<Mutex<Option<String>>> = cases.iter().map(|_| Mutex::default()).collect();
    let mut wrong = Vec::new();
    for (workers, sizes) in CONFIGURATIONS {
        Cluster::run(ClusterOptions { workers, ..ClusterOptions::default() }, |cluster| {
            let check = |number: usize| {
                let (case, directory) = (&cases[number], directory.path().join(number.to_string()));
                let mut message = messages[number].lock().unwrap_or_else(PoisonError::into_inner);
                let sizes = sizes.iter().filter(|size| **size == WHOLE || **size < case.bytes_max());
                let runs = sizes.map(|size| Run { cluster, case, directory: &directory, split_bytes: *size });
                let failed = runs.filter_map(|run| run.check(&mut message).err());
                failed.map(|error| format!("{}, {workers} workers, {error:#}", case.name)).collect::<Vec<_>>()
            };
            wrong.extend(for_each(cases.len(), check));
            Ok(())
        })?;
    }
    ensure!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// What `check` finds for every number below `count`, looked at by a few threads.
fn for_each(count: usize, check: impl Fn(usize) -> Vec<String> + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let look = || {
        let numbers =
            std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed)).take_while(|number| *number < count);
        numbers.flat_map(&check).collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(look)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

fn write_files(case: &Case, directory: &Path) -> Result<()> {
    std::fs::create_dir(directory)?;
    for (name, bytes) in &case.files {
        std::fs::write(directory.join(name), bytes)?;
    }
    Ok(())
}

/// One case on one cluster.
struct Run<'a> {
    cluster: &'a Cluster,
    case: &'a Case,
    directory: &'a Path,
    split_bytes: usize,
}

impl Run<'_> {
    /// `message` is what an earlier run of the case failed with.
    fn check(&self, message: &mut Option<String>) -> Result<()> {
        let split_bytes = self.split_bytes.max(self.case.bytes_max().div_ceil(TASKS_MAX));
        let output = tempfile::tempdir_in(self.cluster.directory())?;
        let output = output.path().join("out");
        let job = self.job(split_bytes).output(&output, &[]);
        let outcome = self.cluster.submit(&job, &[])?;
        let checked = match &self.case.answer {
            Answer::Rows { rows, types } => {
                outcome.success().and_then(|_| check_rows(&read_parquet_dir(&output)?, rows, types.as_ref()))
            }
            Answer::Error { place, says } => outcome
                .with_code(FAILED)
                .and_then(|outcome| self.check_message(&outcome.stderr, (place, says), message)),
        };
        checked.with_context(|| format!("splits of {split_bytes} bytes"))
    }

    fn job(&self, split_bytes: usize) -> JobFile {
        let path = match self.case.files.as_slice() {
            [(name, _)] => self.directory.join(name),
            _ => self.directory.to_owned(),
        };
        let lines: Vec<&str> = self.case.lines.iter().map(String::as_str).collect();
        // A directory has no extension that tells the format.
        let format: &[&str] = if path.is_dir() { &["format = \"csv\""] } else { &[] };
        JobFile::new("corpus", &self.case.query)
            .input("t", &path, &[format, &lines].concat())
            .setting(&format!("split_bytes = {split_bytes}"))
    }

    fn check_message(
        &self,
        stderr: &str,
        (place, says): (&Place, &[String]),
        before: &mut Option<String>,
    ) -> Result<()> {
        let Some((_, message)) = stderr.trim_end().split_once(" failed: ") else {
            bail!("no failure in: {stderr}");
        };
        for text in says {
            ensure!(message.contains(text.as_str()), "expected `{text}` in: {}", start_of(message));
        }
        let shown = self.show_place(place);
        ensure!(message.ends_with(&shown), "expected `{shown}` at the end of: {}", start_of(message));
        ensure!(!message.contains("(at )"), "an empty place: {message}");
        ensure!(message.len() <= MESSAGE_BYTES_MAX, "a message of {} bytes: {}", message.len(), start_of(message));
        match before {
            Some(before) => ensure!(message == before, "another message than elsewhere: {message}\nbefore: {before}"),
            None => *before = Some(message.to_owned()),
        }
        Ok(())
    }

    fn show_place(&self, place: &Place) -> String {
        let Some(file) = &place.file else { return String::new() };
        let record = place.record.map(|(line, byte)| format!(", line {line}, byte {byte}")).unwrap_or_default();
        let column = place.column.as_ref().map(|name| format!(", column `{name}`")).unwrap_or_default();
        format!("(at file://{}{record}{column})", self.directory.join(file).display())
    }
}

fn check_rows(found: &Rows, expected: &[Vec<String>], types: Option<&Vec<String>>) -> Result<()> {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let rows = found.sorted();
    let difference = rows.iter().zip(&expected).find(|(found, expected)| found != expected);
    let difference = difference.map(|(found, expected)| (show_row(found), show_row(expected)));
    ensure!(
        rows == expected,
        "expected {} rows, found {}; first difference (found, expected): {difference:?}",
        expected.len(),
        rows.len()
    );
    if let Some(types) = types {
        let found: Vec<String> = found.columns.iter().map(|(_, data_type)| type_name(data_type)).collect();
        ensure!(found == *types, "expected types {types:?}, found {found:?}");
    }
    Ok(())
}

fn show_row(row: &[String]) -> String {
    start_of(&row.join("|")).to_owned()
}

fn start_of(text: &str) -> &str {
    text.char_indices().nth(MESSAGE_BYTES_MAX).map_or(text, |(end, _)| &text[..end])
}

/// A type as a job file names it.
#[expect(clippy::wildcard_enum_match_arm, reason = "the names of every other type are Arrow's")]
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "string".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => "timestamp".to_owned(),
        DataType::Time64(_) => "time".to_owned(),
        other => other.to_string().to_lowercase(),
    }
}
