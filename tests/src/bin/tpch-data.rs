//! Writes the TPC-H tables as CSV files: `tpch-data DIRECTORY SCALE`.

use std::path::Path;

use anyhow::{Context, Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, scale] = arguments.as_slice() else { bail!("usage: tpch-data DIRECTORY SCALE") };
    let scale = scale.parse().with_context(|| format!("read `{scale}` as a scale"))?;
    std::fs::create_dir_all(directory).with_context(|| format!("create {directory}"))?;
    hearth_tests::tpch::write_tables(Path::new(directory), scale)
}
