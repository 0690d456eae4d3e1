//! The links of a stage: which task reads which byte range of a file that was cut into several. Checked once, with the graph.

use serde::{Deserialize, Serialize};

use crate::graph::{StageSpec, TaskLayout};

/// One link: an input split that begins a file, or continues the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The task that reads it. A task reads its links in their order.
    pub task: u32,
    /// First byte.
    pub start: u64,
    /// First byte after it; equal to `start` where nothing is in it.
    pub end: u64,
    /// It continues the file of the link before it, at that link's end. Otherwise it begins a file: a record starts at its
    /// first byte, on line 1.
    pub follows: bool,
}

/// What is wrong with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    /// Tasks that are formed by shuffle partitions read no files.
    #[error("tasks of its stage are merged")]
    MergedTasks,
    /// Its task does not exist.
    #[error("its stage has no task {0}")]
    NoTask(u32),
    /// Its end is before its start.
    #[error("it ends before it starts")]
    Backwards,
    /// It follows no link, or not where that one ends.
    #[error("it does not start where a link before it ends")]
    Gap,
    /// The link before it in the file belongs to a later task. Tasks could then wait for each other's proof in a circle.
    #[error("it belongs to an earlier task than the link before it")]
    TaskOrder,
}

/// Finds the first link that does not fit, with its number.
pub(crate) fn check_links(stage: &StageSpec) -> Result<(), (u32, LinkFault)> {
    let mut before = None;
    for (number, link) in (0..).zip(&stage.links) {
        check_link(stage.tasks, before, link).map_err(|fault| (number, fault))?;
        before = Some(link);
    }
    Ok(())
}

fn check_link(tasks: TaskLayout, before: Option<&Link>, link: &Link) -> Result<(), LinkFault> {
    let before = before.filter(|_| link.follows);
    match tasks {
        TaskLayout::Merged { .. } => Err(LinkFault::MergedTasks),
        TaskLayout::Fixed { tasks } if link.task >= tasks => Err(LinkFault::NoTask(link.task)),
        TaskLayout::Fixed { .. } if link.end < link.start => Err(LinkFault::Backwards),
        TaskLayout::Fixed { .. } if link.follows && before.is_none_or(|before| before.end != link.start) => {
            Err(LinkFault::Gap)
        }
        TaskLayout::Fixed { .. } if before.is_some_and(|before| before.task > link.task) => Err(LinkFault::TaskOrder),
        TaskLayout::Fixed { .. } => Ok(()),
    }
}
