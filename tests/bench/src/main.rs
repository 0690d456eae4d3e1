//! Measures Hearth beside plain DataFusion and the engines that people would use otherwise, all in one run.
//!
//! `cargo run --release -p hearth-bench -- main` prints a Markdown table. Results are compared, not only times.

mod bounds;
mod contender;
mod digest;
mod hdfs;
mod measure;
mod pages;
mod peers;
mod pictures;
mod plain;
mod proc;
mod scale;
mod scenario;
mod stages;
mod table;
mod texts;
mod tpch;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use contender::Engine;
use hearth_test_browser::Format;
use hearth_tests::faults;
use hearth_tests::hdfs_faults::{self, Schedule};
use scenario::Scenario;

/// Rows of user actions.
const ACTIONS: u64 = 40_000_000;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(about = "Measures Hearth beside DataFusion, DuckDB, Polars and Spark")]
struct Arguments {
    #[command(subcommand)]
    workload: Workload,
    /// Rows [default: 40 million user actions; 1 million for `small`, 1.2 million for `wide` and `filtered`, 15 million for `typed`, 2 million for `bounds`;
    /// 200 notes of 5 MiB for `adversarial`].
    #[arg(long, global = true)]
    rows: Option<u64>,
    /// Runs of each engine; the median counts.
    #[arg(long, global = true, default_value_t = 3)]
    rounds: usize,
    /// TPC-H scales, separated by commas.
    #[arg(long, global = true, value_delimiter = ',', default_value = "1,10")]
    scales: Vec<String>,
    /// Engines to leave out, separated by commas.
    #[arg(long, global = true, value_delimiter = ',')]
    without: Vec<Engine>,
}

