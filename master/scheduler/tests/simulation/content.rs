//! What attempts compute, so that the oracle can tell right output from wrong.
//!
//! The value of a stage is a sum over its shuffle partitions (or tasks), each linear in the values it reads. How partitions
//! are merged into tasks does not matter then, but a partition that is missing, read twice, or read from another attempt's
//! version shows. An attempt of an indeterminate stage adds a random version of its own, and every value carries the
//! versions that it derives from. Where a stage reads files, the value of every record counts in the sum as well.

use std::collections::BTreeMap;
use std::ops::Range;

use hearth_common::{AttemptId, StageId};
use hearth_scheduler::InputKind;

use crate::plan::{JobPlan, index_count};

/// What one attempt left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    value: u64,
    lineage: Lineage,
}

/// The version of each task of an indeterminate stage that a value derives from; two versions of one are a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Lineage {
    versions: BTreeMap<(StageId, u32), u64>,
    conflict: Option<(StageId, u32)>,
}

impl Lineage {
    fn add(&mut self, other: &Self) {
        self.conflict = self.conflict.or(other.conflict);
        for (task, version) in &other.versions {
            if *self.versions.entry(*task).or_insert(*version) != *version {
                self.conflict = Some(*task);
            }
        }
    }
}

/// What an attempt adds of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own {
    /// Counts for an indeterminate stage alone.
    pub(crate) version: u64,
    /// Sum over the records that it read.
    pub(crate) records: u64,
}

/// Computes an attempt from what it read of each input stage.
pub(crate) fn compute(
    plan: &JobPlan,
    (attempt, merged): (AttemptId, Option<Range<u32>>),
    read: &BTreeMap<StageId, Vec<Content>>,
    own: Own,
) -> Content {
    let (stage, partition) = (attempt.task.stage, attempt.task.partition);
    let spec = plan.stage(stage);
    let mut content = Content { value: own.records, lineage: Lineage::default() };
    for contents in read.values().flatten() {
        content.lineage.add(&contents.lineage);
    }
    for index in merged.unwrap_or(partition..partition + 1) {
        content.value = content.value.wrapping_add(plan.base(stage, index));
        for input in &spec.inputs {
            let sum = read.get(&input.stage).into_iter().flatten().fold(0_u64, |sum, c| sum.wrapping_add(c.value));
            content.value = content.value.wrapping_add(sum.wrapping_mul(plan.key(stage, *input, index)));
        }
    }
    if !spec.determinate {
        content.value = content.value.wrapping_add(own.version);
        content.lineage.versions.insert((stage, partition), own.version);
    }
    content
}

/// Checks what a commit would make visible.
pub(crate) fn check_commit(plan: &JobPlan, winners: &[Content]) -> Result<(), String> {
    let mut lineage = Lineage::default();
    for winner in winners {
        lineage.add(&winner.lineage);
    }
    if let Some((stage, partition)) = lineage.conflict {
        return Err(format!("output derives from two versions of stage {stage}, task {partition}"));
    }
    let found = winners.iter().fold(0_u64, |sum, winner| sum.wrapping_add(winner.value));
    let expected = expected_total(plan, &lineage);
    if found == expected { Ok(()) } else { Err(format!("output is {found:x}, expected {expected:x}")) }
}

fn expected_total(plan: &JobPlan, lineage: &Lineage) -> u64 {
    let mut totals: Vec<u64> = Vec::new();
    for (id, spec) in (0..).map(StageId).zip(plan.graph.stages()) {
        let mut total = plan.records_total(id);
        for index in 0..index_count(spec) {
            total = total.wrapping_add(plan.base(id, index));
            for input in &spec.inputs {
                debug_assert!(matches!(input.kind, InputKind::Partitioned | InputKind::Other));
                let read = totals[input.stage.0 as usize];
                total = total.wrapping_add(read.wrapping_mul(plan.key(id, *input, index)));
            }
        }
        let versions = lineage.versions.range((id, 0)..=(id, u32::MAX));
        totals.push(versions.fold(total, |sum, (_, version)| sum.wrapping_add(*version)));
    }
    totals.last().copied().unwrap_or_default()
}
