//! The user-action workloads: count actions per user, with few groups, with many, and on one small file.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, JobFile};

use crate::contender::{Engine, fresh, measure_submit, start_cluster};
use crate::digest::{Digest, digest};
use crate::measure::{Cost, measure};
use crate::peers::Peers;
use crate::table::{Line, render};

const QUERY: &str = "SELECT email, action, count(*) AS freq FROM actions GROUP BY email, action";

/// One workload.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    title: String,
    data: UserActions,
    memory: &'static str,
    /// The cluster is started once and kept for all rounds.
    keeps_cluster: bool,
}

impl Scenario {
    /// 600 thousand groups at 40 million rows.
    pub(crate) fn main(rows: u64) -> Self {
        let data = UserActions { rows, users: 100_000, files: 8 };
        Self { title: format!("main: {rows} rows, few groups"), data, memory: "1GiB", keeps_cluster: false }
    }

    /// More groups than the workers' memory holds.
    pub(crate) fn high_cardinality(rows: u64) -> Self {
        let data = UserActions { rows, users: rows / 2, files: 8 };
        let title = format!("high cardinality: {rows} rows, {} users, 1 GiB per worker", data.users);
        Self { title, data, memory: "1GiB", keeps_cluster: false }
    }

    /// One file of some 50 MB, as a job that is submitted every few minutes.
    pub(crate) fn small(rows: u64) -> Self {
        let data = UserActions { rows, users: 20_000, files: 1 };
        Self {
            title: format!("small: {rows} rows in one file, running cluster"),
            data,
            memory: "1GiB",
            keeps_cluster: true,
        }
    }
}

/// Runs every engine `rounds` times, one after the other in each round, and compares their results.
pub(crate) fn run(scenario: &Scenario, rounds: usize, peers: &Peers) -> Result<String> {
    let input = scenario.data.directory()?;
    let outputs =
        tempfile::Builder::new().prefix("bench-").tempdir_in(input.parent().context("find the data's place")?)?;
    let kept = if scenario.keeps_cluster { Some(start_cluster(scenario.memory)?) } else { None };
    let bench = Bench { scenario, input, outputs: outputs.path().to_owned(), peers, kept };
    let engines = Engine::ALL.into_iter().filter(|engine| !peers.is_left_out(*engine));
    let mut lines: Vec<(Engine, Line)> =
        engines.map(|engine| (engine, Line { engine: engine.title(peers), ..Line::default() })).collect();
    for _ in 0..rounds {
        for (engine, line) in &mut lines {
            bench.run_once(*engine, line);
        }
    }
    bench.compare(&mut lines);
    let lines: Vec<Line> = lines.into_iter().map(|(_, line)| line).collect();
    let bytes = size_of(&bench.input)?;
    Ok(render(&format!("{}, {:.2} GB of CSV, {}", scenario.title, bytes as f64 / 1e9, machine()), &lines))
}

struct Bench<'a> {
    scenario: &'a Scenario,
    input: PathBuf,
    outputs: PathBuf,
    peers: &'a Peers,
    kept: Option<Cluster>,
}

impl Bench<'_> {
    fn output(&self, engine: Engine) -> PathBuf {
        self.outputs.join(engine.name())
    }

    fn run_once(&self, engine: Engine, line: &mut Line) {
        match self.measure(engine) {
            Ok(cost) => line.costs.push(cost),
            Err(error) => line.remark = format!("{error:#}"),
        }
    }

    fn measure(&self, engine: Engine) -> Result<Cost> {
        let output = self.output(engine);
        fresh(&output)?;
        match engine {
            Engine::Hearth => {
                let job = JobFile::new("bench", QUERY).csv("actions", &self.input).output(&output, &[]);
                match &self.kept {
                    Some(cluster) => measure_submit(cluster, &job),
                    None => measure_submit(&start_cluster(self.scenario.memory)?, &job),
                }
            }
            Engine::DataFusion => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["plain", "--sql", QUERY, "--memory-gib", "2"]);
                command.arg("--table").arg(format!("actions={}", self.input.display())).arg("--output").arg(&output);
                Ok(measure(&mut command, &[])?.0)
            }
            Engine::DuckDb | Engine::Polars | Engine::Spark => {
                if let Some(reason) = self.peers.missing(engine) {
                    bail!("{reason}");
                }
                Ok(measure(&mut self.peers.command(engine, "actions", [&self.input, &output])?, &[])?.0)
            }
        }
    }

    /// Compares every result with DuckDB's, or with plain DataFusion's where there is no DuckDB.
    fn compare(&self, lines: &mut [(Engine, Line)]) {
        let digests: Vec<Option<Digest>> = lines
            .iter()
            .map(|(engine, line)| (!line.costs.is_empty()).then(|| digest(&self.output(*engine)).ok()).flatten())
            .collect();
        let of = |wanted: Engine| {
            let at = lines.iter().position(|(engine, _)| *engine == wanted)?;
            digests[at].map(|digest| (wanted, digest))
        };
        let reference = of(Engine::DuckDb).or_else(|| of(Engine::DataFusion));
        for ((engine, line), found) in lines.iter_mut().zip(digests) {
            let (Some(found), Some((by, expected))) = (found, reference) else { continue };
            let verdict = if *engine == by {
                format!("{} rows, the reference", found.rows)
            } else if found == expected {
                format!("{} rows, equal to {}", found.rows, by.name())
            } else {
                format!("**{} rows, NOT equal to {}**", found.rows, by.name())
            };
            line.remark = if line.remark.is_empty() { verdict } else { format!("{verdict}; {}", line.remark) };
        }
    }
}

fn size_of(directory: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

/// What it ran on.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{cores} cores")
}