#[derive(Debug, Clone, Subcommand)]
enum Workload {
    /// Count actions per user: 40 million rows, 600 thousand groups.
    Main,
    /// The same with 20 million users and 1 GiB of memory per worker.
    HighCardinality,
    /// One small file against a running cluster.
    Small,
    /// Three columns of a hundred: 1 GB.
    Wide,
    /// Whole numbers, decimals, dates and timestamps: 1 GB.
    Typed,
    /// One row in many, by a text among a hundred columns, and by a range of numbers: 1 GB each.
    Filtered,
    /// Quoted fields of many lines, longer than an input split, beside a plain file: 1 GB each.
    Adversarial,
    /// CPU time of the pieces of the main job: read, scan, decode, group, shuffle, write.
    Stages,
    /// The web pages: CPU of the master with 100 running jobs, time from a change to the pixel, weight. Needs Chromium.
    Pages,
    /// Pictures of every page of a real cluster, light and dark, as the docs show them. Needs Chromium.
    Pictures {
        /// Directory for them; those of the same names are replaced.
        #[arg(long, default_value = "docs/ui")]
        into: std::path::PathBuf,
        /// PNG rather than WebP: three times as large, and exact.
        #[arg(long)]
        png: bool,
    },
    /// The main job from HDFS to HDFS, beside the same job on local files.
    Hdfs,
    /// A job from HDFS to HDFS while seeded faults strike. Fails with the seeds that gave a wrong result, an unclear error or a
    /// hang: `hdfs-faults --first-seed 17 --seeds 1` repeats one.
    HdfsFaults {
        /// How many.
        #[arg(long, default_value_t = 100)]
        seeds: u64,
        /// The first one.
        #[arg(long, default_value_t = 0)]
        first_seed: u64,
    },
    /// What one master bears: 1,000 workers, tasks that do nothing, 10,000 jobs that wait.
    Scale,
    /// A job on local files while seeded faults strike processes, disks and network of the cluster; tells what each kind costs.
    /// Fails with the seeds that gave a wrong result, an unjustified error or a hang: `faults --first-seed 17 --seeds 1` repeats
    /// one.
    Faults {
        /// How many.
        #[arg(long, default_value_t = 100)]
        seeds: u64,
        /// The first one.
        #[arg(long, default_value_t = 0)]
        first_seed: u64,
    },
    /// What each fault costs beside the same job without it, and whether that is within what is promised: `bounds --only slow,cut`
    /// measures two of them. Judge by a release build on a machine that does nothing else.
    Bounds {
        /// The faults to measure, by their names, separated by commas [default: all].
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
    },
    /// All 22 TPC-H queries.
    Tpch,
    /// Everything above.
    All,
    /// Plain DataFusion, run by the bench as a process of its own.
    #[command(hide = true)]
    Plain(plain::PlainArguments),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let workloads = match arguments.workload.clone() {
        Workload::Plain(plain) => return plain::run(&plain),
        Workload::Stages => {
            print(&stages::run(arguments.rows.unwrap_or(ACTIONS), arguments.rounds)?);
            return Ok(());
        }
        Workload::Pages => {
            print(&pages::run()?);
            return Ok(());
        }
        Workload::Pictures { into, png } => {
            print(&pictures::run(&into, if png { Format::Png } else { Format::WebP })?);
            return Ok(());
        }
        Workload::Hdfs => {
            print(&hdfs::run(arguments.rows.unwrap_or(ACTIONS), arguments.rounds)?);
            return Ok(());
        }
        Workload::Scale => {
            print(&scale::run()?);
            return Ok(());
        }
        Workload::HdfsFaults { seeds, first_seed } => {
            let schedules: Vec<Schedule> = (first_seed..first_seed + seeds).map(Schedule::draw).collect();
            let report = hdfs_faults::run(&schedules, print)?;
            print(&report.told());
            ensure!(report.failures().is_empty(), "{} schedules failed", report.failures().len());
            return Ok(());
        }
        Workload::Faults { seeds, first_seed } => {
            let schedules: Vec<_> = (first_seed..first_seed + seeds).map(faults::Schedule::draw).collect();
            let report = faults::run(&schedules, print)?;
            print(&report.told());
            ensure!(report.failures().is_empty(), "{} schedules failed", report.failures().len());
            return Ok(());
        }
        Workload::Bounds { only } => {
            bounds::run(arguments.rows.unwrap_or(bounds::ROWS), arguments.rounds, (&only, print))?;
            return Ok(());
        }
        Workload::All => vec![
            Workload::Small,
            Workload::Main,
            Workload::HighCardinality,
            Workload::Wide,
            Workload::Typed,
            Workload::Filtered,
            Workload::Adversarial,
            Workload::Tpch,
        ],
        one @ (Workload::Main
        | Workload::HighCardinality
        | Workload::Small
        | Workload::Wide
        | Workload::Typed
        | Workload::Filtered
        | Workload::Adversarial
        | Workload::Tpch) => vec![one],
    };
    let peers = peers::Peers::install(&arguments.without)?;
    for workload in workloads {
        let text = run(&workload, &arguments, &peers)?;
        print(&text);
    }
    Ok(())
}

fn run(workload: &Workload, arguments: &Arguments, peers: &peers::Peers) -> Result<String> {
    let rows = |default: u64| arguments.rows.unwrap_or(default);
    let scenario = match workload {
        Workload::Main => Scenario::main(rows(ACTIONS)),
        Workload::HighCardinality => Scenario::high_cardinality(rows(ACTIONS)),
        Workload::Small => Scenario::small(rows(1_000_000)),
        Workload::Wide => Scenario::wide(rows(1_200_000)),
        Workload::Typed => Scenario::typed(rows(15_000_000)),
        Workload::Filtered => return scenario::run_filtered(rows(1_200_000), arguments.rounds, peers),
        Workload::Adversarial => return scenario::run_adversarial(rows(200), arguments.rounds, peers),
        Workload::Tpch
        | Workload::All
        | Workload::Stages
        | Workload::Pages
        | Workload::Pictures { .. }
        | Workload::Hdfs
        | Workload::HdfsFaults { .. }
        | Workload::Scale
        | Workload::Faults { .. }
        | Workload::Bounds { .. }
        | Workload::Plain(_) => {
            return tpch::run(&arguments.scales, arguments.rounds, peers);
        }
    };
    scenario::run(&scenario, arguments.rounds, peers)
}

#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
fn print(text: &str) {
    println!("{text}");
}
