//! Dependency edges: what a crate names itself, and what it sees through others.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

/// Workspace crates that each crate may name in `[dependencies]`. `hearth` is the composition root.
const MAY_NAME: [(&str, &[&str]); 18] = [
    ("hearth-common", &[]),
    ("hearth-proto", &["hearth-common"]),
    ("hearth-hdfs", &["hearth-common"]),
    ("hearth-storage", &["hearth-common", "hearth-hdfs"]),
    ("hearth-metrics", &["hearth-storage"]),
    ("hearth-scan", &[]),
    ("hearth-csv", &["hearth-common", "hearth-scan", "hearth-storage"]),
    ("hearth-differential", &["hearth-common", "hearth-csv", "hearth-scan"]),
    ("hearth-plan", &["hearth-common", "hearth-storage", "hearth-csv"]),
    ("hearth-scheduler", &["hearth-common"]),
    (
        "hearth-master",
        &[
            "hearth-common",
            "hearth-proto",
            "hearth-storage",
            "hearth-csv",
            "hearth-metrics",
            "hearth-plan",
            "hearth-scheduler",
        ],
    ),
    (
        "hearth-worker",
        &["hearth-common", "hearth-proto", "hearth-storage", "hearth-csv", "hearth-metrics", "hearth-plan"],
    ),
    ("hearth-client", &["hearth-common", "hearth-proto"]),
    ("hearth", &["hearth-client", "hearth-common", "hearth-hdfs", "hearth-master", "hearth-proto", "hearth-worker"]),
    ("hearth-tests", &["hearth-test-hdfs"]),
    ("hearth-test-browser", &[]),
    ("hearth-test-hdfs", &[]),
    (
        "hearth-bench",
        &[
            "hearth-common",
            "hearth-plan",
            "hearth-proto",
            "hearth-scan",
            "hearth-storage",
            "hearth-test-browser",
            "hearth-test-hdfs",
            "hearth-tests",
        ],
    ),
];

/// Crates that a crate must not see, not even through another one. A name that ends in `*` stands for all that begin so.
const MUST_NOT_SEE: [(&str, &[&str]); 9] = [
    ("hearth-common", &["arrow*", "datafusion*", "tonic*", "tokio*", "prost*", "object_store"]),
    ("hearth-proto", &["arrow*", "datafusion*", "object_store"]),
    ("hearth-hdfs", &["arrow*", "datafusion*", "tonic*"]),
    ("hearth-storage", &["tonic*", "hearth-master", "hearth-worker", "hearth-proto"]),
    ("hearth-metrics", &["tonic*", "hearth-master", "hearth-worker", "hearth-proto"]),
    ("hearth-csv", &["tonic*", "hearth-master", "hearth-worker", "hearth-proto"]),
    ("hearth-plan", &["tonic*", "hearth-master", "hearth-worker", "hearth-proto"]),
    ("hearth-scheduler", &["arrow*", "datafusion*", "tonic*", "tokio*", "rand", "parking_lot", "object_store"]),
    ("hearth-client", &["arrow*", "datafusion*", "object_store", "hearth-master", "hearth-worker", "hearth-plan"]),
];

/// Dependencies as they are on this platform; others' are not downloaded for it.
fn metadata() -> Result<Metadata> {
    let manifest = hearth_tests::workspace_dir().join("Cargo.toml");
    let options = ["--offline".to_owned(), "--locked".to_owned(), format!("--filter-platform={}", host()?)];
    MetadataCommand::new().manifest_path(manifest).other_options(options).exec().context("run cargo metadata")
}

fn host() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().context("run rustc -vV")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("find the host in what rustc -vV said")
}

fn members(metadata: &Metadata) -> BTreeMap<&str, &Package> {
    metadata.workspace_packages().into_iter().map(|package| (package.name.as_str(), package)).collect()
}

#[test]
fn crates_name_only_what_they_may() -> Result<()> {
    let metadata = metadata()?;
    let members = members(&metadata);
    let known: BTreeSet<&str> = MAY_NAME.iter().map(|(name, _)| *name).collect();
    let found: BTreeSet<&str> = members.keys().copied().collect();
    assert_eq!(found, known, "every crate has a line in MAY_NAME");
    for (name, allowed) in MAY_NAME {
        for dependency in &members[name].dependencies {
            let ours = members.contains_key(dependency.name.as_str());
            ensure!(
                !ours || dependency.kind == DependencyKind::Development || allowed.contains(&dependency.name.as_str()),
                "{name} must not depend on {}",
                dependency.name
            );
        }
    }
    Ok(())
}

#[test]
fn crates_do_not_see_what_they_must_not() -> Result<()> {
    let metadata = metadata()?;
    let members = members(&metadata);
    for (name, forbidden) in MUST_NOT_SEE {
        let package = members.get(name).with_context(|| format!("find the crate {name}"))?;
        for seen in everything_seen(&metadata, &package.id)? {
            let matches = |pattern: &&&str| match pattern.strip_suffix('*') {
                Some(prefix) => seen.starts_with(prefix),
                None => seen == **pattern,
            };
            ensure!(!forbidden.iter().any(|pattern| matches(&pattern)), "{name} sees {seen}");
        }
    }
    Ok(())
}

/// Names of all crates that a crate is linked with.
fn everything_seen(metadata: &Metadata, start: &PackageId) -> Result<BTreeSet<String>> {
    let resolve = metadata.resolve.as_ref().context("read the resolved graph")?;
    let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let (mut pending, mut seen) = (vec![start], BTreeSet::new());
    while let Some(id) = pending.pop() {
        for dependency in &nodes[id].deps {
            let linked = dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            // A procedural macro runs in the compiler; what it uses is not linked.
            if linked && !is_macro(metadata, &dependency.pkg) && seen.insert(&dependency.pkg) {
                pending.push(&dependency.pkg);
            }
        }
    }
    Ok(seen.into_iter().map(|id| metadata[id].name.to_string()).collect())
}

fn is_macro(metadata: &Metadata, id: &PackageId) -> bool {
    metadata[id].targets.iter().any(cargo_metadata::Target::is_proc_macro)
}

#[test]
fn versions_stand_in_the_root_alone() -> Result<()> {
    for package in metadata()?.workspace_packages() {
        let text = std::fs::read_to_string(&package.manifest_path)?;
        let mut in_dependencies = false;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if line.starts_with('[') {
                in_dependencies = line.ends_with("dependencies]");
                ensure!(!line.contains("dependencies."), "{}: write `{line}` on one line", package.manifest_path);
            } else if in_dependencies {
                let in_root = line.contains("workspace = true") || line.contains("path = ");
                ensure!(in_root && !line.contains("version"), "{}: `{line}`", package.manifest_path);
            }
        }
    }
    Ok(())
}
