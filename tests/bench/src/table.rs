//! Markdown tables of medians and ratios.

use crate::measure::Cost;

/// All runs of one engine.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line {
    /// Name and version.
    pub(crate) engine: String,
    /// One for each run.
    pub(crate) costs: Vec<Cost>,
    /// What is to be said about its result, or why there is none.
    pub(crate) remark: String,
}

impl Line {
    /// Median of one of the figures; `None` without a run.
    pub(crate) fn median(&self, figure: impl Fn(&Cost) -> f64) -> Option<f64> {
        let mut values: Vec<f64> = self.costs.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }
}

/// A table in which the first engine is compared with every other: how many times its wall time, how many times its CPU time.
pub(crate) fn render(title: &str, lines: &[Line]) -> String {
    let mut text = format!(
        "## {title}\n\n| engine | wall s | CPU s | peak MiB | Hearth's wall / its | Hearth's CPU / its | result |\n"
    );
    text.push_str("|---|---:|---:|---:|---:|---:|---|\n");
    for line in lines {
        let wall = line.median(|cost| cost.wall_seconds);
        let cpu = line.median(|cost| cost.cpu_seconds);
        let memory = line.median(|cost| cost.memory_bytes as f64 / f64::from(1 << 20));
        let ratio = |own: Option<f64>, figure: fn(&Cost) -> f64| Some(lines.first()?.median(figure)? / own?);
        let cells = [
            line.engine.clone(),
            number(wall, 2),
            number(cpu, 2),
            number(memory, 0),
            number(ratio(wall, |cost| cost.wall_seconds), 2),
            number(ratio(cpu, |cost| cost.cpu_seconds), 2),
            line.remark.replace(['|', '\n'], " "),
        ];
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}

fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_the_first_line_with_others() {
        let cost = |wall_seconds| Cost { wall_seconds, cpu_seconds: 2.0 * wall_seconds, memory_bytes: 1 << 20 };
        let hearth =
            Line { engine: "Hearth".into(), costs: vec![cost(4.0), cost(2.0), cost(1.0)], remark: String::new() };
        let other = Line { engine: "other".into(), costs: vec![cost(5.0)], remark: "equal".into() };
        let missing = Line { engine: "none".into(), costs: Vec::new(), remark: "not | installed".into() };
        let text = render("title", &[hearth, other, missing]);
        let rows: Vec<&str> = text.lines().skip(4).collect();
        assert_eq!(
            rows,
            [
                "| Hearth | 2.00 | 4.00 | 1 | 1.00 | 1.00 |  |",
                "| other | 5.00 | 10.00 | 1 | 0.40 | 0.40 | equal |",
                "| none | - | - | - | - | - | not   installed |",
            ]
        );
    }
}
