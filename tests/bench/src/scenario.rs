//! The workloads of one query over CSV: what is read, what is asked, and how every engine is asked it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use hearth_tests::data::{UserActions, cached};
use hearth_tests::{Cluster, JobFile};

use crate::contender::{Engine, fresh, measure_submit, start_cluster};
use crate::digest::{Digest, digest};
use crate::measure::{Cost, measure};
use crate::peers::Peers;
use crate::table::{Line, render};
use crate::texts;

/// What is counted per user.
pub(crate) const ACTIONS_QUERY: &str = "SELECT email, action, count(*) AS freq FROM actions GROUP BY email, action";
const WIDE_QUERY: &str =
    "SELECT c01, count(*) AS records, CAST(sum(c40) AS BIGINT) AS total, max(c96) AS largest FROM wide GROUP BY c01";
const TYPED_QUERY: &str = "SELECT kind, count(*) AS records, CAST(sum(quantity) AS BIGINT) AS quantity, sum(price) AS price, \
     min(tax) AS tax_min, max(tax) AS tax_max, min(created) AS created_min, max(created) AS created_max, max(day) AS day_max, \
     max(id) AS id_max FROM typed GROUP BY kind";
const FILTERED_TEXTS_QUERY: &str = "SELECT c05, count(*) AS records, min(c03) AS smallest, max(c99) AS largest FROM wide WHERE c01 = 'word-7' GROUP BY c05";
const FILTERED_NUMBERS_QUERY: &str = "SELECT kind, count(*) AS records, sum(price) AS price, max(created) AS created_max FROM typed \
     WHERE quantity BETWEEN 10 AND 19 AND kind IN ('kind-1', 'kind-3') GROUP BY kind";
const NOTES_QUERY: &str =
    "SELECT kind, count(*) AS records, CAST(sum(length(note)) AS BIGINT) AS letters FROM notes GROUP BY kind";

/// One workload.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    title: String,
    table: &'static str,
    query: &'static str,
    /// `NAME TYPE` of each column, with `;` inside of a type; empty where engines infer them.
    columns: &'static str,
    setting: Option<&'static str>,
    data: Data,
    memory: &'static str,
    /// The cluster is started once and kept for all rounds.
    keeps_cluster: bool,
}

/// What a workload reads.
#[derive(Debug, Clone, Copy)]
enum Data {
    Actions(UserActions),
    /// A name, a number of rows, and how they are written.
    Text(&'static str, u64, fn(&Path, u64) -> std::io::Result<()>),
}

impl Data {
    fn directory(self) -> Result<PathBuf> {
        match self {
            Self::Actions(actions) => actions.directory(),
            Self::Text(name, rows, write) => cached(&format!("{name}-{rows}"), |directory| Ok(write(directory, rows)?)),
        }
    }
}

impl Scenario {
    fn of_actions(title: String, data: UserActions) -> Self {
        Self {
            title,
            table: "actions",
            query: ACTIONS_QUERY,
            columns: "",
            setting: None,
            data: Data::Actions(data),
            memory: "1GiB",
            keeps_cluster: false,
        }
    }

    /// 600 thousand groups at 40 million rows.
    pub(crate) fn main(rows: u64) -> Self {
        let data = UserActions { rows, users: 100_000, files: 8 };
        Self::of_actions(format!("main: {rows} rows, few groups"), data)
    }

    /// More groups than the workers' memory holds.
    pub(crate) fn high_cardinality(rows: u64) -> Self {
        let data = UserActions { rows, users: rows / 2, files: 8 };
        Self::of_actions(format!("high cardinality: {rows} rows, {} users, 1 GiB per worker", data.users), data)
    }

    /// One file of some 50 MB, as a job that is submitted every few minutes.
    pub(crate) fn small(rows: u64) -> Self {
        let data = UserActions { rows, users: 20_000, files: 1 };
        let title = format!("small: {rows} rows in one file, running cluster");
        Self { keeps_cluster: true, ..Self::of_actions(title, data) }
    }

    fn of_text(title: String, (table, query): (&'static str, &'static str), data: Data) -> Self {
        let (columns, setting) = ("", None);
        Self { title, table, query, columns, setting, data, memory: "1GiB", keeps_cluster: false }
    }

    /// Three columns of a hundred.
    pub(crate) fn wide(rows: u64) -> Self {
        let data = Data::Text("wide", rows, texts::write_wide);
        Self::of_text(format!("wide: {rows} rows of 100 columns, 3 used"), ("wide", WIDE_QUERY), data)
    }

    /// Whole numbers, decimals and timestamps, declared.
    pub(crate) fn typed(rows: u64) -> Self {
        let data = Data::Text("typed", rows, texts::write_typed);
        let title = format!("typed: {rows} rows of numbers, decimals, timestamps and dates");
        Self { columns: texts::TYPED_COLUMNS, ..Self::of_text(title, ("typed", TYPED_QUERY), data) }
    }

    /// One row in fifty by a text, of a hundred columns; one in forty by a number and a text, of typed columns.
    pub(crate) fn filtered(rows: u64) -> [Self; 2] {
        let texts = Self::wide(rows);
        let numbers = Self::typed(rows * 12);
        [
            Self {
                title: format!("filtered by a text: {rows} rows of 100 columns"),
                query: FILTERED_TEXTS_QUERY,
                ..texts
            },
            Self {
                title: format!("filtered by a range: {} typed rows", rows * 12),
                query: FILTERED_NUMBERS_QUERY,
                ..numbers
            },
        ]
    }

