//! Every kind of query, in every way its joins can run, against plain `DataFusion`.

use super::cluster;
use super::data::{Tables, Variant, plan};
use super::rows::{Order, assert_same};

fn variants() -> Vec<Variant> {
    vec![
        Variant::new("broadcast", 4, 1),
        Variant::new("broadcast, merged", 4, 3),
        Variant::new("one shuffle partition", 1, 1),
        Variant::new("hash joins", 4, 2).without_broadcast(),
        Variant::new("hash joins, one shuffle partition", 1, 1).without_broadcast(),
        Variant::new("sort-merge joins", 3, 1).with_sort_merge(),
        Variant::new("sort-merge joins, merged", 5, 2).with_sort_merge(),
    ]
}

async fn check_all(order: Order, queries: &[&str]) {
    let tables = Tables::new();
    for query in queries {
        let expected = tables.expected(query).await;
        for variant in variants() {
            let what = format!("{query}\n({})", variant.name);
            let planned = plan(tables.job(query, &variant, None), &variant).await;
            let planned = planned.unwrap_or_else(|error| panic!("{what}: {error}"));
            let found = cluster::run(&planned, variant.group).await.unwrap_or_else(|error| panic!("{what}: {error}"));
            let found: Vec<_> = found.into_iter().flatten().collect();
            assert_same(&what, order, &found, &expected);
        }
    }
}

#[tokio::test]
async fn aggregates() {
    check_all(
        Order::Any,
        &[
            "SELECT email, action, count(*) AS freq FROM actions GROUP BY email, action",
            "SELECT count(*), sum(amount), min(at), max(email) FROM actions",
            "SELECT count(*) FROM actions WHERE id < 0",
            "SELECT action, count(DISTINCT email), count(amount), avg(amount) FROM actions GROUP BY action",
            "SELECT count(DISTINCT email), count(DISTINCT action) FROM actions",
            "SELECT DISTINCT action, at % 3 AS r FROM actions",
            "SELECT email, sum(amount) AS s FROM actions GROUP BY email HAVING sum(amount) > 20",
            "SELECT action, at % 5 AS r, count(*) FROM actions GROUP BY ROLLUP (action, at % 5)",
            "SELECT action, at % 5 AS r, sum(amount) FROM actions GROUP BY CUBE (action, at % 5)",
            "SELECT action, email, count(*) FROM actions GROUP BY GROUPING SETS ((action), (email), ())",
            "SELECT freq, count(*) FROM (SELECT email, count(*) AS freq FROM actions GROUP BY email) GROUP BY freq",
            "SELECT email, count(*) FILTER (WHERE action = 'buy') FROM actions GROUP BY email",
            "SELECT stddev(amount), corr(at, amount), median(at) FROM actions",
            "SELECT upper(action), regexp_replace(email, '[0-9]+', '#') AS e, count(*) FROM actions GROUP BY 1, 2",
        ],
    )
    .await;
}

