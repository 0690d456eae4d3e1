//! What was inferred about an input that declares no columns, in one line.

use hearth_common::{InferredColumn, InferredInput};

use crate::figures::{count, counted};

/// Columns of one input that are told.
const COLUMNS_MAX: usize = 20;

/// Names, types and NULLs of the columns, and how many records were looked at.
pub(crate) fn inferred(found: &InferredInput) -> String {
    let InferredInput { input, records, columns } = found;
    let mut told: Vec<String> = columns.iter().take(COLUMNS_MAX).map(column).collect();
    if columns.len() > COLUMNS_MAX {
        told.push(format!("and {} more", columns.len() - COLUMNS_MAX));
    }
    format!("inferred   {input}, from {}: {}", counted(*records, "record"), told.join(", "))
}

fn column(InferredColumn { name, type_name, nulls }: &InferredColumn) -> String {
    let nulls = match nulls {
        Some(1) => " (1 NULL)".to_owned(),
        Some(nulls) if *nulls > 1 => format!(" ({} NULLs)", count(*nulls)),
        Some(_) | None => String::new(),
    };
    format!("{} {type_name}{nulls}", name.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_told_in_one_line() {
        let column = |name: &str, nulls| InferredColumn { name: name.to_owned(), type_name: "int64".to_owned(), nulls };
        let columns = vec![column("a\nb", Some(0)), column("c", Some(1)), column("d", Some(1200)), column("e", None)];
        let found = InferredInput { input: "t".to_owned(), records: 2000, columns };
        let expected =
            "inferred   t, from 2,000 records: a\\nb int64, c int64 (1 NULL), d int64 (1,200 NULLs), e int64";
        assert_eq!(inferred(&found), expected);
        let columns = vec![column("c", None); 100];
        assert!(inferred(&InferredInput { columns, ..found }).ends_with("c int64, and 80 more"));
    }
}
