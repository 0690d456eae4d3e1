//! How CSV files are written, as a message.

use datafusion::error::Result;
use hearth_common::{ByteSize, CsvOptions, Encoding, ExtraColumns, MissingColumns};

use super::choice::{number_of, value_of};
use super::{malformed, message};

const ENCODINGS: [Encoding; 5] = Encoding::ALL;
const MISSING_COLUMNS: [MissingColumns; 2] = [MissingColumns::Error, MissingColumns::Null];
const EXTRA_COLUMNS: [ExtraColumns; 2] = [ExtraColumns::Error, ExtraColumns::Ignore];

pub(super) fn encode(options: &CsvOptions) -> message::Csv {
    message::Csv {
        header: options.header,
        delimiter: options.delimiter.into(),
        quote: options.quote.map(Into::into),
        escape: options.escape.map(Into::into),
        comment: options.comment.map(Into::into),
        null_values: options.null_values.clone(),
        trim: options.trim,
        encoding: number_of(&ENCODINGS, &options.encoding),
        date_format: options.date_format.clone(),
        timestamp_format: options.timestamp_format.clone(),
        missing_columns: number_of(&MISSING_COLUMNS, &options.missing_columns),
        extra_columns: number_of(&EXTRA_COLUMNS, &options.extra_columns),
        max_record_bytes: options.max_record_bytes.0,
    }
}

pub(super) fn decode(csv: message::Csv) -> Result<CsvOptions> {
    let byte = |number: u32| u8::try_from(number).map_err(|_| malformed("a CSV option that is no byte"));
    let refused = |problem: String| malformed(&problem);
    Ok(CsvOptions {
        header: csv.header,
        delimiter: byte(csv.delimiter)?,
        quote: csv.quote.map(byte).transpose()?,
        escape: csv.escape.map(byte).transpose()?,
        comment: csv.comment.map(byte).transpose()?,
        null_values: csv.null_values,
        trim: csv.trim,
        encoding: value_of(&ENCODINGS, csv.encoding, "encoding").map_err(refused)?,
        date_format: csv.date_format,
        timestamp_format: csv.timestamp_format,
        missing_columns: value_of(&MISSING_COLUMNS, csv.missing_columns, "missing_columns").map_err(refused)?,
        extra_columns: value_of(&EXTRA_COLUMNS, csv.extra_columns, "extra_columns").map_err(refused)?,
        max_record_bytes: ByteSize(csv.max_record_bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_encoder_writes_is_refused() {
        let check = |expected: &str, spoil: fn(&mut message::Csv)| {
            let mut csv = encode(&CsvOptions::default());
            spoil(&mut csv);
            let found = decode(csv).unwrap_err().strip_backtrace();
            assert_eq!(found, format!("Error during planning: malformed plan: {expected}"));
        };
        check("a CSV option that is no byte", |csv| csv.quote = Some(256));
        check("it has the unknown encoding 0", |csv| csv.encoding = 0);
        check("it has the unknown missing_columns 3", |csv| csv.missing_columns = 3);
        check("it has the unknown extra_columns 4294967295", |csv| csv.extra_columns = u32::MAX);
    }
}
