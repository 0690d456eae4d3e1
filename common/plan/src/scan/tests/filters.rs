//! A scan of CSV with filters gives what a filter behind the scan gives: the same rows, rejects, errors and counts, for any
//! dialect, content and split size.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::ScalarValue;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_expr::expressions::{in_list, is_not_null, is_null};
use hearth_common::{Encoding, LinkScan, RecordStart, SplitLink};
use hearth_csv::RejectedRecord;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// The columns, with texts that stand for values of each, good and bad.
const COLUMNS: [(&str, DataType, &[&str]); 7] = [
    ("id", DataType::Int64, &["1", "2", "3", "-7", "007", "9999999999", "x", ""]),
    (
        "name",
        DataType::Utf8View,
        &["a", "b", "", "NA", " a ", "a long name that no view holds", "é", "q\"q", "m\nn", "5\" x"],
    ),
    ("price", DataType::Decimal128(6, 2), &["1.5", "2", "-0.05", "1.50", "1.505", "NA", ""]),
    ("ratio", DataType::Float64, &["0", "-0", "nan", "inf", "1e3", "0.5", "half"]),
    ("day", DataType::Date32, &["2026-01-15", "2026-02-30", "2026-02-28", ""]),
    ("flag", DataType::Boolean, &["true", "no", "", "maybe"]),
    ("note", DataType::Utf8View, &["", "another text that is too long for a view", "x", "NA"]),
];

fn schema() -> SchemaRef {
    Arc::new(Schema::new(COLUMNS.map(|(name, data_type, _)| Field::new(name, data_type, true)).to_vec()))
}

/// A condition on one column, as SQL would have it.
#[derive(Debug, Clone)]
struct Wanted {
    column: usize,
    kind: usize,
    values: Vec<usize>,
}

impl Wanted {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other columns are of text")]
    fn values(&self) -> Vec<ScalarValue> {
        let (_, data_type, _) = &COLUMNS[self.column];
        let days = [20_468, 20_512, 0];
        let value = |number: &usize| match data_type {
            DataType::Int64 => ScalarValue::from([1_i64, 2, 3, -7, 9_999_999_999][number % 5]),
            DataType::Decimal128(..) => ScalarValue::Decimal128(Some([150, 200, -5, 0][number % 4]), 6, 2),
            DataType::Float64 => ScalarValue::from([0.0, -0.0, f64::NAN, f64::INFINITY, 1000.0, 0.5][number % 6]),
            DataType::Date32 => ScalarValue::Date32(Some(days[number % 3])),
            _ => {
                let texts = ["a", "b", "", "NA", " a ", "a long name that no view holds", "é", "q\"q", "m\nn", "x"];
                ScalarValue::Utf8View(Some(texts[number % texts.len()].to_owned()))
            }
        };
        self.values.iter().map(value).collect()
    }

    fn predicate(&self, schema: &Schema) -> Arc<dyn PhysicalExpr> {
        use Operator::{Eq, Gt, GtEq, Lt, LtEq, NotEq, Or};
        let column = || col(COLUMNS[self.column].0, schema).unwrap();
        let values: Vec<Arc<dyn PhysicalExpr>> = self.values().into_iter().map(lit).collect();
        let compare = |operator| binary(column(), operator, Arc::clone(&values[0]), schema).unwrap();
        if matches!(COLUMNS[self.column].1, DataType::Boolean) {
            return if self.kind.is_multiple_of(2) { is_null(column()) } else { is_not_null(column()) }.unwrap();
        }
        let is_fraction = matches!(COLUMNS[self.column].1, DataType::Float64);
        match self.kind {
            // Lists of fractions are not taken over.
            8 | 9 if is_fraction => compare(Lt),
            0..=2 => compare(Eq),
            3 => compare(NotEq),
            4 => compare(Lt),
            5 => compare(LtEq),
            6 => compare(Gt),
            7 => binary(Arc::clone(&values[0]), LtEq, column(), schema).unwrap(),
            8 => in_list(column(), values, &false, schema).unwrap(),
            9 => in_list(column(), values, &true, schema).unwrap(),
            10 => {
                let second = binary(column(), Eq, Arc::clone(values.last().unwrap()), schema).unwrap();
                binary(compare(Eq), Or, second, schema).unwrap()
            }
            11 => is_null(column()).unwrap(),
            12 => binary(compare(GtEq), Operator::And, is_not_null(column()).unwrap(), schema).unwrap(),
            _ => is_not_null(column()).unwrap(),
        }
    }
}

/// What a file gives.
#[derive(Debug, Default, PartialEq)]
struct Found {
    rows: Vec<String>,
    rejects: Vec<RejectedRecord>,
    records: u64,
    used: u64,
    scans: Vec<LinkScan>,
    error: Option<String>,
}