#[tokio::test]
async fn joins() {
    check_all(
        Order::Any,
        &[
            "SELECT a.id, u.country FROM actions a JOIN users u ON a.email = u.email",
            "SELECT a.id, u.country FROM actions a LEFT JOIN users u ON a.email = u.email",
            "SELECT a.id, u.email, u.age FROM actions a RIGHT JOIN users u ON a.email = u.email",
            "SELECT a.id, a.email, u.email FROM actions a FULL JOIN users u ON a.email = u.email",
            "SELECT a.id, u.age FROM actions a LEFT JOIN users u ON a.email = u.email AND a.at > u.age",
            "SELECT a.id, u.age FROM actions a FULL JOIN users u ON a.email = u.email AND a.at > u.age",
            "SELECT a.id FROM actions a LEFT SEMI JOIN users u ON a.email = u.email AND u.age > 30",
            "SELECT a.id FROM actions a LEFT ANTI JOIN users u ON a.email = u.email AND u.age > 30",
            "SELECT u.email FROM actions a RIGHT SEMI JOIN users u ON a.email = u.email",
            "SELECT u.email FROM actions a RIGHT ANTI JOIN users u ON a.email = u.email",
            "SELECT country, action, count(*), sum(amount) FROM actions a JOIN users u ON a.email = u.email GROUP BY 1, 2",
            "SELECT f.k, m.tag, w.tag FROM few f JOIN many m ON f.k = m.k LEFT JOIN whole w ON m.k = w.k",
            "SELECT f.tag, m.tag, w.tag FROM few f FULL JOIN many m ON f.k = m.k FULL JOIN whole w ON m.k = w.k",
            "SELECT f.k, m.k FROM few f CROSS JOIN many m",
            "SELECT f.k, m.k FROM few f JOIN many m ON f.k < m.k",
            "SELECT f.k, m.k FROM few f LEFT JOIN many m ON f.k > m.k",
            "SELECT f.k, m.k FROM many m LEFT JOIN few f ON f.k > m.k",
            "SELECT f.k, m.k FROM few f RIGHT JOIN many m ON f.k > m.k",
            "SELECT f.k, m.k FROM few f FULL JOIN many m ON f.k > m.k",
            "SELECT f.k FROM few f WHERE EXISTS (SELECT 1 FROM many m WHERE m.k > f.k + 2)",
            "SELECT m.k, m.tag FROM many m WHERE NOT EXISTS (SELECT 1 FROM few f WHERE m.k > f.k + 2)",
            "SELECT f.k FROM few f JOIN few g ON f.k IS NOT DISTINCT FROM g.k",
            "SELECT a.id, b.id FROM actions a JOIN actions b ON a.email = b.email AND a.action = b.action WHERE a.id < b.id",
        ],
    )
    .await;
}

#[tokio::test]
async fn subqueries() {
    check_all(
        Order::Any,
        &[
            "SELECT tag FROM few WHERE k NOT IN (SELECT k FROM many)",
            "SELECT tag FROM few WHERE k NOT IN (SELECT k FROM whole)",
            "SELECT tag FROM many WHERE k NOT IN (SELECT k FROM whole)",
            "SELECT tag FROM few WHERE k NOT IN (SELECT k FROM many WHERE k > 100)",
            "SELECT tag FROM few WHERE k NOT IN (SELECT k FROM many WHERE k IS NOT NULL)",
            "SELECT tag FROM few WHERE k IN (SELECT k FROM many)",
            "SELECT tag FROM few WHERE k IN (SELECT k FROM many) OR tag = 't0'",
            "SELECT tag FROM few f WHERE EXISTS (SELECT 1 FROM many m WHERE m.k = f.k) OR f.k IS NULL",
            "SELECT email FROM users u WHERE NOT EXISTS (SELECT 1 FROM actions a WHERE a.email = u.email AND a.action = 'buy')",
            "SELECT id FROM actions WHERE amount > (SELECT avg(amount) FROM actions)",
            "SELECT id FROM actions a WHERE amount > (SELECT avg(amount) FROM actions b WHERE b.email = a.email)",
            "SELECT email, (SELECT count(*) FROM actions a WHERE a.email = u.email) AS n FROM users u",
            "SELECT (SELECT max(k) FROM many) AS m, k FROM few",
            "SELECT action, count(*) FROM actions WHERE email IN (SELECT email FROM users WHERE country = 'de') GROUP BY action",
        ],
    )
    .await;
}

