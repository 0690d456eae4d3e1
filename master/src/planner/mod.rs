//! Turns a job into stages: inputs become tables, SQL becomes a physical plan, and the plan is cut at its exchanges.
//!
//! It runs off the event loop, reads input metadata but never data, and decides nothing about workers. The same job over
//! the same files gives the same stages.

mod cut;
mod estimate;
mod gather;
mod homes;
mod inputs;
mod joins;
mod label;
mod layout;
mod nearest;
mod operators;
mod output;
mod planned;
mod query;
mod query_error;
mod record;
mod session;
mod sort_merge;
mod splits;
mod stages;
mod table;
mod texts;
mod thread;

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use hearth_common::{FailureCause, JobId, JobSpec, PlanTexts};
use hearth_storage::Storage;
use tokio::runtime::Handle;

pub(crate) use planned::Content;
pub use planned::{PlannedJob, PlannedStage};
pub(crate) use record::PlanRecord;

use homes::Homes;
use inputs::load_inputs;
use session::{PlanningSession, QueryPlan};
use thread::on_planning_thread;

/// A job to plan.
#[derive(Debug, Clone)]
pub struct PlanRequest {
    /// Its id.
    pub job: JobId,
    /// What was asked for; [`JobSpec::validate`] has passed.
    pub spec: JobSpec,
    /// Slots of the cluster, as far as they are known: they decide how fine the work is cut.
    pub slots: u32,
    /// URL of the `attempts/` directory in the job's staging; unused without an output.
    pub attempts_url: String,
    /// Where the inputs are.
    pub storage: Storage,
    /// Names and addresses of the workers' hosts, in lower case, as far as they are known: hosts that hold data go by these.
    pub hosts: BTreeSet<String>,
}

/// Plans a job.
///
/// # Errors
/// A [`FailureCause::Task`] for whatever the user can mend, [`FailureCause::Storage`] where inputs cannot be listed, and
/// [`FailureCause::Internal`] for a query that should have worked.
pub async fn plan_job(request: PlanRequest) -> Result<PlannedJob, FailureCause> {
    let handle = Handle::current();
    on_planning_thread(move || plan_on_this_thread(&request, Tuning::default(), &handle)).await
}

/// What a job cannot set.
#[derive(Debug, Clone, Copy)]
struct Tuning {
    /// Largest build side of a shuffled hash join, in bytes per shuffle partition. A build side cannot spill.
    build_bytes_max: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { build_bytes_max: 32 << 20 }
    }
}

fn plan_on_this_thread(request: &PlanRequest, tuning: Tuning, handle: &Handle) -> Result<PlannedJob, FailureCause> {
    let PlanRequest { job, spec, .. } = request;
    let query = query::parse_query(&spec.query)?;
    let names: BTreeSet<&str> = spec.inputs.keys().map(String::as_str).collect();
    query.check_tables(&spec.query, &names, session::is_table_function)?;

    let runtime = RuntimeEnvBuilder::new().with_object_store_registry(request.storage.stores()).build();
    let runtime = Arc::new(runtime.map_err(|error| FailureCause::internal(error.to_string()))?);
    let inputs = handle.block_on(load_inputs(&runtime, request))?;
    let session = PlanningSession::new(runtime, request, tuning, &inputs);
    let QueryPlan { physical, logical_text } = handle.block_on(session.plan(query, &spec.query))?;
    let homes = handle.block_on(Homes::find(&request.storage, &inputs, &request.hosts));
    let planned = stages::build_stages(&physical, spec, &request.attempts_url, &homes)?;
    tracing::info!(%job, inputs = inputs.len(), stages = planned.stages.len(), "planned job");
    let inferred = inputs.iter().filter_map(|input| input.inferred.clone()).collect();
    let found = inputs.iter().map(|input| texts::input_details(input)).collect();
    let texts = PlanTexts { logical: logical_text, physical: texts::physical_text(physical.as_ref()), ..planned.texts };
    Ok(PlannedJob { inferred, inputs: found, texts, ..planned })
}

#[cfg(test)]
mod tests;
