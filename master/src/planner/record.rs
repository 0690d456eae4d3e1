//! A plan as it is kept: what is needed to launch its tasks again, after another master has planned them.

use std::sync::Arc;

use bytes::Bytes;
use hearth_common::{ENGINE_VERSION, InferredInput, InputDetails, InputSplit, PlanTexts, StageId};
use hearth_scheduler::JobGraph;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::cut::{LeafSource, ShufflePart};
use super::layout::LeafReach;
use super::planned::StageLeaf;
use super::{PlannedJob, PlannedStage};

/// A plan without the programs of its stages; these are kept as they are sent to workers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlanRecord {
    /// Which Hearth made it. Another one may cut stages in another way, and encode their programs differently.
    pub(crate) engine_version: String,
    /// When the planning began, in milliseconds since 1970.
    pub(crate) started_ms: u64,
    graph: JobGraph,
    stages: Vec<StageRecord>,
    inferred: Vec<InferredInput>,
    inputs: Vec<InputDetails>,
    texts: PlanTexts,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct StageRecord {
    label: String,
    program_xxh3: u64,
    leaves: Vec<LeafRecord>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct LeafRecord {
    leaf: u32,
    source: SourceRecord,
    reach: LeafReach,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum SourceRecord {
    Splits(Vec<Vec<InputSplit>>),
    Stage { stage: StageId, part: ShufflePart },
}

impl PlanRecord {
    /// The record of a plan. Its size grows with the number of input splits.
    pub(crate) fn of(planned: &PlannedJob, started_ms: u64) -> Self {
        let stage = |stage: &PlannedStage| StageRecord {
            label: stage.label.clone(),
            program_xxh3: stage.program_xxh3,
            leaves: stage.leaves.iter().map(LeafRecord::of).collect(),
        };
        Self {
            engine_version: ENGINE_VERSION.to_owned(),
            started_ms,
            graph: planned.graph.clone(),
            stages: planned.stages.iter().map(stage).collect(),
            inferred: planned.inferred.clone(),
            inputs: planned.inputs.clone(),
            texts: planned.texts.clone(),
        }
    }

    /// The plan, with the programs of its stages, by id.
    ///
    /// # Errors
    /// What is missing, or does not fit.
    pub(crate) fn into_plan(self, programs: Vec<Option<Vec<u8>>>) -> Result<PlannedJob, String> {
        let Self { graph, stages, inferred, inputs, texts, .. } = self;
        if stages.len() != graph.stages().len() {
            return Err(format!("{} stages are kept of {}", stages.len(), graph.stages().len()));
        }
        let mut programs = programs.into_iter();
        let stages = (0..).zip(stages).map(|(id, stage)| {
            let program = programs.next().flatten().ok_or_else(|| format!("the program of stage {id} is missing"))?;
            if xxh3_64(&program) != stage.program_xxh3 {
                return Err(format!("the checksum of the program of stage {id} does not match"));
            }
            Ok(PlannedStage {
                label: stage.label,
                program: Bytes::from(program),
                program_xxh3: stage.program_xxh3,
                leaves: stage.leaves.into_iter().map(LeafRecord::into_leaf).collect(),
            })
        });
        Ok(PlannedJob { stages: stages.collect::<Result<_, String>>()?, graph, inferred, inputs, texts })
    }
}

impl LeafRecord {
    fn of(leaf: &StageLeaf) -> Self {
        let source = match &leaf.source {
            LeafSource::Splits(splits) => SourceRecord::Splits(splits.as_ref().clone()),
            LeafSource::Stage { stage, part } => SourceRecord::Stage { stage: *stage, part: *part },
        };
        Self { leaf: leaf.leaf, source, reach: leaf.reach.clone() }
    }

    fn into_leaf(self) -> StageLeaf {
        let source = match self.source {
            SourceRecord::Splits(splits) => LeafSource::Splits(Arc::new(splits)),
            SourceRecord::Stage { stage, part } => LeafSource::Stage { stage, part },
        };
        StageLeaf { leaf: self.leaf, source, reach: self.reach }
    }
}
