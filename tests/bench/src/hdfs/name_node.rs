//! What clients ask of the NameNode, counted by the NameNode itself.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hearth_test_hdfs::{Cluster, until};
use hearth_tests::{http_get, run_hearth};

/// What DataNodes ask.
const OF_DATA_NODES: [&str; 8] = [
    "SendHeartbeat",
    "RegisterDatanode",
    "BlockReport",
    "BlockReceivedAndDeleted",
    "VersionRequest",
    "CommitBlockSynchronization",
    "ReportBadBlocks",
    "ErrorReport",
];
/// A call that only [`Calls::counted`] makes.
const MARK: &str = "GetContentSummary";

/// Number of calls by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Calls(BTreeMap<String, u64>);

impl Calls {
    /// All calls of clients so far, and some of its own. The figures of a server are older than itself: a call of which nobody
    /// else makes any tells when they are young enough.
    pub(crate) fn counted(hdfs: &Cluster) -> Result<Self> {
        let marks = |calls: &Self| calls.0.get(MARK).copied().unwrap_or_default();
        let before = marks(&Self::shown(hdfs)?);
        let (conf_dir, root) = (hdfs.conf_dir().to_string_lossy().into_owned(), format!("{}/", hdfs.url()));
        run_hearth(&["fs", "--conf-dir", &conf_dir, "du", &root])?.success()?;
        let mut calls = Self(BTreeMap::new());
        until(Duration::from_secs(60), "the NameNode's figures", || {
            Self::shown(hdfs).is_ok_and(|shown| {
                let is_young = marks(&shown) > before;
                calls = shown;
                is_young
            })
        })?;
        Ok(calls)
    }

    fn shown(hdfs: &Cluster) -> Result<Self> {
        let port = hdfs.url().rsplit_once(':').context("find the NameNode's port")?.1;
        let query = format!("/jmx?qry=Hadoop:service=NameNode,name=RpcDetailedActivityForPort{port}");
        let answer = http_get(hdfs.http(), &query)?.json()?;
        let figures = answer["beans"][0].as_object().context("find the NameNode's figures")?;
        let calls = figures.iter().filter_map(|(name, figure)| Some((name.strip_suffix("NumOps")?, figure.as_u64()?)));
        let calls = calls.filter(|(name, count)| *count > 0 && is_of_clients(name));
        Ok(Self(calls.map(|(name, count)| (name.to_owned(), count)).collect()))
    }

    /// Calls of the work between two countings. `idle` was counted right after `after`, with nothing between: that is what
    /// counting itself asks.
    pub(crate) fn between(before: &Self, after: &Self, idle: &Self) -> Result<Self> {
        let count = |calls: &Self, name: &str| calls.0.get(name).copied().unwrap_or_default();
        let mut between = BTreeMap::new();
        for name in after.0.keys() {
            let own = count(idle, name).saturating_sub(count(after, name));
            let all = count(after, name).saturating_sub(count(before, name));
            ensure!(all >= own, "{all} calls of {name} are fewer than the {own} that counting makes");
            if all > own {
                between.insert(name.clone(), all - own);
            }
        }
        Ok(Self(between))
    }

    /// Their sum, and the counts of each, the most frequent first.
    pub(crate) fn told(&self) -> String {
        let mut calls: Vec<(&str, u64)> = self.0.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        calls.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let each: Vec<String> = calls.iter().map(|(name, count)| format!("{name} {count}")).collect();
        format!("{} ({})", calls.iter().map(|(_, count)| count).sum::<u64>(), each.join(", "))
    }
}

/// Every call is counted twice, the second time as `Overall...`, and exceptions and other users' calls besides.
fn is_of_clients(name: &str) -> bool {
    let is_call = !name.starts_with("Overall") && !name.ends_with("Exception") && !name.starts_with('(');
    is_call && !OF_DATA_NODES.contains(&name)
}
