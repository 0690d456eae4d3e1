//! What an attempt finds out about the links it reads: the scans of its plan write it down, its report tells it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use hearth_common::{FailureCause, InputFormat, InputSplit, LeafInput, LinkScan, TaskInputs};
use hearth_csv::CsvTable;

use crate::scan::scan_link;
use crate::{ScanExec, TaskBinding};

/// The links of one attempt, as far as they have been read. Cheap to clone: all clones are the same.
#[derive(Debug, Clone, Default)]
pub struct LinkScans {
    known: Arc<Mutex<BTreeMap<u32, LinkScan>>>,
}

impl LinkScans {
    /// Notes how far the reading of a link has come.
    pub(crate) fn note(&self, scan: LinkScan) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(scan.link, scan);
    }

    fn of(&self, link: u32) -> Option<LinkScan> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&link).copied()
    }
}

/// The links that a task reads, in their order.
fn links_of(inputs: &TaskInputs) -> BTreeMap<u32, &InputSplit> {
    let splits = inputs.values().flat_map(|input| match input {
        LeafInput::Splits(splits) => splits.as_slice(),
        LeafInput::Shuffle(_) => &[],
    });
    splits.filter_map(|split| Some((split.link?.number, split))).collect()
}

/// What an attempt that succeeded tells about its links. Those that it did not read to their end, because its rows were enough,
/// are read now for their structure: the rows that were used are proved by it too.
///
/// # Errors
/// What is wrong with the structure of a link that was not read to its end.
pub async fn complete_scans(
    plan: &Arc<dyn ExecutionPlan>,
    context: &TaskContext,
) -> std::result::Result<Vec<LinkScan>, FailureCause> {
    let Some(binding) = TaskBinding::of(context) else { return Ok(Vec::new()) };
    let links = links_of(&binding.inputs);
    if links.is_empty() {
        return Ok(Vec::new());
    }
    let tables = tables_of(plan, &binding.inputs).map_err(|error| crate::cause_of(&error))?;
    let mut scans = Vec::with_capacity(links.len());
    for (link, split) in links {
        let scan = match binding.scans.of(link).filter(|scan| scan.read.end.is_some()) {
            Some(scan) => scan,
            None => {
                let table = tables.get(&link).ok_or_else(|| FailureCause::internal("a link belongs to no scan"))?;
                table.scan(split, context, &binding.scans).await?
            }
        };
        scans.push(scan);
    }
    Ok(scans)
}

/// What an attempt that failed tells about its links: those it read, in their order, up to the first that it did not finish.
#[must_use]
pub fn scans_so_far(context: &TaskContext) -> Vec<LinkScan> {
    let Some(binding) = TaskBinding::of(context) else { return Vec::new() };
    let mut scans = Vec::new();
    for link in links_of(&binding.inputs).into_keys() {
        let Some(scan) = binding.scans.of(link) else { break };
        scans.push(scan);
        if scan.read.end.is_none() {
            break;
        }
    }
    scans
}

/// How the structure of a link is read.
#[derive(Clone)]
enum LinkTable {
    /// With nothing of it to read.
    Csv(Arc<CsvTable>),
    JsonLines,
}

impl LinkTable {
    /// Reads a link for its structure. What is found out is noted, even where something is wrong with it.
    async fn scan(
        &self,
        split: &InputSplit,
        context: &TaskContext,
        scans: &LinkScans,
    ) -> std::result::Result<LinkScan, FailureCause> {
        let runtime = context.runtime_env();
        let (scan, finished) = match self {
            Self::Csv(table) => {
                let mut records = table.open(split, &runtime).await?;
                let finished = records.finish().await;
                (records.scan(), finished)
            }
            Self::JsonLines => (scan_link(split, &runtime).await?, Ok(())),
        };
        let scan = scan.ok_or_else(|| FailureCause::internal("a link was not scanned"))?;
        scans.note(scan);
        finished.map(|()| scan)
    }
}

/// The table of every link.
fn tables_of(plan: &Arc<dyn ExecutionPlan>, inputs: &TaskInputs) -> Result<BTreeMap<u32, LinkTable>> {
    let mut tables = BTreeMap::new();
    plan.apply(|node| {
        if let Some(scan) = node.downcast_ref::<ScanExec>() {
            let table = match &scan.spec().format {
                InputFormat::Csv(options) => {
                    LinkTable::Csv(Arc::new(scan.spec().csv_table(options, (Some(Vec::new()), 1))))
                }
                InputFormat::Json => LinkTable::JsonLines,
                InputFormat::Parquet => return Ok(TreeNodeRecursion::Continue),
            };
            let of_leaf = inputs.iter().filter(|(key, _)| key.leaf == scan.spec().leaf);
            let splits = of_leaf.flat_map(|(_, input)| match input {
                LeafInput::Splits(splits) => splits.as_slice(),
                LeafInput::Shuffle(_) => &[],
            });
            tables.extend(splits.filter_map(|split| Some((split.link?.number, table.clone()))));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(tables)
}
