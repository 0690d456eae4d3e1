//! Finds out on which hosts what a task reads lies. A hint: what is not known in time is left out, and the plan is as good.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hearth_common::InputSplit;
use hearth_scheduler::HostBytes;
use hearth_storage::{HeldRange, Storage};
use tokio::time::{Instant, timeout_at};

use super::inputs::LoadedInput;

/// Longest search; most of the time of a job with so many files is listed elsewhere.
const SEARCH_MAX: Duration = Duration::from_secs(10);
/// Files that are asked about. Each costs a call to the storage.
const FILES_MAX: usize = 20_000;
/// Hosts that a task prefers at most.
const HOSTS_PER_TASK: usize = 3;

/// Who holds the files of a job.
#[derive(Debug, Default)]
pub(super) struct Homes {
    files: BTreeMap<String, Vec<HeldRange>>,
    /// Names and addresses of the workers' hosts, in lower case.
    hosts: BTreeSet<String>,
}

impl Homes {
    /// Asks the storage about the files of all inputs.
    pub(super) async fn find(storage: &Storage, inputs: &[Arc<LoadedInput>], hosts: &BTreeSet<String>) -> Self {
        let deadline = Instant::now() + SEARCH_MAX;
        let splits = inputs.iter().flat_map(|input| input.splits.iter().flatten());
        let urls: BTreeMap<&str, u64> = splits.map(|split| (split.url.as_str(), split.file_bytes)).collect();
        let mut files = BTreeMap::new();
        for (url, bytes) in urls.into_iter().take(FILES_MAX) {
            match timeout_at(deadline, storage.held_ranges(url, bytes)).await {
                Ok(ranges) if ranges.is_empty() => {}
                Ok(ranges) => drop(files.insert(url.to_owned(), ranges)),
                Err(_) => {
                    tracing::info!(
                        known = files.len(),
                        "asking where files lie takes too long; going on without the rest"
                    );
                    break;
                }
            }
        }
        Self { files, hosts: hosts.clone() }
    }

    /// The hosts that hold most of what a task reads, the best one first.
    pub(super) fn of_task<'a>(&self, splits: impl IntoIterator<Item = &'a InputSplit>) -> Vec<HostBytes> {
        let mut bytes: BTreeMap<&str, u64> = BTreeMap::new();
        for split in splits {
            for held in self.files.get(&split.url).into_iter().flatten() {
                let overlap = held.range.end.min(split.end).saturating_sub(held.range.start.max(split.start));
                let hosts: BTreeSet<&str> = held.hosts.iter().filter_map(|names| self.name_of(names)).collect();
                hosts.into_iter().filter(|_| overlap > 0).for_each(|host| *bytes.entry(host).or_default() += overlap);
            }
        }
        let mut homes: Vec<HostBytes> =
            bytes.into_iter().map(|(host, bytes)| HostBytes { host: host.to_owned(), bytes }).collect();
        homes.sort_by(|one, other| other.bytes.cmp(&one.bytes).then_with(|| one.host.cmp(&other.host)));
        homes.truncate(HOSTS_PER_TASK);
        homes
    }

    /// The name of a host that a worker gives for itself; the first one where no worker is there.
    fn name_of<'a>(&self, names: &'a [String]) -> Option<&'a str> {
        names.iter().find(|name| self.hosts.contains(*name)).or_else(|| names.first()).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use hearth_common::FileCompression;
    use proptest::prelude::*;

    use super::*;

    fn split(url: &str, range: Range<u64>) -> InputSplit {
        let (file_bytes, compression) = (range.end, FileCompression::None);
        let url = url.to_owned();
        InputSplit { url, file_bytes, modified_ms: 0, compression, start: range.start, end: range.end, link: None }
    }

    fn held(range: Range<u64>, hosts: &[&[&str]]) -> HeldRange {
        let hosts = hosts.iter().map(|names| names.iter().map(|name| (*name).to_owned()).collect()).collect();
        HeldRange { range, hosts }
    }

    fn homes(files: &[(&str, Vec<HeldRange>)], hosts: &[&str]) -> Homes {
        Homes {
            files: files.iter().map(|(url, ranges)| ((*url).to_owned(), ranges.clone())).collect(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        }
    }

    fn check(homes: &Homes, splits: &[InputSplit], expected: &[(&str, u64)]) {
        let found = homes.of_task(splits);
        let found: Vec<(&str, u64)> = found.iter().map(|home| (home.host.as_str(), home.bytes)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn bytes_of_all_splits_are_added_up_per_host() {
        let blocks = vec![held(0..100, &[&["a"], &["b"]]), held(100..150, &[&["c"], &["b"]])];
        let homes = homes(&[("f", blocks), ("g", vec![held(0..30, &[&["d"]])])], &[]);
        check(&homes, &[split("f", 0..150)], &[("b", 150), ("a", 100), ("c", 50)]);
        check(&homes, &[split("f", 90..110)], &[("b", 20), ("a", 10), ("c", 10)]);
        check(&homes, &[split("f", 100..110), split("g", 0..30)], &[("d", 30), ("b", 10), ("c", 10)]);
        check(&homes, &[split("f", 0..150), split("g", 0..30)], &[("b", 150), ("a", 100), ("c", 50)]);
        check(&homes, &[split("unknown", 0..10)], &[]);
    }

    #[test]
    fn a_host_goes_by_the_name_that_its_worker_gives() {
        let files = [("f", vec![held(0..10, &[&["n1.example", "n1", "10.0.0.1"], &["n2.example", "n2"]])])];
        check(&homes(&files, &["10.0.0.1", "n2"]), &[split("f", 0..10)], &[("10.0.0.1", 10), ("n2", 10)]);
        check(&homes(&files, &[]), &[split("f", 0..10)], &[("n1.example", 10), ("n2.example", 10)]);
    }

    proptest! {
        /// Blocks in any order, that overlap or leave gaps: a host's bytes are those of the splits that some block of it holds,
        /// counted once per block.
        #[test]
        fn a_host_has_the_bytes_that_its_blocks_share_with_the_splits(
            blocks in prop::collection::vec((0_u64..200, 0_u64..60, prop::collection::vec(0_usize..4, 0..4)), 0..8),
            splits in prop::collection::vec((0_u64..200, 0_u64..60), 0..4),
        ) {
            let names = [["a"], ["b"], ["c"], ["d"]];
            let blocks: Vec<HeldRange> = blocks.into_iter().map(|(start, length, hosts)| {
                let hosts: Vec<&[&str]> = hosts.iter().map(|host| &names[*host][..]).collect();
                held(start..start + length, &hosts)
            }).collect();
            let splits: Vec<InputSplit> =
                splits.into_iter().map(|(start, length)| split("f", start..start + length)).collect();
            let found = homes(&[("f", blocks.clone())], &[]).of_task(&splits);
            let count = |name: &str| {
                let of_host = blocks.iter().filter(|block| block.hosts.iter().flatten().any(|host| host == name));
                let bytes = |block: &HeldRange| splits.iter().map(|split| {
                    (split.start..split.end).filter(|byte| block.range.contains(byte)).count() as u64
                }).sum::<u64>();
                of_host.map(bytes).sum::<u64>()
            };
            let mut expected: Vec<(u64, &str)> =
                names.iter().map(|[name]| (count(name), *name)).filter(|(bytes, _)| *bytes > 0).collect();
            expected.sort_by_key(|(bytes, name)| (std::cmp::Reverse(*bytes), *name));
            expected.truncate(HOSTS_PER_TASK);
            let found: Vec<(u64, &str)> = found.iter().map(|home| (home.bytes, home.host.as_str())).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