    /// Quoted fields of 5 MiB and many lines, in splits of 4 MiB: nearly every guess is wrong. And a plain file of that size.
    pub(crate) fn notes(notes: u64) -> [Self; 2] {
        let scenario = |title: &str, name: &'static str, write| {
            let title = format!("{title}, {notes} times 5 MiB, splits of 4 MiB");
            let scenario = Self::of_text(title, ("notes", NOTES_QUERY), Data::Text(name, notes, write));
            Self { columns: texts::NOTE_COLUMNS, setting: Some("split_bytes = \"4MiB\""), ..scenario }
        };
        [
            scenario("adversarial: quoted fields of many lines", "notes", texts::write_notes),
            scenario("the same lines as plain records", "plain-notes", texts::write_plain_notes),
        ]
    }

    /// Spark's side is written for the actions alone.
    fn has(&self, engine: Engine) -> bool {
        engine != Engine::Spark || matches!(self.data, Data::Actions(_))
    }

    fn job(&self, input: &Path, output: &Path) -> JobFile {
        let columns = declared(self.columns);
        let columns: Vec<String> = columns.iter().map(|(name, kind)| format!("{name} = \"{kind}\"")).collect();
        let schema = format!("schema = {{ {} }}", columns.join(", "));
        let lines = if columns.is_empty() { vec!["format = \"csv\""] } else { vec!["format = \"csv\"", &schema] };
        let job = JobFile::new("bench", self.query).input(self.table, input, &lines).output(output, &[]);
        self.setting.map_or(job.clone(), |setting| job.setting(setting))
    }
}

/// Names and types of columns.
pub(crate) fn declared(columns: &str) -> Vec<(String, String)> {
    let named = columns.split(',').filter_map(|column| column.trim().split_once(' '));
    named.map(|(name, kind)| (name.to_owned(), kind.replace(';', ","))).collect()
}

/// A workload in which every guess is wrong beside a plain one: both tables, and how their wall times compare.
pub(crate) fn run_adversarial(notes: u64, rounds: usize, peers: &Peers) -> Result<String> {
    let [adversarial, plain] = Scenario::notes(notes).map(|scenario| measured(&scenario, rounds, peers));
    let ((adversarial_text, adversarial_wall), (plain_text, plain_wall)) = (adversarial?, plain?);
    let ratio = match (adversarial_wall, plain_wall) {
        (Some(adversarial), Some(plain)) => format!("{:.2}", adversarial / plain),
        (None, _) | (_, None) => "-".to_owned(),
    };
    Ok(format!("{adversarial_text}\n{plain_text}\nHearth's wall time, adversarial / plain: {ratio} (goal: 2.5)\n"))
}

/// One row in many, by a text and by a range of numbers: both tables.
pub(crate) fn run_filtered(rows: u64, rounds: usize, peers: &Peers) -> Result<String> {
    let [texts, numbers] = Scenario::filtered(rows).map(|scenario| run(&scenario, rounds, peers));
    Ok(format!("{}\n{}", texts?, numbers?))
}

/// Runs every engine `rounds` times, one after the other in each round, and compares their results.
pub(crate) fn run(scenario: &Scenario, rounds: usize, peers: &Peers) -> Result<String> {
    measured(scenario, rounds, peers).map(|(text, _)| text)
}

/// The table, and Hearth's median wall time.
fn measured(scenario: &Scenario, rounds: usize, peers: &Peers) -> Result<(String, Option<f64>)> {
    let input = scenario.data.directory()?;
    let outputs =
        tempfile::Builder::new().prefix("bench-").tempdir_in(input.parent().context("find the data's place")?)?;
    let kept = if scenario.keeps_cluster { Some(start_cluster(scenario.memory)?) } else { None };
    let bench = Bench { scenario, input, outputs: outputs.path().to_owned(), peers, kept };
    let engines = Engine::ALL.into_iter().filter(|engine| !peers.is_left_out(*engine) && scenario.has(*engine));
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
    let title = format!("{}, {:.2} GB of CSV, {}", scenario.title, bytes as f64 / 1e9, machine());
    let wall = lines.first().and_then(|line| line.median(|cost| cost.wall_seconds));
    Ok((render(&title, &lines), wall))
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
                let job = self.scenario.job(&self.input, &output);
                match &self.kept {
                    Some(cluster) => measure_submit(cluster, &job),
                    None => measure_submit(&start_cluster(self.scenario.memory)?, &job),
                }
            }
            Engine::DataFusion => {
                let mut command = Command::new(std::env::current_exe()?);
                let Scenario { table, query, columns, .. } = self.scenario;
                command.args(["plain", "--sql", query, "--memory-gib", "2", "--columns", columns]);
                command.arg("--table").arg(format!("{table}={}", self.input.display())).arg("--output").arg(&output);
                Ok(measure(&mut command, &[])?.0)
            }
            Engine::DuckDb | Engine::Polars | Engine::Spark => {
                if let Some(reason) = self.peers.missing(engine) {
                    bail!("{reason}");
                }
                let Scenario { table, query, columns, data, .. } = self.scenario;
                let workload = if matches!(data, Data::Actions(_)) { "actions" } else { "query" };
                let mut command = self.peers.command(engine, workload, [&self.input, &output])?;
                if workload == "query" {
                    command.args([table, query, columns]);
                }
                Ok(measure(&mut command, &[])?.0)
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
