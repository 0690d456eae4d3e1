//! DataFusion's settings. The master plans and the workers run under exactly these.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use datafusion::common::config::SpillCompression;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SessionStateDefaults, TaskContext};
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, WindowUDF};
use datafusion::prelude::SessionConfig;

use crate::TaskBinding;
use crate::groups::PROBE_ROWS;

/// Rows of a record batch.
const BATCH_ROWS: usize = 8192;
/// Memory kept back by each sort for merging what it spilled; small, as workers may have little memory.
const SORT_RESERVATION_BYTES: usize = 4 << 20;

/// Settings for plans whose exchanges have `partitions` shuffle partitions.
///
/// What is switched off here would let a task see more than its own inputs, or put state into a plan that does not
/// survive its encoding.
#[must_use]
pub fn session_config(partitions: usize) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_target_partitions(partitions.max(1))
        .with_batch_size(BATCH_ROWS)
        .with_round_robin_repartition(false)
        .with_repartition_file_scans(false)
        .with_collect_statistics(true)
        .with_information_schema(false);
    let options = config.options_mut();
    let execution = &mut options.execution;
    execution.enable_file_stream_work_stealing = false;
    execution.planning_concurrency = 1;
    // A task reads millions of rows: nine of ten being new among its first 100,000 does not mean that grouping them is useless.
    execution.skip_partial_aggregation_probe_rows_threshold = PROBE_ROWS;
    execution.skip_partial_aggregation_probe_ratio_threshold = 0.95;
    execution.sort_spill_reservation_bytes = SORT_RESERVATION_BYTES;
    execution.spill_compression = SpillCompression::Lz4Frame;
    execution.parquet.schema_force_view_types = true;
    execution.parquet.skip_metadata = true;
    let optimizer = &mut options.optimizer;
    optimizer.enable_dynamic_filter_pushdown = false;
    optimizer.enable_topk_dynamic_filter_pushdown = false;
    optimizer.enable_join_dynamic_filter_pushdown = false;
    optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    optimizer.enable_physical_uncorrelated_scalar_subquery = false;
    optimizer.enable_sort_pushdown = false;
    optimizer.allow_symmetric_joins_without_pruning = false;
    optimizer.enable_piecewise_merge_join = false;
    // A join side that is broadcast is the planner's decision: DataFusion would collect it into one task.
    optimizer.hash_join_single_partition_threshold = 0;
    optimizer.hash_join_single_partition_threshold_rows = 0;
    optimizer.repartition_file_min_size = usize::MAX;
    config
}

/// What makes the context of one attempt.
pub struct TaskContextParts {
    /// Memory pool, spill directory and object stores of the worker.
    pub runtime: Arc<RuntimeEnv>,
    /// Inputs of the attempt.
    pub binding: TaskBinding,
    /// Name of the attempt, for memory consumers and messages.
    pub name: String,
}

impl fmt::Debug for TaskContextParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskContextParts").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The context in which one attempt decodes and runs its program.
#[must_use]
pub fn task_context(parts: TaskContextParts) -> Arc<TaskContext> {
    let config = session_config(1).with_extension(Arc::new(parts.binding));
    let functions = functions();
    Arc::new(TaskContext::new(
        Some(parts.name.clone()),
        parts.name,
        config,
        functions.scalar.clone(),
        functions.higher_order.clone(),
        functions.aggregate.clone(),
        functions.window.clone(),
        parts.runtime,
    ))
}

/// Every function that SQL knows, by each of its names.
struct Functions {
    scalar: HashMap<String, Arc<ScalarUDF>>,
    higher_order: HashMap<String, Arc<HigherOrderUDF>>,
    aggregate: HashMap<String, Arc<AggregateUDF>>,
    window: HashMap<String, Arc<WindowUDF>>,
}

fn functions() -> &'static Functions {
    static FUNCTIONS: OnceLock<Functions> = OnceLock::new();
    FUNCTIONS.get_or_init(|| Functions {
        scalar: by_name(SessionStateDefaults::default_scalar_functions(), |function| {
            (function.name().to_owned(), function.aliases().to_vec())
        }),
        higher_order: by_name(SessionStateDefaults::default_higher_order_functions(), |function| {
            (function.name().to_owned(), function.aliases().to_vec())
        }),
        aggregate: by_name(SessionStateDefaults::default_aggregate_functions(), |function| {
            (function.name().to_owned(), function.aliases().to_vec())
        }),
        window: by_name(SessionStateDefaults::default_window_functions(), |function| {
            (function.name().to_owned(), function.aliases().to_vec())
        }),
    })
}

fn by_name<F>(functions: Vec<Arc<F>>, names: impl Fn(&F) -> (String, Vec<String>)) -> HashMap<String, Arc<F>> {
    let mut map = HashMap::new();
    for function in functions {
        let (name, aliases) = names(&function);
        for alias in aliases {
            map.insert(alias, Arc::clone(&function));
        }
        map.insert(name, function);
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_task_can_see_more_than_its_inputs() {
        let config = session_config(7);
        let options = config.options();
        assert_eq!(config.target_partitions(), 7);
        assert!(!options.execution.enable_file_stream_work_stealing);
        assert!(!options.optimizer.enable_dynamic_filter_pushdown);
        assert!(!options.optimizer.enable_physical_uncorrelated_scalar_subquery);
        assert!(!options.optimizer.enable_round_robin_repartition);
    }
}
