//! The core of Hearth: a pure state machine that decides which attempt runs where.
//!
//! Events go in, effects come out. It does no I/O, reads no clock, draws no randomness and takes no lock: the same events
//! give the same effects. Whoever owns it carries the effects out and brings their outcomes back as events.
//!
//! An event is handled in four steps (`scheduler`): its handler changes tasks, one at a time and through one function
//! (`transition`); `settle` draws the consequences for stages, commits and demand; `placement` fills free slots; at last
//! every changed job is announced. Each step looks at what changed, never at all of a job.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod admission;
mod chain;
mod claim;
mod commit;
mod config;
mod drain;
mod durations;
mod effect;
mod event;
mod exclusion;
mod facts;
mod graph;
mod home;
mod invariants;
mod job;
mod lease;
mod link;
mod locality;
mod merge;
#[doc(hidden)]
pub mod mutation;
mod outputs;
mod placement;
mod proof;
mod reach;
mod reconcile;
mod reports;
mod restore;
mod retry;
mod run;
mod scan;
mod scheduler;
mod settle;
mod silence;
mod stage;
mod straggler;
mod task;
mod timer;
mod transition;
mod view;
mod worker;

pub use config::{ExclusionPolicy, RetryPolicy, SchedulerConfig, StragglerPolicy};
pub use effect::{Effect, KnownStart, Launch, RejectReason, ShuffleInputs, Winner};
pub use event::{AttemptOutput, CommitOutcome, Event, Held, JobLimits, Millis};
pub use exclusion::Exclusion;
pub use facts::{Changes, JobFacts, StageFacts, TaskFacts};
pub use graph::{FinalOutput, GraphError, InputKind, JobGraph, StageInput, StageSpec, TaskLayout};
pub use home::HostBytes;
pub use link::{Link, LinkFault};
pub use reach::Cut;
pub use restore::{Restored, RestoredJob, RestoredPlan, RestoredWorker};
pub use scheduler::Scheduler;
pub use view::{JobView, StageView, TaskStanding, TaskView, Waiting, WorkerView};
