//! TPC-H: its eight tables as CSV files with a header, their columns, and its 22 queries.

use std::fmt::Display;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tpchgen::csv::{CustomerCsv, LineItemCsv, NationCsv, OrderCsv, PartCsv, PartSuppCsv, RegionCsv, SupplierCsv};
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};

use crate::binary::workspace_dir;
use crate::data::cached;
use crate::job_file::{JobFile, quoted};

/// A table: its name and the names and types of its columns.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name; the file is `NAME.csv`.
    pub name: &'static str,
    /// Names and types of its columns, as a job file writes them.
    pub columns: &'static [(&'static str, &'static str)],
}

const MONEY: &str = "decimal(15,2)";

/// All tables.
pub const TABLES: [Table; 8] = [
    Table {
        name: "nation",
        columns: &[("n_nationkey", "int64"), ("n_name", "string"), ("n_regionkey", "int64"), ("n_comment", "string")],
    },
    Table { name: "region", columns: &[("r_regionkey", "int64"), ("r_name", "string"), ("r_comment", "string")] },
    Table {
        name: "part",
        columns: &[
            ("p_partkey", "int64"),
            ("p_name", "string"),
            ("p_mfgr", "string"),
            ("p_brand", "string"),
            ("p_type", "string"),
            ("p_size", "int32"),
            ("p_container", "string"),
            ("p_retailprice", MONEY),
            ("p_comment", "string"),
        ],
    },
    Table {
        name: "supplier",
        columns: &[
            ("s_suppkey", "int64"),
            ("s_name", "string"),
            ("s_address", "string"),
            ("s_nationkey", "int64"),
            ("s_phone", "string"),
            ("s_acctbal", MONEY),
            ("s_comment", "string"),
        ],
    },
    Table {
        name: "partsupp",
        columns: &[
            ("ps_partkey", "int64"),
            ("ps_suppkey", "int64"),
            ("ps_availqty", "int32"),
            ("ps_supplycost", MONEY),
            ("ps_comment", "string"),
        ],
    },
    Table {
        name: "customer",
        columns: &[
            ("c_custkey", "int64"),
            ("c_name", "string"),
            ("c_address", "string"),
            ("c_nationkey", "int64"),
            ("c_phone", "string"),
            ("c_acctbal", MONEY),
            ("c_mktsegment", "string"),
            ("c_comment", "string"),
        ],
    },
    Table {
        name: "orders",
        columns: &[
            ("o_orderkey", "int64"),
            ("o_custkey", "int64"),
            ("o_orderstatus", "string"),
            ("o_totalprice", MONEY),
            ("o_orderdate", "date"),
            ("o_orderpriority", "string"),
            ("o_clerk", "string"),
            ("o_shippriority", "int32"),
            ("o_comment", "string"),
        ],
    },
    Table {
        name: "lineitem",
        columns: &[
            ("l_orderkey", "int64"),
            ("l_partkey", "int64"),
            ("l_suppkey", "int64"),
            ("l_linenumber", "int32"),
            ("l_quantity", MONEY),
            ("l_extendedprice", MONEY),
            ("l_discount", MONEY),
            ("l_tax", MONEY),
            ("l_returnflag", "string"),
            ("l_linestatus", "string"),
            ("l_shipdate", "date"),
            ("l_commitdate", "date"),
            ("l_receiptdate", "date"),
            ("l_shipinstruct", "string"),
            ("l_shipmode", "string"),
            ("l_comment", "string"),
        ],
    },
];

impl Table {
    /// Its schema as one line of a job file.
    #[must_use]
    pub fn schema_line(&self) -> String {
        let columns: Vec<String> =
            self.columns.iter().map(|(name, value)| format!("{name} = {}", quoted(value))).collect();
        format!("schema = {{ {} }}", columns.join(", "))
    }
}

/// Directory of the data at a scale; makes it when it is not there yet.
///
/// # Errors
/// A file cannot be written.
pub fn data_directory(scale: &str) -> Result<PathBuf> {
    cached(&format!("tpch-sf{scale}"), |directory| write_tables(directory, scale.parse().context("read the scale")?))
}

/// Writes all tables to `NAME.csv`.
///
/// # Errors
/// A file cannot be written.
pub fn write_tables(directory: &Path, scale: f64) -> Result<()> {
    let write = |name: &str, header: &str, rows: &mut dyn Iterator<Item = Box<dyn Display>>| -> Result<()> {
        let path = directory.join(format!("{name}.csv"));
        let mut file = BufWriter::with_capacity(1 << 20, File::create(&path)?);
        writeln!(file, "{header}")?;
        for row in rows {
            writeln!(file, "{row}")?;
        }
        file.flush().with_context(|| format!("write {}", path.display()))
    };
    macro_rules! table {
        ($name:literal, $generator:ident, $csv:ident) => {
            let generator = $generator::new(scale, 1, 1);
            let mut rows = generator.iter().map(|row| Box::new($csv::new(row)) as Box<dyn Display>);
            write($name, $csv::header(), &mut rows)?;
        };
    }
    table!("nation", NationGenerator, NationCsv);
    table!("region", RegionGenerator, RegionCsv);
    table!("part", PartGenerator, PartCsv);
    table!("supplier", SupplierGenerator, SupplierCsv);
    table!("partsupp", PartSuppGenerator, PartSuppCsv);
    table!("customer", CustomerGenerator, CustomerCsv);
    table!("orders", OrderGenerator, OrderCsv);
    table!("lineitem", LineItemGenerator, LineItemCsv);
    Ok(())
}

/// Text of a query, 1 to 22.
///
/// # Errors
/// There is no such query.
pub fn query(number: u32) -> Result<String> {
    let path = workspace_dir().join(format!("tests/tpch/q{number:02}.sql"));
    std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
}

/// A job that runs a query over the data in `directory`.
///
/// # Errors
/// There is no such query.
pub fn job(number: u32, directory: &Path) -> Result<JobFile> {
    let mut job = JobFile::new(&format!("tpch-q{number:02}"), &query(number)?);
    for table in TABLES {
        let path = directory.join(format!("{}.csv", table.name));
        job = job.input(table.name, &path, &["format = \"csv\"", &table.schema_line()]);
    }
    Ok(job)
}
