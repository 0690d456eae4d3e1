//! Plain tables for people: columns as wide as their widest cell.

/// Lays out rows under a header; numbers to the right, text to the left.
pub(crate) fn lay_out<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = line(&header.map(str::to_owned), &widths);
    for row in rows {
        text.push('\n');
        text.push_str(&line(row, &widths));
    }
    text
}

fn line<const N: usize>(cells: &[String; N], widths: &[usize; N]) -> String {
    let mut text = String::new();
    for (cell, &width) in cells.iter().zip(widths) {
        let is_number = cell.starts_with(|c: char| c.is_ascii_digit()) && !cell.contains(['-', ':']);
        if !text.is_empty() {
            text.push_str("  ");
        }
        text.push_str(&if is_number { format!("{cell:>width$}") } else { format!("{cell:<width$}") });
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["a", "1,000"], ["longer", "2"]].map(|row| row.map(str::to_owned));
        assert_eq!(lay_out(["name", "n"], &rows), "name    n\na       1,000\nlonger      2");
    }
}
