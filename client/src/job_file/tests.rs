//! Job files that are right, and what is said about those that are not.

mod any_text;
mod rejects;

use std::path::PathBuf;

use hearth_common::{
    ByteSize, ColumnSpec, Compression, CsvOptions, Encoding, ExtraColumns, InputCompression, InputFormat, InputSpec,
    JobSettings, JobSpec, MissingColumns, OnError, OutputFormat, OutputMode, OutputSpec, Priority, ValueType,
};

use super::*;

fn origin() -> JobOrigin {
    let values = [("date", "2026-01-15"), ("parts", "7"), ("nothing", "")];
    JobOrigin {
        file: PathBuf::from("daily.toml"),
        values: values.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        directory: PathBuf::from("/home/me"),
    }
}

fn parse(text: &str) -> Result<JobSpec, String> {
    parse_job(text, &origin()).map_err(|error| error.to_string())
}

fn check_error(text: &str, expected: &str) {
    assert_eq!(parse(text), Err(expected.to_owned()), "{text}");
}

/// Checks the error of an input `t`, written from line 3 on.
fn check_input_error(input: &str, expected: &str) {
    check_error(&format!("query = 'SELECT 1'\n[inputs.t]\n{input}"), expected);
}

fn column(name: &str, value_type: ValueType) -> ColumnSpec {
    ColumnSpec { name: name.into(), value_type }
}

#[test]
fn reads_the_design_example() {
    let text = r#"
name = "user-actions"
query = "SELECT email, action, count(*) AS freq FROM actions GROUP BY email, action"
[inputs.actions]
path = "hdfs://nn:9000/raw/date=${date}/*.csv"
format = "csv"
on_error = "fail"
schema = { email = "string", timestamp = "timestamp", action = "string" }
[output]
path = "hdfs://nn:9000/reports/${date}"
mode = "overwrite"
"#;
    let actions = InputSpec {
        paths: vec!["hdfs://nn:9000/raw/date=2026-01-15/*.csv".into()],
        format: InputFormat::Csv(CsvOptions::default()),
        compression: InputCompression::Auto,
        schema: Some(vec![
            column("email", ValueType::String),
            column("timestamp", ValueType::Timestamp),
            column("action", ValueType::String),
        ]),
        on_error: OnError::Fail,
    };
    let expected = JobSpec {
        name: "user-actions".into(),
        query: "SELECT email, action, count(*) AS freq FROM actions GROUP BY email, action".into(),
        inputs: [("actions".to_owned(), actions)].into(),
        output: Some(OutputSpec {
            path: "hdfs://nn:9000/reports/2026-01-15".into(),
            format: OutputFormat::Parquet,
            mode: OutputMode::Overwrite,
            partition_by: vec![],
            compression: Compression::Zstd,
            file_bytes_max: ByteSize::mib(512),
        }),
        settings: JobSettings::default(),
    };
    assert_eq!(parse(text), Ok(expected));
}

/// The options of [`reads_every_key`].
fn every_csv_option() -> CsvOptions {
    CsvOptions {
        header: false,
        delimiter: b'\t',
        quote: Some(b'\''),
        escape: Some(b'\\'),
        comment: Some(b'#'),
        null_values: vec![String::new(), "NA".into()],
        trim: true,
        encoding: Encoding::Latin1,
        date_format: Some("%d.%m.%Y".into()),
        timestamp_format: Some("%d.%m.%Y %H:%M".into()),
        missing_columns: MissingColumns::Null,
        extra_columns: ExtraColumns::Ignore,
        max_record_bytes: ByteSize::mib(2),
    }
}

