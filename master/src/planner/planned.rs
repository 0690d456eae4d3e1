//! A planned job: what the scheduler needs to know of its stages, and what the workers do.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use hearth_common::{
    InferredInput, InputDetails, InputSplit, LeafInput, LeafKey, PlanTexts, ShuffleInput, ShuffleSource, SplitLink,
    StageId, TaskInputs,
};
use hearth_scheduler::{JobGraph, KnownStart, Link};

use super::cut::{LeafSource, ShufflePart};
use super::layout::{LeafReach, Spread};

/// Input splits that an error message names.
const SPLITS_NAMED_MAX: usize = 3;

/// A job as stages.
#[derive(Debug)]
pub struct PlannedJob {
    /// The stages, as far as scheduling needs to know them.
    pub graph: JobGraph,
    /// The stages, by id.
    pub stages: Vec<PlannedStage>,
    /// What was inferred about its inputs.
    pub inferred: Vec<InferredInput>,
    /// What its inputs are, by name.
    pub inputs: Vec<InputDetails>,
    /// How it is carried out, for people.
    pub texts: PlanTexts,
}

/// What the tasks of a stage run and read.
#[derive(Debug)]
pub struct PlannedStage {
    /// One line for people, such as `scan actions, partial aggregate`.
    pub label: String,
    /// The encoded [`StageProgram`](hearth_plan::StageProgram).
    pub program: Bytes,
    /// Its XXH3 checksum.
    pub program_xxh3: u64,
    pub(super) leaves: Vec<StageLeaf>,
}

/// One leaf of a stage: what there is to read, and which task reads what of it.
#[derive(Debug)]
pub(super) struct StageLeaf {
    pub(super) leaf: u32,
    pub(super) source: LeafSource,
    pub(super) reach: LeafReach,
}

impl StageLeaf {
    /// Numbers the links of the leaf from `links.len()`, and adds them. Where each task reads the whole leaf, its files are not
    /// cut at all.
    pub(super) fn number_links(&mut self, links: &mut Vec<Link>) {
        let LeafSource::Splits(splits) = &self.source else { return };
        let mut splits = splits.as_ref().clone();
        for (partition, splits) in (0..).zip(&mut splits) {
            match self.reach.spread {
                Spread::OneEach => number_links(splits, self.reach.tasks.start + partition, links),
                Spread::AllEach => join_links(splits),
            }
        }
        self.source = LeafSource::Splits(Arc::new(splits));
    }

    /// The partitions of the leaf that a task reads.
    fn partitions_of(&self, task: u32) -> Range<u32> {
        if !self.reach.tasks.contains(&task) {
            return 0..0;
        }
        match self.reach.spread {
            Spread::OneEach => {
                let partition = task - self.reach.tasks.start;
                partition..partition + 1
            }
            Spread::AllEach => 0..self.reach.partitions,
        }
    }

    /// What a task reads of the leaf, and no other task does.
    pub(super) fn own_splits(&self, task: u32) -> impl Iterator<Item = &InputSplit> {
        let partitions = match self.reach.spread {
            Spread::OneEach => self.partitions_of(task),
            Spread::AllEach => 0..0,
        };
        partitions.flat_map(|partition| self.splits(partition))
    }

    /// What the files hold of which a task reads these partitions.
    fn content(&self, partitions: Range<u32>) -> Content {
        let splits = partitions.flat_map(|partition| self.splits(partition));
        splits.fold(Content::default(), |content, split| content.with(split))
    }

    fn splits(&self, partition: u32) -> &[InputSplit] {
        match &self.source {
            LeafSource::Splits(splits) => splits.get(partition as usize).map_or(&[], Vec::as_slice),
            LeafSource::Stage { .. } => &[],
        }
    }
}

/// What is known of files before they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Content {
    /// Bytes of those that are not compressed.
    pub(crate) bytes: u64,
    /// Input splits of them.
    pub(crate) splits: u64,
    /// Compressed ones: these may hold anything.
    pub(crate) compressed: u64,
}

impl Content {
    fn with(mut self, split: &InputSplit) -> Self {
        if split.compression.is_some() {
            self.compressed += 1;
        } else {
            self.bytes = self.bytes.saturating_add(split.end.saturating_sub(split.start));
            self.splits += 1;
        }
        self
    }

    /// So many times as much.
    const fn times(self, count: u64) -> Self {
        let (splits, compressed) = (self.splits.saturating_mul(count), self.compressed.saturating_mul(count));
        Self { bytes: self.bytes.saturating_mul(count), splits, compressed }
    }

    /// Both together.
    pub(crate) const fn plus(self, other: Self) -> Self {
        let (splits, compressed) =
            (self.splits.saturating_add(other.splits), self.compressed.saturating_add(other.compressed));
        Self { bytes: self.bytes.saturating_add(other.bytes), splits, compressed }
    }

    /// Without a part of it.
    pub(crate) const fn minus(self, part: Self) -> Self {
        let (splits, compressed) =
            (self.splits.saturating_sub(part.splits), self.compressed.saturating_sub(part.compressed));
        Self { bytes: self.bytes.saturating_sub(part.bytes), splits, compressed }
    }
}

