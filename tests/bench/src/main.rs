//! Measures Hearth beside plain DataFusion and the engines that people would use otherwise, all in one run.
//!
//! `cargo run --release -p hearth-bench -- main` prints a Markdown table. Results are compared, not only times.

mod actions;
mod contender;
mod digest;
mod measure;
mod peers;
mod plain;
mod proc;
mod table;
mod tpch;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(about = "Measures Hearth beside DataFusion, DuckDB, Polars and Spark")]
struct Arguments {
    #[command(subcommand)]
    workload: Workload,
    /// Rows of user actions [default: 40 million; 1 million for `small`].
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
    without: Vec<String>,
}

#[derive(Debug, Clone, Subcommand)]
enum Workload {
    /// Count actions per user: 40 million rows, 600 thousand groups.
    Main,
    /// The same with 20 million users and 1 GiB of memory per worker.
    HighCardinality,
    /// One small file against a running cluster.
    Small,
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
        Workload::All => vec![Workload::Small, Workload::Main, Workload::HighCardinality, Workload::Tpch],
        one @ (Workload::Main | Workload::HighCardinality | Workload::Small | Workload::Tpch) => vec![one],
    };
    let peers = peers::Peers::install(&arguments.without)?;
    for workload in workloads {
        let text = run(&workload, &arguments, &peers)?;
        print(&text);
    }
    Ok(())
}

fn run(workload: &Workload, arguments: &Arguments, peers: &peers::Peers) -> Result<String> {
    let rows = arguments.rows.unwrap_or(40_000_000);
    let scenario = match workload {
        Workload::Main => actions::Scenario::main(rows),
        Workload::HighCardinality => actions::Scenario::high_cardinality(rows),
        Workload::Small => actions::Scenario::small(arguments.rows.unwrap_or(1_000_000)),
        Workload::Tpch | Workload::All | Workload::Plain(_) => {
            return tpch::run(&arguments.scales, arguments.rounds, peers);
        }
    };
    actions::run(&scenario, arguments.rounds, peers)
}

#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
fn print(text: &str) {
    println!("{text}");
}
