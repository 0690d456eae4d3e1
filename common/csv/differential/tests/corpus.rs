//! Replays what the fuzzer has saved, and some changes of it: the same ones in every run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hearth_differential::{Difference, Random};

/// Changes of each saved input.
const CHANGES: u64 = 40;

fn replay(target: &str, check: impl Fn(&[u8]) -> Result<(), Difference>) -> Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&directory).with_context(|| format!("read {}", directory.display()))?;
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<_>>()?;
    paths.sort();
    ensure!(paths.len() >= 20, "{} inputs are no corpus", paths.len());
    for (path, number) in paths.iter().zip(0..) {
        let saved = std::fs::read(path)?;
        check(&saved).with_context(|| format!("{target}: {}", path.display()))?;
        for change in 0..CHANGES {
            let mut input = saved.clone();
            Random::new(number * CHANGES + change).change(&mut input);
            check(&input).with_context(|| format!("{target}: change {change} of {}: {input:?}", path.display()))?;
        }
    }
    Ok(())
}

#[test]
fn kernels_agree_on_the_saved_corpus() -> Result<()> {
    replay("kernels", hearth_differential::kernels)
}

#[test]
fn the_csv_crate_agrees_on_the_saved_corpus() -> Result<()> {
    replay("csv_crate", hearth_differential::csv_crate)
}

#[test]
fn splits_agree_on_the_saved_corpus() -> Result<()> {
    replay("splits", hearth_differential::splits)
}