#[test]
fn reads_every_key() {
    let text = r##"
query = "SELECT 1"
[inputs.a]
path = ["in/a.tsv", "./b.tsv", "/c.tsv"]
compression = "gzip"
header = false
quote = "'"
escape = "\\"
comment = "#"
null_values = ["", "NA"]
trim = true
encoding = "latin-1"
date_format = "%d.%m.%Y"
timestamp_format = "%d.%m.%Y %H:%M"
missing_columns = "null"
extra_columns = "ignore"
max_record_bytes = "2MiB"
[[inputs.a.schema]]
name = "z"
type = "decimal(12,2)"
[[inputs.a.schema]]
name = "y"
type = "bigint"
[output]
path = "out"
format = "csv"
mode = "append"
partition_by = "day"
compression = "none"
file_bytes_max = "2MiB"
[settings]
split_bytes = 1024
shuffle_partitions = "${parts}"
merge_bytes = "1MiB"
broadcast_bytes_max = 0
result_bytes_max = "1KiB"
deadline_seconds = 3600
slots_max = 3
priority = "low"
"##;
    let job = parse(text).unwrap();
    let input = &job.inputs["a"];
    assert_eq!(job.name, "daily");
    assert_eq!(input.paths, ["/home/me/in/a.tsv", "/home/me/b.tsv", "/c.tsv"]);
    assert_eq!(input.format, InputFormat::Csv(every_csv_option()));
    assert_eq!(input.compression, InputCompression::Gzip);
    let decimal = ValueType::Decimal { precision: 12, scale: 2 };
    assert_eq!(input.schema, Some(vec![column("z", decimal), column("y", ValueType::Int64)]));
    let output = job.output.unwrap();
    assert_eq!(output.path, "/home/me/out");
    assert_eq!((output.format, output.mode), (OutputFormat::Csv, OutputMode::Append));
    assert_eq!((output.partition_by, output.compression), (vec!["day".to_owned()], Compression::None));
    assert_eq!(output.file_bytes_max, ByteSize::mib(2));
    let settings = JobSettings {
        split_bytes: Some(ByteSize(1024)),
        shuffle_partitions: Some(7),
        merge_bytes: ByteSize::mib(1),
        broadcast_bytes_max: ByteSize(0),
        result_bytes_max: ByteSize(1024),
        deadline_seconds: Some(3600),
        slots_max: Some(3),
        priority: Priority::Low,
    };
    assert_eq!(job.settings, settings);
}

fn check_csv(keys: &str, expected: &CsvOptions) {
    let job = parse(&format!("query = 'SELECT 1'\n[inputs.t]\npath = 'a.csv'\n{keys}")).unwrap();
    assert_eq!(job.inputs["t"].format, InputFormat::Csv(expected.clone()), "{keys}");
}

#[test]
fn compression_is_one_of_a_few_and_not_for_parquet() {
    let known = "daily.toml:4:15: `compression` cannot be `xz`; write auto, none, gzip, bzip2, zstd";
    check_input_error("path = 'a.csv.xz'\ncompression = 'xz'", known);
    let parquet = "daily.toml:4:15: Parquet is compressed inside; remove `compression`";
    check_input_error("path = 'a.parquet'\ncompression = 'zstd'", parquet);
    for path in ["a.csv.gz", "a.csv.bz2", "a.csv.zst"] {
        let input = &parse(&format!("query = 'SELECT 1'\n[inputs.t]\npath = '{path}'")).unwrap().inputs["t"];
        assert_eq!(input.compression, InputCompression::Auto);
        assert_eq!(input.format, InputFormat::Csv(CsvOptions::default()), "{path}");
    }
}

#[test]
fn reads_csv_options() {
    let default = CsvOptions::default;
    check_csv("", &default());
    check_csv("delimiter = 'tab'\nencoding = 'utf-8'", &CsvOptions { delimiter: b'\t', ..default() });
    for quote in ["", "none"] {
        check_csv(&format!("quote = '{quote}'"), &CsvOptions { quote: None, ..default() });
    }
    let null_values = |values: &[&str]| {
        let null_values = values.iter().map(|value| (*value).to_owned()).collect();
        CsvOptions { null_values, ..default() }
    };
    check_csv("null_values = 'NA'", &null_values(&["NA"]));
    check_csv("null_values = []", &null_values(&[]));
    check_csv("null_values = ['', '${parts}']", &null_values(&["", "7"]));
    check_csv("max_record_bytes = 1048576", &CsvOptions { max_record_bytes: ByteSize::mib(1), ..default() });
    check_csv("missing_columns = 'error'\nextra_columns = 'error'\ntrim = false", &default());
}

