//! The stages of a planned job, as far as scheduling needs to know them.

use hearth_common::StageId;
use serde::{Deserialize, Serialize};

use crate::home::{HOSTS_PER_TASK_MAX, HostBytes};
use crate::link::{Link, LinkFault, check_links};

/// A job's stages. Stage `i` is at index `i` and reads only earlier ones; the last one is the final stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct JobGraph {
    stages: Vec<StageSpec>,
    final_output: FinalOutput,
}

/// A graph that was read from somewhere.
#[derive(Deserialize)]
struct Unchecked {
    stages: Vec<StageSpec>,
    final_output: FinalOutput,
}

impl TryFrom<Unchecked> for JobGraph {
    type Error = GraphError;

    fn try_from(read: Unchecked) -> Result<Self, GraphError> {
        Self::new(read.stages, read.final_output)
    }
}

/// What the final stage leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FinalOutput {
    /// Files in the staging directory.
    Files,
    /// One shuffle output on a worker, fetched by the master at the commit.
    Result,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageSpec {
    /// How its tasks come about.
    pub tasks: TaskLayout,
    /// The stages it reads.
    pub inputs: Vec<StageInput>,
    /// Shuffle partitions of its output; 1 for a result; ignored for files.
    pub shuffle_partitions: u32,
    /// Running a task again gives the same rows, in whatever order. Where it may not (LIMIT, ties in a window, random()),
    /// a lost output also invalidates everything that was computed from it.
    pub determinate: bool,
    /// The links that its tasks read, those of a file one after the other; empty where its tasks read no file that was cut.
    pub links: Vec<Link>,
    /// By task: the hosts that hold most of its input splits, at most three. Shorter, or empty, where later tasks prefer none.
    pub homes: Vec<Vec<HostBytes>>,
}

/// How the tasks of a stage come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskLayout {
    /// Known when the job is planned.
    Fixed {
        /// Number of tasks; at least 1.
        tasks: u32,
    },
    /// One per group of neighbouring shuffle partitions, formed by actual bytes when the inputs are done.
    Merged {
        /// Shuffle partitions of every partitioned input.
        partitions: u32,
    },
}

/// One input of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageInput {
    /// The stage that produces it.
    pub stage: StageId,
    /// How tasks read it.
    pub kind: InputKind,
}

/// How the tasks of a stage read an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum InputKind {
    /// Each task reads its own shuffle partitions. Its bytes count when partitions are merged.
    Partitioned,
    /// Tasks read it in another way (all of it, or one producer each).
    Other,
}

/// Why a graph is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// A job needs a stage.
    #[error("job has no stages")]
    Empty,
    /// A stage without tasks.
    #[error("stage {0} has no tasks")]
    NoTasks(StageId),
    /// A stage reads itself or a later one.
    #[error("stage {stage} reads stage {input}, which is not before it")]
    NotBefore {
        /// The reader.
        stage: StageId,
        /// What it reads.
        input: StageId,
    },
    /// A merged stage whose partitioned inputs do not have its number of partitions, or that has none.
    #[error("stage {0} merges partitions that its inputs do not have")]
    Partitions(StageId),
    /// A stage whose output nobody reads.
    #[error("nothing reads stage {0}")]
    Unread(StageId),
    /// A stage names hosts for tasks that it does not have, or too many for one.
    #[error("stage {0} names hosts for a task that it does not have, or too many")]
    Homes(StageId),
    /// A link that does not fit.
    #[error("stage {stage}, link {link}: {fault}")]
    Link {
        /// The stage.
        stage: StageId,
        /// Number of the link in it.
        link: u32,
        /// What is wrong.
        fault: LinkFault,
    },
}

impl JobGraph {
    /// Checks the stages and makes a graph of them.
    ///
    /// # Errors
    /// The first thing that does not fit together.
    pub fn new(stages: Vec<StageSpec>, final_output: FinalOutput) -> Result<Self, GraphError> {
        if stages.is_empty() {
            return Err(GraphError::Empty);
        }
        let mut is_read = vec![false; stages.len()];
        for (index, stage) in stages.iter().enumerate() {
            let id = stage_id(index);
            check_tasks(id, stage, &stages)?;
            check_homes(id, stage)?;
            check_links(stage).map_err(|(link, fault)| GraphError::Link { stage: id, link, fault })?;
            for input in &stage.inputs {
                if input.stage >= id {
                    return Err(GraphError::NotBefore { stage: id, input: input.stage });
                }
                is_read[input.stage.0 as usize] = true;
            }
        }
        is_read.pop();
        match is_read.iter().position(|read| !read) {
            Some(index) => Err(GraphError::Unread(stage_id(index))),
            None => Ok(Self { stages, final_output }),
        }
    }

    /// The stages, by id.
    #[must_use]
    pub fn stages(&self) -> &[StageSpec] {
        &self.stages
    }

    /// What the final stage leaves behind.
    #[must_use]
    pub const fn final_output(&self) -> FinalOutput {
        self.final_output
    }
}

fn check_tasks(id: StageId, stage: &StageSpec, stages: &[StageSpec]) -> Result<(), GraphError> {
    match stage.tasks {
        TaskLayout::Fixed { tasks: 0 } | TaskLayout::Merged { partitions: 0 } => Err(GraphError::NoTasks(id)),
        TaskLayout::Fixed { .. } => Ok(()),
        TaskLayout::Merged { partitions } => {
            let mut partitioned = stage.inputs.iter().filter(|input| input.kind == InputKind::Partitioned).peekable();
            let has_none = partitioned.peek().is_none();
            let fits = partitioned.all(|input| {
                stages.get(input.stage.0 as usize).is_some_and(|producer| producer.shuffle_partitions == partitions)
            });
            if has_none || !fits { Err(GraphError::Partitions(id)) } else { Ok(()) }
        }
    }
}

fn check_homes(id: StageId, stage: &StageSpec) -> Result<(), GraphError> {
    let tasks = match stage.tasks {
        TaskLayout::Fixed { tasks } => tasks,
        TaskLayout::Merged { .. } => 0,
    };
    let fits = stage.homes.len() <= tasks as usize && stage.homes.iter().all(|hosts| hosts.len() <= HOSTS_PER_TASK_MAX);
    if fits { Ok(()) } else { Err(GraphError::Homes(id)) }
}

#[expect(clippy::cast_possible_truncation, reason = "a job has far fewer stages than 2^32")]
const fn stage_id(index: usize) -> StageId {
    StageId(index as u32)
}
