//! Shapes of queries: joins, windows, unions, subqueries, with and without exchanges. The answer is that of plain DataFusion.

use anyhow::{Result, bail, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, ClusterOptions, JobFile, read_parquet_dir, sql_in_one_process};
use serde_json::Value;

use crate::common::{check_committed, number};

const SHAPES: [(&str, &str); 18] = [
    (
        "inner join",
        "SELECT a.email, a.action, b.n FROM actions a JOIN (SELECT email, count(*) AS n FROM actions GROUP BY email) b \
         ON a.email = b.email WHERE a.action = 'cart'",
    ),
    (
        "left join",
        "SELECT u.email, c.n FROM (SELECT DISTINCT email FROM actions) u LEFT JOIN \
         (SELECT email, count(*) AS n FROM actions WHERE action = 'purchase' GROUP BY email HAVING count(*) > 12) c \
         ON u.email = c.email",
    ),
    (
        "full join",
        "SELECT a.email AS x, b.email AS y FROM (SELECT DISTINCT email FROM actions WHERE email < 'user2') a FULL JOIN \
         (SELECT DISTINCT email FROM actions WHERE email > 'user1') b ON a.email = b.email",
    ),
    (
        "cross join",
        "SELECT a.action AS x, b.action AS y FROM (SELECT DISTINCT action FROM actions) a CROSS JOIN (SELECT DISTINCT action FROM actions) b",
    ),
    (
        "inequality join",
        "SELECT count(*) AS n FROM (SELECT DISTINCT email FROM actions WHERE email < 'user12') a JOIN (SELECT DISTINCT email FROM actions WHERE email < 'user12') b ON a.email < b.email",
    ),
    (
        "in",
        "SELECT count(*) AS n FROM actions WHERE email IN (SELECT email FROM actions WHERE action = 'login' GROUP BY email HAVING count(*) > 15)",
    ),
    (
        "not in",
        "SELECT count(*) AS n FROM actions WHERE email NOT IN (SELECT email FROM actions WHERE action = 'login' GROUP BY email HAVING count(*) > 5)",
    ),
    (
        "scalar subquery",
        "SELECT email, count(*) AS n FROM actions GROUP BY email \
         HAVING count(*) > (SELECT max(n) - 20 FROM (SELECT count(*) AS n FROM actions GROUP BY email))",
    ),
    (
        "correlated subquery",
        "SELECT count(*) AS n FROM actions a WHERE timestamp = (SELECT max(timestamp) FROM actions b WHERE b.email = a.email)",
    ),
    (
        "window over groups",
        "SELECT email, rn, freq FROM (SELECT email, count(*) AS freq, row_number() OVER (PARTITION BY email ORDER BY action) AS rn \
         FROM actions GROUP BY email, action) WHERE rn <= 2",
    ),
    (
        "window over all",
        "SELECT action, count(*) AS n, sum(count(*)) OVER (ORDER BY action) AS running FROM actions GROUP BY action",
    ),
    (
        "union all",
        "SELECT email FROM actions WHERE action = 'cart' UNION ALL SELECT action FROM actions WHERE email = 'user1@example.com'",
    ),
    ("union", "SELECT email FROM actions UNION SELECT action FROM actions"),
    (
        "except",
        "SELECT email FROM actions EXCEPT SELECT email FROM actions WHERE action = 'purchase' AND email < 'user3'",
    ),
    ("distinct counts", "SELECT action, count(DISTINCT email) AS users FROM actions GROUP BY action"),
    ("rollup", "SELECT action, count(*) AS n FROM actions GROUP BY ROLLUP (action)"),
    ("aggregate of nothing", "SELECT count(*) AS n, max(email) AS last FROM actions WHERE action = 'nothing'"),
    ("no table", "SELECT 1 AS one, 'x' AS text"),
];

#[test]
fn shapes_equal_one_process() -> Result<()> {
    Cluster::run(ClusterOptions::default(), |cluster| {
        let mut wrong = Vec::new();
        for (at, (name, query)) in SHAPES.iter().enumerate() {
            if let Err(error) = check_shape(cluster, at, query) {
                wrong.push(format!("{name}: {error:#}"));
            }
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            bail!("{} of {} are wrong:\n{}", wrong.len(), SHAPES.len(), wrong.join("\n"))
        }
    })
}

fn check_shape(cluster: &Cluster, number: usize, query: &str) -> Result<()> {
    let data = UserActions::SMALL.directory()?;
    let output = cluster.directory().join(format!("shape-{number}"));
    // No side of a join is small enough for a broadcast, and every stage has several tasks.
    let job = JobFile::new("shape", query)
        .csv("actions", &data)
        .output(&output, &[])
        .setting("split_bytes = \"2MiB\"")
        .setting("shuffle_partitions = 4")
        .setting("merge_bytes = \"64KiB\"")
        .setting("broadcast_bytes_max = \"1KiB\"");
    cluster.run_job(&job)?;
    read_parquet_dir(&output)?.check_equal(&sql_in_one_process(query, &[("actions", &data)])?)
}

#[test]
fn result_of_no_rows_is_a_committed_output() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 1, ..ClusterOptions::default() }, |cluster| {
        let output = cluster.directory().join("nothing");
        let query = "SELECT email, count(*) AS n FROM actions WHERE action = 'nothing' GROUP BY email";
        let job = JobFile::new("nothing", query).csv("actions", &UserActions::SMALL.directory()?).output(&output, &[]);
        let status = cluster.run_job(&job)?;
        check_committed(&output)?;
        let rows = read_parquet_dir(&output)?;
        assert_eq!((rows.names(), rows.rows.len()), (vec!["email", "n"], 0), "readers find the columns");
        assert_eq!(number(&status, "/output/rows"), 0);
        Ok(())
    })
}

#[test]
fn more_groups_than_memory() -> Result<()> {
    check_groups("SELECT email, count(*) AS freq FROM actions GROUP BY email")
}

/// The keys alone are ten times as much.
#[test]
fn groups_of_ten_times_the_memory() -> Result<()> {
    check_groups("SELECT concat(email, repeat('x', 320)) AS key, count(*) AS freq FROM actions GROUP BY key")
}

fn check_groups(query: &str) -> Result<()> {
    let options = ClusterOptions { memory: "32MiB".to_owned(), ..ClusterOptions::default() };
    Cluster::run(options, |cluster| {
        let data = UserActions { rows: 1_000_000, users: 1_000_000, files: 2 }.directory()?;
        let output = cluster.directory().join("groups");
        // One large shuffle partition, so that one task has more groups than fit.
        let job = JobFile::new("groups", query).csv("actions", &data).output(&output, &[]);
        let status = cluster.run_job(&job.setting("shuffle_partitions = 1"))?;
        ensure!(spilled(&status) > 0, "nothing was spilled: {status:#}");
        let counts = "SELECT count(*) AS users, sum(freq) AS actions FROM";
        let expected = sql_in_one_process(&format!("{counts} ({query})"), &[("actions", &data)])?;
        let found =
            JobFile::new("check", &format!("{counts} groups")).input("groups", &output, &["format = \"parquet\""]);
        let found = cluster.run_job(&found)?;
        let row = &found["result"][0];
        let row = vec![row["users"].to_string(), row["actions"].to_string()];
        assert_eq!(vec![row], expected.rows);
        Ok(())
    })
}

fn spilled(status: &Value) -> u64 {
    number(status, "/metrics/spilled_bytes")
}
