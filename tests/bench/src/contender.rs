//! The engines that take part, and how each is started for one run.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;
use hearth_tests::{Cluster, ClusterOptions, JobFile, hearth_binary};

use crate::measure::{Cost, measure};
use crate::peers::Peers;

/// An engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum Engine {
    /// A master and two workers of one slot each, as processes of their own.
    Hearth,
    /// Plain DataFusion in one process with two threads.
    DataFusion,
    /// From PyPI, two threads.
    DuckDb,
    /// From PyPI, two threads.
    Polars,
    /// From PyPI, `local[2]`.
    #[value(name = "pyspark", alias = "spark")]
    Spark,
}

impl Engine {
    pub(crate) const ALL: [Self; 5] = [Self::Hearth, Self::DataFusion, Self::DuckDb, Self::Polars, Self::Spark];

    /// Name on the command line, and of the package on PyPI but for Spark's.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hearth => "hearth",
            Self::DataFusion => "datafusion",
            Self::DuckDb => "duckdb",
            Self::Polars => "polars",
            Self::Spark => "pyspark",
        }
    }

    /// Name and version for the table.
    pub(crate) fn title(self, peers: &Peers) -> String {
        match self {
            Self::Hearth => "Hearth, 2 workers".to_owned(),
            Self::DataFusion => format!("DataFusion {}, 2 threads", datafusion::DATAFUSION_VERSION),
            Self::DuckDb | Self::Polars | Self::Spark => peers.title(self),
        }
    }

    /// It is another engine's package from PyPI.
    pub(crate) fn is_peer(self) -> bool {
        matches!(self, Self::DuckDb | Self::Polars | Self::Spark)
    }
}

/// Two workers of one slot each.
pub(crate) fn start_cluster(memory: &str) -> Result<Cluster> {
    Cluster::start(ClusterOptions { memory: memory.to_owned(), ..ClusterOptions::default() })
}

/// `hearth submit`, from start to exit, with everything the cluster does for it.
pub(crate) fn measure_submit(cluster: &Cluster, job: &JobFile) -> Result<Cost> {
    let file = job.write(cluster.directory())?;
    let mut command = Command::new(hearth_binary()?);
    command.arg("submit").arg(&file).args(["--master", &cluster.url()]);
    Ok(measure(&mut command, &cluster.process_ids())?.0)
}

/// An empty place for an output.
pub(crate) fn fresh(output: &Path) -> Result<()> {
    if output.exists() {
        std::fs::remove_dir_all(output)?;
    }
    Ok(())
}