#[tokio::test]
async fn windows_and_sets() {
    check_all(
        Order::Any,
        &[
            "SELECT id, row_number() OVER (PARTITION BY email ORDER BY at, id) FROM actions",
            "SELECT id, sum(amount) OVER (PARTITION BY action ORDER BY id ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) FROM actions",
            "SELECT id, rank() OVER (ORDER BY at), lag(id) OVER (ORDER BY id) FROM actions",
            "SELECT email, action, rank() OVER (PARTITION BY action ORDER BY count(*) DESC, email) AS r FROM actions GROUP BY 1, 2",
            "SELECT * FROM (SELECT id, email, row_number() OVER (PARTITION BY email ORDER BY id DESC) AS r FROM actions) WHERE r = 1",
            "SELECT k FROM few UNION ALL SELECT k FROM many",
            "SELECT k FROM few UNION SELECT k FROM many UNION SELECT 99",
            "SELECT k FROM few INTERSECT SELECT k FROM many",
            "SELECT k FROM many EXCEPT SELECT k FROM few",
            "SELECT k FROM many EXCEPT ALL SELECT k FROM few",
            "SELECT email, count(*) FROM (SELECT email FROM actions UNION ALL SELECT email FROM users) GROUP BY email",
            "SELECT email AS x, count(*) FROM actions GROUP BY 1 UNION ALL SELECT action, count(*) FROM actions GROUP BY 1",
            "SELECT x, sum(n) FROM (SELECT email AS x, count(*) AS n FROM actions GROUP BY 1 \
             UNION ALL SELECT email, count(*) FROM users GROUP BY 1) GROUP BY x",
            "WITH t AS (SELECT email, count(*) AS n FROM actions GROUP BY email) \
             SELECT a.email, a.n, b.n FROM t a JOIN t b ON a.email = b.email AND a.n = b.n",
            "SELECT v.x, f.tag FROM (VALUES (1, 'a'), (2, 'b')) AS v(x, y) JOIN few f ON f.k = v.x",
            "SELECT u.email, g.value FROM users u CROSS JOIN generate_series(1, 3) g WHERE u.age < 20",
        ],
    )
    .await;
}

#[tokio::test]
async fn ordered_results() {
    check_all(
        Order::Counts,
        &[
            "SELECT 1 AS one, 'x' AS x, NULL AS n",
            "SELECT * FROM (VALUES (2, 'b'), (1, 'a'), (3, NULL)) AS v(x, y) ORDER BY x",
            "SELECT id, email FROM actions ORDER BY email DESC NULLS LAST, id",
            "SELECT id, email FROM actions ORDER BY at, id LIMIT 10",
            "SELECT id, email FROM actions ORDER BY at DESC, id LIMIT 10 OFFSET 25",
            "SELECT email, count(*) AS n FROM actions GROUP BY email ORDER BY n DESC, email LIMIT 5",
            "SELECT email, count(*) AS n FROM actions GROUP BY email ORDER BY n DESC, email",
            "SELECT action, max(at) AS m FROM actions GROUP BY action ORDER BY m DESC, action LIMIT 2",
            "SELECT a.id, u.country FROM actions a LEFT JOIN users u ON a.email = u.email ORDER BY a.id",
            "SELECT id FROM (SELECT id FROM actions ORDER BY id LIMIT 20) ORDER BY id DESC LIMIT 3",
            "SELECT a.id, t.n FROM actions a JOIN (SELECT email, count(*) AS n FROM actions GROUP BY email \
             ORDER BY n DESC, email LIMIT 3) t ON a.email = t.email ORDER BY a.id",
            "SELECT id, sum(at) OVER (ORDER BY id) AS running FROM actions ORDER BY id",
            "SELECT k FROM few UNION ALL SELECT k FROM many ORDER BY k NULLS FIRST",
            "SELECT action, string_agg(tag, ',' ORDER BY tag) AS tags FROM actions, few WHERE id = k GROUP BY action ORDER BY action",
            "SELECT action, first_value(id ORDER BY at, id) AS f, last_value(id ORDER BY at, id) AS l FROM actions \
             GROUP BY action ORDER BY action",
        ],
    )
    .await;
}

#[tokio::test]
async fn any_rows_will_do() {
    check_all(
        Order::RowCount,
        &[
            "SELECT id FROM actions LIMIT 7",
            "SELECT id FROM actions LIMIT 7 OFFSET 3",
            "SELECT id FROM actions WHERE action = 'view' LIMIT 1000",
            "SELECT DISTINCT email FROM actions LIMIT 4",
            "SELECT a.id FROM actions a JOIN (SELECT email FROM users LIMIT 60) u ON a.email = u.email",
            "SELECT id, random() AS r FROM actions",
        ],
    )
    .await;
}
