//! All 22 TPC-H queries on a hundredth of the smallest data set, from CSV files.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use datafusion::prelude::{CsvReadOptions, SessionContext};
use hearth_common::{ColumnSpec, CsvOptions, InputFormat, InputSpec, JobSpec, OnError};
use hearth_plan::declared_schema;
use tempfile::TempDir;
use tpchgen::csv;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};

use super::cluster;
use super::data::{Variant, plan};
use super::rows::{Order, assert_same};

const SCALE: f64 = 0.01;
const FILES: usize = 3;

/// Table, and the type of each of its columns in the order of the header.
const TYPES: [(&str, &str); 8] = [
    ("nation", "bigint string bigint string"),
    ("region", "bigint string string"),
    ("part", "bigint string string string string int string decimal(15,2) string"),
    ("supplier", "bigint string string bigint string decimal(15,2) string"),
    ("partsupp", "bigint bigint int decimal(15,2) string"),
    ("customer", "bigint string string bigint string decimal(15,2) string string"),
    ("orders", "bigint bigint string decimal(15,2) date string string int string"),
    (
        "lineitem",
        "bigint bigint bigint int decimal(15,2) decimal(15,2) decimal(15,2) decimal(15,2) string string date date date \
         string string string",
    ),
];

struct Tpch {
    directory: TempDir,
    inputs: BTreeMap<String, InputSpec>,
}

fn write_table<R: Display>(directory: &Path, header: &str, rows: impl Iterator<Item = R>) {
    fs::create_dir_all(directory).unwrap();
    let mut files: Vec<_> = (0..FILES)
        .map(|index| {
            let mut file = std::io::BufWriter::new(fs::File::create(directory.join(format!("{index}.csv"))).unwrap());
            writeln!(file, "{header}").unwrap();
            file
        })
        .collect();
    for (index, row) in rows.enumerate() {
        writeln!(files[index / 100 % FILES], "{row}").unwrap();
    }
}

fn columns(header: &str, types: &str) -> Vec<ColumnSpec> {
    let column = |(name, value_type): (&str, &str)| ColumnSpec {
        name: name.to_owned(),
        value_type: value_type.parse().unwrap(),
    };
    header.split(',').zip(types.split_whitespace()).map(column).collect()
}

impl Tpch {
    fn generate() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        write_table(
            &at("nation"),
            csv::NationCsv::header(),
            NationGenerator::new(SCALE, 1, 1).iter().map(csv::NationCsv::new),
        );
        write_table(
            &at("region"),
            csv::RegionCsv::header(),
            RegionGenerator::new(SCALE, 1, 1).iter().map(csv::RegionCsv::new),
        );
        write_table(&at("part"), csv::PartCsv::header(), PartGenerator::new(SCALE, 1, 1).iter().map(csv::PartCsv::new));
        write_table(
            &at("supplier"),
            csv::SupplierCsv::header(),
            SupplierGenerator::new(SCALE, 1, 1).iter().map(csv::SupplierCsv::new),
        );
        write_table(
            &at("partsupp"),
            csv::PartSuppCsv::header(),
            PartSuppGenerator::new(SCALE, 1, 1).iter().map(csv::PartSuppCsv::new),
        );
        write_table(
            &at("customer"),
            csv::CustomerCsv::header(),
            CustomerGenerator::new(SCALE, 1, 1).iter().map(csv::CustomerCsv::new),
        );
        write_table(
            &at("orders"),
            csv::OrderCsv::header(),
            OrderGenerator::new(SCALE, 1, 1).iter().map(csv::OrderCsv::new),
        );
        write_table(
            &at("lineitem"),
            csv::LineItemCsv::header(),
            LineItemGenerator::new(SCALE, 1, 1).iter().map(csv::LineItemCsv::new),
        );
        let inputs = TYPES.iter().map(|(name, types)| ((*name).to_owned(), input(&at(name), types))).collect();
        Self { directory, inputs }
    }

    async fn in_one_process(&self) -> SessionContext {
        let context = SessionContext::new();
        for (name, input) in &self.inputs {
            let schema = declared_schema(input.schema.as_ref().unwrap(), &input.format).unwrap();
            let options = CsvReadOptions::new().has_header(true).schema(&schema);
            let path = self.directory.path().join(name);
            context.register_csv(name, path.to_str().unwrap(), options).await.unwrap();
        }
        context
    }

    fn job(&self, query: &str, variant: &Variant) -> JobSpec {
        JobSpec {
            name: "tpch".to_owned(),
            query: query.to_owned(),
            inputs: self.inputs.clone(),
            output: None,
            settings: variant.settings.clone(),
        }
    }
}

fn input(directory: &Path, types: &str) -> InputSpec {
    let first = fs::read_to_string(directory.join("0.csv")).unwrap();
    InputSpec {
        paths: vec![directory.to_str().unwrap().to_owned()],
        format: InputFormat::Csv(CsvOptions::default()),
        compression: hearth_common::InputCompression::Auto,
        schema: Some(columns(first.lines().next().unwrap(), types)),
        on_error: OnError::Fail,
    }
}

fn query(number: usize) -> String {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/tpch");
    fs::read_to_string(directory.join(format!("q{number:02}.sql"))).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_queries_give_the_same_rows_in_stages() {
    let tpch = Tpch::generate();
    let context = tpch.in_one_process().await;
    let mut variants = [
        Variant::new("broadcast", 4, 2),
        Variant::new("hash joins", 3, 1).without_broadcast(),
        Variant::new("sort-merge joins", 4, 3).with_sort_merge(),
    ];
    for variant in &mut variants {
        variant.settings.split_bytes = Some(hearth_common::ByteSize(256 << 10));
    }
    for number in 1..=22 {
        let sql = query(number);
        let expected = context.sql(&sql).await.unwrap().collect().await.unwrap();
        for variant in &variants {
            let what = format!("query {number} ({})", variant.name);
            let planned =
                plan(tpch.job(&sql, variant), variant).await.unwrap_or_else(|error| panic!("{what}: {error}"));
            let found = cluster::run(&planned, variant.group).await.unwrap_or_else(|error| panic!("{what}: {error}"));
            let found: Vec<_> = found.into_iter().flatten().collect();
            assert_same(&what, Order::Counts, &found, &expected);
        }
    }
}