struct File {
    _directory: tempfile::TempDir,
    file: InputFile,
    runtime: RuntimeEnv,
    split_bytes: u64,
}

impl File {
    fn new(text: &[u8], split_bytes: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        std::fs::write(&path, text).unwrap();
        let file = file_of(&path, &InputFormat::Csv(CsvOptions::default()));
        Self { _directory: directory, file, runtime: RuntimeEnv::default(), split_bytes }
    }

    /// Reads it split by split, each from where the one before ended; `turn` makes rows of batches.
    fn read(&self, table: CsvTable, turn: impl Fn(RecordBatch) -> RecordBatch) -> Found {
        let (table, mut found) = (Arc::new(table), Found::default());
        let mut known = RecordStart { byte: 0, line: 1 };
        let starts = (0..self.file.bytes).step_by(usize::try_from(self.split_bytes).unwrap());
        for (number, start) in (0..).zip(starts) {
            let end = start.saturating_add(self.split_bytes).min(self.file.bytes);
            let split = self.file.split((start, end), Some(SplitLink { number, known: Some(known) }));
            match run(self.read_split(&table, &split, (&turn, &mut found))) {
                Ok(scan) => {
                    let end = scan.read.end.unwrap();
                    known = RecordStart { byte: end.byte, line: known.line + end.lines };
                    found.scans.push(scan);
                }
                Err(cause) => {
                    found.error = Some(cause.to_string());
                    // How much of a split that fails was read before does not matter.
                    return Found { error: found.error, ..Found::default() };
                }
            }
        }
        found
    }

    async fn read_split(
        &self,
        table: &Arc<CsvTable>,
        split: &InputSplit,
        (turn, found): (&impl Fn(RecordBatch) -> RecordBatch, &mut Found),
    ) -> std::result::Result<LinkScan, FailureCause> {
        let mut records = table.open(split, &self.runtime).await?;
        while let Some(batch) = records.next().await? {
            found.rejects.extend(records.take_rejects());
            found.used += batch.num_rows() as u64;
            let batch = turn(batch);
            found.rows.extend((0..batch.num_rows()).map(|row| show(&batch, row)));
        }
        records.finish().await?;
        found.used += records.left_out();
        found.records += records.records();
        assert_eq!(found.records, found.used + found.rejects.len() as u64, "records are used or rejected");
        Ok(records.scan().unwrap())
    }
}

fn show(batch: &RecordBatch, row: usize) -> String {
    let options = FormatOptions::default().with_null("NULL");
    let cell = |column: &ArrayRef| ArrayFormatter::try_new(column.as_ref(), &options).unwrap().value(row).to_string();
    batch.columns().iter().map(cell).collect::<Vec<_>>().join("|")
}

/// How a file is written, and what of it.
#[derive(Debug, Clone)]
struct Written {
    options: CsvOptions,
    /// Columns that the file has.
    fields: Vec<usize>,
    /// For each record, a number that says what is odd about it, and the texts of its fields.
    records: Vec<(usize, Vec<usize>)>,
    crlf: bool,
}

impl Written {
    fn text(&self) -> Vec<u8> {
        let options = &self.options;
        let end: &[u8] = if self.crlf { b"\r\n" } else { b"\n" };
        let names: Vec<&[u8]> = self.fields.iter().map(|field| COLUMNS[*field].0.as_bytes()).collect();
        let mut text = names.join(&options.delimiter);
        text.extend_from_slice(end);
        for (odd, texts) in &self.records {
            let fields: Vec<Vec<u8>> =
                self.fields.iter().zip(texts).map(|(field, text)| self.field(*field, *text)).collect();
            let mut record = fields.join(&options.delimiter);
            match odd {
                0 => record.clear(),
                1 => record.extend([options.delimiter, b'x']),
                2 => record = [b"# ".as_slice(), &record].concat(),
                3 => record.push(0xe9),
                4 => record.splice(0..0, *b"\"x\"y").for_each(drop),
                _ => {}
            }
            text.extend(record);
            text.extend_from_slice(end);
        }
        text
    }

    fn field(&self, field: usize, number: usize) -> Vec<u8> {
        let texts = COLUMNS[field].2;
        // The first texts are good values: most records should be.
        let text = texts[if number < 30 { number % 3 } else { number % texts.len() }];
        let text = if self.options.encoding == Encoding::Latin1 {
            text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect()
        } else {
            text.as_bytes().to_vec()
        };
        let Some(quote) = self.options.quote else {
            return text.into_iter().filter(|byte| !b"\n".contains(byte)).collect();
        };
        let needs_quotes = text.contains(&b'\n') || text.contains(&self.options.delimiter) || number.is_multiple_of(5);
        if !needs_quotes {
            return text;
        }
        let escape = self.options.escape.unwrap_or(quote);
        let inner = text.into_iter().flat_map(|byte| if byte == quote { vec![escape, byte] } else { vec![byte] });
        [vec![quote], inner.collect(), vec![quote]].concat()
    }
}

