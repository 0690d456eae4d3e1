"""The columns of TPC-H for DuckDB. Written apart from the Rust side on purpose: a wrong type there is not repeated here."""

MONEY = "DECIMAL(15,2)"

TABLES = {
    "nation": "n_nationkey BIGINT, n_name VARCHAR, n_regionkey BIGINT, n_comment VARCHAR",
    "region": "r_regionkey BIGINT, r_name VARCHAR, r_comment VARCHAR",
    "part": "p_partkey BIGINT, p_name VARCHAR, p_mfgr VARCHAR, p_brand VARCHAR, p_type VARCHAR, p_size INTEGER, "
    f"p_container VARCHAR, p_retailprice {MONEY}, p_comment VARCHAR",
    "supplier": "s_suppkey BIGINT, s_name VARCHAR, s_address VARCHAR, s_nationkey BIGINT, s_phone VARCHAR, "
    f"s_acctbal {MONEY}, s_comment VARCHAR",
    "partsupp": f"ps_partkey BIGINT, ps_suppkey BIGINT, ps_availqty INTEGER, ps_supplycost {MONEY}, ps_comment VARCHAR",
    "customer": "c_custkey BIGINT, c_name VARCHAR, c_address VARCHAR, c_nationkey BIGINT, c_phone VARCHAR, "
    f"c_acctbal {MONEY}, c_mktsegment VARCHAR, c_comment VARCHAR",
    "orders": f"o_orderkey BIGINT, o_custkey BIGINT, o_orderstatus VARCHAR, o_totalprice {MONEY}, o_orderdate DATE, "
    "o_orderpriority VARCHAR, o_clerk VARCHAR, o_shippriority INTEGER, o_comment VARCHAR",
    "lineitem": "l_orderkey BIGINT, l_partkey BIGINT, l_suppkey BIGINT, l_linenumber INTEGER, "
    f"l_quantity {MONEY}, l_extendedprice {MONEY}, l_discount {MONEY}, l_tax {MONEY}, "
    "l_returnflag VARCHAR, l_linestatus VARCHAR, l_shipdate DATE, l_commitdate DATE, l_receiptdate DATE, "
    "l_shipinstruct VARCHAR, l_shipmode VARCHAR, l_comment VARCHAR",
}


def load(connection, data):
    """Reads every table of the directory `data` into the database, each column with its declared type."""
    for name, columns in TABLES.items():
        connection.execute(f"CREATE TABLE {name} ({columns})")
        connection.execute(f"COPY {name} FROM '{data}/{name}.csv' (HEADER, DELIMITER ',', QUOTE '\"')")


def write_answer(connection, query, path):
    """Runs a query and writes its answer as CSV, every value in full."""
    import csv

    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for row in cursor.fetchall():
            writer.writerow(["NULL" if value is None else str(value) for value in row])
