//! Plain DataFusion in a process of its own: the measure for what distribution costs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use clap::Args;
use datafusion::dataframe::DataFrameWriteOptions;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{CsvReadOptions, SessionConfig, SessionContext};
use hearth_tests::tpch::TABLES;

use crate::scenario::declared;

/// Threads and task partitions, as many as Hearth has slots.
const THREADS: usize = 2;

/// What to run.
#[derive(Debug, Clone, Args)]
pub(crate) struct PlainArguments {
    /// The query.
    #[arg(long)]
    sql: String,
    /// `NAME=PATH` of a CSV file or directory.
    #[arg(long)]
    table: Vec<String>,
    /// `NAME TYPE` of the table's columns, with `;` inside of a type; inferred where it is empty.
    #[arg(long, default_value = "")]
    columns: String,
    /// Directory for the result, as Parquet.
    #[arg(long)]
    output: PathBuf,
    /// Memory limit.
    #[arg(long)]
    memory_gib: usize,
}

/// Runs the query and writes its result.
pub(crate) fn run(arguments: &PlainArguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    runtime.block_on(run_query(arguments))
}

async fn run_query(arguments: &PlainArguments) -> Result<()> {
    let pool = Arc::new(FairSpillPool::new(arguments.memory_gib << 30));
    let environment = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc()?;
    let config = SessionConfig::new().with_target_partitions(THREADS);
    let context = SessionContext::new_with_config_rt(config, environment);
    for table in &arguments.table {
        let (name, path) = table.split_once('=').with_context(|| format!("read `{table}` as NAME=PATH"))?;
        let schema = tpch_schema(name).or_else(|| declared_schema(&arguments.columns));
        // Told for the one table whose fields hold line breaks: its files are then read in one piece.
        let options = CsvReadOptions::new().newlines_in_values(name == "notes");
        let options = if let Some(schema) = &schema { options.schema(schema) } else { options };
        context.register_csv(name, path, options).await?;
    }
    let frame = context.sql(&arguments.sql).await?;
    frame.write_parquet(&path_text(&arguments.output), DataFrameWriteOptions::new(), None).await?;
    Ok(())
}

/// With a slash at the end, so that it is taken for a directory.
fn path_text(path: &Path) -> String {
    format!("{}/", path.display())
}

/// The declared columns of a TPC-H table; `None` for other tables, whose columns are inferred.
fn tpch_schema(name: &str) -> Option<Schema> {
    let table = TABLES.iter().find(|table| table.name == name)?;
    let fields = table.columns.iter().map(|(name, value)| Field::new(*name, data_type(value), true));
    Some(Schema::new(fields.collect::<Vec<_>>()))
}

/// The columns of a workload that declares them.
fn declared_schema(columns: &str) -> Option<Schema> {
    let fields = declared(columns).into_iter().map(|(name, value)| Field::new(name, data_type(&value), true));
    let fields: Vec<Field> = fields.collect();
    (!fields.is_empty()).then(|| Schema::new(fields))
}

fn data_type(name: &str) -> DataType {
    match name {
        "int64" => DataType::Int64,
        "int32" => DataType::Int32,
        "date" => DataType::Date32,
        "decimal(15,2)" => DataType::Decimal128(15, 2),
        "decimal(12,2)" => DataType::Decimal128(12, 2),
        "decimal(8,4)" => DataType::Decimal128(8, 4),
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        _ => DataType::Utf8View,
    }
}
