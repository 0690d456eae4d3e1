//! The 22 TPC-H queries on CSV: Hearth, plain DataFusion and DuckDB, whose answers the others are compared with.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use hearth_tests::{Cluster, check_against_golden, read_parquet_dir, tpch};

use crate::contender::{Engine, fresh, measure_submit, start_cluster};
use crate::measure::{Cost, measure};
use crate::peers::Peers;
use crate::scenario::machine;
use crate::table::{Line, render};

const ENGINES: [Engine; 3] = [Engine::Hearth, Engine::DataFusion, Engine::DuckDb];

/// All scales: one table of sums for each, and one line per query below it.
pub(crate) fn run(scales: &[String], rounds: usize, peers: &Peers) -> Result<String> {
    let tables = scales.iter().map(|scale| run_scale(scale, rounds, peers));
    Ok(tables.collect::<Result<Vec<_>>>()?.join("\n"))
}

fn run_scale(scale: &str, rounds: usize, peers: &Peers) -> Result<String> {
    let data = tpch::data_directory(scale)?;
    let outputs =
        tempfile::Builder::new().prefix("bench-").tempdir_in(data.parent().context("find the data's place")?)?;
    let cluster = start_cluster("3GiB")?;
    let bench = Bench { data, outputs: outputs.path().to_owned(), cluster, peers };
    let mut sums: Vec<Line> = ENGINES.map(|engine| Line { engine: engine.title(peers), ..Line::default() }).to_vec();
    let mut details =
        String::from("\n| query | Hearth s | DataFusion s | DuckDB s | result |\n|---|---:|---:|---:|---|\n");
    for number in 1..=22 {
        let lines = bench.run_query(number, rounds);
        let cells = lines
            .iter()
            .map(|line| line.median(|cost| cost.wall_seconds).map_or("-".to_owned(), |wall| format!("{wall:.2}")));
        let remarks: Vec<&str> =
            lines.iter().map(|line| line.remark.as_str()).filter(|remark| !remark.is_empty()).collect();
        let cells: Vec<String> = cells.collect();
        let remark = if remarks.is_empty() { "equal".to_owned() } else { remarks.join("; ").replace(['|', '\n'], " ") };
        details.push_str(&format!("| q{number:02} | {} | {remark} |\n", cells.join(" | ")));
        sums.iter_mut().zip(lines).for_each(|(sum, line)| add(sum, line));
    }
    Ok(render(&format!("TPC-H at scale {scale}, sum of 22 queries on CSV, {}", machine()), &sums) + &details)
}

/// Adds the medians of one query to the sums of all. A query without a run makes the sum incomplete, and it says so.
fn add(sum: &mut Line, line: Line) {
    let median = |figure: fn(&Cost) -> f64| line.median(figure);
    let figures = (median(|cost| cost.wall_seconds), median(|cost| cost.cpu_seconds));
    let (Some(wall_seconds), Some(cpu_seconds)) = figures else {
        sum.remark = "**not all queries ran**".to_owned();
        return;
    };
    let memory_bytes = line.costs.iter().map(|cost| cost.memory_bytes).max().unwrap_or(0);
    let before = sum.costs.pop().unwrap_or_default();
    sum.costs.push(Cost {
        wall_seconds: before.wall_seconds + wall_seconds,
        cpu_seconds: before.cpu_seconds + cpu_seconds,
        memory_bytes: before.memory_bytes.max(memory_bytes),
    });
    if !line.remark.is_empty() && sum.remark.is_empty() {
        sum.remark = "**not all answers are equal**".to_owned();
    }
}

struct Bench<'a> {
    data: PathBuf,
    outputs: PathBuf,
    cluster: Cluster,
    peers: &'a Peers,
}

impl Bench<'_> {
    fn run_query(&self, number: u32, rounds: usize) -> Vec<Line> {
        let mut lines: Vec<Line> =
            ENGINES.map(|engine| Line { engine: engine.title(self.peers), ..Line::default() }).to_vec();
        for _ in 0..rounds {
            for (engine, line) in ENGINES.into_iter().zip(&mut lines) {
                match self.measure(engine, number) {
                    Ok(cost) => line.costs.push(cost),
                    Err(error) => line.remark = format!("{}: {error:#}", engine.name()),
                }
            }
        }
        for (engine, line) in ENGINES.into_iter().zip(&mut lines) {
            if let Err(error) = self.check(engine, number, line) {
                line.remark = format!("**{}: {error:#}**", engine.name());
            }
        }
        lines
    }

    fn output(&self, engine: Engine, number: u32) -> PathBuf {
        self.outputs.join(format!("{}-q{number:02}", engine.name()))
    }

    fn measure(&self, engine: Engine, number: u32) -> Result<Cost> {
        let output = self.output(engine, number);
        fresh(&output)?;
        match engine {
            Engine::Hearth => measure_submit(&self.cluster, &tpch::job(number, &self.data)?.output(&output, &[])),
            Engine::DataFusion => {
                let mut command = Command::new(std::env::current_exe()?);
                command
                    .args(["plain", "--memory-gib", "6", "--sql", &tpch::query(number)?])
                    .arg("--output")
                    .arg(&output);
                for table in tpch::TABLES {
                    let path = self.data.join(format!("{}.csv", table.name));
                    command.arg("--table").arg(format!("{}={}", table.name, path.display()));
                }
                Ok(measure(&mut command, &[])?.0)
            }
            Engine::DuckDb | Engine::Polars | Engine::Spark => {
                if let Some(reason) = self.peers.missing(engine) {
                    bail!("{reason}");
                }
                std::fs::create_dir_all(&output)?;
                let workload = format!("tpch-{number}");
                Ok(measure(&mut self.peers.command(engine, &workload, [&self.data, &output])?, &[])?.0)
            }
        }
    }

    /// Compares an answer with DuckDB's.
    fn check(&self, engine: Engine, number: u32, line: &Line) -> Result<()> {
        let golden: &Path = &self.output(Engine::DuckDb, number).join("answer.csv");
        if engine == Engine::DuckDb || line.costs.is_empty() {
            return Ok(());
        }
        if !golden.exists() {
            bail!("not compared, DuckDB has no answer");
        }
        check_against_golden(&read_parquet_dir(&self.output(engine, number))?, golden)
    }
}
