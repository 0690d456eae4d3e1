//! What a user is told about a query that cannot run.

use hearth_common::{ByteSize, Compression, FailureCause, OutputFormat, OutputMode, OutputSpec};

use super::data::{Tables, Variant, plan};

async fn check(query: &str, expected: &str) {
    let tables = Tables::new();
    let variant = Variant::new("plain", 4, 1);
    let error = plan(tables.job(query, &variant, None), &variant).await.expect_err(query);
    assert_eq!(error, FailureCause::task(expected), "{query}");
}

#[tokio::test]
async fn unknown_names() {
    check(
        "SELECT *\nFROM actons",
        "no input is called `actons`; did you mean `actions`? (line 2, column 6)\n  FROM actons\n       ^",
    )
    .await;
    check(
        "SELECT 1 FROM nowhere_at_all",
        "no input is called `nowhere_at_all`; the inputs are `actions`, `few`, `many`, `users`, `whole` (line 1, column 15)\n  \
         SELECT 1 FROM nowhere_at_all\n                ^",
    )
    .await;
    check(
        "SELECT emial FROM actions",
        "no column is called `emial`; did you mean `email`? (line 1, column 8)\n  SELECT emial FROM actions\n         ^",
    )
    .await;
    check(
        "SELECT a.xyz FROM actions a",
        "no column is called `a.xyz`; the columns are `id`, `email`, `action`, `at`, `amount` (line 1, column 8)\n  \
         SELECT a.xyz FROM actions a\n         ^",
    )
    .await;
}

#[tokio::test]
async fn syntax() {
    check(
        "SELECT email\nFROM actions\nGRUOP BY email",
        "SQL syntax error: expected: end of statement, found: BY (line 3, column 7)\n  GRUOP BY email\n        ^",
    )
    .await;
    check("SELECT 'abc", "SQL syntax error: unterminated string literal (line 1, column 8)\n  SELECT 'abc\n         ^")
        .await;
    check("-- nothing", "the query holds 0 statements; give exactly one SELECT").await;
    check("SELECT 1; SELECT 2", "the query holds 2 statements; give exactly one SELECT").await;
}

#[tokio::test]
async fn only_select() {
    for (query, word) in [
        ("COPY actions TO '/tmp/x.parquet'", "COPY"),
        ("COPY (SELECT 1) TO '/tmp/x.parquet'", "COPY"),
        ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "CREATE"),
        ("CREATE TABLE t AS SELECT 1", "CREATE"),
        ("SET datafusion.execution.batch_size = 1", "SET"),
        ("INSERT INTO actions VALUES (1)", "INSERT"),
        ("DROP TABLE actions", "DROP"),
        ("EXPLAIN SELECT 1", "EXPLAIN"),
        ("EXPLAIN ANALYZE SELECT 1", "EXPLAIN"),
        ("RESET datafusion.execution.batch_size", "RESET"),
        ("DELETE FROM actions", "DELETE"),
        ("WITH t AS (SELECT 1) INSERT INTO actions SELECT * FROM t", "INSERT"),
        ("SHOW TABLES", "SHOW"),
    ] {
        check(query, &format!("only SELECT is allowed, found {word}")).await;
    }
    check(
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 9) SELECT * FROM t",
        "WITH RECURSIVE is not supported: a job runs as stages that each run once; write the steps out",
    )
    .await;
}

#[tokio::test]
async fn files_are_not_tables() {
    for path in ["'/etc/passwd'", "\"/etc/passwd\"", "'file:///etc/hosts.csv'"] {
        let tables = Tables::new();
        let variant = Variant::new("plain", 4, 1);
        let error = plan(tables.job(&format!("SELECT * FROM {path}"), &variant, None), &variant).await.unwrap_err();
        assert!(error.to_string().starts_with("no input is called "), "{error}");
    }
}

#[tokio::test]
async fn deep_nesting_is_refused_or_planned_but_never_overflows() {
    let tables = Tables::new();
    let variant = Variant::new("plain", 2, 1);
    let nested = |levels: usize| format!("SELECT {}1{}", "(".repeat(levels), ")".repeat(levels));
    let error = plan(tables.job(&nested(5000), &variant, None), &variant).await.unwrap_err();
    assert_eq!(error.to_string(), "the query is nested deeper than 200 levels; write it flatter");
    let long = format!("SELECT {} FROM few", vec!["k"; 400].join(" + "));
    plan(tables.job(&long, &variant, None), &variant).await.unwrap();
}

#[tokio::test]
async fn output_columns() {
    let output = |partition_by: &[&str]| OutputSpec {
        path: "/tmp/out".to_owned(),
        format: OutputFormat::Parquet,
        mode: OutputMode::Error,
        partition_by: partition_by.iter().map(|name| (*name).to_owned()).collect(),
        compression: Compression::Zstd,
        file_bytes_max: ByteSize::mib(512),
    };
    let tables = Tables::new();
    let variant = Variant::new("plain", 2, 1);
    let plan =
        |query: &str, partition_by: &[&str]| plan(tables.job(query, &variant, Some(output(partition_by))), &variant);
    let error = plan("SELECT f.k, m.k FROM few f JOIN many m ON f.k = m.k", &[]).await.unwrap_err();
    assert_eq!(error.to_string(), "the output has two columns called `k`; rename one with AS");
    let error = plan("SELECT email, action FROM actions", &["emial"]).await.unwrap_err();
    assert_eq!(error.to_string(), "partition_by names `emial`, which the query does not give; did you mean `email`?");
}

#[tokio::test]
async fn missing_input() {
    let tables = Tables::new();
    let variant = Variant::new("plain", 2, 1);
    let mut job = tables.job("SELECT 1", &variant, None);
    job.inputs.get_mut("few").unwrap().paths = vec!["/nowhere/x.parquet".to_owned()];
    let error = plan(job, &variant).await.unwrap_err();
    assert!(error.to_string().starts_with("input `few`: "), "{error}");
}