impl PlannedStage {
    /// What all its tasks read of files; what several of them read counts for each.
    pub(crate) fn content(&self) -> Content {
        let of_leaf = |leaf: &StageLeaf| match leaf.reach.spread {
            Spread::OneEach => leaf.content(0..leaf.reach.partitions),
            Spread::AllEach => leaf.content(0..leaf.reach.partitions).times(leaf.reach.tasks.len() as u64),
        };
        self.leaves.iter().map(of_leaf).fold(Content::default(), Content::plus)
    }

    /// What one task reads of files.
    pub(crate) fn content_of(&self, task: u32) -> Content {
        let of_leaf = |leaf: &StageLeaf| leaf.content(leaf.partitions_of(task));
        self.leaves.iter().map(of_leaf).fold(Content::default(), Content::plus)
    }

    /// What task `partition` reads. `merged` is its group of shuffle partitions, where the scheduler formed it; `sources` are the
    /// winning attempts of every stage that this one reads, by the number of their tasks; `starts` are those of its links that are
    /// known.
    #[must_use]
    pub fn task_inputs(
        &self,
        partition: u32,
        (merged, starts): (Option<&Range<u32>>, &[KnownStart]),
        sources: &BTreeMap<StageId, Vec<ShuffleSource>>,
    ) -> TaskInputs {
        let mut inputs = TaskInputs::new();
        for leaf in &self.leaves {
            for leaf_partition in leaf.partitions_of(partition) {
                let input = match &leaf.source {
                    LeafSource::Splits(_) => some_splits(leaf.splits(leaf_partition), starts),
                    LeafSource::Stage { stage, part } => {
                        let shuffle = shuffle_input(*part, leaf_partition, merged);
                        sources.get(stage).and_then(|sources| shuffle.bind(*stage, sources))
                    }
                };
                if let Some(input) = input {
                    inputs.insert(LeafKey { leaf: leaf.leaf, partition: leaf_partition }, input);
                }
            }
        }
        inputs
    }

    /// The input splits that task `partition` reads, for people; empty where it reads only shuffle outputs.
    #[must_use]
    pub fn describe_inputs(&self, partition: u32) -> String {
        let of_leaf = |leaf: &'_ StageLeaf| {
            leaf.partitions_of(partition).map(|index| leaf.splits(index).to_vec()).collect::<Vec<_>>()
        };
        let splits: Vec<InputSplit> = self.leaves.iter().flat_map(of_leaf).flatten().collect();
        let named = splits.iter().take(SPLITS_NAMED_MAX).map(|split| {
            let InputSplit { url, start, end, .. } = split;
            format!("{url} (bytes {start} to {end})")
        });
        let mut text = named.collect::<Vec<_>>().join(", ");
        if splits.len() > SPLITS_NAMED_MAX {
            let _ = write!(text, " and {} more", splits.len() - SPLITS_NAMED_MAX);
        }
        text
    }
}

fn number_links(splits: &mut [InputSplit], task: u32, links: &mut Vec<Link>) {
    for split in splits.iter_mut().filter(|split| split.link.is_some()) {
        let number = u32::try_from(links.len()).unwrap_or(u32::MAX);
        split.link = Some(SplitLink { number, known: None });
        links.push(Link { task, start: split.start, end: split.end, follows: split.start > 0 });
    }
}

/// Makes the first link of a file all of it, and drops the others.
fn join_links(splits: &mut Vec<InputSplit>) {
    splits.retain(|split| split.link.is_none() || split.start == 0);
    for split in splits.iter_mut().filter(|split| split.link.is_some()) {
        split.link = None;
        split.end = split.file_bytes;
    }
}

fn some_splits(splits: &[InputSplit], starts: &[KnownStart]) -> Option<LeafInput> {
    let tell = |split: &InputSplit| {
        let mut split = split.clone();
        if let Some(link) = &mut split.link {
            link.known = starts.iter().find(|known| known.link == link.number).map(|known| known.start);
        }
        split
    };
    (!splits.is_empty()).then(|| LeafInput::Splits(splits.iter().map(tell).collect()))
}

/// Which shuffle partitions of which tasks a leaf partition reads.
struct Wanted {
    partitions: Range<u32>,
    task: Option<u32>,
}

fn shuffle_input(part: ShufflePart, leaf_partition: u32, merged: Option<&Range<u32>>) -> Wanted {
    match part {
        ShufflePart::Hashed => {
            let own = leaf_partition..leaf_partition + 1;
            Wanted { partitions: merged.cloned().unwrap_or(own), task: None }
        }
        ShufflePart::Everything => Wanted { partitions: 0..1, task: None },
        ShufflePart::OneTask => Wanted { partitions: 0..1, task: Some(leaf_partition) },
    }
}

impl Wanted {
    /// `None` where there is nothing to read: merging may have left fewer tasks than were planned.
    fn bind(self, stage: StageId, sources: &[ShuffleSource]) -> Option<LeafInput> {
        let is_wanted = |source: &&ShuffleSource| self.task.is_none_or(|task| source.partition == task);
        let sources: Vec<ShuffleSource> = sources.iter().filter(is_wanted).cloned().collect();
        let Range { start: first, end } = self.partitions;
        (!sources.is_empty()).then_some(LeafInput::Shuffle(ShuffleInput { stage, first, end, sources }))
    }
}
