//! What the operators of a stage's plan did: in one attempt, and added up over the tasks of the stage.
//!
//! For people; nothing is decided by it.

use serde::{Deserialize, Serialize};

use crate::StageId;

/// Operators of one plan that are told at most, in the order of the plan.
pub const OPERATORS_MAX: usize = 128;
/// Longest name of an operator, in bytes.
pub const OPERATOR_NAME_BYTES_MAX: usize = 48;

/// An operator of an attempt's plan. Parents come before their children.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorRun {
    /// How deep it is in the plan; 0 is what becomes of the rows.
    pub depth: u32,
    /// Its name; at most [`OPERATOR_NAME_BYTES_MAX`].
    pub name: String,
    /// What it did.
    pub work: OperatorWork,
}

/// What an operator did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OperatorWork {
    /// Rows that it gave.
    pub rows: u64,
    /// Time that it computed, in microseconds, without that of its inputs.
    pub compute_us: u64,
    /// Time that it waited for files, for other workers or for room, in microseconds; only leaves and sinks know.
    pub waited_us: u64,
    /// How often it put something on disk.
    pub spills: u64,
    /// Bytes that it put on disk.
    pub spilled_bytes: u64,
    /// The most memory that it held, in bytes; 0 where it does not tell.
    pub memory_bytes: u64,
}

/// The operators of a stage, over its tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageOperators {
    /// The stage.
    pub stage: StageId,
    /// Tasks that are in the sums, each once: its last attempt that ended well.
    pub tasks: u64,
    /// Tasks that ended well and are not in the sums, because there are so many.
    pub tasks_left_out: u64,
    /// The operators, parents before their children.
    pub operators: Vec<OperatorTotal>,
}

/// An operator over the tasks of its stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorTotal {
    /// How deep it is in the plan; 0 is what becomes of the rows.
    pub depth: u32,
    /// Its name.
    pub name: String,
    /// Added up; memory is that of the attempt with the most.
    pub sum: OperatorWork,
    /// The most of one attempt that ended well.
    pub max: OperatorWork,
}

impl OperatorWork {
    /// Adds the work of another attempt.
    pub fn add(&mut self, other: &Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.compute_us = self.compute_us.saturating_add(other.compute_us);
        self.waited_us = self.waited_us.saturating_add(other.waited_us);
        self.spills = self.spills.saturating_add(other.spills);
        self.spilled_bytes = self.spilled_bytes.saturating_add(other.spilled_bytes);
        self.memory_bytes = self.memory_bytes.max(other.memory_bytes);
    }

    /// Takes away what was added before; the most memory stays.
    pub fn subtract(&mut self, other: &Self) {
        self.rows = self.rows.saturating_sub(other.rows);
        self.compute_us = self.compute_us.saturating_sub(other.compute_us);
        self.waited_us = self.waited_us.saturating_sub(other.waited_us);
        self.spills = self.spills.saturating_sub(other.spills);
        self.spilled_bytes = self.spilled_bytes.saturating_sub(other.spilled_bytes);
    }

    /// The larger one of each figure.
    pub fn raise_to(&mut self, other: &Self) {
        self.rows = self.rows.max(other.rows);
        self.compute_us = self.compute_us.max(other.compute_us);
        self.waited_us = self.waited_us.max(other.waited_us);
        self.spills = self.spills.max(other.spills);
        self.spilled_bytes = self.spilled_bytes.max(other.spilled_bytes);
        self.memory_bytes = self.memory_bytes.max(other.memory_bytes);
    }
}

impl OperatorTotal {
    /// Nothing yet of an operator.
    #[must_use]
    pub fn new(run: &OperatorRun) -> Self {
        let nothing = OperatorWork::default();
        Self { depth: run.depth, name: run.name.clone(), sum: nothing, max: nothing }
    }
}
