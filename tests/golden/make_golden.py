"""Makes the golden answers of the 22 TPC-H queries with DuckDB, an engine that shares nothing with ours.

    cargo run -p hearth-tests --bin tpch-data -- /tmp/tpch 0.1
    python3 tests/golden/make_golden.py /tmp/tpch tests/golden/tpch-sf0.1

DuckDB is installed from PyPI into a virtual environment beside the data when it is not there.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tpch"))


def with_duckdb(data):
    """Goes on in an environment that has DuckDB."""
    try:
        import duckdb

        return duckdb
    except ImportError:
        environment = data / ".venv"
        venv.create(environment, with_pip=True)
        python = environment / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "duckdb"], check=True)
        os.execv(python, [str(python), *sys.argv])


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    data, target = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    duckdb = with_duckdb(data)
    import tables

    connection = duckdb.connect()
    tables.load(connection, data)
    target.mkdir(parents=True, exist_ok=True)
    for number in range(1, 23):
        query = (HERE.parent / "tpch" / f"q{number:02}.sql").read_text(encoding="utf-8")
        tables.write_answer(connection, query, target / f"q{number:02}.csv")
        print(f"q{number:02} written")


if __name__ == "__main__":
    main()
