//! What master and worker agree on beyond DataFusion: leaves whose inputs come with the task, what becomes of a stage's rows,
//! and the encoding of both.
//!
//! The master builds a [`StageProgram`] once per stage and encodes it; a worker decodes it, binds the inputs of one task
//! to its leaves through a [`TaskContext`](datafusion::execution::TaskContext), and runs one partition of it.

mod binding;
mod codec;
mod error;
pub mod frame;
mod groups;
mod input;
mod measured;
mod records;
mod rejects;
mod scan;
mod scans;
mod session;
mod sink;
mod stage_input;
#[cfg(test)]
mod test_link;
mod text;

pub use binding::{ShuffleReader, TaskBinding};
pub use codec::{decode_stage, encode_stage};
pub use error::{PlanError, cause_of};
pub use groups::{ShortTexts, specialize};
pub use input::{Inference, InputShape, data_type_of, declared_schema, infer_schema, inspect_input, type_name};
pub use measured::WAITED;
pub use records::RecordLog;
pub use rejects::{WinnerRejects, gather_rejects};
pub use scan::{ScanExec, ScanSpec, csv_filters};
pub use scans::{LinkScans, complete_scans, scans_so_far};
pub use session::{TaskContextParts, session_config, task_context};
pub use sink::{OutputSink, ResultSink, ShuffleSink, Sink, StageProgram};
pub use stage_input::StageInputExec;
pub use text::{append_inline, append_text};