#[test]
fn what_is_documented_is_right() {
    let top = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| std::fs::read_to_string(top.join(path)).unwrap();
    for example in ["deploy/examples/revenue.toml", "deploy/examples/user-actions.toml"] {
        assert_eq!(parse(&read(example)).err(), None, "{example}");
    }
    let (readme, reference) = (read("README.md"), read("docs/job-file.md"));
    let blocks: Vec<&str> = [&readme, &reference]
        .into_iter()
        .flat_map(|page| page.split("```toml\n").skip(1))
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        assert_eq!(parse(block).err(), None, "{block}");
    }
    let documented: Vec<&str> =
        reference.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(csv::KEYS.into_iter().find(|key| !documented.contains(key)), None);
}

#[test]
fn columns_keep_their_order() {
    let text = "query = 'SELECT 1'\ninputs.t.path = 'a.csv'\n[inputs.t.schema]\nz = 'int'\na = 'int'\nm = 'int'\n";
    let schema = parse(text).unwrap().inputs["t"].schema.clone().unwrap();
    assert_eq!(schema.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["z", "a", "m"]);
}

#[test]
fn takes_the_format_from_the_extension() {
    for (path, expected) in [
        ("x.csv", Some("csv")),
        ("x.CSV.gz", Some("csv")),
        ("dir/*.jsonl", Some("json")),
        ("a.ndjson.zst", Some("json")),
        ("part-*.parquet", Some("parquet")),
        ("dir.csv/", None),
        ("x.gz", None),
        (".csv", None),
        ("data", None),
    ] {
        let found = format_of_paths(&[path.to_owned()]).map(|format| match format {
            InputFormat::Csv(_) => "csv",
            InputFormat::Json => "json",
            InputFormat::Parquet => "parquet",
        });
        assert_eq!(found, expected, "{path}");
    }
    assert_eq!(format_of_paths(&["a.csv".into(), "a.json".into()]), None);
    assert_eq!(format_of_paths(&[]), None);
}

#[test]
fn says_what_is_wrong_with_the_job() {
    check_error("", "daily.toml:1:1: the job has no query; add query = \"SELECT ...\" or query_file = \"PATH\"");
    check_error("query = 'x'\nnmae = 'y'", "daily.toml:2:1: `nmae` is not a key of a job file; did you mean `name`?");
    check_error(
        "query = 'x'\nzebra = 1",
        "daily.toml:2:1: `zebra` is not a key of a job file; its keys are name, query, query_file, inputs, output, settings",
    );
    check_error("query = 1", "daily.toml:1:9: `query` must be a string, not a number");
    check_error("query = ' '", "daily.toml: job has no query");
    check_error(
        "query = 'x'\nquery_file = 'x.sql'",
        "daily.toml:2:14: a job has either `query` or `query_file`, not both",
    );
    check_error("query_file = 'not-there.sql'", "cannot read not-there.sql: No such file or directory (os error 2)");
    check_error("query = 'x'\ninputs = 3", "daily.toml:2:10: `inputs` must be a table, not a number");
    check_error(
        "query = 'x'\n[inputs.'a b']\npath = 'x.csv'",
        "daily.toml: `a b` is not a table name; use letters, digits and `_`, and start with a letter or `_`",
    );
    check_error(
        "query = 'x'\n[settings]\nmerge_byte = 1",
        "daily.toml:3:1: `merge_byte` is not a key of [settings]; did you mean `merge_bytes`?",
    );
    check_error("query = 'x'\n[settings]\nslots_max = 0", "daily.toml: slots_max must be at least 1");
    check_error(
        "query = 'x'\n[settings]\npriority = 'hihg'",
        "daily.toml:3:12: `priority` cannot be `hihg`; did you mean `high`?",
    );
    check_error(
        "query = 'x'\n[settings]\nmerge_bytes = 'big'",
        "daily.toml:3:15: `big` is not a size; write for example 512MiB, 4GiB or 1000000",
    );
    check_error(
        "query = 'x'\n[settings]\nshuffle_partitions = -1",
        "daily.toml:3:22: `shuffle_partitions` must be a whole number from 0 to 4294967295",
    );
    check_error("query = 'x'\n[settings]\nshuffle_partitions = 0", "daily.toml: shuffle_partitions must be at least 1");
}

