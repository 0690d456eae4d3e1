//! Checks that the rows of a query can be written as the job wants them, before any task runs.

use std::collections::BTreeSet;

use arrow::datatypes::{DataType, IntervalUnit, Schema};
use hearth_common::{OutputFormat, OutputSpec};

use super::nearest::{list_names, nearest};

/// Refuses columns that no file of the wanted format could hold.
///
/// # Errors
/// The first column that is wrong, and what to do about it.
pub(super) fn check_output(schema: &Schema, output: &OutputSpec) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for field in schema.fields() {
        if !names.insert(field.name().as_str()) {
            return Err(format!("the output has two columns called `{}`; rename one with AS", field.name()));
        }
        if !can_hold(output.format, field.data_type()) {
            let (name, data_type, format) = (field.name(), field.data_type(), format_name(output.format));
            return Err(format!(
                "column `{name}` has type {data_type}, which {format} cannot hold; cast it, for example to VARCHAR"
            ));
        }
    }
    check_partition_columns(schema, output, &names)
}

fn check_partition_columns(schema: &Schema, output: &OutputSpec, names: &BTreeSet<&str>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in &output.partition_by {
        let Ok(field) = schema.field_with_name(name) else {
            let hint = nearest(name, names.iter().copied()).map_or_else(
                || format!("the columns are {}", list_names(names.iter().copied())),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(format!("partition_by names `{name}`, which the query does not give; {hint}"));
        };
        if !seen.insert(name) {
            return Err(format!("partition_by names `{name}` twice"));
        }
        if !can_name_directory(field.data_type()) {
            let data_type = field.data_type();
            return Err(format!(
                "partition_by names `{name}`, whose type {data_type} cannot be part of a path; cast it to VARCHAR"
            ));
        }
    }
    if !output.partition_by.is_empty() && seen.len() == names.len() {
        return Err("partition_by names every column, which leaves none for the files; leave one out".to_owned());
    }
    Ok(())
}

const fn format_name(format: OutputFormat) -> &'static str {
    match format {
        OutputFormat::Parquet => "Parquet",
        OutputFormat::Csv => "CSV",
        OutputFormat::Json => "JSON",
    }
}

fn can_hold(format: OutputFormat, data_type: &DataType) -> bool {
    match format {
        OutputFormat::Parquet => can_hold_parquet(data_type),
        OutputFormat::Csv => !data_type.is_nested() && !matches!(data_type, DataType::RunEndEncoded(_, _)),
        OutputFormat::Json => can_hold_json(data_type),
    }
}

fn can_hold_parquet(data_type: &DataType) -> bool {
    let is_unknown = matches!(
        data_type,
        DataType::Interval(IntervalUnit::MonthDayNano) | DataType::Union(_, _) | DataType::RunEndEncoded(_, _)
    );
    !is_unknown && inner_types(data_type).into_iter().all(can_hold_parquet)
}

fn can_hold_json(data_type: &DataType) -> bool {
    let is_unknown = matches!(data_type, DataType::Union(_, _) | DataType::RunEndEncoded(_, _));
    !is_unknown && inner_types(data_type).into_iter().all(can_hold_json)
}

fn can_name_directory(data_type: &DataType) -> bool {
    data_type.is_integer()
        || data_type.is_string()
        || data_type.is_temporal()
        || matches!(data_type, DataType::Boolean | DataType::Decimal128(_, _))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "every other type of Arrow has no inner types")]
fn inner_types(data_type: &DataType) -> Vec<&DataType> {
    match data_type {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => vec![field.data_type()],
        DataType::Struct(fields) => fields.iter().map(|field| field.data_type()).collect(),
        DataType::Dictionary(_, value) => vec![value],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, TimeUnit};
    use hearth_common::{ByteSize, Compression, OutputMode};

    use super::*;

    fn check(columns: &[(&str, DataType)], format: OutputFormat, partition_by: &[&str]) -> Result<(), String> {
        let fields: Vec<Field> =
            columns.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect();
        let output = OutputSpec {
            path: "/out".to_owned(),
            format,
            mode: OutputMode::Error,
            partition_by: partition_by.iter().map(|name| (*name).to_owned()).collect(),
            compression: Compression::Zstd,
            file_bytes_max: ByteSize::mib(512),
        };
        check_output(&Schema::new(fields), &output)
    }

    fn refused(columns: &[(&str, DataType)], format: OutputFormat, partition_by: &[&str], expected: &str) {
        assert_eq!(check(columns, format, partition_by), Err(expected.to_owned()));
    }

    #[test]
    fn ordinary_columns_pass() {
        let columns = [
            ("email", DataType::Utf8View),
            ("at", DataType::Timestamp(TimeUnit::Microsecond, None)),
            ("freq", DataType::Int64),
        ];
        for format in [OutputFormat::Parquet, OutputFormat::Csv, OutputFormat::Json] {
            assert_eq!(check(&columns, format, &["email"]), Ok(()));
        }
    }

    #[test]
    fn columns_that_cannot_be_written_are_named() {
        let list = DataType::new_list(DataType::Int32, true);
        refused(
            &[("a", DataType::Int8), ("a", DataType::Int8)],
            OutputFormat::Csv,
            &[],
            "the output has two columns called `a`; rename one with AS",
        );
        refused(
            &[("l", list.clone())],
            OutputFormat::Csv,
            &[],
            &format!("column `l` has type {list}, which CSV cannot hold; cast it, for example to VARCHAR"),
        );
        refused(
            &[("i", DataType::Interval(IntervalUnit::MonthDayNano))],
            OutputFormat::Parquet,
            &[],
            "column `i` has type Interval(MonthDayNano), which Parquet cannot hold; cast it, for example to VARCHAR",
        );
        assert_eq!(check(&[("l", list)], OutputFormat::Parquet, &[]), Ok(()));
    }

    #[test]
    fn partition_columns_must_be_usable() {
        let columns = [("email", DataType::Utf8), ("day", DataType::Date32)];
        refused(
            &columns,
            OutputFormat::Parquet,
            &["dya"],
            "partition_by names `dya`, which the query does not give; did you mean `day`?",
        );
        refused(&columns, OutputFormat::Parquet, &["day", "day"], "partition_by names `day` twice");
        refused(
            &columns,
            OutputFormat::Parquet,
            &["day", "email"],
            "partition_by names every column, which leaves none for the files; leave one out",
        );
    }
}
