"""Compares an output of the main job with what pyarrow counts by itself: `count_actions.py INPUT OUTPUT`.

INPUT is a directory of CSV files, OUTPUT one of Parquet files. Prints the number of rows, or fails and says what differs.
"""

import sys
from pathlib import Path

import pyarrow
import pyarrow.csv
import pyarrow.parquet

KEYS = ["email", "action"]
COLUMNS = pyarrow.schema([("email", pyarrow.string()), ("action", pyarrow.string()), ("freq", pyarrow.int64())])


def visible_files(directory):
    return [file for file in sorted(Path(directory).iterdir()) if file.is_file() and file.name[0] not in "._"]


def count(source):
    options = pyarrow.csv.ConvertOptions(include_columns=KEYS, column_types={key: pyarrow.string() for key in KEYS})
    counted = []
    for file in visible_files(source):
        table = pyarrow.csv.read_csv(file, convert_options=options)
        counted.append(table.group_by(KEYS).aggregate([([], "count_all")]))
    return pyarrow.concat_tables(counted).group_by(KEYS).aggregate([("count_all", "sum")])


def read(output):
    if not (Path(output) / "_SUCCESS").is_file():
        sys.exit(f"{output} has no _SUCCESS")
    # Each file alone: a directory would be read as a data set, with columns from its names.
    tables = [pyarrow.parquet.ParquetFile(file).read() for file in visible_files(output)]
    return pyarrow.concat_tables([table.select(COLUMNS.names).cast(COLUMNS) for table in tables])


def in_order(table):
    table = table.rename_columns(COLUMNS.names).cast(COLUMNS)
    return table.sort_by([(key, "ascending") for key in KEYS]).combine_chunks()


def main(source, output):
    expected, found = in_order(count(source)), in_order(read(output))
    if not expected.equals(found):
        sys.exit(f"{output} has {found.num_rows} rows, which are not the {expected.num_rows} that are in {source}")
    print(found.num_rows)


main(*sys.argv[1:])