fn written() -> impl Strategy<Value = Written> {
    let dialect = (select(vec![b',', b';', b'\t']), select(vec![Some(b'"'), Some(b'"'), Some(b'\''), None]));
    let choices = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let fields = Just((0..COLUMNS.len()).collect::<Vec<_>>()).prop_shuffle();
    let records = vec((0..60_usize, vec(0..60_usize, COLUMNS.len())), 0..40);
    let odd = (0..4_usize, 1..=COLUMNS.len());
    (dialect, choices, fields, records, odd).prop_map(
        |((delimiter, quote), choices, mut fields, records, (odd, columns))| {
            let (escapes, comments, trims, latin1, crlf) = choices;
            // Some files have a few columns, the others are NULL.
            if odd == 0 {
                fields.truncate(columns);
            }
            // Records of every kind in some files, good ones in the others.
            let records = records.into_iter().map(|(kind, texts)| {
                let texts = if odd < 2 { texts } else { texts.into_iter().map(|text| text % 30).collect() };
                (if odd < 2 { kind } else { kind.max(5) }, texts)
            });
            let options = CsvOptions {
                delimiter,
                quote,
                escape: (escapes && quote.is_some()).then_some(b'\\'),
                comment: comments.then_some(b'#'),
                trim: trims,
                null_values: vec![String::new(), "NA".to_owned()],
                encoding: if latin1 { Encoding::Latin1 } else { Encoding::Utf8 },
                missing_columns: hearth_common::MissingColumns::Null,
                ..CsvOptions::default()
            };
            Written { options, fields, records: records.collect(), crlf }
        },
    )
}

fn wanted() -> impl Strategy<Value = Wanted> {
    (0..COLUMNS.len(), 0..14_usize, vec(0..60_usize, 1..5)).prop_map(|(column, kind, values)| Wanted {
        column,
        kind,
        values,
    })
}

/// Reads with filters in the scan, and with the same filters behind it.
fn both(file: &File, table: &CsvTable, (wanted, projection): (&[Wanted], &[usize])) -> (Found, Found) {
    let mut filters = Vec::new();
    for wanted in wanted {
        let predicate = wanted.predicate(&table.schema);
        let taken = csv_filters(&predicate, &table.schema);
        filters.extend(taken.unwrap_or_else(|| panic!("{predicate} is not taken over")));
    }
    let pushed = CsvTable { filters, projection: Some(projection.to_vec()), ..table.clone() };
    let mut read: Vec<usize> = projection.iter().copied().chain(wanted.iter().map(|wanted| wanted.column)).collect();
    read.sort_unstable();
    read.dedup();
    let behind = |batch: RecordBatch| {
        let filtered = wanted.iter().fold(batch, |batch, wanted| {
            let predicate = wanted.predicate(&batch.schema());
            let mask = predicate.evaluate(&batch).unwrap().into_array(batch.num_rows()).unwrap();
            filter_record_batch(&batch, mask.as_boolean()).unwrap()
        });
        let places: Vec<usize> = projection.iter().map(|column| read.binary_search(column).unwrap()).collect();
        filtered.project(&places).unwrap()
    };
    let plain = CsvTable { projection: Some(read.clone()), ..table.clone() };
    (file.read(pushed, |batch| batch), file.read(plain, behind))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn filters_in_the_scan_are_filters_behind_it(
        written in written(),
        wanted in vec(wanted(), 1..4),
        projection in prop::sample::subsequence((0..COLUMNS.len()).collect::<Vec<_>>(), 0..COLUMNS.len()),
        (split_bytes, batch_rows) in (1..300_u64, 1..9_usize),
        puts_aside in any::<bool>(),
    ) {
        let text = written.text();
        let table = CsvTable {
            options: written.options.clone(),
            schema: schema(),
            projection: None,
            filters: Vec::new(),
            limit: None,
            batch_rows,
            puts_aside,
        };
        for split_bytes in [split_bytes, 1 << 20] {
            let file = File::new(&text, split_bytes);
            let (found, expected) = both(&file, &table, (&wanted, &projection));
            prop_assert_eq!(found, expected, "{} of {:?}", split_bytes, String::from_utf8_lossy(&text));
        }
    }
}
