//! Plans as text, and what inputs were found: for people who look at a job.

use std::collections::BTreeSet;

use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use hearth_common::InputDetails;

use super::inputs::LoadedInput;

/// Longest text of a plan, in bytes; the rest of a longer one is left out.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// A logical plan, one operator a line.
pub(super) fn logical_text(plan: &LogicalPlan) -> String {
    cut(plan.display_indent().to_string())
}

/// A physical plan, one operator a line.
pub(super) fn physical_text(plan: &dyn ExecutionPlan) -> String {
    cut(displayable(plan).indent(true).to_string())
}

/// What an input was found to be.
pub(super) fn input_details(input: &LoadedInput) -> InputDetails {
    let splits = || input.splits.iter().flatten();
    let files: BTreeSet<&str> = splits().map(|split| split.url.as_str()).collect();
    InputDetails {
        input: input.name.clone(),
        files: files.len() as u64,
        splits: splits().count() as u64,
        bytes: splits().map(|split| split.end.saturating_sub(split.start)).sum(),
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.trim_end().len());
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push_str("\n... the rest is left out");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = cut("ü".repeat(TEXT_BYTES_MAX));
        assert!(text.len() < TEXT_BYTES_MAX + 64 && text.ends_with("left out"), "{} bytes", text.len());
        assert_eq!(cut("a\n  b\n".to_owned()), "a\n  b");
    }
}