#[test]
fn says_what_is_wrong_with_an_input() {
    check_input_error("", "daily.toml:2:1: input `t` has no path; add path = \"...\"");
    check_input_error("path = []", "daily.toml:3:8: the path of input `t` is empty");
    check_input_error("path = ['a.csv', 1]", "daily.toml:3:18: `path` must be a string, not a number");
    check_input_error("path = '${nothing}'", "daily.toml:3:8: the path of input `t` is empty");
    check_input_error(
        "path = 'data'",
        "daily.toml:3:8: the format of input `t` is not clear from its path; add format = \"csv\", \"json\" or \"parquet\"",
    );
    check_input_error(
        "path = 'a.csv'\nformt = 'csv'",
        "daily.toml:4:1: `formt` is not a key of [inputs.t]; did you mean `format`?",
    );
    check_input_error("path = 'a'\nformat = 'cvs'", "daily.toml:4:10: `format` cannot be `cvs`; did you mean `csv`?");
    check_input_error(
        "path = 'a'\nformat = 'orc'",
        "daily.toml:4:10: `format` cannot be `orc`; write csv, json, parquet",
    );
    check_input_error(
        "path = 'a.csv'\nschema = { a = 'strng' }",
        "daily.toml:4:16: `strng` is not a type; did you mean `string`?",
    );
    check_input_error(
        "path = 'a.csv'\nschema = {}",
        "daily.toml:4:10: the schema of input `t` has no columns; leave it out to infer it",
    );
    check_input_error(
        "path = 'a.csv'\nschema = [{ name = 'a', typ = 'int' }]",
        "daily.toml:4:25: `typ` is not a key of a column of [inputs.t.schema]; did you mean `type`?",
    );
    check_input_error(
        "path = 'a.csv'\nschema = [{ name = 'a', type = 'int' }, { name = 'a', type = 'int' }]",
        "daily.toml:4:10: the schema of input `t` has column `a` twice",
    );
}

/// Checks the error of the keys of a CSV input, written from line 4 on.
fn check_csv_error(keys: &str, expected: &str) {
    check_input_error(&format!("path = 'a.csv'\n{keys}"), expected);
}

#[test]
fn says_what_is_wrong_with_csv_options() {
    check_input_error("path = 'a.json'\nheader = true", "daily.toml:4:1: `header` is for csv inputs alone");
    check_input_error("path = 'a.parquet'\ntrim = true", "daily.toml:4:1: `trim` is for csv inputs alone");
    check_csv_error("header = 'no'", "daily.toml:4:10: `header` must be true or false, not a string");
    check_csv_error(
        "delimiter = '||'",
        "daily.toml:4:13: `delimiter` must be one ASCII character, such as \",\", or \"tab\"",
    );
    check_csv_error("delimiter = '\"'", "daily.toml: the delimiter and the quote of input `t` are the same");
    let quote = "daily.toml:4:9: `quote` must be one ASCII character, or \"none\" where quotes are plain text";
    check_csv_error("quote = 'no'", quote);
    check_csv_error(
        "quote = 'none'\nescape = '!'",
        "daily.toml: input `t` has an escape but no quote, and nothing outside quotes is escaped; remove the escape",
    );
    check_csv_error("multiline = true", "daily.toml:4:1: quoted line breaks are always read; remove `multiline`");
    check_csv_error(
        "null_value = ''",
        "daily.toml:4:1: `null_value` is not a key of [inputs.t]; did you mean `null_values`?",
    );
    check_csv_error(
        "null_values = 0",
        "daily.toml:4:15: `null_values` must be a string or a list of strings, not a number",
    );
    check_csv_error("encoding = 'utf8'", "daily.toml:4:12: `encoding` cannot be `utf8`; did you mean `utf-8`?");
    check_csv_error(
        "encoding = 'cp1252'",
        "daily.toml:4:12: `encoding` cannot be `cp1252`; write utf-8, latin-1, utf-16, utf-16le, utf-16be",
    );
    check_csv_error(
        "missing_columns = 'nul'",
        "daily.toml:4:19: `missing_columns` cannot be `nul`; did you mean `null`?",
    );
    check_csv_error("extra_columns = 'null'", "daily.toml:4:17: `extra_columns` cannot be `null`; write error, ignore");
    check_csv_error("date_format = ''", "daily.toml: date_format of input `t` is empty; leave it out for ISO 8601");
    check_csv_error("max_record_bytes = '1KiB'", "daily.toml: max_record_bytes of input `t` must be from 1MiB to 1GiB");
}

