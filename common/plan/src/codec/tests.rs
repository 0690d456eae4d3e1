//! Plans of real statements survive the encoding: the same operators, the same rows. Broken bytes are errors.

mod table;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{LexOrdering, Partitioning, PhysicalSortExpr};
use datafusion::physical_plan::displayable;
use hearth_common::{
    ByteSize, Compression, CsvOptions, Encoding, ExtraColumns, FailureCause, InputFormat, MissingColumns, OnError,
    OutputFormat, OutputMode, OutputSpec, RejectLimit,
};

use super::*;
use crate::{OutputSink, ResultSink, ScanExec, ScanSpec, ShuffleSink, Sink, StageInputExec};
use table::Tables;

const RESULT: Sink = Sink::Result(ResultSink { bytes_max: 1 << 20 });

fn show(plan: &Arc<dyn ExecutionPlan>) -> String {
    displayable(plan.as_ref()).indent(true).to_string()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Plans `sql`, sends the plan through its encoding, and runs both.
async fn check(sql: &str) {
    let tables = Tables::new();
    let plan = tables.plan(sql).await;
    let bytes = encode_stage(&StageProgram { plan: Arc::clone(&plan), sink: RESULT }).unwrap();
    let context = tables.context(&plan);
    let decoded = decode_stage(&bytes, &context).unwrap().plan;
    assert_eq!(show(&decoded), show(&plan), "{sql}");
    assert_eq!(decoded.schema(), plan.schema(), "{sql}");
    let expected = table::rows(plan, Arc::clone(&context)).await;
    assert!(!expected.is_empty(), "{sql} gives no rows");
    assert_eq!(table::rows(decoded, context).await, expected, "{sql}");
}

const STATEMENTS: &[&str] = &[
    "SELECT * FROM t",
    "SELECT name, id + 1 AS next FROM t WHERE id > 3 AND name LIKE 'n%'",
    "SELECT name, count(*), sum(id), min(day), avg(price) FROM t GROUP BY name",
    "SELECT count(DISTINCT name), count(DISTINCT id) FROM t",
    "SELECT name, approx_distinct(id), array_agg(id ORDER BY id), string_agg(name, ',') FROM t GROUP BY name",
    "SELECT name, sum(id) FILTER (WHERE id > 2) FROM t GROUP BY ROLLUP (name)",
    "SELECT DISTINCT name FROM t ORDER BY name",
    "SELECT id, price FROM t ORDER BY price DESC NULLS LAST, id LIMIT 4",
    "SELECT id FROM t ORDER BY id LIMIT 3 OFFSET 2",
    "SELECT id FROM t LIMIT 6",
    "SELECT a.id, b.name FROM t a JOIN u b ON a.id = b.id",
    "SELECT a.id, b.name FROM t a LEFT JOIN u b ON a.id = b.id AND b.price > a.price",
    "SELECT a.id, b.name FROM t a FULL JOIN u b ON a.id = b.id",
    "SELECT a.id FROM t a WHERE EXISTS (SELECT 1 FROM u b WHERE b.id = a.id)",
    "SELECT a.id FROM t a WHERE a.id NOT IN (SELECT b.id + 4 FROM u b)",
    "SELECT a.id FROM t a WHERE a.price < (SELECT avg(price) FROM u b WHERE b.name = a.name)",
    "SELECT a.id FROM t a WHERE a.price > (SELECT avg(price) FROM u)",
    "SELECT a.id, b.id FROM t a CROSS JOIN u b",
    "SELECT a.id, b.id FROM t a JOIN u b ON a.id < b.id",
    "SELECT id, row_number() OVER (PARTITION BY name ORDER BY id) FROM t",
    "SELECT id, sum(price) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t",
    "SELECT id, lag(price, 1, 0.5) OVER (ORDER BY id), ntile(2) OVER (ORDER BY id), rank() OVER (PARTITION BY name ORDER BY price) FROM t",
    "SELECT id, last_value(price) IGNORE NULLS OVER (PARTITION BY name ORDER BY id) FROM t",
    "SELECT id, first_value(price) IGNORE NULLS OVER (ORDER BY id), nth_value(price, 2) IGNORE NULLS OVER (PARTITION BY name ORDER BY id DESC) FROM t",
    "SELECT id, lag(price) OVER (ORDER BY id), lead(price) OVER (ORDER BY id DESC), first_value(id) OVER (ORDER BY id DESC ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING) FROM t",
    "SELECT id, nth_value(id, 2) OVER (ORDER BY id DESC ROWS BETWEEN 2 PRECEDING AND 2 FOLLOWING), last_value(price) IGNORE NULLS OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 2 FOLLOWING), lag(price) IGNORE NULLS OVER (ORDER BY id DESC) FROM t",
    "SELECT id FROM t UNION ALL SELECT id FROM u",
    "SELECT name FROM t UNION SELECT name FROM u",
    "SELECT name FROM t INTERSECT SELECT name FROM u",
    "SELECT name, count(*) FROM (SELECT name FROM t UNION ALL SELECT name FROM u) GROUP BY name",
    "SELECT unnest(l) FROM (SELECT array_agg(id) AS l FROM t GROUP BY name)",
    "SELECT 1 + 1",
    "SELECT * FROM (VALUES (1, 'a'), (2, NULL)) v (x, y)",
    "SELECT v.y, t.id FROM t JOIN (VALUES (1, 'a'), (2, 'b')) v (x, y) ON v.x = t.id",
    "SELECT CASE WHEN id IN (1, 2) THEN upper(name) ELSE substr(name, 1, 2) END FROM t",
    "SELECT extract(year FROM day), date_trunc('month', day), CAST(id AS DECIMAL(10, 2)) * 2, coalesce(price, 0) FROM t",
    "SELECT id FROM t WHERE day BETWEEN DATE '2026-01-02' AND DATE '2026-01-05' AND name SIMILAR TO 'n.*'",
    "SELECT regexp_replace(name, 'n', 'm'), md5(name), name || '-' || id FROM t",
    "WITH s AS (SELECT name, sum(id) AS total FROM t GROUP BY name) SELECT * FROM s WHERE total = (SELECT max(total) FROM s)",
    "SELECT median(price), stddev(price), corr(id, price), first_value(id ORDER BY id DESC) FROM t",
    "SELECT i FROM generate_series(1, 3) g (i)",
];

#[test]
fn statements_survive_the_encoding() {
    for sql in STATEMENTS {
        runtime().block_on(check(sql));
    }
}

/// The optimizer turns window functions around where that saves a sort; the list above must hold such a case.
#[test]
fn a_window_function_is_evaluated_in_reverse() {
    let plan = runtime().block_on(
        Tables::new().plan("SELECT lag(price) OVER (ORDER BY id), lead(price) OVER (ORDER BY id DESC) FROM t"),
    );
    assert!(format!("{plan:?}").contains("is_reversed: true"), "{}", show(&plan));
}

#[test]
fn sort_merge_joins_survive_the_encoding() {
    runtime().block_on(async {
        let mut tables = Tables::new();
        tables.prefer_sort_merge_join();
        for kind in ["", "LEFT", "RIGHT", "FULL", "LEFT SEMI", "RIGHT ANTI"] {
            let sql = format!("SELECT * FROM t {kind} JOIN u ON t.id = u.id AND t.price <> u.price");
            let plan = tables.plan(&sql).await;
            assert!(show(&plan).contains("SortMergeJoin"), "{}", show(&plan));
            let bytes = encode_stage(&StageProgram { plan: Arc::clone(&plan), sink: RESULT }).unwrap();
            let context = tables.context(&plan);
            let decoded = decode_stage(&bytes, &context).unwrap().plan;
            assert_eq!(show(&decoded), show(&plan));
            assert_eq!(table::rows(decoded, Arc::clone(&context)).await, table::rows(plan, context).await);
        }
    });
}

/// Threads that run attempts need a stack of this size.
const STACK_BYTES: usize = 16 << 20;

#[test]
fn deep_plans_survive_the_encoding() {
    let sum = vec!["id"; 200].join(" + ");
    let mixed = vec!["id"; 150].join(" + 1 - ");
    let cases =
        (0..40).fold("id".to_owned(), |inner, number| format!("CASE WHEN id = {number} THEN 1 ELSE {inner} END"));
    let joins =
        (0..12).fold("t".to_owned(), |joined, number| format!("{joined} JOIN u u{number} ON t.id = u{number}.id"));
    let deep = move || {
        runtime().block_on(async {
            for columns in [sum, mixed, cases] {
                check(&format!("SELECT {columns} FROM t")).await;
            }
            check(&format!("SELECT t.id FROM {joins} WHERE t.id < 5")).await;
        });
    };
    std::thread::Builder::new().stack_size(STACK_BYTES).spawn(deep).unwrap().join().unwrap();
}

fn sample_schema() -> Arc<Schema> {
    Arc::new(Schema::new(vec![Field::new("a", DataType::Utf8View, true), Field::new("b", DataType::Int64, false)]))
}

fn sample_program(sink: Sink) -> StageProgram {
    let schema = sample_schema();
    let hash = Partitioning::Hash(vec![col("a", &schema).unwrap()], 7);
    let ordering = LexOrdering::new(vec![PhysicalSortExpr::new_default(col("b", &schema).unwrap()).desc()]);
    StageProgram { plan: Arc::new(StageInputExec::new(3, schema, hash, ordering)), sink }
}

fn check_sink(sink: Sink) {
    let program = sample_program(sink);
    let context = Tables::new().empty_context();
    let decoded = decode_stage(&encode_stage(&program).unwrap(), &context).unwrap();
    assert_eq!(format!("{decoded:?}"), format!("{program:?}"));
}

#[test]
fn leaves_and_sinks_survive_the_encoding() {
    check_sink(RESULT);
    check_sink(Sink::Shuffle(ShuffleSink { hash_exprs: Vec::new(), partitions: 1 }));
    check_sink(Sink::Shuffle(ShuffleSink { hash_exprs: vec![col("b", &sample_schema()).unwrap()], partitions: 9 }));
    check_sink(Sink::Output(OutputSink {
        attempts_url: "file:///out/.hearth-staging/x/attempts".into(),
        spec: OutputSpec {
            path: "/out/y".into(),
            format: OutputFormat::Csv,
            mode: OutputMode::Append,
            partition_by: vec!["a".into()],
            compression: Compression::None,
            file_bytes_max: ByteSize::gib(1),
        },
    }));
}

fn check_format(format: InputFormat, on_error: OnError) {
    let scan = ScanExec::try_new(ScanSpec {
        leaf: 3,
        table: "t".into(),
        format: format.clone(),
        file_schema: sample_schema(),
        projection: None,
        filters: Vec::new(),
        limit: None,
        splits: Arc::new(vec![Vec::new()]),
        rows_estimated: None,
        bytes: 0,
        on_error,
        attempts_url: matches!(on_error, OnError::Reject(_)).then(|| "file:///a".to_owned()),
    });
    let bytes = encode_stage(&StageProgram { plan: Arc::new(scan.unwrap()), sink: RESULT }).unwrap();
    let decoded = decode_stage(&bytes, &Tables::new().empty_context()).unwrap().plan;
    let spec = decoded.downcast_ref::<ScanExec>().unwrap().spec();
    assert_eq!((&spec.format, spec.on_error), (&format, on_error));
    assert_eq!(spec.attempts_url.is_some(), on_error != OnError::Fail);
}

#[test]
fn formats_survive_the_encoding() {
    check_format(InputFormat::Json, OnError::Fail);
    check_format(InputFormat::Parquet, OnError::Fail);
    check_format(InputFormat::Csv(CsvOptions::default()), OnError::Fail);
    for limit in [RejectLimit::Records(7), RejectLimit::Millionths(1)] {
        check_format(InputFormat::Csv(CsvOptions::default()), OnError::Reject(limit));
    }
    let check_csv = |options| check_format(InputFormat::Csv(options), OnError::Fail);
    check_csv(CsvOptions { quote: None, null_values: Vec::new(), ..CsvOptions::default() });
    check_csv(CsvOptions {
        header: false,
        delimiter: b'\t',
        quote: Some(b'\''),
        escape: Some(b'\\'),
        comment: Some(b'#'),
        null_values: vec!["NA".into(), String::new(), "\\N".into()],
        trim: true,
        encoding: Encoding::Latin1,
        date_format: Some("%d.%m.%Y".into()),
        timestamp_format: Some("%d.%m.%Y %H:%M".into()),
        missing_columns: MissingColumns::Null,
        extra_columns: ExtraColumns::Ignore,
        max_record_bytes: ByteSize::mib(3),
    });
}

fn check_refused(program: &StageProgram, expected: &str) {
    let bytes = encode_stage(program).unwrap();
    let found = decode_stage(&bytes, &Tables::new().empty_context()).unwrap_err();
    assert_eq!(found.to_string(), expected);
}

#[test]
fn impossible_sinks_are_refused() {
    let shuffle = |partitions| sample_program(Sink::Shuffle(ShuffleSink { hash_exprs: Vec::new(), partitions }));
    check_refused(&shuffle(0), "cannot decode the stage: it has 0 shuffle partitions by 0 columns");
    check_refused(&shuffle(2), "cannot decode the stage: it has 2 shuffle partitions by 0 columns");
}

#[test]
fn broken_bytes_are_refused() {
    let tables = Tables::new();
    let plan = runtime()
        .block_on(tables.plan("SELECT name, count(*) FROM t WHERE id > 3 GROUP BY name ORDER BY name LIMIT 3"));
    let context = tables.context(&plan);
    let bytes = encode_stage(&StageProgram { plan, sink: RESULT }).unwrap();
    for length in 0..bytes.len() {
        assert!(decode_stage(&bytes[..length], &context).is_err(), "cut to {length}");
    }
    let mut broken = bytes.to_vec();
    for position in 0..bytes.len() {
        for bit in 0..8 {
            broken[position] ^= 1 << bit;
            assert!(decode_stage(&broken, &context).is_err(), "bit {bit} of byte {position}");
            broken[position] ^= 1 << bit;
        }
    }
    assert!(decode_stage(&broken, &context).is_ok());
}

fn check_statement_refused(sql: &str, expected: &str) {
    let plan = runtime().block_on(Tables::new().plan(sql));
    let found = encode_stage(&StageProgram { plan, sink: RESULT }).unwrap_err();
    assert_eq!(FailureCause::from(found), FailureCause::task(expected));
}

#[test]
fn what_is_no_part_of_a_stage_is_refused() {
    check_statement_refused("EXPLAIN SELECT * FROM t", "EXPLAIN cannot be part of a stage");
    check_statement_refused(
        "SELECT sum(price) FILTER (WHERE id > 2) OVER (ORDER BY id) AS s FROM t",
        "FILTER is not supported in the window function `sum(t.price) FILTER (WHERE t.id > Int64(2)) ORDER BY [t.id ASC NULLS LAST] \
         RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW`; use CASE WHEN ... THEN ... END as its argument",
    );
    check_statement_refused(
        "SELECT sum(price) FILTER (WHERE id > 2) OVER (ORDER BY id ROWS 2 PRECEDING) FROM t",
        "FILTER is not supported in the window function `sum(t.price) FILTER (WHERE t.id > Int64(2)) ORDER BY [t.id ASC NULLS LAST] \
         ROWS BETWEEN 2 PRECEDING AND CURRENT ROW`; use CASE WHEN ... THEN ... END as its argument",
    );
    check_statement_refused(
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT n FROM r",
        "the operator RecursiveQueryExec cannot be sent to a worker",
    );
}
