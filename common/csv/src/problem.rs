//! Tells people what is wrong with a record. The only place that reads the decoder's messages.

use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use hearth_common::{FailureCause, InputSplit, Place};

/// A failure of a whole file.
pub(crate) fn of_file(file: &str, message: impl Into<String>) -> FailureCause {
    FailureCause::Task { message: message.into(), place: Some(Place { file: file.to_owned(), ..Place::default() }) }
}

/// What the decoder found wrong in a split.
///
/// The decoder counts lines from the split's first one, so its number is replaced by the split's range of bytes.
pub(crate) fn of_split(split: &InputSplit, schema: &Schema, error: &ArrowError) -> FailureCause {
    let (reason, column) = describe(error, schema);
    let hint =
        if column.is_some() { "; declare the column's type in the input's schema if it was inferred" } else { "" };
    let range = format!("in bytes {} to {} of the file", split.start, split.end);
    FailureCause::Task {
        message: format!("cannot read a CSV record {range}: {reason}{hint}"),
        place: Some(Place { file: split.url.clone(), column, ..Place::default() }),
    }
}

fn describe(error: &ArrowError, schema: &Schema) -> (String, Option<String>) {
    let full = error.to_string();
    let text = ["Csv error: ", "Parser error: ", "Cast error: "].iter().find_map(|prefix| full.strip_prefix(prefix));
    let text = remove_number(text.unwrap_or(&full), " for line ");
    let text = remove_number(&text, " at line ");
    let (text, number) = take_number(&text, " for column ");
    let column = number.and_then(|number| schema.fields().get(number)).map(|field| field.name().clone());
    (text, column)
}

fn remove_number(text: &str, before: &str) -> String {
    take_number(text, before).0
}

/// Cuts `before` and the number behind it out of `text`.
fn take_number(text: &str, before: &str) -> (String, Option<usize>) {
    let Some((head, tail)) = text.split_once(before) else {
        return (text.to_owned(), None);
    };
    let rest = tail.trim_start_matches(|c: char| c.is_ascii_digit());
    match tail[..tail.len() - rest.len()].parse() {
        Ok(number) => (format!("{head}{rest}"), Some(number)),
        Err(_) => (text.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};

    use super::*;

    fn check(error: ArrowError, expected: &str) {
        let schema = Schema::new(vec![Field::new("id", DataType::Int64, true)]);
        let split = InputSplit { url: "file:///a.csv".into(), file_bytes: 99, modified_ms: 0, start: 10, end: 50 };
        assert_eq!(of_split(&split, &schema, &error).to_string(), expected);
    }

    #[test]
    fn tells_the_place_without_the_decoders_line() {
        check(
            ArrowError::CsvError("incorrect number of fields for line 3, expected 2 got 3".into()),
            "cannot read a CSV record in bytes 10 to 50 of the file: incorrect number of fields, expected 2 got 3 (at file:///a.csv)",
        );
        check(
            ArrowError::ParseError(
                "Error while parsing value 'x' as type 'Int64' for column 0 at line 7. Row data: '[x]'".into(),
            ),
            "cannot read a CSV record in bytes 10 to 50 of the file: Error while parsing value 'x' as type 'Int64'. Row data: '[x]'; \
             declare the column's type in the input's schema if it was inferred (at file:///a.csv, column `id`)",
        );
    }
}
