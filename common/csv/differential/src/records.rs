//! The scanner against the `csv` crate: the same records and fields, as far as nothing is wrong with the text.

use hearth_scan::{Dialect, Index, Scanner, State};

use crate::Difference;
use crate::case::Choices;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads the text of a case with both.
///
/// # Errors
/// A record before the first problem that the scanner sees has other fields.
pub fn csv_crate(input: &[u8]) -> Result<(), Difference> {
    let Some(choices) = Choices::new(input) else { return Ok(()) };
    let (dialect, text) = (choices.dialect(), choices.text);
    // The crate takes the mark away; here that is not the scanner's task.
    if text.starts_with(BYTE_ORDER_MARK) {
        return Ok(());
    }
    let (expected, end) = scanned(text, &dialect);
    let mut found = crates(text, &dialect);
    match end {
        End::Record => {}
        // The crate makes a record of one empty field from a comment without a line end.
        End::Comment if found.last().is_some_and(|record| *record == [b""]) => drop(found.pop()),
        End::Comment => {}
        End::Problem => found.truncate(expected.len()),
    }
    Difference::between(&expected, &found, || format!("{:?} in {dialect:?}", String::from_utf8_lossy(text)))
}

type Records = Vec<Vec<Vec<u8>>>;

/// What a text ends with.
enum End {
    Record,
    Comment,
    /// Not with this: something before cannot be read.
    Problem,
}

/// Records up to the first problem, or to the end.
fn scanned(text: &[u8], dialect: &Dialect) -> (Records, End) {
    let mut scanner = Scanner::new(*dialect, State::RecordStart);
    let mut index = Index::new();
    scanner.scan(text, &mut index);
    let state = scanner.state();
    let end_of_text = match state {
        _ if !index.problems().is_empty() || state.is_in_quotes() => End::Problem,
        State::Comment => End::Comment,
        State::RecordStart | State::FieldStart | State::Unquoted | State::Quoted | State::Escaped => End::Record,
        State::Closed | State::AfterQuote | State::CarriageReturn => End::Record,
    };
    if !matches!(state, State::RecordStart) && !state.is_in_quotes() {
        index.end_record(u32::try_from(text.len()).unwrap_or(u32::MAX));
    }
    let sound = index.problems().first().map_or(text.len(), |problem| problem.position as usize);
    let mut records = Records::new();
    let mut first = 0;
    for end in index.record_ends() {
        let entries = &index.separators()[first..=*end as usize];
        first = *end as usize;
        let (start, end) = (entries[0].wrapping_add(1) as usize, index.separators()[first] as usize);
        if end > sound || end == sound && end < text.len() {
            break;
        }
        let record = &text[start..end];
        let is_blank = record.is_empty() || record == b"\r";
        if !is_blank && (dialect.comment.is_none() || record.first().copied() != dialect.comment) {
            records.push(entries.windows(2).map(|pair| field(text, pair, (end, dialect))).collect());
        }
    }
    (records, end_of_text)
}

/// What a field says.
fn field(text: &[u8], pair: &[u32], (record_end, dialect): (usize, &Dialect)) -> Vec<u8> {
    let (start, end) = (pair[0].wrapping_add(1) as usize, pair[1] as usize);
    let mut raw = &text[start..end];
    // Outside quotes it is the first half of the line end, or an error.
    if end == record_end {
        raw = raw.strip_suffix(b"\r").unwrap_or(raw);
    }
    let Some(quote) = dialect.quote.filter(|quote| raw.first() == Some(quote)) else { return raw.to_vec() };
    let mut field = Vec::new();
    let mut bytes = raw[1..].iter().copied();
    while let Some(byte) = bytes.next() {
        if Some(byte) == dialect.escape || byte == quote {
            field.extend(bytes.next());
        } else {
            field.push(byte);
        }
    }
    field
}

/// Records as the crate reads them.
fn crates(text: &[u8], dialect: &Dialect) -> Records {
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(dialect.delimiter).comment(dialect.comment);
    builder.escape(dialect.escape).quoting(dialect.quote.is_some());
    if let Some(quote) = dialect.quote {
        builder.quote(quote);
    }
    let records = builder.from_reader(text).into_byte_records();
    records.map_while(Result::ok).map(|record| record.iter().map(<[u8]>::to_vec).collect()).collect()
}
