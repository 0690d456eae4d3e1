//! CPU time of each piece of the main job. The pieces run in this process over the same data, each with all before it, and the
//! differences are told; what comes behind grouping is told apart by jobs on a cluster.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SessionStateDefaults, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateExprBuilder;
use datafusion::physical_expr::expressions::{col, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use futures::StreamExt;
use hearth_common::{CsvOptions, InputFormat, InputSplit, OnError};
use hearth_plan::{ScanExec, ScanSpec, session_config, specialize};
use hearth_scan::{Dialect, Index, Scanner, State};
use hearth_storage::{InputFile, list_inputs, open_content};
use hearth_tests::JobFile;
use hearth_tests::data::UserActions;

use crate::contender::{fresh, measure_submit, start_cluster};
use crate::proc;
use crate::scenario::{ACTIONS_QUERY, machine};

/// The same groups, and nothing to write.
const COUNTED_QUERY: &str = "SELECT count(*) AS records FROM (SELECT email, action, count(*) AS freq FROM actions GROUP BY email, action) AS groups";

/// Some of the work, in the order in which a task does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Read,
    Scan,
    Decode,
    Group,
}

impl Piece {
    const ALL: [Self; 4] = [Self::Read, Self::Scan, Self::Decode, Self::Group];

    const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Scan => "scan",
            Self::Decode => "decode",
            Self::Group => "group",
        }
    }
}

/// Runs the pieces and two jobs `rounds` times; the table has the CPU time of each stage, by medians.
pub(crate) fn run(rows: u64, rounds: usize) -> Result<String> {
    let input = UserActions { rows, users: 100_000, files: 8 }.directory()?;
    let mut seconds: Vec<(&'static str, Vec<f64>)> =
        Piece::ALL.map(Piece::name).into_iter().chain(["shuffle", "write"]).map(|name| (name, Vec::new())).collect();
    // The first reading of a file costs what no later one does.
    run_piece(Piece::Read, &input)?;
    for _ in 0..rounds.max(1) {
        let pieces = Piece::ALL.map(|piece| measure_piece(piece, &input));
        let jobs = [COUNTED_QUERY, ACTIONS_QUERY].map(|query| measure_job(query, &input));
        for ((_, values), value) in seconds.iter_mut().zip(pieces.into_iter().chain(jobs)) {
            values.push(value?);
        }
    }
    Ok(render(rows, &seconds.into_iter().map(median).collect::<Vec<_>>()))
}

fn median((name, mut values): (&'static str, Vec<f64>)) -> (&'static str, f64) {
    values.sort_by(f64::total_cmp);
    (name, values.get(values.len() / 2).copied().unwrap_or_default())
}

/// Each with what it adds to the one before.
fn render(rows: u64, cumulative: &[(&str, f64)]) -> String {
    let mut text = format!("## stages of the main job: {rows} rows, {}\n\n", machine());
    text.push_str("| up to | CPU s | its own CPU s | share |\n|---|---:|---:|---:|\n");
    let all = cumulative.last().map_or(0.0, |(_, seconds)| *seconds);
    let mut before = 0.0;
    for (name, seconds) in cumulative {
        let own = seconds - before;
        let share = if all > 0.0 { 100.0 * own / all } else { 0.0 };
        text.push_str(&format!("| {name} | {seconds:.2} | {own:.2} | {share:.0} % |\n"));
        before = *seconds;
    }
    text
}

fn measure_job(query: &str, input: &Path) -> Result<f64> {
    let cluster = start_cluster("1GiB")?;
    let output = input.with_file_name(".stages-output");
    fresh(&output)?;
    let job = JobFile::new("stages", query).csv("actions", input);
    let is_counted = query == COUNTED_QUERY;
    let cost = measure_submit(&cluster, &if is_counted { job } else { job.output(&output, &[]) });
    fresh(&output)?;
    Ok(cost?.cpu_seconds)
}

fn measure_piece(piece: Piece, input: &Path) -> Result<f64> {
    let before = proc::cpu_seconds("self");
    run_piece(piece, input)?;
    Ok(proc::cpu_seconds("self") - before)
}

/// Does the work of a piece and of all before it, in one thread. Gives bytes, records or groups.
fn run_piece(piece: Piece, input: &Path) -> Result<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let paths = [input.display().to_string()];
        let files = list_inputs(&paths, &InputFormat::Csv(CsvOptions::default())).await?;
        match piece {
            Piece::Read => read(&files, |_| 0).await,
            Piece::Scan => {
                let mut scanner = Scanner::new(Dialect::default(), State::RecordStart);
                let mut index = Index::new();
                let scan = |chunk: &[u8]| {
                    scanner.scan(chunk, &mut index);
                    index.record_ends().len() as u64
                };
                read(&files, scan).await
            }
            Piece::Decode => rows_of(Arc::new(scan_of(&files)?)).await,
            Piece::Group => rows_of(specialize(partial_aggregate(Arc::new(scan_of(&files)?))?)?).await,
        }
    })
}

