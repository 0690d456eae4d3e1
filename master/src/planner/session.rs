//! `DataFusion` as the planner uses it: the tables of one job, and the optimizer with our rule for joins in it.

use std::sync::{Arc, LazyLock};

use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::context::{SQLOptions, SessionContext, SessionState};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use hearth_common::{FailureCause, JobSpec};
use hearth_plan::session_config;

use super::inputs::LoadedInput;
use super::joins::DistributeJoins;
use super::output::check_output;
use super::query::ParsedQuery;
use super::query_error;
use super::splits::auto_shuffle_partitions;
use super::table::InputTable;
use super::texts::logical_text;
use super::{PlanRequest, Tuning};

/// Our rule for joins comes right after this one, before exchanges are placed.
const JOIN_SELECTION: &str = "join_selection";

static TABLE_FUNCTIONS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let functions = SessionStateDefaults::default_table_functions();
    functions.iter().map(|function| function.name().to_owned()).collect()
});

/// A query may name it where a table is expected.
pub(super) fn is_table_function(name: &str) -> bool {
    TABLE_FUNCTIONS.iter().any(|known| known == name)
}

/// The plan of a job's query.
pub(super) struct QueryPlan {
    /// As it is cut into stages.
    pub(super) physical: Arc<dyn ExecutionPlan>,
    /// As it was before, for people.
    pub(super) logical_text: String,
}

/// The tables of one job, ready for its query.
pub(super) struct PlanningSession<'a> {
    state: SessionState,
    spec: &'a JobSpec,
    tables: Vec<(String, Arc<InputTable>)>,
}

impl<'a> PlanningSession<'a> {
    /// A session for the job of `request` over its `inputs`.
    pub(super) fn new(
        runtime: Arc<RuntimeEnv>,
        request: &'a PlanRequest,
        tuning: Tuning,
        inputs: &[Arc<LoadedInput>],
    ) -> Self {
        let spec = &request.spec;
        let input_bytes = inputs.iter().map(|input| input.bytes).sum();
        let settings = &spec.settings;
        let rule = DistributeJoins {
            broadcast_bytes_max: settings.broadcast_bytes_max.0,
            build_bytes_max: tuning.build_bytes_max,
            shuffle_partitions: settings
                .shuffle_partitions
                .unwrap_or_else(|| auto_shuffle_partitions(input_bytes, request.slots)),
        };
        let state = build_state(runtime, rule);
        let table = |input: &Arc<LoadedInput>| (input.name.clone(), Arc::new(InputTable::new(Arc::clone(input))));
        Self { state, spec, tables: inputs.iter().map(table).collect() }
    }

    /// The optimized physical plan of the job's query, whose rows can be written as the job wants them.
    pub(super) async fn plan(self, query: ParsedQuery, text: &str) -> Result<QueryPlan, FailureCause> {
        let output = self.spec.output.clone();
        let plan = self.optimize(query).await.map_err(|error| query_error::plan(text, &error))?;
        if let Some(output) = output {
            check_output(&plan.physical.schema(), &output).map_err(FailureCause::task)?;
        }
        Ok(plan)
    }

    async fn optimize(self, query: ParsedQuery) -> Result<QueryPlan> {
        let context = SessionContext::new_with_state(self.state);
        for (name, table) in self.tables {
            context.register_table(datafusion::common::TableReference::bare(name), table)?;
        }
        let state = context.state();
        let logical = state.statement_to_plan(query.statement).await?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&logical)?;
        let optimized = state.optimize(&logical)?;
        let logical_text = logical_text(&optimized);
        let physical = state.query_planner().create_physical_plan(&optimized, &state).await?;
        Ok(QueryPlan { physical, logical_text })
    }
}

fn build_state(runtime: Arc<RuntimeEnv>, rule: DistributeJoins) -> SessionState {
    let mut config = session_config(rule.shuffle_partitions as usize);
    config.options_mut().sql_parser.collect_spans = true;
    SessionStateBuilder::new_with_default_features()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_physical_optimizer_rules(optimizer_rules(rule))
        .build()
}

fn optimizer_rules(rule: DistributeJoins) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    let after = rules.iter().position(|known| known.name() == JOIN_SELECTION).map_or(0, |index| index + 1);
    rules.insert(after, Arc::new(rule));
    rules
}
