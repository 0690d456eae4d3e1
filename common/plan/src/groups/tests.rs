//! The replaced operator gives what the original gives, with little memory, many groups and NULLs too.

use std::collections::BTreeMap;

use datafusion::arrow::array::{Int64Array, StringViewArray};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::datasource::{MemTable, TableProvider};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::{collect, collect_partitioned};
use datafusion::prelude::{SessionConfig, SessionContext};

use super::*;

const GROUPED: &str = "SELECT a, b, count(*) AS n, count(c) AS m FROM t GROUP BY a, b";

fn batches(rows: usize, groups: usize) -> Vec<RecordBatch> {
    let text = |name: &str| Field::new(name, DataType::Utf8View, true);
    let schema = Arc::new(Schema::new(vec![text("a"), text("b"), Field::new("c", DataType::Int64, true)]));
    let column = |from: usize, of: &dyn Fn(usize) -> Option<String>| -> ArrayRef {
        Arc::new((from..from + 1000).map(of).collect::<StringViewArray>())
    };
    let batch = |from: usize| {
        let a = column(from, &|row| (row % 11 > 0).then(|| format!("a long key of number {}", row % groups)));
        let b = column(from, &|row| Some(format!("k{}", row % 3)));
        let c: ArrayRef = Arc::new((from..from + 1000).map(|row| (row % 5 > 0).then_some(1)).collect::<Int64Array>());
        RecordBatch::try_new(Arc::clone(&schema), vec![a, b, c]).unwrap()
    };
    (0..rows).step_by(1000).map(batch).collect()
}

async fn plan(context: &SessionContext, sql: &str) -> Arc<dyn ExecutionPlan> {
    context.sql(sql).await.unwrap().create_physical_plan().await.unwrap()
}

fn context(rows: usize, groups: usize, memory_bytes: usize) -> SessionContext {
    let runtime = RuntimeEnvBuilder::new().with_memory_limit(memory_bytes, 1.0).build_arc().unwrap();
    let config = SessionConfig::new().with_target_partitions(2);
    let context = SessionContext::new_with_config_rt(config, runtime);
    let batches = batches(rows, groups);
    let table = MemTable::try_new(batches[0].schema(), vec![batches]).unwrap();
    context.register_table("t", Arc::new(table)).unwrap();
    context
}

fn has_text_count(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.exists(|node| Ok(node.is::<TextCountExec>())).unwrap()
}

async fn rows(plan: Arc<dyn ExecutionPlan>, context: &SessionContext) -> BTreeMap<String, usize> {
    let mut rows = BTreeMap::new();
    for batch in collect(plan, context.task_ctx()).await.unwrap() {
        for row in 0..batch.num_rows() {
            let row = batch.slice(row, 1);
            let text: Vec<String> = row
                .columns()
                .iter()
                .map(|column| datafusion::arrow::util::display::array_value_to_string(column, 0).unwrap())
                .collect();
            *rows.entry(text.join("|")).or_default() += 1;
        }
    }
    rows
}

async fn check_equal((count, groups): (usize, usize), memory_bytes: usize) {
    let expected = context(count, groups, 1 << 30);
    let expected = rows(plan(&expected, GROUPED).await, &expected).await;
    let context = context(count, groups, memory_bytes);
    let special = specialize(plan(&context, GROUPED).await).unwrap();
    assert!(has_text_count(&special));
    assert_eq!(rows(special, &context).await, expected);
}

#[tokio::test]
async fn counts_are_those_of_datafusion() {
    check_equal((50_000, 700), 1 << 30).await;
}

#[tokio::test]
async fn little_memory_gives_the_same() {
    check_equal((200_000, 30_000), 24 << 20).await;
}

/// The rows of the final aggregate, and how often it put groups on disk.
async fn merged(count: usize, groups: usize, memory_bytes: usize) -> (BTreeMap<String, usize>, usize) {
    let plenty = context(count, groups, 1 << 30);
    let special = specialize(plan(&plenty, GROUPED).await).unwrap();
    let mut found = None;
    let mut look = |node: &Arc<dyn ExecutionPlan>| {
        found = found.take().or_else(|| node.downcast_ref::<TextCountExec>().filter(|node| node.is_final()).cloned());
        Ok(TreeNodeRecursion::Continue)
    };
    special.apply(&mut look).unwrap();
    let mut node = found.expect("a final aggregate");
    // What is below has memory enough.
    let counts = collect_partitioned(Arc::clone(&node.input), plenty.task_ctx()).await.unwrap();
    let table = MemTable::try_new(node.input.schema(), counts).unwrap();
    node.input = table.scan(&plenty.state(), None, &[], None).await.unwrap();
    let (node, little): (Arc<dyn ExecutionPlan>, _) = (Arc::new(node), context(1000, 1, memory_bytes));
    let rows = rows(Arc::clone(&node), &little).await;
    (rows, node.metrics().unwrap().spill_count().unwrap_or_default())
}

#[tokio::test]
async fn groups_that_find_no_room_are_put_on_disk() {
    let (count, groups) = (100_000, 100_000);
    let (expected, spills) = merged(count, groups, 1 << 30).await;
    assert_eq!((expected.values().all(|times| *times == 1), spills), (true, 0));
    // One table has room for all, one for all but some, one for less than a part.
    for (memory_bytes, spills_min) in [(64 << 20, 0), (4 << 20, 16), (500_000, 33)] {
        let (found, spills) = merged(count, groups, memory_bytes).await;
        assert!(spills >= spills_min, "{spills} files of {spills_min}");
        assert!(found == expected, "{memory_bytes} bytes of memory");
    }
}

#[tokio::test]
async fn groups_of_one_row_give_the_same() {
    check_equal((1_200_000, 1_200_000), 1 << 30).await;
}

#[tokio::test]
async fn what_it_cannot_do_is_left_alone() {
    let context = context(1000, 10, 1 << 30);
    for sql in [
        "SELECT a, count(DISTINCT b) FROM t GROUP BY a",
        "SELECT a, sum(c) FROM t GROUP BY a",
        "SELECT c, count(*) FROM t GROUP BY c",
        "SELECT a || b, count(*) FROM t GROUP BY a || b",
        "SELECT a, count(*) FILTER (WHERE c > 0) FROM t GROUP BY a",
        "SELECT a, b, count(*) FROM t GROUP BY ROLLUP (a, b)",
        "SELECT count(*) FROM t",
    ] {
        let special = specialize(plan(&context, sql).await).unwrap();
        let is_partial = |node: &Arc<dyn ExecutionPlan>| {
            Ok(node.downcast_ref::<TextCountExec>().is_some_and(|count| count.keys.len() + count.counted.len() > 1))
        };
        // The outer aggregate of a rewritten DISTINCT may be a plain one; its rows are checked below.
        if special.exists(is_partial).unwrap() {
            assert_eq!(rows(special, &context).await, rows(plan(&context, sql).await, &context).await, "{sql}");
        }
    }
}
