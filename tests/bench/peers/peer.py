"""Runs one workload with another engine, on two threads: `peer.py ENGINE WORKLOAD INPUT OUTPUT`.

ENGINE is duckdb, polars or pyspark. WORKLOAD is `actions` (count actions per user, CSV to Parquet with zstd), or `tpch-N` with
DuckDB, which writes its answer to OUTPUT/answer.csv. `peer.py ENGINE query INPUT OUTPUT TABLE SQL COLUMNS` runs any query over one
table with DuckDB or Polars; COLUMNS is a list of `NAME TYPE`, with `;` inside of a type, or empty: then they are inferred.
"""

import sys
from pathlib import Path

QUERY = "SELECT email, action, count(*) AS freq FROM actions GROUP BY email, action"


def duckdb_connection():
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET threads = 2; SET preserve_insertion_order = false")
    return connection


def actions_duckdb(source, target):
    connection = duckdb_connection()
    connection.execute(f"SET memory_limit = '2GiB'; SET temp_directory = '{target}.tmp'")
    connection.execute(f"CREATE VIEW actions AS FROM read_csv('{source}/*.csv', header = true)")
    target.mkdir(parents=True)
    connection.execute(f"COPY ({QUERY}) TO '{target}/part-0.parquet' (FORMAT parquet, COMPRESSION zstd)")


def actions_polars(source, target):
    import polars

    target.mkdir(parents=True)
    counted = polars.scan_csv(f"{source}/*.csv").group_by("email", "action").agg(polars.len().cast(polars.Int64).alias("freq"))
    counted.sink_parquet(target / "part-0.parquet", compression="zstd")


def actions_pyspark(source, target):
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.memory", "3g").config("spark.sql.parquet.compression.codec", "zstd")
    spark = builder.config("spark.sql.shuffle.partitions", "8").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    schema = "email STRING, timestamp STRING, action STRING"
    spark.read.csv(str(source), header=True, schema=schema).createOrReplaceTempView("actions")
    spark.sql(QUERY).write.parquet(str(target))
    spark.stop()


def tpch_duckdb(number, source, target):
    tests = Path(__file__).resolve().parent.parent.parent
    sys.path.insert(0, str(tests / "tpch"))
    import tables

    connection = duckdb_connection()
    for name, columns in tables.TABLES.items():
        types = ", ".join("'{}': '{}'".format(*column.split(" ")) for column in columns.split(", "))
        connection.execute(
            f"CREATE VIEW {name} AS FROM read_csv('{source}/{name}.csv', header = true, columns = {{{types}}}, quote = '\"')"
        )
    query = (tests / "tpch" / f"q{number:02}.sql").read_text(encoding="utf-8")
    tables.write_answer(connection, query, target / "answer.csv")


def declared(columns):
    pairs = (column.strip().split(" ") for column in columns.split(",") if column)
    return {name: kind.replace(";", ",") for name, kind in pairs}


DUCKDB_TYPES = {"string": "VARCHAR", "int64": "BIGINT", "int32": "INTEGER"}


def query_duckdb(source, target, table, query, columns):
    connection = duckdb_connection()
    connection.execute(f"SET memory_limit = '2GiB'; SET temp_directory = '{target}.tmp'")
    options = ""
    if columns:
        types = ", ".join(f"'{name}': '{DUCKDB_TYPES.get(kind, kind)}'" for name, kind in declared(columns).items())
        options = f", columns = {{{types}}}"
    if table == "notes":
        # Its longest line is 5 MiB, the default is 2 MB; on several threads DuckDB takes such a field for one without its end.
        options += ", quote = '\"', max_line_size = 8388608"
        options += "" if source.name.startswith("plain") else ", parallel = false"
    connection.execute(f"CREATE VIEW {table} AS FROM read_csv('{source}/*.csv', header = true{options})")
    target.mkdir(parents=True)
    connection.execute(f"COPY ({query}) TO '{target}/part-0.parquet' (FORMAT parquet, COMPRESSION zstd)")


def query_polars(source, target, table, query, columns):
    import polars

    types = {
        "string": polars.String,
        "int64": polars.Int64,
        "int32": polars.Int32,
        "decimal(12,2)": polars.Decimal(12, 2),
        "decimal(8,4)": polars.Decimal(8, 4),
        "timestamp": polars.Datetime("us"),
        "date": polars.Date,
    }
    schema = {name: types[kind] for name, kind in declared(columns).items()} or None
    target.mkdir(parents=True)
    frame = polars.scan_csv(f"{source}/*.csv", schema=schema)
    answer = polars.SQLContext({table: frame}).execute(query)
    answer.sink_parquet(target / "part-0.parquet", compression="zstd")


def main():
    query_arguments = 8 if sys.argv[2:3] == ["query"] else 5
    if len(sys.argv) != query_arguments:
        sys.exit(__doc__)
    engine, workload, source, target = sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])
    if workload == "query" and engine != "pyspark":
        {"duckdb": query_duckdb, "polars": query_polars}[engine](source, target, *sys.argv[5:])
    elif workload.startswith("tpch-") and engine == "duckdb":
        tpch_duckdb(int(workload.removeprefix("tpch-")), source, target)
    elif workload == "actions":
        {"duckdb": actions_duckdb, "polars": actions_polars, "pyspark": actions_pyspark}[engine](source, target)
    else:
        sys.exit(f"no workload {workload} for {engine}")


if __name__ == "__main__":
    main()
