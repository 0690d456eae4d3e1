//! A job's options as the scanner takes them.

use hearth_common::CsvOptions;
use hearth_scan::Dialect;

/// The marks of these options. An escape that is the quote itself is the doubling that is always read.
pub(crate) fn of(options: &CsvOptions) -> Dialect {
    Dialect {
        delimiter: options.delimiter,
        quote: options.quote,
        escape: options.escape.filter(|escape| options.quote.is_some_and(|quote| quote != *escape)),
        comment: options.comment,
        trim: options.trim,
    }
}