#[test]
fn says_what_is_wrong_with_the_output() {
    check_error(
        "query = 'x'\n[output]\nmode = 'append'",
        "daily.toml:2:1: the output has no path; add path = \"...\", or leave [output] out to get the result as a table",
    );
    check_error(
        "query = 'x'\n[output]\npath = 'o'\nmode = 'replace'",
        "daily.toml:4:8: `mode` cannot be `replace`; write error, overwrite, append",
    );
    check_error(
        "query = 'x'\n[output]\npath = 'o'\npartition_by = [1]",
        "daily.toml:4:17: `partition_by` must be a string, not a number",
    );
    check_error(
        "query = 'x'\n[output]\npath = 'o'\nfile_bytes_max = '1KiB'",
        "daily.toml: output files of less than 1MiB are not useful; raise file_bytes_max",
    );
}

#[test]
fn says_which_variable_has_no_value() {
    check_error("query = 'SELECT ${x}'", "daily.toml:1:17: `${x}` has no value; add --set x=VALUE");
    check_error("query = '''\nSELECT\n  ${x}'''", "daily.toml:3:3: `${x}` has no value; add --set x=VALUE");
    check_input_error("path = '${day}.csv'", "daily.toml:3:9: `${day}` has no value; add --set day=VALUE");
    check_error(
        "query = 'a ${date'",
        "daily.toml:1:12: `${` at byte 2 is never closed; write `$$` for a plain dollar sign",
    );
}

#[test]
fn places_toml_errors() {
    let error = parse("query = 'x'\n[inputs.t\n").unwrap_err();
    assert!(error.starts_with("daily.toml:2:10: "), "{error}");
    let error = parse("query = 'x'\nquery = 'y'\n").unwrap_err();
    assert!(error.starts_with("daily.toml:2:1: duplicate key"), "{error}");
}

#[test]
fn reads_the_query_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("job.toml");
    std::fs::write(&file, "query_file = 'q.sql'").unwrap();
    std::fs::write(directory.path().join("q.sql"), "SELECT '${date}'\n-- ${x}").unwrap();
    let error = read_job(&file, &origin().values).unwrap_err().to_string();
    assert!(error.ends_with("q.sql:2:4: `${x}` has no value; add --set x=VALUE"), "{error}");
    let values = [("date".to_owned(), "today".to_owned()), ("x".to_owned(), "y".to_owned())].into();
    assert_eq!(read_job(&file, &values).unwrap().query, "SELECT 'today'\n-- y");
}

#[test]
fn reads_schemas_of_a_command_line() {
    let decimal = ValueType::Decimal { precision: 12, scale: 2 };
    let expected = vec![column("email", ValueType::String), column("amount", decimal)];
    assert_eq!(parse_schema("email string, amount decimal(12, 2)"), Ok(expected));
    assert_eq!(parse_schema("email"), Err("`email` is not a column; write NAME TYPE, NAME TYPE".into()));
    assert_eq!(parse_schema(""), Err("`` is not a column; write NAME TYPE, NAME TYPE".into()));
    assert_eq!(parse_schema("a int, a int"), Err("column `a` stands twice in the schema".into()));
    assert!(parse_schema("a strin").is_err_and(|problem| problem.starts_with("`strin` is not a type")));
}
