//! How an attempt's inputs reach the leaves of its plan: through the task context, as one extension.

use std::sync::Arc;

use crate::{LinkScans, RecordLog};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use hearth_common::{LeafInput, LeafKey, ShuffleInput, TaskInputs};

/// Reads shuffle outputs. The worker has the real one.
pub trait ShuffleReader: Send + Sync + 'static {
    /// The rows of `input`, from all its sources one after the other. Checksums are verified before anything is decoded.
    ///
    /// # Errors
    /// Only what is wrong before the first row; later errors come through the stream. An output that cannot be read is a
    /// [`DataFusionError::External`](datafusion::error::DataFusionError) holding a
    /// [`FailureCause::LostShuffleOutput`](hearth_common::FailureCause), so that `cause_of` finds it.
    fn read(&self, input: &ShuffleInput, schema: SchemaRef) -> Result<SendableRecordBatchStream>;
}

/// The inputs of one attempt, and the way to its shuffle inputs.
pub struct TaskBinding {
    /// What each leaf partition reads. A missing one is empty.
    pub inputs: TaskInputs,
    /// How shuffle inputs are read.
    pub shuffle: Arc<dyn ShuffleReader>,
    /// What is found out about links.
    pub scans: LinkScans,
    /// What becomes of the records that are read.
    pub records: RecordLog,
}

impl std::fmt::Debug for TaskBinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskBinding").field("inputs", &self.inputs.len()).finish_non_exhaustive()
    }
}

impl TaskBinding {
    /// The binding of the attempt that `context` was made for; `None` outside an attempt.
    #[must_use]
    pub fn of(context: &TaskContext) -> Option<Arc<Self>> {
        context.session_config().get_extension::<Self>()
    }

    /// What a leaf partition reads; `None` where it is empty.
    #[must_use]
    pub fn input(&self, leaf: u32, partition: u32) -> Option<&LeafInput> {
        self.inputs.get(&LeafKey { leaf, partition })
    }
}