async fn read(files: &[InputFile], mut look: impl FnMut(&[u8]) -> u64) -> Result<u64> {
    let runtime = RuntimeEnv::default();
    let mut found = 0;
    for file in files {
        let mut source = open_content(&runtime, file, 0).await?;
        while let Some(chunk) = source.next().await? {
            found += look(&chunk);
        }
    }
    Ok(found)
}

/// A scan of the two columns that the job reads, one partition per file.
fn scan_of(files: &[InputFile]) -> Result<ScanExec> {
    let column = |name: &str| Field::new(name, DataType::Utf8View, true);
    let split = |file: &InputFile| InputSplit {
        url: file.url.clone(),
        file_bytes: file.bytes,
        modified_ms: file.modified_ms,
        compression: file.compression,
        start: 0,
        end: file.bytes,
        link: None,
    };
    let spec = ScanSpec {
        leaf: 0,
        table: "actions".to_owned(),
        format: InputFormat::Csv(CsvOptions::default()),
        file_schema: Arc::new(Schema::new(vec![column("email"), column("timestamp"), column("action")])),
        projection: Some(vec![0, 2]),
        filters: Vec::new(),
        limit: None,
        splits: Arc::new(files.iter().map(|file| vec![split(file)]).collect()),
        rows_estimated: None,
        bytes: files.iter().map(|file| file.bytes).sum(),
        on_error: OnError::Fail,
        attempts_url: None,
    };
    Ok(ScanExec::try_new(spec)?)
}

/// What the scan's tasks of the job do with their rows.
fn partial_aggregate(scan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = scan.schema();
    let functions = SessionStateDefaults::default_aggregate_functions();
    let count = functions.into_iter().find(|function| function.name() == "count").context("find count()")?;
    let count = AggregateExprBuilder::new(count, vec![lit(1_i64)]).schema(Arc::clone(&schema)).alias("freq").build()?;
    let key = |name: &str| -> Result<(Arc<dyn PhysicalExpr>, String)> { Ok((col(name, &schema)?, name.to_owned())) };
    let groups = PhysicalGroupBy::new_single(vec![key("email")?, key("action")?]);
    let aggregate =
        AggregateExec::try_new(AggregateMode::Partial, groups, vec![Arc::new(count)], vec![None], scan, schema)?;
    Ok(Arc::new(aggregate))
}

/// Runs every partition, one after the other.
async fn rows_of(plan: Arc<dyn ExecutionPlan>) -> Result<u64> {
    let context = Arc::new(TaskContext::default().with_session_config(session_config(1)));
    let mut rows = 0;
    for partition in 0..plan.properties().partitioning.partition_count() {
        let mut batches = plan.execute(partition, Arc::clone(&context))?;
        while let Some(batch) = batches.next().await {
            rows += batch?.num_rows() as u64;
        }
    }
    ensure!(rows > 0, "the data has no rows");
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_does_its_work() {
        let directory = tempfile::tempdir().unwrap();
        for file in 0..2 {
            let records: String = (0..500).map(|row| format!("u{}@example.com,t,\"click\"\n", row % 7)).collect();
            let text = format!("email,timestamp,action\n{records}");
            std::fs::write(directory.path().join(format!("{file}.csv")), text).unwrap();
        }
        let found = Piece::ALL.map(|piece| run_piece(piece, directory.path()).unwrap());
        assert_eq!(found, [0, 1002, 1000, 14]);
    }

    #[test]
    fn each_piece_is_told_what_it_adds() {
        let text = render(7, &[("read", 1.0), ("scan", 1.5), ("write", 4.0)]);
        let rows: Vec<&str> = text.lines().skip(4).collect();
        assert_eq!(
            rows,
            ["| read | 1.00 | 1.00 | 25 % |", "| scan | 1.50 | 0.50 | 12 % |", "| write | 4.00 | 2.50 | 62 % |"]
        );
    }
}
