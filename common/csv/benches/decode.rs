//! Bytes per second from a file to batches: plain columns, and with filters that few, some and all rows pass.
#![expect(clippy::unwrap_used, reason = "without its file a benchmark has nothing to measure")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use datafusion_execution::runtime_env::RuntimeEnv;
use hearth_common::{CsvOptions, InputFormat, InputSplit};
use hearth_csv::{ColumnFilter, CsvTable, Order, Test};
use hearth_storage::list_inputs;

const RECORDS: usize = 2_000_000;
const BATCH_ROWS: usize = 8192;

fn write(path: &Path) -> u64 {
    let mut text = "email,action,amount,note\n".to_owned();
    for number in 0..RECORDS {
        let (user, action) = (number * 7919 % 100_000, number * 31 % 50);
        let amount = number * 13 % 100;
        text.push_str(&format!("user{user}@example.com,action-{action},{amount},a note that is long enough\n"));
    }
    std::fs::write(path, &text).unwrap();
    text.len() as u64
}

fn table(projection: &[usize], filters: Vec<ColumnFilter>) -> Arc<CsvTable> {
    let field = |name: &str, data_type: DataType| Field::new(name, data_type, true);
    let texts = |name: &str| field(name, DataType::Utf8View);
    let fields = vec![texts("email"), texts("action"), field("amount", DataType::Int32), texts("note")];
    Arc::new(CsvTable {
        options: CsvOptions::default(),
        schema: Arc::new(Schema::new(fields)),
        projection: Some(projection.to_vec()),
        filters,
        limit: None,
        batch_rows: BATCH_ROWS,
        puts_aside: false,
    })
}

async fn read(table: &Arc<CsvTable>, split: &InputSplit) -> usize {
    let mut records = table.open(split, &RuntimeEnv::default()).await.unwrap();
    let mut rows = 0;
    while let Some(batch) = records.next().await.unwrap() {
        rows += black_box(batch).num_rows();
    }
    rows
}

fn one_of(actions: &[String]) -> ColumnFilter {
    let values: ArrayRef = Arc::new(StringViewArray::from_iter_values(actions));
    ColumnFilter { column: 1, test: Test::OneOf(values) }
}

fn below(amount: i32) -> ColumnFilter {
    let value: ArrayRef = Arc::new(Int32Array::from(vec![amount]));
    ColumnFilter { column: 2, test: Test::Ordered(Order::Less, value) }
}

fn decode(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.csv");
    let bytes = write(&path);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let paths = [path.display().to_string()];
    let file = runtime.block_on(list_inputs(&paths, &InputFormat::Csv(CsvOptions::default()))).unwrap().remove(0);
    let split = file.split((0, bytes), None);
    let actions = |count: usize| (0..count).map(|action| format!("action-{action}")).collect::<Vec<_>>();
    let mut group = criterion.benchmark_group("decode");
    group.sample_size(10).throughput(Throughput::Bytes(bytes));
    for (name, table, rows) in [
        ("texts", table(&[0, 1, 3], Vec::new()), RECORDS),
        ("texts and numbers", table(&[0, 1, 2, 3], Vec::new()), RECORDS),
        ("texts, filtered by a text: 2%", table(&[0, 3], vec![one_of(&actions(1))]), RECORDS / 50),
        ("texts, filtered by 25 texts: 50%", table(&[0, 3], vec![one_of(&actions(25))]), RECORDS / 2),
        ("texts, filtered by a number: 10%", table(&[0, 3], vec![below(10)]), RECORDS / 10),
        ("texts, filtered by a number: 100%", table(&[0, 3], vec![below(100)]), RECORDS),
        ("numbers, filtered by a text: 2%", table(&[2], vec![one_of(&actions(1))]), RECORDS / 50),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| assert_eq!(runtime.block_on(read(&table, &split)), rows));
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
